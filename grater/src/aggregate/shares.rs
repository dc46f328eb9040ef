//! Which messages the aggregator merges: asked by the aggregator itself, and by whoever routes or forwards the rest.

use metlog_core::wire::batch::{Header, ProducerId, Role};
use metlog_pipeline::{
    matcher::MessageView,
    rollup::{ROLLUP_TYPE, Share},
};

/// Tells what is merged from what is not.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// The aggregator's own producer: what it has made is not merged again.
    own: ProducerId,
}

impl Shares {
    /// Those of the aggregator whose messages `own` makes.
    #[must_use]
    pub fn new(own: ProducerId) -> Self {
        Self { own }
    }

    /// What a message of a batch brings to a merged roll-up; nothing for any other message.
    pub fn of(&self, header: &Header, view: &mut MessageView<'_>) -> Option<Share> {
        let is_rollup = header.role == Role::Daemon
            && header.producer != self.own
            && view.head().is_some_and(|head| head.kind == ROLLUP_TYPE);
        if !is_rollup {
            return None;
        }
        view.message().ok().and_then(Share::of)
    }
}
