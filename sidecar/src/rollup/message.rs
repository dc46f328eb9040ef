//! The messages and batches of a flush.

use std::time::Duration;

use metlog_core::{Fields, Message, Severity, Timestamp, Value};
use metlog_pipeline::{
    producer::OwnProducer,
    rollup::{Kind, ROLLUP_TYPE, Rollup, RollupOptions},
};

/// A batch of roll-ups is at most so large.
const BATCH_BYTES: usize = 256 * 1024;

/// One flush: the interval that ends at `tick`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flush<'a> {
    pub(super) options: &'a RollupOptions,
    pub(super) interval: Duration,
    /// In seconds since the epoch.
    pub(super) tick: i64,
    /// The shapes of names that found no room, and how often.
    pub(super) offenders: &'a [(String, u64)],
}

impl Flush<'_> {
    /// The frames of all roll-ups.
    pub(super) fn batches(&self, rollups: &[Rollup], producer: &mut OwnProducer) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut batch = producer.batch();
        for rollup in rollups {
            let Some(message) = self.message(rollup, producer) else { continue };
            // What is too big is counted in the batch itself.
            let _counted = batch.push(&message);
            if batch.body_bytes() >= BATCH_BYTES {
                frames.push(producer.finish(batch));
                batch = producer.batch();
            }
        }
        if batch.span() > 0 {
            frames.push(producer.finish(batch));
        }
        frames
    }

    /// One message for one name: carbon lines in the payload, the figures in the fields.
    fn message(&self, rollup: &Rollup, producer: &OwnProducer) -> Option<Message> {
        let payload = rollup.lines(self.options, u64::try_from(self.tick).ok()?);
        let values: Fields =
            rollup.values.iter().map(|(suffix, value)| (suffix_name(suffix), *value)).collect();
        let mut fields: Fields = [
            ("name", Value::from(rollup.name.as_str())),
            ("kind", rollup.kind.as_str().into()),
            ("interval", self.interval.as_secs_f64().into()),
            ("values", values.into()),
        ]
        .into_iter()
        .collect();
        if rollup.kind == Kind::Own && !self.offenders.is_empty() {
            let offenders: Fields =
                self.offenders.iter().map(|(shape, count)| (shape.as_str(), Value::from(*count))).collect();
            fields.insert("offenders", offenders);
        }
        let identity = producer.identity();
        Some(Message {
            kind: ROLLUP_TYPE.to_owned(),
            timestamp: Timestamp::from_nanos(self.tick.saturating_mul(1_000_000_000)),
            logger: "metlog.rollup".to_owned(),
            severity: Severity::default(),
            payload: payload.into(),
            fields,
            env_version: identity.env_version.to_owned(),
            pid: identity.pid,
            hostname: identity.hostname.to_owned(),
        })
    }
}

/// A gauge is its name's only figure and has no suffix.
fn suffix_name(suffix: &str) -> &str {
    if suffix.is_empty() { "value" } else { suffix }
}
