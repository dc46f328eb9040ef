//! The checkpoint `meta`: whose spool this is, and which ordinals can have been given out.
//!
//! With `durability = "buffered"` a reader, a checkpoint or a link's receiver may know ordinals of records that a power
//! cut takes away. Each must stay what it was, or new records would pass for repeats. So a range of ordinals is
//! reserved, and the reservation synced, before the first of them is given; a start that finds one not ended by a close
//! begins above it. A synced spool needs none: nobody sees an ordinal before its record is safe.

use std::io;

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::identity::SenderId;

/// Ordinals reserved at a time: one sync for so many batches, and a jump of as many at most after a crash.
const RESERVED: u64 = 1 << 16;

/// State of the checkpoint `meta`, whose ordinal is the last one that was safe when it was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) sender: SenderId,
    /// The lowest ordinal that was surely not given out.
    pub(super) next: u64,
}

/// Keeps the identity and the ordinals of a spool that is open.
#[derive(Debug)]
pub(super) struct Numbers {
    meta: Checkpoint<Meta>,
    sender: SenderId,
    floor: u64,
    reserved: u64,
}

impl Numbers {
    /// `floor`: what was safe when the spool was opened.
    pub(super) fn new(meta: Checkpoint<Meta>, sender: SenderId, floor: u64) -> Numbers {
        Numbers { meta, sender, floor, reserved: 0 }
    }

    /// Makes sure that no ordinal below `next` is ever given again.
    pub(super) fn reserve(&mut self, next: u64) -> io::Result<()> {
        if next <= self.reserved {
            return Ok(());
        }
        let reserved = next.saturating_add(RESERVED);
        let state = Meta { sender: self.sender, next: reserved };
        // Twice, as in recovery: a file damaged later must not bring the old number back.
        self.meta.save(self.floor, &state)?;
        self.meta.save(self.floor, &state)?;
        self.reserved = reserved;
        Ok(())
    }

    /// Puts down where an orderly end has left the spool.
    pub(super) fn save(&mut self, safe: u64, next: u64) -> io::Result<()> {
        self.meta.save(safe, &Meta { sender: self.sender, next })
    }
}
