//! The thread of one output: reads the spool behind a cursor of its own, routes, delivers, tries again.
//!
//! Every output decides for itself which messages are its own, so none waits for another. A message that several outputs
//! take is accounted for in the ledger by the first of them, its principal; one that none takes by the first output of
//! the configuration.
//!
//! No output holds more of the spool than its `max_lag_bytes`, whatever its back end does: what lags further behind is
//! dropped without a try once a delivery has failed or the lag has lasted. A burst that a working output soon catches up
//! with costs nothing. The bound holds also while the output cannot start or cannot make safe what it has delivered.

mod replay;

use std::{
    error::Error,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use metlog_core::{Message, wire::batch::Batch};
use metlog_pipeline::{
    counters::Counters,
    cursor::{Cursor, SharedOutcomes},
    ledger::Outcomes,
    matcher::MessageView,
    quiet::Quiet,
    spool::{Reader, Record, Spool},
    stop::Stop,
    watchdog::Place,
};
use tracing::{error, warn};

use self::replay::Requests;
use crate::{
    config::OutputConfig,
    dead_letters::{DeadLetters, Letter, Owner},
    output::{Delivered, Halted, Item, Output, OutputError, OutputState},
    route::{Decision, Routes},
};

/// Bytes read from the spool and delivered at once.
const READ_BYTES: usize = 256 * 1024;

/// How long the spool is waited for.
const STEP: Duration = Duration::from_millis(100);

/// How long an output that works may lag behind too far before messages are dropped.
const GRACE: Duration = Duration::from_secs(2);

/// Pauses between tries grow from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// What becomes of a message that an output lags too far behind with.
const LAG: &str = "dropped:lag";

/// What has become of a message that the back end took.
const DELIVERED: &str = "delivered";

/// What has become of a message that the back end refused for good and that is kept as a dead letter.
const DEAD: &str = "dropped:dead_lettered";

/// One output at work.
pub struct OutputRunner {
    position: usize,
    name: String,
    output: Box<dyn Output>,
    routes: Arc<Routes>,
    cursor: Cursor<OutputState>,
    dead_letters: DeadLetters,
    requests: Requests,
    max_lag_bytes: u64,
    counters: Counters,
    quiet: Quiet,
    /// Whether the output is back at its last checkpoint and can take messages.
    is_started: bool,
    /// Whether the last try failed.
    is_failing: bool,
    /// Since when the output lags behind too far.
    lagging_since: Option<Instant>,
    /// Bytes of frames read since the last save: the spool still holds them.
    unsaved_bytes: u64,
    /// The outcomes up to the last checkpoint of the output.
    safe: Outcomes,
    /// Those since, with what was delivered as dropped: it counts if the output can never make it safe.
    at_risk: Outcomes,
}

/// How far the delivery of a load has come.
#[derive(Default)]
struct Progress {
    /// Items, from the first, that are settled.
    settled: usize,
    /// Of these, what the back end will never take: position, and why.
    dead: Vec<(usize, String)>,
}

impl Progress {
    fn add(&mut self, settled: usize, dead: Vec<(usize, String)>) {
        let before = self.settled;
        self.dead.extend(dead.into_iter().map(|(position, reason)| (before + position, reason)));
        self.settled += settled;
    }
}

/// What one read of the spool brings to this output.
#[derive(Default)]
struct Load {
    through: u64,
    bytes: u64,
    items: Vec<Item>,
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
    ) -> Result<Self, Box<dyn Error>> {
        let cursor = Cursor::open(spool, data_dir, &format!("output-{}", config.name))?;
        Ok(Self {
            position,
            name: config.name.clone(),
            output: config.kind.build()?,
            routes,
            dead_letters: DeadLetters::new(data_dir, &config.name, config.max_dead_letter_bytes()),
            requests: Requests::default(),
            max_lag_bytes,
            counters,
            quiet: Quiet::default(),
            is_started: false,
            is_failing: false,
            lagging_since: None,
            unsaved_bytes: 0,
            safe: cursor.outcomes().lock().clone(),
            at_risk: Outcomes::default(),
            cursor,
        })
    }

    /// What has become of the messages this output accounts for.
    #[must_use]
    pub fn outcomes(&self) -> SharedOutcomes {
        self.cursor.outcomes()
    }

    /// How far it has come, for the watchdog.
    #[must_use]
    pub fn place(&self) -> Place {
        self.cursor.place()
    }

    /// Delivers until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        // Tried again with the first messages: without any there is nothing to wait for.
        if let Err(error) = self.start() {
            self.tell_failed(error.as_ref(), Duration::ZERO);
        }
        let mut reader = self.cursor.reader();
        while !stop.is_set() {
            let records = reader.next(READ_BYTES, STEP);
            if !records.is_empty() {
                let load = self.load(&records);
                if !self.settle(&load, &reader, stop) {
                    break;
                }
            }
            self.replay_if_asked();
            if self.cursor.is_due() || (records.is_empty() && self.cursor.is_ahead()) {
                self.checkpoint(&reader);
            }
        }
        self.checkpoint(&reader);
    }

    /// Picks this output's messages.
    fn load(&self, records: &[Record]) -> Load {
        let mut load = Load { through: records.last().map_or(0, |record| record.ordinal), ..Load::default() };
        let bytes = records.iter().map(|record| record.frame.len()).sum::<usize>();
        load.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        // What is no batch was never counted as received.
        for batch in records.iter().filter_map(|record| Batch::parse(&record.frame).ok()) {
            let producer = batch.header.producer;
            for (sequence, record) in batch.records() {
                let mut view = MessageView::new(record, batch.header.identity());
                let decision = self.routes.decide_in(&batch.header, sequence, &mut view);
                let principal = decision.principal().unwrap_or(0) == self.position;
                match self.own(decision, view) {
                    Some(Ok(message)) => {
                        let owner = Owner { producer: Some(producer), sequence, principal };
                        load.items.push(Item { message, owner });
                    }
                    Some(Err(reason)) if principal => load.settled.add(producer, reason, 1),
                    _ => {}
                }
            }
        }
        load
    }

    /// The message, when it is this output's; the reason, when it goes nowhere; nothing, when others see to it.
    fn own(&self, decision: Decision, view: MessageView<'_>) -> Option<Result<Message, &str>> {
        if decision.is_empty() {
            return Some(Err(self.routes.reason(decision)));
        }
        decision.contains(self.position).then(|| {
            let mut message = view.into_message().map_err(|_| "dropped:undecodable")?;
            self.routes.change(decision, self.position, &mut message);
            Ok(message)
        })
    }

    /// Delivers, or drops what the output lags behind too far with; false when stopped before that was decided.
    fn settle(&mut self, load: &Load, reader: &Reader, stop: &Stop) -> bool {
        let Some(progress) = self.deliver(&load.items, reader, stop) else { return false };
        let (mut outcomes, mut at_risk) = (load.settled.clone(), load.settled.clone());
        let mut buried = self.bury(load, &progress.dead).into_iter().peekable();
        for (index, Item { owner, .. }) in load.items.iter().enumerate() {
            let dead = buried.next_if(|(position, _)| *position == index);
            let (outcome, if_unsafe) = match dead {
                _ if index >= progress.settled => (LAG, LAG),
                Some((_, outcome)) => (outcome, outcome),
                None => (DELIVERED, LAG),
            };
            self.count(outcome);
            if let Some(producer) = owner.producer.filter(|_| owner.principal) {
                outcomes.add(producer, outcome, 1);
                at_risk.add(producer, if_unsafe, 1);
            }
        }
        self.cursor.advance(load.through, &outcomes);
        self.at_risk.merge(&at_risk);
        self.unsaved_bytes = self.unsaved_bytes.saturating_add(load.bytes);
        true
    }

    /// Tries until all is settled, as long as the output does not lag behind too far; nothing when told to stop.
    fn deliver(&mut self, items: &[Item], reader: &Reader, stop: &Stop) -> Option<Progress> {
        let (mut began, mut pause) = (Instant::now(), PAUSES.0);
        let mut progress = Progress::default();
        while progress.settled < items.len() {
            if self.is_stuck(reader) {
                let output = self.name.clone();
                self.quiet.say("lag", || error!(output, "output lags too far behind: messages dropped"));
                break;
            }
            let before = progress.settled;
            match self.attempt(items, &mut progress) {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    // Some of it went: the back end is there, and what is left has its own patience.
                    if progress.settled > before {
                        (began, pause) = (Instant::now(), PAUSES.0);
                    }
                    self.tell_failed(error.as_ref(), began.elapsed());
                    // What was done with before this load is not to wait for it in the spool.
                    if self.cursor.is_due() {
                        self.checkpoint(reader);
                    }
                    if self.rest(jittered(pause), reader, stop) {
                        return None;
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
        Some(progress)
    }

    /// Gives the output what is not settled yet.
    fn attempt(&mut self, items: &[Item], progress: &mut Progress) -> Result<(), Box<dyn Error>> {
        if !self.is_started {
            // What it goes back to is before this load.
            *progress = Progress::default();
            self.start()?;
        }
        let rest = items.get(progress.settled..).unwrap_or_default();
        match self.hand_over(rest) {
            Ok(delivered) => progress.add(rest.len(), delivered.dead),
            Err(halted) => {
                progress.add(halted.settled.min(rest.len()), halted.dead);
                return Err(halted.error.into());
            }
        }
        Ok(())
    }

    /// Delivers; saves a checkpoint between when the output asks for one. Nothing of a load is settled when it does.
    fn hand_over(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        /// It may ask again when a file comes to its end meanwhile.
        const MOST_TRIES: usize = 3;
        let mut delivered = self.output.deliver(items);
        for _ in 0..MOST_TRIES {
            if !matches!(&delivered, Err(halted) if matches!(halted.error, OutputError::CheckpointFirst)) {
                break;
            }
            let state = self.output.checkpoint()?;
            self.keep(state);
            if self.save().is_err() {
                break;
            }
            delivered = self.output.deliver(items);
        }
        delivered
    }

    /// Brings the output back to its last checkpoint and keeps a new one, so that there is a state to come back to.
    fn start(&mut self) -> Result<(), Box<dyn Error>> {
        if !self.is_started {
            self.output.restore(&self.cursor.state)?;
            let state = self.output.checkpoint()?;
            self.keep(state);
            self.save().map_err(|error| format!("cannot save the cursor: {error}"))?;
            self.is_started = true;
        }
        Ok(())
    }

    /// Whether to drop rather than try: the output lags behind too far, and not just because of a burst.
    fn is_stuck(&mut self, reader: &Reader) -> bool {
        if !self.lags(reader) {
            self.lagging_since = None;
            return false;
        }
        let since = *self.lagging_since.get_or_insert_with(Instant::now);
        self.is_failing || since.elapsed() >= GRACE
    }

    fn lags(&self, reader: &Reader) -> bool {
        reader.lag_bytes() > self.max_lag_bytes
    }

    /// Pauses, cut short when the output lags behind too far; true when told to stop.
    fn rest(&self, pause: Duration, reader: &Reader, stop: &Stop) -> bool {
        let began = Instant::now();
        while !self.lags(reader) {
            let left = pause.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            if stop.wait(left.min(STEP)) {
                return true;
            }
        }
        stop.is_set()
    }

    fn tell_failed(&mut self, error: &dyn Error, since: Duration) {
        self.is_failing = true;
        let (output, seconds) = (self.name.clone(), since.as_secs());
        self.counters.add("output_retries", &[("output", &self.name)], 1);
        self.quiet.say("retry", || warn!(output, seconds, %error, "delivery fails, trying again"));
    }

    fn count(&self, outcome: &str) {
        let counter = match outcome {
            DELIVERED => "delivered_messages",
            LAG => "lag_dropped_messages",
            _ => "dead_lettered_messages",
        };
        self.counters.add(counter, &[("output", &self.name)], 1);
    }

    /// Keeps what the back end refused for good; gives back what to count each of these messages as.
    fn bury(&mut self, load: &Load, dead: &[(usize, String)]) -> Vec<(usize, &'static str)> {
        let letter = |(index, reason): &(usize, String)| {
            let item = load.items.get(*index)?;
            Some(Letter::new(item.message.clone(), item.owner, reason))
        };
        let letters: Vec<Letter> = dead.iter().filter_map(letter).collect();
        if let Some(Letter { reason, .. }) = letters.first() {
            let (count, output) = (letters.len(), self.name.clone());
            self.quiet.say("dead", || warn!(output, count, reason, "the back end refused messages for good"));
        }
        let (kept, rest) = match self.dead_letters.keep(&letters) {
            Ok(kept) => (kept, "dropped:dead_letters_full"),
            Err(error) => {
                let output = self.name.clone();
                self.quiet.say("bury", || error!(output, %error, "dead letters not kept"));
                (0, "dropped:dead_letters_failed")
            }
        };
        if kept < letters.len() {
            let (count, output) = (letters.len() - kept, self.name.clone());
            self.quiet.say("full", || error!(output, count, rest, "refused messages not kept: dropped"));
        }
        let outcome = |(position, (index, _)): (usize, &(usize, String))| {
            (*index, if position < kept { DEAD } else { rest })
        };
        dead.iter().enumerate().map(outcome).collect()
    }

    /// Moves the saved cursor to what has been delivered, once the back end has it safe.
    fn checkpoint(&mut self, reader: &Reader) {
        // Nothing was delivered before the start, so the last state still holds.
        if self.is_started {
            match self.output.checkpoint() {
                Ok(state) => self.keep(state),
                Err(error) => {
                    let output = self.name.clone();
                    self.quiet
                        .say("checkpoint", || warn!(output, %error, "delivered messages are not safe yet"));
                    if self.unsaved_bytes.saturating_add(reader.lag_bytes()) <= self.max_lag_bytes {
                        return;
                    }
                    self.give_up_unsafe();
                }
            }
        }
        let _told_in_the_log = self.save();
    }

    /// The output has everything safe, with this state to come back to.
    fn keep(&mut self, state: OutputState) {
        self.cursor.state = state;
        self.safe.clone_from(&self.cursor.outcomes().lock());
        self.at_risk = Outcomes::default();
    }

    /// Counts as dropped what was delivered since the last checkpoint, and goes back to that.
    fn give_up_unsafe(&mut self) {
        let output = self.name.clone();
        self.quiet.say("unsafe", || error!(output, "delivered messages were never safe: counted as dropped"));
        self.safe.merge(&std::mem::take(&mut self.at_risk));
        self.cursor.outcomes().lock().clone_from(&self.safe);
        self.is_started = false;
    }

    fn save(&mut self) -> io::Result<()> {
        let saved = self.cursor.save().inspect_err(|error| {
            let output = self.name.clone();
            self.quiet.say("save", || error!(output, %error, "output cursor not saved"));
        });
        if saved.is_ok() {
            self.unsaved_bytes = 0;
            self.output.saved();
        }
        saved
    }
}

/// Between half of the pause and all of it, so that outputs that failed together do not try together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + metlog_core::sample::uniform() / 2.0)
}

#[cfg(test)]
#[path = "runner/routed_tests.rs"]
mod routed_tests;
#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
