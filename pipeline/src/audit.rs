//! The balance: for every origin what was tried and what became of it, as far as this hop can know.
//!
//! `attempted = forwarded + delivered + consumed + filtered + dropped + waiting + unknown`, by origin and in sum. What
//! hops before this one took out is in the headers of the batches, so the last hop's audit is that of the whole chain.

use std::fmt;

use metlog_core::wire::batch::{Counts, ProducerId, Role};
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, Origin, Outcomes};

/// A client speaks at least each 60 s; one that has been silent for two and a half times as long is not counted on.
const SILENT_SECONDS: i64 = 150;

/// Sums over messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Calls, lines and datagrams.
    pub attempted: u64,
    /// Handed to the next hop, which has it on disk.
    pub forwarded: u64,
    /// Delivered by the output that answers for it.
    pub delivered: u64,
    /// Taken into a roll-up.
    pub consumed: u64,
    /// Left out because a rule said so.
    pub filtered: u64,
    /// Given up, counted by reason; what a back end refused for good included.
    pub dropped: u64,
    /// On its way: in a client that is alive, or in this daemon's spool.
    pub waiting: u64,
    /// Accepted by a client and seen by nobody since.
    pub unknown: u64,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.forwarded += other.forwarded;
        self.delivered += other.delivered;
        self.consumed += other.consumed;
        self.filtered += other.filtered;
        self.dropped += other.dropped;
        self.waiting += other.waiting;
        self.unknown += other.unknown;
    }

    /// Each figure with its name.
    #[must_use]
    pub fn by_state(&self) -> [(&'static str, u64); 8] {
        [
            ("attempted", self.attempted),
            ("forwarded", self.forwarded),
            ("delivered", self.delivered),
            ("consumed", self.consumed),
            ("filtered", self.filtered),
            ("dropped", self.dropped),
            ("waiting", self.waiting),
            ("unknown", self.unknown),
        ]
    }

    fn settled(&self) -> u64 {
        self.forwarded + self.delivered + self.consumed + self.filtered + self.dropped
    }

    /// True when the figures add up.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.attempted == self.settled() + self.waiting + self.unknown
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempted={} ", self.attempted)?;
        if self.forwarded > 0 {
            write!(f, "forwarded={} ", self.forwarded)?;
        }
        write!(
            f,
            "delivered={} consumed={} filtered={} dropped={} waiting={} unknown={}",
            self.delivered, self.consumed, self.filtered, self.dropped, self.waiting, self.unknown
        )
    }
}

/// What an audit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every message is accounted for.
    Balanced,
    /// A client fell silent without saying goodbye: it may have had more.
    Unknown,
    /// Messages are missing, or the figures do not add up.
    Broken,
}

impl Verdict {
    /// The exit code of `audit`: 0 balanced, 3 when something is unknown, 1 otherwise.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Balanced => 0,
            Self::Unknown => 3,
            Self::Broken => 1,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Balanced => "ok",
            Self::Unknown => "unknown",
            Self::Broken => "broken",
        }
    }
}

/// One origin's balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginAudit {
    /// Which producer.
    pub producer: ProducerId,
    /// What kind of producer.
    pub role: Role,
    /// Its host.
    pub hostname: String,
    /// Its process.
    pub pid: i64,
    /// Its default logger: the application's name.
    pub logger: String,
    /// The figures.
    pub figures: Figures,
    /// What was refused, filtered, dropped or dead-lettered, by reason.
    pub reasons: Counts,
    /// Sequence numbers that nobody has accounted for though later ones arrived, as `[start, end)`.
    pub missing: Vec<(u64, u64)>,
    /// Messages that arrived more than once.
    pub repeated: u64,
    /// True when the producer ended in good order.
    pub closed: bool,
    /// What it comes to.
    pub verdict: Verdict,
}

/// The balance of a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Every origin.
    pub origins: Vec<OriginAudit>,
    /// The sum over applications and inputs.
    pub sent: Figures,
    /// The sum over what daemons made themselves: roll-ups.
    pub created: Figures,
    /// Origins that closed long ago and are no longer kept one by one.
    pub retired: u64,
    /// What it all comes to.
    pub verdict: Verdict,
}

impl Audit {
    /// Strikes the balance. The outcomes must be read before the ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, outcomes: &Outcomes, now: i64) -> Self {
        let origins: Vec<_> = ledger
            .origins()
            .map(|(producer, origin)| balance(*producer, origin, &outcomes.of(producer), now))
            .collect();
        let (mut sent, mut created) = (Figures::default(), Figures::default());
        for origin in &origins {
            if origin.role == Role::Daemon { &mut created } else { &mut sent }.add(&origin.figures);
        }
        let verdict = origins.iter().map(|origin| origin.verdict).max().unwrap_or(Verdict::Balanced);
        Self { origins, sent, created, retired: ledger.retired(), verdict }
    }
}

fn balance(producer: ProducerId, origin: &Origin, outcomes: &Counts, now: i64) -> OriginAudit {
    let mut figures = Figures::default();
    let mut reasons = Counts::new();
    let refused = origin.refused.iter().map(|(reason, count)| match reason.as_str() {
        "filtered" => ("filtered:client".to_owned(), *count),
        reason => (format!("dropped:{reason}"), *count),
    });
    let known = origin.removed.iter().chain(outcomes).map(|(outcome, count)| (outcome.clone(), *count));
    for (outcome, count) in refused.chain(known) {
        enter(&mut figures, &mut reasons, &outcome, count);
    }
    let accepted = origin.accepted();
    figures.attempted = accepted + origin.refused.values().sum::<u64>();
    let settled_here: u64 = outcomes.values().sum();
    figures.waiting = origin.present.saturating_sub(settled_here);
    let missing = origin.covered.gaps();
    let lost: u64 = missing.iter().map(|(start, end)| end - start).sum();
    let tail = accepted - origin.covered.end();
    // A client that is alive still has its tail; one that closed or fell silent does not.
    let alive = !origin.closed && now - origin.last_seen < SILENT_SECONDS;
    figures.unknown = lost + if alive { 0 } else { tail };
    figures.waiting += if alive { tail } else { 0 };
    let silent = origin.role == Role::Application && !origin.closed && !alive;
    let broken = lost > 0 || (origin.closed && tail > 0) || !figures.balance();
    OriginAudit {
        producer,
        role: origin.role,
        hostname: origin.hostname.clone(),
        pid: origin.pid,
        logger: origin.logger.clone(),
        figures,
        reasons,
        missing,
        repeated: origin.repeated,
        closed: origin.closed,
        verdict: match (broken, silent) {
            (true, _) => Verdict::Broken,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::Balanced,
        },
    }
}

fn enter(figures: &mut Figures, reasons: &mut Counts, outcome: &str, count: u64) {
    match outcome.split(':').next().unwrap_or_default() {
        "forwarded" => figures.forwarded += count,
        "delivered" => figures.delivered += count,
        "consumed" => figures.consumed += count,
        "filtered" => figures.filtered += count,
        _ => figures.dropped += count,
    }
    if outcome.contains(':') {
        *reasons.entry(outcome.to_owned()).or_insert(0) += count;
    }
}

/// A table of the origins and one line `LEDGER <verdict> attempted=... unknown=...`.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for origin in &self.origins {
            let name = if origin.logger.is_empty() { "(no logger)" } else { &origin.logger };
            let state = if origin.closed { "closed" } else { "open" };
            write!(
                f,
                "{:<8} {name} pid {} on {} ({state}): ",
                origin.verdict.word(),
                origin.pid,
                origin.hostname
            )?;
            writeln!(f, "{}", origin.figures)?;
            for (reason, count) in &origin.reasons {
                writeln!(f, "         {reason} {count}")?;
            }
            for (start, end) in &origin.missing {
                writeln!(f, "         missing {start}..{end} of producer {}", origin.producer)?;
            }
        }
        if self.created.attempted > 0 {
            writeln!(f, "roll-ups made on the way: {}", self.created)?;
        }
        write!(f, "LEDGER {} {}", self.verdict.word(), self.sent)
    }
}
