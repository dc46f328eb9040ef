//! The roll-up: sums what statsd and counter, timer and gauge messages bring, and sends the sums on each interval.
//!
//! Nothing is summed twice and nothing is sent twice, whenever the process dies: accumulators, cursor and the batches of
//! a flush that are not safe in the spool yet (the outbox) are saved in one piece, before the first of them is appended;
//! batches of the outbox that the ledger knows already are not appended again. What came by UDP since the last save, at
//! most a second of it, is lost.

mod message;
mod sums;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io, mem,
    path::Path,
    time::{Duration, Instant},
};

use cpu_time::ThreadTime;
use metlog_core::{
    Timestamp,
    wire::batch::{Batch, Role},
};
use metlog_pipeline::{
    counters::Counters,
    cursor::Cursor,
    intake::Intake,
    ledger::Outcomes,
    outbox::Outbox,
    producer::OwnProducer,
    quiet::Quiet,
    rollup::{Flush, Sample},
    spool::Record,
    stop::Stop,
    watchdog::Place,
};
use tracing::{error, warn};

use self::sums::{Received, State};
pub use self::sums::{SharedRollup, StatsdInput, Sums, Via};
use crate::{config::RollupConfig, filter::Stats, metric::Metric};

/// How often accumulators are saved: what came by statsd since is lost in a crash.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// With very many names or values a save is much work: then it is made less often, so that it takes at most this part of a
/// core.
const SAVE_SHARE: u32 = 100;

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 * 1024;

/// How long the spool is waited for while there is something to save.
const STEP: Duration = Duration::from_secs(1);

/// How long it is waited for in quiet times, after which a first statsd metric is noticed and saved.
const QUIET_STEP: Duration = Duration::from_secs(3);

/// While the outbox waits for room in the spool it is tried again so often.
const RETRY: Duration = Duration::from_millis(50);

/// The consumer `rollup` of a spool.
pub struct RollupConsumer {
    config: RollupConfig,
    intake: Intake,
    cursor: Cursor<State>,
    sums: SharedRollup,
    rollups: OwnProducer,
    statsd: BTreeMap<StatsdInput, OwnProducer>,
    /// Samples made of messages.
    stats: Stats,
    counters: Counters,
    quiet: Quiet,
    saved_at: Instant,
    /// CPU time that the last save took.
    save_time: Duration,
    /// Brings the batches of a flush into the spool.
    outbox: Outbox,
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
        let statsd =
            StatsdInput::ALL.map(|input| (input, OwnProducer::new(intake, &input.producer(), Role::Input)));
        let mut consumer = Self {
            sums: SharedRollup::new(state, config.options.clone()),
            config,
            intake: intake.clone(),
            cursor,
            rollups: OwnProducer::new(intake, "metlog.rollup", Role::Daemon),
            statsd: statsd.into_iter().collect(),
            stats: Stats::default(),
            counters,
            quiet: Quiet::default(),
            saved_at: Instant::now(),
            save_time: Duration::ZERO,
            outbox: Outbox::default(),
        };
        // A flush that a crash interrupted comes first: its batches hold the next sequence numbers.
        consumer.empty_outbox();
        Ok(consumer)
    }

    /// Makes samples of messages too.
    #[must_use]
    pub fn with_stats(self, stats: Stats) -> Self {
        Self { stats, ..self }
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
        self.intake.spool().wake_readers_on(stop);
        let mut reader = self.cursor.reader().until(stop);
        while !stop.is_set() {
            for record in reader.next(READ_BYTES, self.wait(Timestamp::now())) {
                self.sum(&record);
            }
            self.empty_outbox();
            self.flush_if_due(Timestamp::now().as_seconds());
            if self.until_save().is_zero() && (self.sums.lock().changed || self.cursor.is_ahead()) {
                self.save();
            }
        }
        self.save();
    }

    /// How long the spool is waited for: no longer than until the next flush, or the next try to empty the outbox.
    fn wait(&self, now: Timestamp) -> Duration {
        let sums = self.sums.lock();
        if !sums.state.outbox.is_empty() {
            return RETRY;
        }
        let step = if sums.changed { STEP } else { QUIET_STEP };
        drop(sums);
        let interval = i64::try_from(self.config.flush_interval.as_nanos()).unwrap_or(i64::MAX).max(1);
        let until_tick = interval - now.as_nanos().rem_euclid(interval);
        // A little later is late enough for the clock to have got there.
        Duration::from_nanos(u64::try_from(until_tick).unwrap_or(0) + 1_000_000).min(step)
    }

    fn until_save(&self) -> Duration {
        SAVE_INTERVAL.max(self.save_time * SAVE_SHARE).saturating_sub(self.saved_at.elapsed())
    }

    /// Adds the counters, timers and gauges of a record. The forward consumer accounts for them.
    fn sum(&mut self, record: &Record) {
        let batch = Batch::parse(&record.frame).ok().filter(|batch| batch.header.role != Role::Daemon);
        if let Some(batch) = batch {
            let mut sums = self.sums.lock();
            let source = sums.source(&batch.header.logger);
            let mut add = |name: &str, sample: Sample<'_>| {
                if let Some(reason) = sums.add_message(source, name, sample) {
                    self.counters.add("rollup_refused", &[("reason", reason)], 1);
                }
            };
            for (_, message) in batch.records() {
                self.stats.of(&batch, message, &mut add);
                if let Some(metric) = Metric::of(&message, self.config.namespace) {
                    add(&metric.key, metric.sample());
                }
            }
        }
        self.cursor.advance(record.ordinal, &Outcomes::default());
    }

    /// Flushes at each multiple of the interval since the epoch. While the outbox waits for room in the spool no flush
    /// is made: the interval grows instead, and nothing is lost. A clock that steps back by more than an interval begins
    /// a new one; after a smaller step the next multiple is waited for, so that no time is reported twice.
    fn flush_if_due(&mut self, now: i64) {
        let interval = i64::try_from(self.config.flush_interval.as_secs()).unwrap_or(i64::MAX).max(1);
        let mut sums = self.sums.lock();
        if now < sums.state.flushed_at.saturating_sub(interval) {
            sums.state.flushed_at = now;
        }
        let intervals = now.div_euclid(interval) - sums.state.flushed_at.div_euclid(interval);
        if intervals < 1 || !sums.state.outbox.is_empty() {
            return;
        }
        if sums.state.is_empty() {
            // A host without metrics is not woken for figures about none.
            sums.state.flushed_at = now.div_euclid(interval) * interval;
            return;
        }
        drop(sums);
        let since = self.config.flush_interval.saturating_mul(u32::try_from(intervals).unwrap_or(u32::MAX));
        let mut state = self.sums.take_aside();
        self.flush(&mut state, since, now.div_euclid(interval) * interval);
        self.outbox.fill();
        self.counters.add("rollup_flushes", &[], 1);
        self.save_aside(state);
        self.empty_outbox();
    }

    /// Puts the figures of the interval that ends at `tick` into the outbox.
    fn flush(&mut self, state: &mut State, interval: Duration, tick: i64) {
        let offenders = state.accumulators.offenders();
        if !offenders.is_empty() {
            self.quiet.say("names", || warn!(?offenders, "samples refused: too many names like these"));
        }
        let options = &self.config.options;
        let rollups = state.accumulators.flush(options, interval);
        let flush = Flush { options, interval, tick, logger: "metlog.rollup" };
        state.outbox = message::batches(&flush, &rollups, &offenders, &mut self.rollups);
        for (input, received) in mem::take(&mut state.statsd) {
            let producer = self.statsd.get_mut(&input);
            state.outbox.extend(producer.and_then(|producer| books(producer, &received)));
        }
        state.flushed_at = tick;
    }

    /// Puts the batches of a flush into the spool. Never before the flush is saved.
    fn empty_outbox(&mut self) {
        let mut frames = mem::take(&mut self.sums.lock().state.outbox);
        self.outbox.empty(&self.intake, &mut frames);
        self.sums.lock().state.outbox = frames;
    }

    fn save(&mut self) {
        let state = self.sums.take_aside();
        self.save_aside(state);
    }

    /// Saves what was taken aside and puts it back.
    fn save_aside(&mut self, state: State) {
        self.cursor.state = state;
        let started = ThreadTime::now();
        let saved = self.cursor.save();
        (self.saved_at, self.save_time) = (Instant::now(), started.elapsed());
        self.sums.put_back(mem::take(&mut self.cursor.state));
        match saved {
            Ok(()) => self.outbox.saved(),
            Err(error) => {
                self.sums.lock().changed = true;
                self.quiet.say("save", || error!(%error, "roll-up not saved"));
            }
        }
    }
}

/// A batch without messages that accounts for the metrics of a statsd input.
fn books(producer: &mut OwnProducer, received: &Received) -> Option<Vec<u8>> {
    let mut batch = producer.batch();
    batch.remove("consumed", received.taken);
    for (reason, count) in &received.refused {
        batch.remove(&format!("dropped:{reason}"), *count);
    }
    (batch.span() > 0).then(|| producer.finish(batch))
}
