//! The batches of a flush.

use metlog_core::{Fields, Message, Value};
use metlog_pipeline::{
    producer::OwnProducer,
    rollup::{Flush, Kind, Rollup},
};

/// A batch of roll-ups is at most so large.
const BATCH_BYTES: usize = 256 * 1024;

/// The frames of all roll-ups; `offenders` are the shapes of names that found no room, and how often.
pub(super) fn batches(
    flush: &Flush<'_>,
    rollups: &[Rollup],
    offenders: &[(String, u64)],
    producer: &mut OwnProducer,
) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut batch = producer.batch();
    for rollup in rollups {
        let Some(mut message) = flush.message(rollup, &producer.identity()) else { continue };
        if rollup.kind == Kind::Own && !offenders.is_empty() {
            tell_offenders(&mut message, offenders);
        }
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

fn tell_offenders(message: &mut Message, offenders: &[(String, u64)]) {
    let offenders: Fields =
        offenders.iter().map(|(shape, count)| (shape.as_str(), Value::from(*count))).collect();
    message.fields.insert("offenders", offenders);
}
