//! Starts and orderly ends: what is found must be what was promised.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::consumers::Consumer;
use super::records::identity;
use super::syncs::Stage;
use super::{Check, Model, ensure};
use crate::spool::simulated::Phase;
use crate::spool::{Spool, SpoolError, handle, sync, testing};

const DIR: &str = "/data/spool";

impl Model {
    pub(super) fn open(&mut self) -> Check {
        while !self.system.stopped() {
            self.failed_removals = self.system.failed_removals();
            let files = Arc::new(self.system.clone());
            self.system.during(Phase::Open);
            match Spool::open_unsynced(files, Path::new(DIR), self.options) {
                Err(SpoolError::Locked { .. }) => return Err("the lock is held".to_owned()),
                // Refused by the disk: the next start tries again.
                Err(_) => {
                    // Buffered: a sync that fails here can cost what none had made safe.
                    self.forgiven.extend(self.unsafe_yet.iter().chain(&self.never_safe));
                    continue;
                }
                Ok((spool, recovery)) => {
                    self.spool = Some(spool);
                    self.check_copies()?;
                    self.check_beheaded()?;
                    for path in recovery.set_aside {
                        let content = self.system.content(&path);
                        ensure!(content.is_some(), "{} is reported and not there", path.display());
                        self.set_aside.extend(content.map(|content| (path, content)));
                    }
                }
            }
            if self.load()? && !self.system.stopped() {
                self.check_content()?;
                return Ok(());
            }
            self.end();
        }
        Ok(())
    }

    /// After a start: what was acknowledged is there once, and what is there has been written.
    fn check_content(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let needed = self.consumers.iter().map(|consumer| consumer.place).min().unwrap_or(0) + 1;
        self.system.during(Phase::Read);
        let found = testing::read_all(&spool, 1);
        if self.system.stopped() {
            return Ok(());
        }
        let mut there = BTreeMap::new();
        for record in &found {
            let (ordinal, id) = (record.ordinal, identity(record)?);
            ensure!(ordinal >= self.deleted_below, "record {ordinal} came back, its segment was deleted");
            ensure!(there.insert(ordinal, id).is_none(), "record {ordinal} is read twice");
            self.settle(ordinal, id)?;
        }
        ensure!(
            there.len() == found.len() && found.is_sorted_by_key(|record| record.ordinal),
            "out of order"
        );
        for (ordinal, id) in self.acknowledged.range(needed..) {
            let kept = there.get(ordinal) == Some(id) || self.forgiven.contains(ordinal);
            ensure!(kept, "record {ordinal} ({id}) was acknowledged and is gone");
        }
        // What is there has been synced by now, buffered or not.
        self.unsafe_yet.clear();
        self.never_safe.clear();
        // What is not there was never acknowledged, or never synced: its producer sends it again, if it was not told.
        for (ordinal, id) in std::mem::take(&mut self.waiting) {
            if !self.by_id.contains_key(&id) && !self.used.contains_key(&ordinal) {
                self.retry.push(id);
            }
        }
        Ok(())
    }

    fn check_copies(&self) -> Check {
        for (path, content) in &self.set_aside {
            let kept = self.system.content(path).as_ref() == Some(content);
            ensure!(kept || self.system.stopped(), "{} was set aside and is not as it was", path.display());
        }
        Ok(())
    }

    fn check_beheaded(&mut self) -> Check {
        let kept = self.system.set_aside();
        for (path, content) in std::mem::take(&mut self.beheaded) {
            let there = kept.contains(&content) || self.system.stopped();
            ensure!(there, "{} has lost its header and was not set aside", path.display());
        }
        Ok(())
    }

    /// An orderly end and a new start.
    pub(super) fn reopen(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        for _ in 0..100 {
            let busy = sync::has_work(&spool.shared, &handle::lock(&spool.shared.index));
            if matches!(self.stage, Stage::Idle) && !busy {
                break;
            }
            self.sync_on()?;
        }
        self.system.during(Phase::Close);
        spool.close();
        drop(spool);
        self.end();
        self.open()
    }

    /// An orderly end, a last start, and all read by all.
    pub(super) fn drain(&mut self) -> Check {
        self.reopen()?;
        for index in 0..self.consumers.len() {
            let mut place = None;
            while place != Some(self.consumers[index].place) {
                place = Some(self.consumers[index].place);
                self.consume(index)?;
            }
            let Consumer { name, state, .. } = &self.consumers[index];
            let read: BTreeMap<u64, u32> = state.iter().copied().collect();
            for (ordinal, id) in &self.acknowledged {
                let there = read.get(ordinal) == Some(id) || self.forgiven.contains(ordinal);
                ensure!(there, "{name} has never read {ordinal} ({id})");
            }
        }
        Ok(())
    }
}
