//! Producers: they append, and append again what was refused, given up or lost before it was acknowledged.

use std::collections::BTreeMap;

use super::records::{frame, tag};
use super::{Check, Model, ensure};
use crate::spool::simulated::Phase;
use crate::spool::{Durability, NewRecord, Outcome};

impl Model {
    pub(super) fn append(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let ids: Vec<u32> = (0..=self.random.below(4)).map(|_| self.take_id()).collect();
        let frames: Vec<_> = ids.iter().map(|id| (tag(*id), frame(*id))).collect();
        let records: Vec<_> = frames.iter().map(|(link, frame)| NewRecord { link: *link, frame }).collect();
        self.system.during(Phase::Append);
        let failed_syncs = spool.stats().failed_syncs;
        let Ok(last) = spool.append(&records) else {
            self.retry.extend(ids);
            if spool.stats().failed_syncs > failed_syncs {
                // Of a cut, which was to take back what an earlier append had left.
                self.lose_unsafe();
            }
            return self.hear();
        };
        let first = last + 1 - u64::try_from(ids.len()).unwrap();
        let last_of = |map: &BTreeMap<u64, u32>| map.last_key_value().map_or(0, |(ordinal, _)| *ordinal);
        let highest = last_of(&self.used).max(last_of(&self.waiting));
        ensure!(first > highest, "ordinal {first} is given, {highest} was before");
        self.tally.appended += u64::try_from(ids.len()).unwrap();
        self.waiting.extend((first..).zip(ids));
        if self.options.durability == Durability::Buffered {
            self.unsafe_yet.extend(first..=last);
        }
        self.hear()
    }

    fn take_id(&mut self) -> u32 {
        if self.retry.is_empty() {
            self.next_id += 1;
            return self.next_id;
        }
        self.retry.swap_remove(self.random.below(self.retry.len()))
    }

    /// Asks what became of the records that wait.
    pub(super) fn hear(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        for (ordinal, id) in self.waiting.clone() {
            match spool.outcome(ordinal) {
                Outcome::Waiting => {}
                Outcome::Synced => {
                    self.tally.acknowledged += 1;
                    self.settle(ordinal, id)?;
                }
                Outcome::GivenUp => {
                    self.waiting.remove(&ordinal);
                    self.retry.push(id);
                }
            }
        }
        Ok(())
    }

    /// Takes note that a record is there for good.
    pub(super) fn settle(&mut self, ordinal: u64, id: u32) -> Check {
        if let Some(before) = self.used.insert(ordinal, id) {
            ensure!(before == id, "ordinal {ordinal} was of {before} and is of {id} now");
        }
        if let Some(before) = self.by_id.insert(id, ordinal) {
            ensure!(before == ordinal, "{id} is there twice, as {before} and {ordinal}");
        }
        self.waiting.remove(&ordinal);
        self.retry.retain(|other| *other != id);
        self.acknowledged.insert(ordinal, id);
        Ok(())
    }
}
