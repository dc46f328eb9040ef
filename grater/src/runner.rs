//! The thread of one output: reads the spool behind a cursor of its own, routes, delivers, tries again.
//!
//! Every output decides for itself which messages are its own, so none waits for another. A message that several outputs
//! take is accounted for in the ledger by the first of them, its principal; one that none takes by the first output of
//! the configuration.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use metlog_core::{
    Message,
    wire::batch::{Batch, ProducerId},
};
use metlog_pipeline::{
    counters::Counters,
    cursor::{Cursor, SharedOutcomes},
    ledger::Outcomes,
    matcher::MessageView,
    quiet::Quiet,
    spool::{Reader, Record, Spool},
    stop::Stop,
};
use tracing::{error, warn};

use crate::{
    config::OutputConfig,
    dead_letters::DeadLetters,
    output::{Output, OutputError, OutputState},
    route::{Decision, Routes},
};

/// Bytes read from the spool and delivered at once.
const READ_BYTES: usize = 256 * 1024;

/// How long the spool is waited for.
const STEP: Duration = Duration::from_millis(100);

/// Pauses between tries grow from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// One output at work.
pub struct OutputRunner {
    position: usize,
    name: String,
    output: Box<dyn Output>,
    routes: Arc<Routes>,
    cursor: Cursor<OutputState>,
    dead_letters: DeadLetters,
    max_lag_bytes: u64,
    counters: Counters,
    quiet: Quiet,
}

/// What one read of the spool brings to this output.
#[derive(Default)]
struct Load {
    through: u64,
    messages: Vec<Message>,
    /// Whose each message is, and whether this output accounts for it.
    owners: Vec<(ProducerId, bool)>,
    /// What needs no delivery.
    settled: Outcomes,
}

impl OutputRunner {
    /// Opens the output at `position` of the configuration, where it stopped.
    ///
    /// # Errors
    /// When its checkpoint cannot be read or its configuration cannot work.
    pub fn open(
        position: usize,
        config: &OutputConfig,
        max_lag_bytes: u64,
        (spool, data_dir): (&Spool, &Path),
        (routes, counters): (Arc<Routes>, Counters),
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let output = config.kind.build()?;
        let name = config.name.clone();
        let cursor = Cursor::open(spool, data_dir, &format!("output-{name}"))?;
        let dead_letters = DeadLetters::new(data_dir, &name);
        let quiet = Quiet::default();
        Ok(Self { position, name, output, routes, cursor, dead_letters, max_lag_bytes, counters, quiet })
    }

    /// What has become of the messages this output accounts for.
    #[must_use]
    pub fn outcomes(&self) -> SharedOutcomes {
        self.cursor.outcomes()
    }

    /// Delivers until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        let state = self.cursor.state.clone();
        if !self.retry(stop, None, |output| output.restore(&state)) || !self.retry_checkpoint(stop) {
            return;
        }
        let mut reader = self.cursor.reader();
        while !stop.is_set() {
            let records = reader.next(READ_BYTES, STEP);
            if !records.is_empty() {
                let load = self.load(&records);
                if !self.settle(load, &reader, stop) {
                    break;
                }
            }
            if self.cursor.is_due() || (records.is_empty() && self.cursor.is_ahead()) {
                self.checkpoint();
            }
        }
        self.checkpoint();
    }

    /// Picks this output's messages.
    fn load(&self, records: &[Record]) -> Load {
        let mut load = Load { through: records.last().map_or(0, |record| record.ordinal), ..Load::default() };
        // What is no batch was never counted as received.
        for batch in records.iter().filter_map(|record| Batch::parse(&record.frame).ok()) {
            let producer = batch.header.producer;
            for (_, record) in batch.records() {
                let mut view = MessageView::new(record, batch.header.identity());
                let decision = self.routes.decide(&mut view);
                let principal = decision.principal().unwrap_or(0) == self.position;
                match self.own(decision, view) {
                    Some(Ok(message)) => {
                        load.messages.push(message);
                        load.owners.push((producer, principal));
                    }
                    Some(Err(reason)) if principal => load.settled.add(producer, reason, 1),
                    _ => {}
                }
            }
        }
        load
    }

    /// The message, when it is this output's; the reason, when it goes nowhere; nothing, when others see to it.
    fn own(&self, decision: Decision, view: MessageView<'_>) -> Option<Result<Message, &'static str>> {
        if decision.is_empty() {
            return Some(Err("filtered:no_route"));
        }
        decision.contains(self.position).then(|| view.into_message().map_err(|_| "dropped:undecodable"))
    }

    /// Delivers, or drops what the output lags behind too far with; false when stopped before that was decided.
    fn settle(&mut self, load: Load, reader: &Reader, stop: &Stop) -> bool {
        let mut outcomes = load.settled;
        let mut dead = Vec::new();
        let delivered = load.messages.is_empty()
            || self.retry(stop, Some(reader), |output| {
                dead = output.deliver(&load.messages)?.dead;
                Ok(())
            });
        if !delivered && stop.is_set() {
            return false;
        }
        let dead_outcome = self.bury(&load.messages, &dead);
        let mut dead = dead.into_iter().map(|(index, _)| index).peekable();
        for (index, (producer, principal)) in load.owners.iter().enumerate() {
            let is_dead = dead.next_if_eq(&index).is_some();
            let outcome = match (delivered, is_dead) {
                (false, _) => "dropped:lag",
                (true, true) => dead_outcome,
                (true, false) => "delivered",
            };
            self.count(outcome);
            if *principal {
                outcomes.add(*producer, outcome, 1);
            }
        }
        self.cursor.advance(load.through, &outcomes);
        true
    }

    fn count(&self, outcome: &str) {
        let counter = match outcome {
            "delivered" => "delivered_messages",
            "dropped:lag" => "lag_dropped_messages",
            _ => "dead_lettered_messages",
        };
        self.counters.add(counter, &[("output", &self.name)], 1);
    }

    /// Keeps what the back end refused for good; gives back what to count it as.
    fn bury(&mut self, messages: &[Message], dead: &[(usize, String)]) -> &'static str {
        let letters: Vec<_> = dead
            .iter()
            .filter_map(|(index, reason)| Some((messages.get(*index)?, reason.as_str())))
            .collect();
        if let Some((_, reason)) = letters.first() {
            let (count, output) = (letters.len(), self.name.clone());
            self.quiet.say("dead", || warn!(output, count, reason, "the back end refused messages for good"));
        }
        match self.dead_letters.keep(&letters) {
            Ok(true) => "dropped:dead_lettered",
            Ok(false) => "dropped:dead_letters_full",
            Err(error) => {
                let output = self.name.clone();
                self.quiet.say("bury", || error!(output, %error, "dead letters not kept"));
                "dropped:dead_letters_failed"
            }
        }
    }

    /// Tries until it works; false when stopped, or when the output lags behind too far.
    fn retry(
        &mut self,
        stop: &Stop,
        reader: Option<&Reader>,
        mut work: impl FnMut(&mut dyn Output) -> Result<(), OutputError>,
    ) -> bool {
        let mut pause = PAUSES.0;
        let began = Instant::now();
        while let Err(error) = work(self.output.as_mut()) {
            let (output, seconds) = (self.name.clone(), began.elapsed().as_secs());
            self.counters.add("output_retries", &[("output", &self.name)], 1);
            self.quiet.say("retry", || warn!(output, seconds, %error, "delivery fails, trying again"));
            if reader.is_some_and(|reader| reader.lag_bytes() > self.max_lag_bytes) {
                let output = self.name.clone();
                self.quiet.say("lag", || error!(output, "output lags too far behind: messages dropped"));
                return false;
            }
            if stop.wait(jittered(pause)) {
                return false;
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        true
    }

    fn retry_checkpoint(&mut self, stop: &Stop) -> bool {
        let mut state = OutputState::default();
        let ready = self.retry(stop, None, |output| {
            state = output.checkpoint()?;
            Ok(())
        });
        self.cursor.state = state;
        ready && self.save().is_ok()
    }

    /// Moves the saved cursor to what has been delivered, once the back end has it safe.
    fn checkpoint(&mut self) {
        match self.output.checkpoint() {
            Ok(state) => {
                self.cursor.state = state;
                let _told_in_the_log = self.save();
            }
            Err(error) => {
                let output = self.name.clone();
                self.quiet.say("checkpoint", || warn!(output, %error, "delivered messages are not safe yet"));
            }
        }
    }

    fn save(&mut self) -> io::Result<()> {
        self.cursor.save().inspect_err(|error| {
            let output = self.name.clone();
            self.quiet.say("save", || error!(output, %error, "output cursor not saved"));
        })
    }
}

/// Between half of the pause and all of it, so that outputs that failed together do not try together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + metlog_core::sample::uniform() / 2.0)
}
