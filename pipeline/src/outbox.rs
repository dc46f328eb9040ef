//! Batches that a consumer makes of what it has read: each gets into the spool once, whenever the process dies.
//!
//! The consumer keeps them in its state and saves that with its cursor, in one piece, before the first of them is appended.
//! Those that the ledger knows already are not appended again. They are forgotten when all are safe in the spool.

use std::collections::BTreeMap;

use tracing::error;

use crate::{
    intake::{Intake, Refused, Taken},
    quiet::Quiet,
    spool::Outcome,
};

/// What is known of the batches of an outbox.
#[derive(Debug)]
pub struct Outbox {
    /// Whether a crash now would find the batches: what is appended before could be made and sent again.
    is_saved: bool,
    /// Where each batch, by its position, has been appended; one that is not here was so before the start.
    appended: BTreeMap<usize, u64>,
    quiet: Quiet,
}

impl Default for Outbox {
    /// Batches that were there at the start have been saved.
    fn default() -> Self {
        Self { is_saved: true, appended: BTreeMap::new(), quiet: Quiet::default() }
    }
}

impl Outbox {
    /// There are new batches, which a crash would not find yet.
    pub fn fill(&mut self) {
        self.is_saved = false;
    }

    /// The state that holds the batches has been saved.
    pub fn saved(&mut self) {
        self.is_saved = true;
    }

    /// Whether a crash would find the batches.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.is_saved
    }

    /// Puts the batches into the spool, those that are not in it yet, and forgets them when all are safe there. Does nothing
    /// before they are saved.
    pub fn empty(&mut self, intake: &Intake, frames: &mut Vec<Vec<u8>>) {
        if !self.is_saved {
            return;
        }
        let in_spool = frames.iter().enumerate().fold(true, |all, (position, frame)| {
            // Every frame is looked at: one that comes later must not wait for a round of its own.
            self.append(intake, position, frame) && all
        });
        let is_safe = |ordinal: &u64| intake.spool().outcome(*ordinal) == Outcome::Synced;
        if in_spool && self.appended.values().all(is_safe) {
            frames.clear();
            self.appended.clear();
        }
    }

    /// Appends a batch unless the ledger knows it; false when it has to be tried again. The ledger forgets what a failed sync
    /// took with it, so that it is appended once more.
    fn append(&mut self, intake: &Intake, position: usize, frame: &[u8]) -> bool {
        match intake.take_own(frame) {
            Ok(Taken::Appended(ordinal)) => {
                self.appended.insert(position, ordinal);
                true
            }
            Ok(Taken::Repeat) => true,
            Err(Refused::Batch(error)) => {
                error!(%error, "a batch of this daemon is lost: this is a bug");
                true
            }
            Err(error) => {
                self.quiet.say("spool", || error!(%error, "batches of this daemon wait for the spool"));
                false
            }
        }
    }
}

/// Frames as bytes, which serde takes for lists of numbers otherwise, one by one: for `#[serde(with)]`.
pub mod frames {
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer, de::Visitor};

    struct Frame<'a>(&'a [u8]);

    impl Serialize for Frame<'_> {
        fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.serialize_bytes(self.0)
        }
    }

    struct Owned(Vec<u8>);

    impl<'de> serde::Deserialize<'de> for Owned {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            input.deserialize_byte_buf(Bytes).map(Self)
        }
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("the bytes of a frame")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }

    /// Writes frames.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(frames: &[Vec<u8>], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(frames.iter().map(|frame| Frame(frame)))
    }

    /// Reads frames.
    ///
    /// # Errors
    /// Those of the format.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Vec<u8>>, D::Error> {
        Ok(Vec::<Owned>::deserialize(input)?.into_iter().map(|frame| frame.0).collect())
    }
}
