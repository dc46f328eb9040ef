//! The roll-up: sums what statsd and counter, timer and gauge messages bring, and sends the sums on each interval.
//!
//! Nothing is summed twice and nothing is sent twice, whenever the process dies: accumulators, cursor and the batches of
//! a flush that are not safe in the spool yet (the outbox) are saved in one piece, before the first of them is appended;
//! batches of the outbox that the ledger knows already are not appended again. What came by UDP since the last save, at
//! most a second of it, is lost.

use std::{
    collections::BTreeMap,
    io, mem,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use metlog_core::{
    Fields, Message, Severity, Timestamp, Value,
    wire::batch::{Batch, Role},
};
use metlog_pipeline::{
    counters::Counters,
    cursor::Cursor,
    intake::{Intake, Refused, Taken},
    ledger::Outcomes,
    producer::OwnProducer,
    quiet::Quiet,
    rollup::{Accumulators, Rollup, RollupOptions, Sample},
    spool::{Outcome, Record},
    stop::Stop,
    watchdog::Place,
};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::{config::RollupConfig, metric::Metric};

/// The type of roll-up messages.
pub const ROLLUP_TYPE: &str = "statmetric";

/// How often accumulators are saved: what came by UDP since is lost in a crash.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// A batch of roll-ups is at most so large.
const BATCH_BYTES: usize = 256 * 1024;

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 * 1024;

/// How long the spool is waited for before the clock is looked at.
const STEP: Duration = Duration::from_millis(50);

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    accumulators: Accumulators,
    /// statsd metrics since the last flush: taken, and refused by reason.
    statsd_taken: u64,
    statsd_refused: BTreeMap<String, u64>,
    /// Batches of a flush that are not safe in the spool yet.
    outbox: Vec<Vec<u8>>,
    /// When the last flush was, in seconds since the epoch.
    flushed_at: i64,
}

/// The sums, as inputs add to them.
#[derive(Debug)]
pub struct Sums {
    state: State,
    options: RollupOptions,
    changed: bool,
}

/// The sums, shared by the inputs and the roll-up's thread.
#[derive(Debug, Clone)]
pub struct SharedRollup(Arc<Mutex<Sums>>);

impl SharedRollup {
    /// The sums, for as long as the guard is kept.
    pub fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    /// Adds a statsd metric, or counts why not and gives the reason back.
    pub fn add_statsd(&mut self, name: &str, sample: Sample<'_>) -> Option<&'static str> {
        let refused = self.state.accumulators.add(name, sample, &self.options).refused();
        match refused {
            Some(reason) => self.refuse_statsd(reason),
            None => {
                self.state.statsd_taken += 1;
                self.changed = true;
            }
        }
        refused
    }

    /// Counts a statsd metric that made no sense.
    pub fn refuse_statsd(&mut self, reason: &str) {
        *self.state.statsd_refused.entry(reason.to_owned()).or_insert(0) += 1;
        self.changed = true;
    }
}

/// The consumer `rollup` of a spool.
pub struct RollupConsumer {
    config: RollupConfig,
    intake: Intake,
    cursor: Cursor<State>,
    sums: SharedRollup,
    rollups: OwnProducer,
    statsd: OwnProducer,
    counters: Counters,
    quiet: Quiet,
    saved_at: Instant,
    /// True when a crash now would find the outbox: what is appended before could be summed and sent again.
    outbox_saved: bool,
    /// Where each batch of the outbox, by its position, has been appended; one that is not here was so before the start.
    appended: BTreeMap<usize, u64>,
}

impl RollupConsumer {
    /// Goes on with the sums that were saved.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(
        config: RollupConfig,
        intake: &Intake,
        data_dir: &Path,
        counters: Counters,
    ) -> io::Result<Self> {
        let mut cursor = Cursor::<State>::open(intake.spool(), data_dir, "rollup")?;
        let mut state = mem::take(&mut cursor.state);
        if state.flushed_at == 0 {
            state.flushed_at = Timestamp::now().as_seconds();
        }
        let sums = Sums { state, options: config.options.clone(), changed: false };
        let mut consumer = Self {
            config,
            intake: intake.clone(),
            cursor,
            sums: SharedRollup(Arc::new(Mutex::new(sums))),
            rollups: OwnProducer::new(intake, "metlog.rollup", Role::Daemon),
            statsd: OwnProducer::new(intake, "metlog.input.statsd_udp", Role::Input),
            counters,
            quiet: Quiet::default(),
            saved_at: Instant::now(),
            outbox_saved: true,
            appended: BTreeMap::new(),
        };
        // A flush that a crash interrupted comes first: its batches hold the next sequence numbers.
        consumer.empty_outbox();
        Ok(consumer)
    }

    /// The sums, for inputs to add to.
    #[must_use]
    pub fn sums(&self) -> SharedRollup {
        self.sums.clone()
    }

    /// How far it has come, for the watchdog.
    #[must_use]
    pub fn place(&self) -> Place {
        self.cursor.place()
    }

    /// Sums and flushes until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        let mut reader = self.cursor.reader();
        while !stop.is_set() {
            for record in reader.next(READ_BYTES, STEP) {
                self.sum(&record);
            }
            self.empty_outbox();
            self.flush_if_due(Timestamp::now().as_seconds());
            if self.saved_at.elapsed() >= SAVE_INTERVAL
                && (self.sums.lock().changed || self.cursor.is_ahead())
            {
                self.save();
            }
        }
        self.save();
    }

    /// Adds the counters, timers and gauges of a record. The forward consumer accounts for them.
    fn sum(&mut self, record: &Record) {
        let batch = Batch::parse(&record.frame);
        let messages =
            batch.iter().filter(|batch| batch.header.role != Role::Daemon).flat_map(Batch::records);
        let mut sums = self.sums.lock();
        for metric in messages.filter_map(|(_, message)| Metric::of(&message, self.config.namespace)) {
            let Sums { state, options, changed } = &mut *sums;
            *changed = true;
            if let Some(reason) = state.accumulators.add(&metric.key, metric.sample(), options).refused() {
                self.counters.add("rollup_refused", &[("reason", reason)], 1);
            }
        }
        drop(sums);
        self.cursor.advance(record.ordinal, &Outcomes::default());
    }

    /// Flushes at each multiple of the interval since the epoch. While the outbox waits for room in the spool no flush
    /// is made: the interval grows instead, and nothing is lost. A clock that steps back by more than an interval begins
    /// a new one; after a smaller step the next multiple is waited for, so that no time is reported twice.
    fn flush_if_due(&mut self, now: i64) {
        let interval = i64::try_from(self.config.flush_interval.as_secs()).unwrap_or(i64::MAX).max(1);
        let shared = self.sums.clone();
        let mut sums = shared.lock();
        if now < sums.state.flushed_at.saturating_sub(interval) {
            sums.state.flushed_at = now;
        }
        let intervals = now.div_euclid(interval) - sums.state.flushed_at.div_euclid(interval);
        if intervals < 1 || !sums.state.outbox.is_empty() {
            return;
        }
        let since = self.config.flush_interval.saturating_mul(u32::try_from(intervals).unwrap_or(u32::MAX));
        let tick = now.div_euclid(interval) * interval;
        let Sums { state, options, .. } = &mut *sums;
        let rollups = state.accumulators.flush(options, since);
        let messages =
            rollups.iter().filter_map(|rollup| self.message(rollup, since, tick)).collect::<Vec<_>>();
        let refused = mem::take(&mut state.statsd_refused);
        let taken = mem::take(&mut state.statsd_taken);
        state.flushed_at = tick;
        let mut outbox = self.batches(&messages);
        outbox.extend(self.statsd_books(taken, &refused));
        sums.state.outbox = outbox;
        drop(sums);
        self.outbox_saved = false;
        self.counters.add("rollup_flushes", &[], 1);
        self.save();
        self.empty_outbox();
    }

    /// One message for one name: carbon lines in the payload, the figures in the fields.
    fn message(&self, rollup: &Rollup, interval: Duration, tick: i64) -> Option<Message> {
        let prefixes = &self.config.options.prefixes;
        let payload = rollup.lines(prefixes, u64::try_from(tick).ok()?);
        let values: Fields =
            rollup.values.iter().map(|(suffix, value)| (suffix_name(suffix), *value)).collect();
        let fields: Fields = [
            ("name", Value::from(rollup.name.as_str())),
            ("kind", rollup.kind.as_str().into()),
            ("interval", interval.as_secs_f64().into()),
            ("values", values.into()),
        ]
        .into_iter()
        .collect();
        let identity = self.rollups.identity();
        Some(Message {
            kind: ROLLUP_TYPE.to_owned(),
            timestamp: Timestamp::from_nanos(tick.saturating_mul(1_000_000_000)),
            logger: "metlog.rollup".to_owned(),
            severity: Severity::default(),
            payload: payload.into(),
            fields,
            env_version: identity.env_version.to_owned(),
            pid: identity.pid,
            hostname: identity.hostname.to_owned(),
        })
    }

    fn batches(&mut self, messages: &[Message]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut batch = self.rollups.batch();
        for message in messages {
            // What is too big is counted in the batch itself.
            let _counted = batch.push(message);
            if batch.body_bytes() >= BATCH_BYTES {
                frames.push(self.rollups.finish(batch));
                batch = self.rollups.batch();
            }
        }
        if batch.span() > 0 {
            frames.push(self.rollups.finish(batch));
        }
        frames
    }

    /// A batch without messages that accounts for the statsd metrics of the interval.
    fn statsd_books(&mut self, taken: u64, refused: &BTreeMap<String, u64>) -> Option<Vec<u8>> {
        let mut batch = self.statsd.batch();
        batch.remove("consumed", taken);
        for (reason, count) in refused {
            batch.remove(&format!("dropped:{reason}"), *count);
        }
        (batch.span() > 0).then(|| self.statsd.finish(batch))
    }

    /// Puts the batches of a flush into the spool, those that are not in it yet, and forgets them when all are safe
    /// there. Never before the flush is saved.
    fn empty_outbox(&mut self) {
        if !self.outbox_saved {
            return;
        }
        let mut outbox = mem::take(&mut self.sums.lock().state.outbox);
        let in_spool = outbox.iter().enumerate().fold(true, |all, (position, frame)| {
            // Every frame is looked at: one that comes later must not wait for a round of its own.
            self.append(position, frame) && all
        });
        let spool = self.intake.spool();
        if in_spool && self.appended.values().all(|ordinal| spool.outcome(*ordinal) == Outcome::Synced) {
            outbox.clear();
            self.appended.clear();
        }
        self.sums.lock().state.outbox = outbox;
    }

    /// Appends a batch of the outbox unless the ledger knows it; false when it has to be tried again. The ledger forgets
    /// what a failed sync took with it, so that it is appended once more.
    fn append(&mut self, position: usize, frame: &[u8]) -> bool {
        match self.intake.take_own(frame) {
            Ok(Taken::Appended(ordinal)) => {
                self.appended.insert(position, ordinal);
                true
            }
            Ok(Taken::Repeat) => true,
            Err(Refused::Batch(error)) => {
                error!(%error, "roll-ups lost: this is a bug");
                true
            }
            Err(error) => {
                self.quiet.say("spool", || error!(%error, "roll-ups wait for the spool"));
                false
            }
        }
    }

    fn save(&mut self) {
        let mut sums = self.sums.lock();
        sums.changed = false;
        self.cursor.state = sums.state.clone();
        drop(sums);
        self.saved_at = Instant::now();
        match self.cursor.save() {
            Ok(()) => self.outbox_saved = true,
            Err(error) => {
                self.sums.lock().changed = true;
                self.quiet.say("save", || error!(%error, "roll-up not saved"));
            }
        }
    }
}

/// A gauge is its name's only figure and has no suffix.
fn suffix_name(suffix: &str) -> &str {
    if suffix.is_empty() { "value" } else { suffix }
}

#[cfg(test)]
mod tests;
