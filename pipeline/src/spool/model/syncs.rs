//! The sync thread's steps, one by one, with others in between.

use std::io;
use std::time::Duration;

use super::{Check, Model};
use crate::spool::handle;
use crate::spool::simulated::Phase;
use crate::spool::sync::{self, Group};

/// A sync under way.
pub(super) enum Stage {
    Idle,
    Planned(Planned),
    Done(Planned, io::Result<()>),
}

/// A planned group, and what it promises once it has worked.
pub(super) struct Planned {
    group: Group,
    /// Buffered records that it makes safe.
    safe: Vec<u64>,
    /// Segments below this were deleted before.
    oldest: u64,
}

impl Model {
    /// Takes the sync one step on.
    pub(super) fn sync_on(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let shared = &*spool.shared;
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        self.stage = match stage {
            Stage::Idle if sync::has_work(shared, &handle::lock(&shared.index)) => {
                let safe = self.unsafe_yet.iter().copied().collect();
                let stats = spool.stats();
                // Without a segment: the last ones were given up, and are perhaps not cut off yet.
                let oldest = if stats.segments > 0 { stats.oldest } else { 0 };
                Stage::Planned(Planned { group: sync::plan(shared), safe, oldest })
            }
            Stage::Idle => Stage::Idle,
            Stage::Planned(planned) => {
                self.system.during(Phase::Sync);
                let result = sync::sync(shared, &planned.group);
                if result.is_err() {
                    self.forgive_unsafe();
                }
                Stage::Done(planned, result)
            }
            Stage::Done(planned, result) => {
                self.system.during(Phase::Append);
                sync::settle(shared, &planned.group, &result, Duration::ZERO);
                self.note(&planned, result.is_ok());
                Stage::Idle
            }
        };
        self.hear()
    }

    /// Takes note of what a settled group means for the crashes to come.
    fn note(&mut self, planned: &Planned, worked: bool) {
        if !worked {
            self.lose_unsafe();
            return;
        }
        planned.safe.iter().for_each(|ordinal| _ = self.unsafe_yet.remove(ordinal));
        if planned.group.directory && self.system.failed_removals() == self.failed_removals {
            self.deleted_below = self.deleted_below.max(planned.oldest);
        }
    }

    /// A sync has failed, and nobody has been told.
    pub(super) fn sync_has_failed(&self) -> bool {
        matches!(self.stage, Stage::Done(_, Err(_)))
    }

    /// A sync has failed. Buffered: even a reader of this life can miss what the kernel has dropped, or what was written
    /// behind that into the same segment until the failure was settled. With `durability = "sync"` none had been told.
    fn forgive_unsafe(&mut self) {
        self.forgiven.extend(&self.unsafe_yet);
    }

    /// The same, settled: buffered records that were written by now are told as safe no more, whatever a
    /// later sync says.
    pub(super) fn lose_unsafe(&mut self) {
        self.forgive_unsafe();
        self.never_safe.append(&mut self.unsafe_yet);
    }
}
