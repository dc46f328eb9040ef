//! The thread of the aggregator: reads the spool behind a cursor of its own and puts merged roll-ups into it.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use metlog_core::{
    Timestamp,
    wire::batch::{Batch, Role},
};
use metlog_pipeline::{
    counters::Counters,
    cursor::Cursor,
    intake::Intake,
    ledger::Outcomes,
    matcher::MessageView,
    outbox::{Outbox, frames},
    producer::OwnProducer,
    quiet::Quiet,
    rollup::{Flush, Rollup},
    spool::Record,
    stop::Stop,
    watchdog::Place,
};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::{
    config::AggregateConfig,
    interval::{Interval, Source},
    shares::Shares,
};

/// The name of its producer, and the logger of its messages.
pub const PRODUCER: &str = "metlog.aggregate";

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 * 1024;

/// How often intervals are looked at.
const TICK: Duration = Duration::from_secs(1);

/// While batches wait for room in the spool they are tried again so often.
const RETRY: Duration = Duration::from_millis(50);

/// Intervals that are open at a time: what comes after a long pause is merged while more is read.
const MAX_INTERVALS: usize = 1_000;

/// A batch of roll-ups is at most so large.
const BATCH_BYTES: usize = 256 * 1024;

/// A roll-up may be so many seconds ahead of this host's clock.
const MAX_AHEAD: i64 = 3_600;

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// By the second in which each ends.
    intervals: BTreeMap<i64, Interval>,
    /// The end of the last interval that was told.
    told: i64,
    #[serde(with = "frames")]
    pub(super) outbox: Vec<Vec<u8>>,
}

/// The consumer `aggregate` of a spool.
pub struct Aggregator {
    config: AggregateConfig,
    intake: Intake,
    pub(super) cursor: Cursor<State>,
    producer: OwnProducer,
    shares: Shares,
    outbox: Outbox,
    counters: Counters,
    quiet: Quiet,
}

impl Aggregator {
    /// Goes on with the intervals that were saved.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(
        config: AggregateConfig,
        intake: &Intake,
        data_dir: &Path,
        counters: Counters,
    ) -> io::Result<Self> {
        let cursor = Cursor::<State>::open(intake.spool(), data_dir, "aggregate")?;
        let producer = OwnProducer::new(intake, PRODUCER, Role::Daemon);
        let mut aggregator = Self {
            shares: Shares::new(producer.id()),
            config,
            intake: intake.clone(),
            cursor,
            producer,
            outbox: Outbox::default(),
            counters,
            quiet: Quiet::default(),
        };
        // What a crash interrupted comes first: it holds the next sequence numbers.
        aggregator.outbox.empty(&aggregator.intake, &mut aggregator.cursor.state.outbox);
        Ok(aggregator)
    }

    /// What it merges, for those who pass the rest on.
    #[must_use]
    pub fn shares(&self) -> Shares {
        self.shares
    }

    /// How far it has come, for the watchdog.
    #[must_use]
    pub fn place(&self) -> Place {
        self.cursor.place()
    }

    /// Merges until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        self.intake.spool().wake_readers_on(stop);
        let mut reader = self.cursor.reader().until(stop);
        while !stop.is_set() {
            // Nothing more is read while batches wait for room in the spool.
            if !self.is_outbox_empty() {
                stop.wait(RETRY);
                continue;
            }
            let records = reader.next(READ_BYTES, TICK);
            self.step(&records, Timestamp::now().as_seconds());
            if self.cursor.is_due() {
                self.save();
            }
        }
        self.save();
    }

    pub(super) fn is_outbox_empty(&mut self) -> bool {
        if !self.outbox.is_saved() {
            self.save();
        }
        self.outbox.empty(&self.intake, &mut self.cursor.state.outbox);
        self.cursor.state.outbox.is_empty()
    }

    /// Merges records; tells the intervals that nothing is waited for any more, once all that had come has been read, or when
    /// there are too many of them.
    pub(super) fn step(&mut self, records: &[Record], now: i64) {
        for record in records {
            self.merge(record, now);
        }
        let due = if records.is_empty() { now.saturating_sub(self.lateness()) } else { i64::MIN };
        let mut frames = Vec::new();
        while let Some((end, interval)) = self.next_due(due) {
            frames.extend(self.batches(end, &interval.finish(&self.config)));
            self.cursor.state.told = self.cursor.state.told.max(end);
        }
        if frames.is_empty() {
            return;
        }
        self.cursor.state.outbox = frames;
        self.outbox.fill();
        self.save();
        self.outbox.empty(&self.intake, &mut self.cursor.state.outbox);
    }

    fn lateness(&self) -> i64 {
        i64::try_from(self.config.lateness.as_secs()).unwrap_or(i64::MAX)
    }

    /// Takes out the oldest interval when it ended at `due` or before, or when there are too many.
    fn next_due(&mut self, due: i64) -> Option<(i64, Interval)> {
        let intervals = &mut self.cursor.state.intervals;
        let is_over = intervals.len() > MAX_INTERVALS;
        let oldest = intervals.first_entry().filter(|oldest| is_over || *oldest.key() <= due)?;
        Some(oldest.remove_entry())
    }

    fn merge(&mut self, record: &Record, now: i64) {
        self.cursor.advance(record.ordinal, &Outcomes::default());
        let Ok(batch) = Batch::parse(&record.frame) else { return };
        for (_, message) in batch.records() {
            let mut view = MessageView::new(message, batch.header.identity());
            let Some(share) = self.shares.of(&batch.header, &mut view) else { continue };
            let Some(at) = view.head().map(|head| head.timestamp) else { continue };
            let source = Source { producer: batch.header.producer, at: at.as_nanos() };
            let seconds = self.config.seconds();
            // The roll-up of an interval bears the time of its end, which belongs to it.
            let end = (at.as_seconds() - 1).div_euclid(seconds).saturating_add(1).saturating_mul(seconds);
            let state = &mut self.cursor.state;
            let added = if end <= state.told {
                Err("late")
            } else if end > now.saturating_add(MAX_AHEAD) {
                Err("early")
            } else {
                state.intervals.entry(end).or_default().add(share, source, &self.config)
            };
            if let Err(reason) = added {
                self.counters.add("aggregate_refused", &[("reason", reason)], 1);
            }
        }
    }

    /// The frames of merged roll-ups.
    fn batches(&mut self, tick: i64, rollups: &[Rollup]) -> Vec<Vec<u8>> {
        let flush =
            Flush { options: &self.config.options, interval: self.config.interval, tick, logger: PRODUCER };
        let mut frames = Vec::new();
        let mut batch = self.producer.batch();
        for rollup in rollups {
            let Some(message) = flush.message(rollup, &self.producer.identity()) else { continue };
            // What is too big is counted in the batch itself.
            let _counted = batch.push(&message);
            if batch.body_bytes() >= BATCH_BYTES {
                frames.push(self.producer.finish(batch));
                batch = self.producer.batch();
            }
        }
        if batch.span() > 0 {
            frames.push(self.producer.finish(batch));
        }
        frames
    }

    fn save(&mut self) {
        match self.cursor.save() {
            Ok(()) => self.outbox.saved(),
            Err(error) => self.quiet.say("save", || error!(%error, "aggregate not saved")),
        }
    }
}
