//! Sends dead letters again when an operator asks for it (`dlq replay`): between two deliveries, by the thread that owns
//! the back end, so that nobody else writes to it.
//!
//! A letter goes away only when the back end has its message safe and the cursor is saved. A crash in between sends it
//! twice.

use std::{
    collections::HashMap,
    error::Error,
    time::{Duration, Instant},
};

use tracing::{error, info, warn};

use super::{DEAD, DELIVERED, OutputRunner};
use crate::{
    dead_letters::{Change, Letter},
    output::Item,
};

/// How often a request is looked for, and how soon a failed try is repeated.
const LOOK: Duration = Duration::from_secs(1);

/// Letters sent at once.
const AT_ONCE: usize = 256;

/// What is known of requests.
#[derive(Debug)]
pub(super) struct Requests {
    looked: Option<Instant>,
    /// Letters may be marked: somebody has asked, or nobody has looked since the start.
    is_pending: bool,
    /// Letters that were sent and could not be taken away: not sent again.
    stuck: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self { looked: None, is_pending: true, stuck: false }
    }
}

impl OutputRunner {
    /// Looks for a request, at most once a second, and does what is asked.
    pub(super) fn replay_if_asked(&mut self) {
        if self.requests.stuck || self.requests.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.requests.looked = Some(Instant::now());
        // In this order: what is marked after the letters were read leaves a new request.
        self.requests.is_pending |= self.dead_letters.is_replay_asked();
        if !self.requests.is_pending {
            return;
        }
        match self.replay() {
            Ok(()) => self.requests.is_pending = false,
            Err(error) => {
                let output = self.name.clone();
                self.quiet.say("replay", || warn!(output, %error, "dead letters not sent again yet"));
            }
        }
    }

    fn replay(&mut self) -> Result<(), Box<dyn Error>> {
        let marked = self.dead_letters.read()?.letters.into_iter().filter(|letter| letter.replay);
        let marked: Vec<Letter> = marked.collect();
        for letters in marked.chunks(AT_ONCE) {
            self.replay_some(letters)?;
        }
        Ok(())
    }

    fn replay_some(&mut self, letters: &[Letter]) -> Result<(), Box<dyn Error>> {
        let item = |letter: &Letter| Item { message: letter.message.clone(), owner: letter.owner };
        let items: Vec<Item> = letters.iter().map(item).collect();
        self.start()?;
        let (settled, dead, halted) = match self.hand_over(&items) {
            Ok(delivered) => (items.len(), delivered.dead, None),
            Err(halted) => (halted.settled, halted.dead, Some(halted.error)),
        };
        self.settle_letters(letters.get(..settled).unwrap_or(letters), &dead.into_iter().collect())?;
        halted.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Makes safe what became of letters that were sent, and only then takes them away.
    fn settle_letters(
        &mut self,
        letters: &[Letter],
        dead: &HashMap<usize, String>,
    ) -> Result<(), Box<dyn Error>> {
        if letters.is_empty() {
            return Ok(());
        }
        let state = self.output.checkpoint()?;
        let is_sent = |(position, _): &(usize, &Letter)| !dead.contains_key(position);
        let sent: Vec<&Letter> =
            letters.iter().enumerate().filter(is_sent).map(|(_, letter)| letter).collect();
        self.recount(&sent, DEAD, DELIVERED);
        self.keep(state);
        if let Err(error) = self.save() {
            // They are still letters. The file output goes back to before them if it crashes now.
            self.recount(&sent, DELIVERED, DEAD);
            return Err(error.into());
        }
        self.take_away(letters, dead);
        let (output, count, refused) = (&self.name, sent.len(), dead.len());
        info!(output, count, refused, "dead letters sent again");
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.counters.add("replayed_messages", &[("output", &self.name)], count);
        Ok(())
    }

    /// Counts messages this output accounts for under another outcome.
    fn recount(&mut self, letters: &[&Letter], from: &str, to: &str) {
        let outcomes = self.cursor.outcomes();
        let mut outcomes = outcomes.lock();
        for letter in letters.iter().filter(|letter| letter.owner.principal) {
            if let Some(producer) = letter.owner.producer {
                outcomes.recount(producer, from, to, 1);
            }
        }
    }

    /// Takes away what went well, and writes into the others that they were refused once more.
    fn take_away(&mut self, letters: &[Letter], dead: &HashMap<usize, String>) {
        let tried = letters.iter().enumerate().map(|(position, letter)| (letter.key(), dead.get(&position)));
        let tried: HashMap<String, Option<&String>> = tried.collect();
        let done = self.dead_letters.rewrite(|letter| match tried.get(&letter.key()) {
            None => Change::Stay(letter),
            Some(None) => Change::Go,
            Some(Some(reason)) => Change::Become(letter.refused_again(reason)),
        });
        if let Err(error) = done {
            self.requests.stuck = true;
            error!(output = self.name, %error, "dead letters were sent and cannot be taken away: none is sent again before the next start");
        }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
