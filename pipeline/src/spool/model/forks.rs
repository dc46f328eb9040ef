//! What would have been, had the system stopped at another call.
//!
//! The disk is kept as it was before each call of a step, and the model as it was before the step: what somebody is told
//! within a step comes at its end, and until then all that was promised before holds. So each of these disks is crashed
//! and opened, and has to be in order.

use std::collections::BTreeMap;

use super::consumers::Consumer;
use super::syncs::Stage;
use super::{Check, Model, Tally};
use crate::spool::simulated::{Random, Simulated};

/// So many steps are made for each one that is looked at like this; but each one after a sync that has failed.
const STEPS: usize = 8;

/// So many ends are tried for each call after a sync that has failed: what it did to the disk is seen in few of them.
const FAILED_ENDS: usize = 4;

impl Model {
    /// Takes a step, now and then with a look at what a stop at each of its calls would have left.
    pub(super) fn with_forks(&mut self, step: fn(&mut Model) -> Check) -> Check {
        let failed = self.sync_has_failed();
        if !self.random.one_in(STEPS) && !failed {
            return step(self);
        }
        let before = self.at_rest(self.system.clone());
        let faults = self.system.faults();
        self.system.keep_copies();
        let done = step(self);
        for disk in self.system.take_copies() {
            let (_, number) = disk.pending();
            if self.tally.pending.contains(&number) {
                continue;
            }
            let faulty = failed || disk.faults() > faults;
            for _ in 0..if failed { FAILED_ENDS } else { 1 } {
                let tally = before.stopped_with(disk.copy(), faulty);
                self.tally.add(tally.map_err(|error| format!("a fork of it: {error}"))?);
            }
        }
        done
    }

    /// Stops with this disk and starts again; and once more, since what a start has found and told must last.
    fn stopped_with(&self, disk: Simulated, faulty: bool) -> Result<Tally, String> {
        let calls = disk.calls();
        let mut fork = self.at_rest(disk);
        // Records that the step has made new are on this disk perhaps.
        fork.next_id += 1000;
        fork.consumers.iter_mut().for_each(Consumer::may_have_saved);
        if faulty {
            // It may have hit a sync of this step.
            fork.lose_unsafe();
        }
        for _ in 0..2 {
            fork.crash();
            fork.system.restart(u64::MAX / 2);
            fork.open()?;
            fork.append()?;
        }
        fork.tally.calls = fork.system.calls() - calls;
        Ok(fork.tally)
    }

    /// All that anybody was told, on this disk, and nothing open.
    fn at_rest(&self, system: Simulated) -> Model {
        Model {
            random: Random(system.number()),
            system,
            options: self.options,
            spool: None,
            consumers: self.consumers.iter().map(Consumer::at_rest).collect(),
            stage: Stage::Idle,
            next_id: self.next_id,
            retry: self.retry.clone(),
            waiting: self.waiting.clone(),
            acknowledged: self.acknowledged.clone(),
            by_id: self.by_id.clone(),
            used: self.used.clone(),
            unsafe_yet: self.unsafe_yet.clone(),
            never_safe: self.never_safe.clone(),
            forgiven: self.forgiven.clone(),
            flipped: self.flipped.clone(),
            beheaded: self.beheaded.clone(),
            deleted_below: self.deleted_below,
            failed_removals: self.failed_removals,
            set_aside: BTreeMap::clone(&self.set_aside),
            flips: self.flips,
            tally: Tally::default(),
        }
    }
}
