//! The books of one hop: for every origin which sequence numbers have been accounted for here, and what their producer
//! says it tried; for every consumer what became of the messages.
//!
//! What arrived is part of the spool's own history, so [`Ledger`] is rebuilt from the records after its last checkpoint
//! and never disagrees with them. What became of it ([`Outcomes`]) is kept by each consumer in its own checkpoint, next
//! to its cursor. `waiting` is the difference.

use std::collections::BTreeMap;

use metlog_core::{
    link::SenderId,
    wire::batch::{Counts, Header, ProducerId, Role},
};
use serde::{Deserialize, Serialize};

use crate::{ranges::Ranges, shed::Shed};

/// Origins kept. Beyond, a tenth of them is forgotten, those that were seen longest ago, closed ones first.
const MAX_ORIGINS: usize = 10_000;

/// Link senders kept. Beyond, those heard of longest ago are forgotten; one that comes back may repeat what it had sent.
const MAX_LINKS: usize = 10_000;

/// What has arrived at this hop.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    origins: BTreeMap<ProducerId, Origin>,
    links: BTreeMap<SenderId, Accepted>,
    /// Origins that were forgotten to keep the ledger bounded.
    retired: u64,
    /// What was dropped while the spool took nothing and is not on record yet.
    pub shed: Shed,
}

/// How far a link's sender has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Accepted {
    sequence: u64,
    /// In seconds since the epoch.
    last_seen: i64,
}

/// What has arrived from one origin.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// What kind of producer it is.
    pub role: Role,
    /// Its host.
    pub hostname: String,
    /// Its process.
    pub pid: i64,
    /// Its default logger: the application's name.
    pub logger: String,
    /// Sequence numbers that batches seen here have accounted for.
    pub covered: Ranges,
    /// Messages that were in those batches.
    pub present: u64,
    /// Messages that hops before this one took out, by reason.
    pub removed: Counts,
    /// Calls the application made, by the newest batch.
    pub attempted: u64,
    /// Calls the client refused, by reason, by the newest batch.
    pub refused: Counts,
    /// Messages the client gave up after it had accepted them, by reason, as far as it has said.
    pub dropped: Counts,
    /// True when the producer has said that nothing follows.
    pub closed: bool,
    /// When the newest batch arrived, in seconds since the epoch.
    pub last_seen: i64,
    /// Messages that arrived again.
    pub repeated: u64,
}

impl Origin {
    /// Messages the client took, as far as it has said.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        let refused = self.refused.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        self.attempted.saturating_sub(refused).max(self.covered.end())
    }

    fn apply(&mut self, header: &Header, now: i64) {
        let fresh = self.covered.insert(header.first_sequence, header.end());
        if fresh == header.span {
            self.present += header.count();
            for (reason, count) in &header.removed {
                *self.removed.entry(reason.clone()).or_insert(0) += count;
            }
        } else {
            // Only a fail-over repeats what was accepted, and it repeats whole batches.
            self.repeated += header.count();
        }
        if header.attempted >= self.attempted {
            self.attempted = header.attempted;
            self.refused.clone_from(&header.refused);
        }
        for (reason, count) in &header.dropped {
            // Running totals: a batch that comes late takes nothing back.
            let known = self.dropped.entry(reason.clone()).or_insert(0);
            *known = (*known).max(*count);
        }
        self.role = header.role;
        self.hostname.clone_from(&header.hostname);
        self.pid = header.pid;
        self.logger.clone_from(&header.logger);
        self.closed |= header.last;
        self.last_seen = now;
    }
}

impl Ledger {
    /// Enters a batch that has been appended to the spool.
    pub fn apply(&mut self, header: &Header, link: Option<(SenderId, u64)>, now: i64) {
        if let Some((sender, sequence)) = link {
            self.advance_link(sender, sequence, now);
        }
        self.origins.entry(header.producer).or_default().apply(header, now);
        if self.origins.len() > MAX_ORIGINS {
            self.retire_oldest();
        }
    }

    /// A link's sender has come to `sequence`.
    pub fn advance_link(&mut self, sender: SenderId, sequence: u64, now: i64) {
        self.links.insert(sender, Accepted { sequence, last_seen: now });
        if self.links.len() > MAX_LINKS {
            let mut seen: Vec<i64> = self.links.values().map(|link| link.last_seen).collect();
            seen.sort_unstable();
            let bound = seen.get(MAX_LINKS / 10).copied().unwrap_or(i64::MIN);
            self.links.retain(|_, link| link.last_seen > bound || link.last_seen == now);
        }
    }

    /// The highest number accepted from a link's sender, 0 for none.
    #[must_use]
    pub fn link_accepted(&self, sender: SenderId) -> u64 {
        self.links.get(&sender).map_or(0, |link| link.sequence)
    }

    /// True when the batch accounts for messages, and all of them have been accounted for before.
    #[must_use]
    pub fn knows(&self, header: &Header) -> bool {
        if header.span == 0 {
            return false;
        }
        let covers = |origin: &Origin| origin.covered.contains(header.first_sequence, header.end());
        self.origins.get(&header.producer).is_some_and(covers)
    }

    /// The next sequence number of a producer that lives in this daemon.
    #[must_use]
    pub fn next_sequence(&self, producer: ProducerId) -> u64 {
        self.origins.get(&producer).map_or(0, |origin| origin.covered.end()).max(self.shed.end(producer))
    }

    /// Every origin.
    pub fn origins(&self) -> impl Iterator<Item = (&ProducerId, &Origin)> {
        self.origins.iter()
    }

    /// What the clients of all origins say they dropped, by reason.
    #[must_use]
    pub fn dropped_by_clients(&self) -> Counts {
        let mut totals = Counts::new();
        for (reason, count) in self.origins.values().flat_map(|origin| &origin.dropped) {
            *totals.entry(reason.clone()).or_insert(0) += count;
        }
        totals
    }

    /// How many origins were forgotten.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.retired
    }

    fn retire_oldest(&mut self) {
        let mut by_age: Vec<_> = self
            .origins
            .iter()
            .map(|(producer, origin)| (!origin.closed, origin.last_seen, *producer))
            .collect();
        by_age.sort_unstable();
        for (_, _, producer) in by_age.into_iter().take(MAX_ORIGINS / 10) {
            self.origins.remove(&producer);
            self.retired += 1;
        }
    }
}

/// What a consumer has made of messages, by origin and outcome (`consumed`, `forwarded`, `delivered`, `filtered:<rule>`,
/// `dropped:<reason>`, `dead_lettered`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcomes {
    origins: BTreeMap<ProducerId, Counts>,
}

impl Outcomes {
    /// Counts `count` messages of an origin under `outcome`.
    pub fn add(&mut self, producer: ProducerId, outcome: &str, count: u64) {
        if count == 0 {
            return;
        }
        let counts = self.origins.entry(producer).or_default();
        match counts.get_mut(outcome) {
            Some(known) => *known += count,
            None => {
                counts.insert(outcome.to_owned(), count);
            }
        }
    }

    /// Counts up to `count` messages under another outcome than before.
    pub fn recount(&mut self, producer: ProducerId, from: &str, to: &str, count: u64) {
        let Some(before) = self.origins.get_mut(&producer).and_then(|counts| counts.get_mut(from)) else {
            return;
        };
        let moved = count.min(*before);
        *before -= moved;
        self.add(producer, to, moved);
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (producer, counts) in &other.origins {
            counts.iter().for_each(|(outcome, count)| self.add(*producer, outcome, *count));
        }
    }

    /// The outcomes of one origin.
    #[must_use]
    pub fn of(&self, producer: &ProducerId) -> Counts {
        self.origins.get(producer).cloned().unwrap_or_default()
    }

    /// All origins together.
    #[must_use]
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::new();
        for (outcome, count) in self.origins.values().flatten() {
            *totals.entry(outcome.clone()).or_insert(0) += count;
        }
        totals
    }
}
