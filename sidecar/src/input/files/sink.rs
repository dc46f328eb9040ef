//! Gathers the lines of an input into batches and puts them into the spool, each with the places of its files.

use std::{collections::BTreeMap, mem};

use metlog_core::{
    Timestamp,
    wire::batch::{Builder, ProducerId, Role},
};
use metlog_pipeline::{
    counters::Counters,
    intake::{Intake, Refused},
    producer::OwnProducer,
    quiet::Quiet,
};
use tracing::{error, info};

use super::{entry, marks::Progress, positions::write_place};
use crate::formatter::Parsed;

/// A batch is put into the spool when it is so large.
const BATCH_BYTES: usize = 256 * 1024;

/// Or when it has lines of so many files.
const BATCH_FILES: usize = 1_000;

/// What came of putting a batch into the spool.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is there, and these files are read so far.
    Done(Vec<Progress>),
    /// A failed sync has taken away batches before it: all positions are to be recovered.
    OutOfOrder,
    /// It waits for room.
    Waits,
}

/// The batch that is being gathered.
pub struct Sink {
    intake: Intake,
    producer: OwnProducer,
    id: ProducerId,
    batch: Option<Builder>,
    places: BTreeMap<u64, Progress>,
    /// What the spool had no room for, and its places.
    waiting: Option<(Vec<u8>, Vec<Progress>)>,
    counters: Counters,
    /// `files.<name>`, the label of the counters.
    input: String,
    counts: Counts,
    quiet: Quiet,
}

/// What is counted between two batches.
#[derive(Debug, Default)]
struct Counts {
    lines: u64,
    malformed: BTreeMap<&'static str, u64>,
}

impl Sink {
    /// The sink of the input `name`.
    pub fn new(intake: &Intake, name: &str, counters: Counters) -> Self {
        let mut producer = OwnProducer::new(intake, &format!("metlog.input.files.{name}"), Role::Input);
        let id = producer.batch().header_mut().producer;
        Self {
            intake: intake.clone(),
            producer,
            id,
            batch: None,
            places: BTreeMap::new(),
            waiting: None,
            counters,
            input: format!("files.{name}"),
            counts: Counts::default(),
            quiet: Quiet::default(),
        }
    }

    /// Who the batches are of.
    pub fn producer(&self) -> ProducerId {
        self.id
    }

    /// The daemon's host.
    pub fn hostname(&self) -> &str {
        self.producer.identity().hostname
    }

    /// Adds a message.
    pub fn add(&mut self, parsed: &Parsed<'_>, logger: &str, now: Timestamp) {
        let batch = self.batch.get_or_insert_with(|| self.producer.batch());
        // What is too big is counted in the batch itself.
        let _counted = entry::push(batch, parsed, logger, now);
        self.counts.lines += 1;
    }

    /// Counts a line that was not what it should be.
    pub fn count(&mut self, reason: &'static str) {
        *self.counts.malformed.entry(reason).or_insert(0) += 1;
    }

    /// A file is read so far once this batch is in the spool.
    pub fn note(&mut self, progress: &Progress) {
        self.places.insert(progress.id, progress.clone());
    }

    /// True when the batch should go.
    pub fn is_full(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.body_bytes() >= BATCH_BYTES)
            || self.places.len() >= BATCH_FILES
    }

    /// Puts what was gathered into the spool. What it has no room for waits here, and so do the files.
    pub fn store(&mut self) -> Stored {
        self.tell();
        let Some((frame, places)) = self.waiting.take().or_else(|| self.finish()) else {
            return Stored::Done(mem::take(&mut self.places).into_values().collect());
        };
        match self.intake.take_in_order(&frame) {
            Ok(_) => return Stored::Done(places),
            Err(Refused::OutOfOrder { .. }) => return self.out_of_order(),
            Err(Refused::Spool(error)) if error.is_full() => {
                self.quiet.say("full", || info!(%error, "log files wait for room in the spool"));
            }
            Err(error) => self.quiet.say("spool", || error!(%error, "log files wait for the spool")),
        }
        self.waiting = Some((frame, places));
        Stored::Waits
    }

    /// The frame of what was gathered, with the places of its files.
    fn finish(&mut self) -> Option<(Vec<u8>, Vec<Progress>)> {
        let mut batch = self.batch.take()?;
        let places: Vec<Progress> = mem::take(&mut self.places).into_values().collect();
        batch.header_mut().place = write_place(&places);
        Some((self.producer.finish(batch), places))
    }

    /// The numbers of this batch were never taken: they are given anew.
    fn out_of_order(&mut self) -> Stored {
        error!(
            input = self.input,
            "a sync of the spool failed: log files are read again from where it is safe"
        );
        let name = self.input.clone();
        self.producer = OwnProducer::new(&self.intake, &format!("metlog.input.{name}"), Role::Input);
        Stored::OutOfOrder
    }

    fn tell(&mut self) {
        let counts = mem::take(&mut self.counts);
        if counts.lines > 0 {
            self.counters.add("received_messages", &[("input", &self.input)], counts.lines);
        }
        for (reason, count) in counts.malformed {
            self.counters.add("input_malformed", &[("input", &self.input), ("reason", reason)], count);
        }
    }
}
