//! Messages of the worker's own: sums of counters, gauges and timers, and the client's books (`metlog.stats`).
//!
//! They go through the hand-off as any other message, from a place in it that is the worker's.

use std::time::{Duration, Instant};

use super::{Job, Shared};
use crate::{
    aggregate::Aggregates,
    clock,
    error::Error,
    message::Severity,
    queue::{Queue, Writer},
    stats::{STATS_TYPE, Stats},
    value::Encode,
    wire::{
        pack,
        record::{self, Head},
    },
};

pub(super) struct Own {
    writer: Writer,
    logger: String,
    aggregates: Aggregates,
    sums: Every,
    stats: Every,
}

/// Something that is due each interval.
struct Every {
    /// Zero for never.
    interval: Duration,
    last: Instant,
}

impl Every {
    fn new(interval: Duration) -> Self {
        Self { interval, last: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.left().is_zero()
    }

    /// How long until it is due; for ever when it never is.
    fn left(&self) -> Duration {
        if self.interval.is_zero() {
            return Duration::MAX;
        }
        self.interval.saturating_sub(self.last.elapsed())
    }
}

impl Own {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            writer: job.queue.register(),
            logger: job.header.logger.clone(),
            aggregates: job.aggregates.clone(),
            sums: Every::new(job.settings.aggregate_interval),
            stats: Every::new(job.settings.stats_interval),
        }
    }

    /// How long until something is due; for ever while there is nothing to tell.
    pub(super) fn until_due(&self) -> Duration {
        let sums = if self.aggregates.is_used() { self.sums.left() } else { Duration::MAX };
        sums.min(self.stats.left())
    }

    /// Puts what is due into the hand-off. What finds it full stays for the next time; the last sums always go.
    pub(super) fn write_due(&mut self, queue: &Queue, shared: &Shared, closing: bool) {
        if closing || shared.is_flush_new() || self.sums.is_due() {
            self.sums.last = Instant::now();
            self.aggregates.flush(&mut |sum| {
                let encode = |out: &mut Vec<u8>| {
                    let fields = |out: &mut Vec<u8>| sum.encode_fields(out);
                    write(out, &self.logger, sum.kind(), &sum.payload(), fields)
                };
                if closing { queue.push_last(&self.writer, encode).is_ok() } else { self.push(queue, encode) }
            });
        }
        if self.stats.is_due() {
            self.stats.last = Instant::now();
            let stats = shared.stats(queue);
            self.push(queue, |out| {
                write(out, &self.logger, STATS_TYPE, "", |out: &mut Vec<u8>| encode_stats(&stats, out))
            });
        }
    }

    /// The hand-off is asked first, so that a message that waits for the next time is not counted as refused.
    fn push(&self, queue: &Queue, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> bool {
        queue.admit().and_then(|()| queue.push(&self.writer, encode)).is_ok()
    }
}

fn write(
    out: &mut Vec<u8>,
    logger: &str,
    kind: &str,
    payload: &str,
    fields: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Error> {
    let head = Head { kind, severity: Severity::default(), logger, timestamp: clock::now() };
    record::write(out, &head, None, |out| {
        payload.encode(out);
        fields(out);
    })
}

/// The books as fields: totals since the client was made, in this process.
fn encode_stats(stats: &Stats, out: &mut Vec<u8>) {
    let Stats { attempted, accepted, refused, sent, dropped, waiting } = stats;
    let totals = [("attempted", attempted), ("accepted", accepted), ("sent", sent), ("waiting", waiting)];
    let reasons = [("refused", refused), ("dropped", dropped)];
    pack::map(out, totals.len() + reasons.len());
    for (name, total) in totals {
        name.encode(out);
        total.encode(out);
    }
    for (name, counts) in reasons {
        name.encode(out);
        let counts = counts.counts();
        pack::map(out, counts.len());
        for (reason, count) in counts {
            reason.encode(out);
            count.encode(out);
        }
    }
}
