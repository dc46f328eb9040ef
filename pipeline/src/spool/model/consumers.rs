//! Consumers: they read, and save checkpoints that hold all they have read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::records::identity;
use super::{Check, Model, ensure};
use crate::spool::simulated::Phase;
use crate::spool::{Checkpoint, Reader};

const CHECKPOINTS: &str = "/data/checkpoints";

/// Every record that a consumer has read: ordinal and identity.
type State = Vec<(u64, u32)>;

pub(super) struct Consumer {
    pub(super) name: &'static str,
    pub(super) place: u64,
    pub(super) state: State,
    /// What the checkpoint can hold: the last save that worked, then those that failed since.
    pub(super) saves: Vec<(u64, State)>,
    pub(super) running: Option<(Checkpoint<State>, Reader)>,
}

impl Consumer {
    pub(super) fn new(name: &'static str) -> Consumer {
        Consumer { name, place: 0, state: State::new(), saves: vec![(0, State::new())], running: None }
    }

    /// It was perhaps about to save where it stands.
    pub(super) fn may_have_saved(&mut self) {
        self.saves.push((self.place, self.state.clone()));
    }

    /// What it knows, while it does not run.
    pub(super) fn at_rest(&self) -> Consumer {
        let (state, saves) = (self.state.clone(), self.saves.clone());
        Consumer { name: self.name, place: self.place, state, saves, running: None }
    }
}

impl Model {
    /// Loads the checkpoints; `false` when the disk refuses.
    pub(super) fn load(&mut self) -> Result<bool, String> {
        self.system.during(Phase::Load);
        for index in 0..self.consumers.len() {
            let consumer = &mut self.consumers[index];
            let files = Arc::new(self.system.clone());
            let loaded = Checkpoint::<State>::load_with(files, Path::new(CHECKPOINTS), consumer.name);
            let Ok((checkpoint, place, state)) = loaded else { return Ok(false) };
            let known = consumer.saves.iter().any(|save| *save == (place, state.clone()));
            let least = consumer.saves[0].0;
            ensure!(known, "{} stands at {place} {state:?}, saved was {:?}", consumer.name, consumer.saves);
            ensure!(place >= least, "{} went back to {place}, saved was {least}", consumer.name);
            let before = std::mem::replace(&mut consumer.saves, vec![(place, state.clone())]);
            if checkpoint.warning().is_some() {
                // What cannot be read now may be as it was before, once a write that was not synced is lost.
                consumer.saves.extend(before);
            }
            (consumer.place, consumer.state) = (place, state);
            let Some(spool) = &self.spool else { return Ok(false) };
            spool.register(consumer.name, place);
            consumer.running = Some((checkpoint, spool.reader(place + 1)));
        }
        Ok(true)
    }

    pub(super) fn consume(&mut self, index: usize) -> Check {
        self.system.during(Phase::Read);
        let Some((_, reader)) = self.consumers[index].running.as_mut() else { return Ok(()) };
        for record in reader.next(150, Duration::ZERO) {
            let (ordinal, id) = (record.ordinal, identity(&record)?);
            self.settle(ordinal, id)?;
            let consumer = &mut self.consumers[index];
            let skipped: Vec<u64> =
                self.acknowledged.range(consumer.place + 1..ordinal).map(|(o, _)| *o).collect();
            let lost = skipped.iter().find(|ordinal| !self.forgiven.contains(ordinal));
            ensure!(
                lost.is_none(),
                "{} goes from {} to {ordinal}, skips {lost:?}",
                consumer.name,
                consumer.place
            );
            ensure!(ordinal > consumer.place, "{} reads {ordinal} again", consumer.name);
            ensure!(
                consumer.state.iter().all(|(_, other)| *other != id),
                "{} reads {id} twice",
                consumer.name
            );
            consumer.place = ordinal;
            consumer.state.push((ordinal, id));
        }
        Ok(())
    }

    pub(super) fn save(&mut self) -> Check {
        let index = self.random.below(self.consumers.len());
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let Consumer { name, place, state, saves, running } = &mut self.consumers[index];
        let Some((checkpoint, _)) = running.as_mut() else { return Ok(()) };
        self.system.during(Phase::Save);
        saves.push((*place, state.clone()));
        if checkpoint.save(*place, state).is_ok() {
            saves.drain(..saves.len() - 1);
            spool.release(name, *place);
        }
        Ok(())
    }
}
