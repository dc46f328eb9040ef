//! What happened while models ran, for the test to print.

use std::collections::BTreeSet;

/// What happened while a model ran.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::spool) struct Tally {
    pub(in crate::spool) crashes: u64,
    /// Crashes with changes that were not durable; their disks, told apart by content.
    pub(in crate::spool) pending: BTreeSet<u64>,
    pub(in crate::spool) changes: u64,
    pub(in crate::spool) calls: u64,
    pub(in crate::spool) faults: u64,
    pub(in crate::spool) flips: u64,
    pub(in crate::spool) appended: u64,
    pub(in crate::spool) acknowledged: u64,
}

impl Tally {
    pub(in crate::spool) fn add(&mut self, mut other: Tally) {
        self.crashes += other.crashes;
        self.pending.append(&mut other.pending);
        self.changes += other.changes;
        self.calls += other.calls;
        self.faults += other.faults;
        self.flips += other.flips;
        self.appended += other.appended;
        self.acknowledged += other.acknowledged;
    }
}
