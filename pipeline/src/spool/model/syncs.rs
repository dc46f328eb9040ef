//! The sync thread's steps, one by one, with others in between.

use std::io;
use std::time::Duration;

use super::{Check, Model};
use crate::spool::handle;
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
                Stage::Planned(Planned { group: sync::plan(shared), safe, oldest: spool.stats().oldest })
            }
            Stage::Idle => Stage::Idle,
            Stage::Planned(planned) => {
                let result = sync::sync(shared, &planned.group);
                if result.is_err() {
                    self.forgive_unsafe();
                }
                Stage::Done(planned, result)
            }
            Stage::Done(planned, result) => {
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
            self.never_safe.append(&mut self.unsafe_yet);
            return;
        }
        planned.safe.iter().for_each(|ordinal| _ = self.unsafe_yet.remove(ordinal));
        if planned.group.directory && self.system.failed_removals() == self.failed_removals {
            self.deleted_below = self.deleted_below.max(planned.oldest);
        }
    }

    /// A sync has failed. Buffered: even a reader of this life can miss what the kernel has dropped; with
    /// `durability = "sync"` none had been told.
    fn forgive_unsafe(&mut self) {
        self.forgiven.extend(&self.unsafe_yet);
    }

    /// A sync has failed and is settled: buffered records that were written by now are told as safe no more, whatever a
    /// later sync says.
    pub(super) fn lose_unsafe(&mut self) {
        self.forgive_unsafe();
        self.never_safe.append(&mut self.unsafe_yet);
    }
}
