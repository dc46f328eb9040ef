//! The balance: for every origin what was tried and what became of it, as far as this hop can know.
//!
//! `attempted = forwarded + delivered + consumed + filtered + dropped + waiting + unknown`, by origin and in sum. What
//! hops before this one took out is in the headers of the batches, so the last hop's audit is that of the whole chain.
//! What a client gave up after it had numbered it is no loss nobody knows of: the client says how many, and so many of the
//! numbers that did not arrive count as dropped by the client.

use std::fmt;

use metlog_core::wire::batch::{Counts, ProducerId, Role};
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, Origin, Outcomes};

/// Before the reason why a client dropped what it had accepted.
const BY_CLIENT: &str = "dropped:client:";

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
        self.attempted = self.attempted.saturating_add(other.attempted);
        self.forwarded = self.forwarded.saturating_add(other.forwarded);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.consumed = self.consumed.saturating_add(other.consumed);
        self.filtered = self.filtered.saturating_add(other.filtered);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.unknown = self.unknown.saturating_add(other.unknown);
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
    /// Sequence numbers that nobody has accounted for though later ones arrived, as `[start, end)`; none when the client
    /// says that it dropped so many.
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
    /// Origins that were forgotten to keep the ledger bounded.
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
    let mut missing = origin.covered.gaps();
    let lost: u64 = missing.iter().map(|(start, end)| end - start).sum();
    let tail = accepted - origin.covered.end();
    let by_client = enter_client_drops(&mut figures, &mut reasons, &origin.dropped, lost + tail);
    // The client says so only with a later batch: what it dropped lies in a gap before it lies behind the last batch.
    let (lost, tail) = (lost.saturating_sub(by_client), tail - by_client.saturating_sub(lost));
    if lost == 0 {
        missing.clear();
    }
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

/// Enters what the client says it dropped, at most the `absent` numbers that did not arrive: with `acked` delivery it may
/// give up what has arrived all the same. Gives back how many were entered.
fn enter_client_drops(figures: &mut Figures, reasons: &mut Counts, dropped: &Counts, absent: u64) -> u64 {
    let mut left = absent;
    for (reason, count) in dropped {
        let count = left.min(*count);
        left -= count;
        if count > 0 {
            enter(figures, reasons, &format!("{BY_CLIENT}{reason}"), count);
        }
    }
    absent - left
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
                match reason.strip_prefix(BY_CLIENT) {
                    Some(reason) => writeln!(f, "         dropped by the client: {reason} {count}")?,
                    None => writeln!(f, "         {reason} {count}")?,
                }
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

#[cfg(test)]
mod tests {
    use metlog_core::wire::{batch::Header, record::Identity};

    use super::*;

    const NOW: i64 = 1_000_000;

    fn header(first_sequence: u64, span: u64, attempted: u64) -> Header {
        let identity = Identity { env_version: "0.8", pid: 7, hostname: "h" };
        let present = if span > 0 { vec![(0, span)] } else { Vec::new() };
        let header = Header::new(ProducerId([1; 16]), identity, "app");
        Header { first_sequence, span, present, attempted, ..header }
    }

    /// The audit of one origin whose batches arrived `age` seconds ago.
    fn audit(headers: &[Header], outcomes: &[(&str, u64)], age: i64) -> Audit {
        let mut ledger = Ledger::default();
        headers.iter().for_each(|header| ledger.apply(header, None, NOW - age));
        let mut done = Outcomes::default();
        outcomes.iter().for_each(|(outcome, count)| done.add(ProducerId([1; 16]), outcome, *count));
        let audit = Audit::new(&ledger, &done, NOW);
        assert!(audit.sent.balance(), "{audit}");
        audit
    }

    #[test]
    fn every_message_is_in_exactly_one_figure() {
        let mut second = header(10, 6, 20);
        second.present = vec![(0, 2)];
        second.removed = [("consumed".to_owned(), 3), ("dropped:lag".to_owned(), 1)].into();
        second.refused = [("full".to_owned(), 3), ("filtered".to_owned(), 1)].into();
        second.last = true;
        let audit = audit(&[header(0, 10, 10), second], &[("delivered", 9), ("filtered:no_route", 1)], 0);
        let expected = Figures {
            attempted: 20,
            forwarded: 0,
            delivered: 9,
            consumed: 3,
            filtered: 2,
            dropped: 4,
            waiting: 2,
            unknown: 0,
        };
        assert_eq!((audit.sent, audit.verdict), (expected, Verdict::Balanced));
        let text = audit.to_string();
        let line = "LEDGER ok attempted=20 delivered=9 consumed=3 filtered=2 dropped=4 waiting=2 unknown=0";
        assert!(text.ends_with(line), "{text}");
        assert!(text.contains("dropped:full 3") && text.contains("filtered:client 1"), "{text}");
    }

    #[test]
    fn a_gap_is_named_and_breaks_the_balance() {
        let audit = audit(&[header(0, 5, 5), header(8, 2, 10)], &[("delivered", 7)], 0);
        assert_eq!((audit.sent.unknown, audit.verdict, audit.verdict.exit_code()), (3, Verdict::Broken, 1));
        assert!(audit.to_string().contains("missing 5..8"), "{audit}");
    }

    #[test]
    fn a_tail_waits_in_a_client_that_lives_and_is_unknown_in_one_that_is_silent() {
        let headers = [header(0, 5, 9)];
        let alive = audit(&headers, &[("delivered", 5)], 10);
        assert_eq!((alive.sent.waiting, alive.sent.unknown, alive.verdict), (4, 0, Verdict::Balanced));
        let silent = audit(&headers, &[("delivered", 5)], SILENT_SECONDS);
        assert_eq!((silent.sent.waiting, silent.sent.unknown, silent.verdict.exit_code()), (0, 4, 3));
        let closed = Header { last: true, ..header(5, 0, 9) };
        let lost = audit(&[header(0, 5, 5), closed], &[("delivered", 5)], 10);
        assert_eq!((lost.sent.unknown, lost.verdict), (4, Verdict::Broken), "it said how many there were");
    }

    #[test]
    fn what_a_client_says_it_dropped_is_not_missing() {
        let dropped = |count: u64| -> Counts { [("send".to_owned(), count)].into() };
        for (said, client, unknown, verdict) in [
            (0, 0, 3, Verdict::Broken),
            (2, 2, 1, Verdict::Broken),
            (3, 3, 0, Verdict::Balanced),
            // It gave up a batch that had arrived: what is there is there.
            (5, 3, 0, Verdict::Balanced),
        ] {
            let later = Header { dropped: dropped(said), ..header(8, 2, 10) };
            let audit = audit(&[header(0, 5, 5), later], &[("delivered", 7)], 0);
            let figures = (audit.sent.dropped, audit.sent.unknown, audit.verdict);
            assert_eq!(figures, (client, unknown, verdict), "{audit}");
            let text = audit.to_string();
            assert_eq!(text.contains("missing 5..8"), unknown > 0, "{text}");
            assert_eq!(text.contains(&format!("dropped by the client: send {client}")), client > 0, "{text}");
        }
    }

    #[test]
    fn a_closing_client_that_drops_its_tail_says_so_and_a_late_batch_takes_nothing_back() {
        let dropped = Counts::from([("send".to_owned(), 4)]);
        let last = Header { dropped, last: true, ..header(5, 0, 9) };
        let audit = audit(&[header(0, 5, 5), last, header(0, 5, 5)], &[("delivered", 5)], 0);
        assert_eq!((audit.sent.dropped, audit.sent.unknown, audit.verdict), (4, 0, Verdict::Balanced));
    }

    #[test]
    fn a_repeated_batch_counts_once() {
        let audit = audit(&[header(0, 5, 5), header(0, 5, 5)], &[("delivered", 5)], 0);
        assert_eq!((audit.sent.attempted, audit.sent.delivered, audit.sent.waiting), (5, 5, 0));
        assert_eq!(audit.origins.first().map(|origin| origin.repeated), Some(5));
    }

    #[test]
    fn what_daemons_made_is_added_up_apart() {
        let made = Header { role: Role::Daemon, ..header(0, 4, 4) };
        let audit = audit(&[made], &[("delivered", 4)], SILENT_SECONDS * 2);
        assert_eq!(
            (audit.sent, audit.created.delivered, audit.verdict),
            (Figures::default(), 4, Verdict::Balanced)
        );
    }
}
