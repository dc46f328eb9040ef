//! What became of every message: counted, never silent.
//!
//! `attempted = accepted + refused(reason)`, and `accepted = sent + dropped(reason) + waiting`, at any time.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{process, wire::batch::Counts};

/// Why a message was refused by the call, or dropped after it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A filter said no: as asked, not a loss.
    Filtered,
    /// A filter panicked.
    FilterError,
    /// The hand-off holds `queue_bytes` already.
    Full,
    /// The message is over the size no reader takes.
    TooBig,
    /// The value could not be converted by the language's face.
    Encode,
    /// The client was closed.
    Closed,
    /// The sender gave it up.
    Send,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 7] =
        [Self::Filtered, Self::FilterError, Self::Full, Self::TooBig, Self::Encode, Self::Closed, Self::Send];

    /// The reason as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::FilterError => "filter_error",
            Self::Full => "full",
            Self::TooBig => "too_big",
            Self::Encode => "encode",
            Self::Closed => "closed",
            Self::Send => "send",
        }
    }
}

/// One counter per reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByReason([u64; Reason::ALL.len()]);

impl ByReason {
    pub(crate) fn add(&mut self, reason: Reason, count: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += count;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(counter, more)| *counter += more);
    }

    /// The count of one reason.
    #[must_use]
    pub fn get(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// All reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that are not zero, by name.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let all = Reason::ALL.iter().map(|reason| (reason.as_str().to_owned(), self.get(*reason)));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// The type of the message in which a client sends its books, each `stats_interval`. Its fields are those of [`Stats`],
/// `refused` and `dropped` as maps of the reasons that are not zero.
pub const STATS_TYPE: &str = "metlog.stats";

/// The books of one client at one moment; they always balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Calls that wanted to send a message.
    pub attempted: u64,
    /// Messages taken into the hand-off.
    pub accepted: u64,
    /// Messages the call refused.
    pub refused: ByReason,
    /// Messages that are as safe as the sender makes them: handed to it, or, with acknowledged delivery, acknowledged.
    pub sent: u64,
    /// Messages given up after they were accepted.
    pub dropped: ByReason,
    /// Messages in the hand-off, and those that are not acknowledged yet.
    pub waiting: u64,
}

impl Stats {
    /// Adds the books of another client.
    pub fn merge(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.accepted += other.accepted;
        self.refused.merge(&other.refused);
        self.sent += other.sent;
        self.dropped.merge(&other.dropped);
        self.waiting += other.waiting;
    }
}

/// At most one line per reason in this time.
const QUIET: Duration = Duration::from_secs(10);

/// Made before the process runs: a child may be forked while anything is made later.
static LAST_SAID: Mutex<Vec<(&'static str, Instant)>> = Mutex::new(Vec::new());

/// One line on stderr, at most one per `reason` per ten seconds.
///
/// Takes no lock that a forked child may have inherited locked; a child whose parent was just here says nothing.
pub fn complain(reason: &'static str, line: &str) {
    let now = Instant::now();
    let Ok(mut said) = LAST_SAID.try_lock() else { return };
    if said.iter().any(|(before, at)| *before == reason && now.duration_since(*at) < QUIET) {
        return;
    }
    said.retain(|(before, _)| *before != reason);
    said.push((reason, now));
    drop(said);
    process::write_to_stderr(&format!("metlog: {line}\n"));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A child of a process that was just writing to stderr inherits the lock of std's.
    #[test]
    fn a_complaint_waits_for_no_lock_of_stderr() {
        let (said, says) = mpsc::channel();
        let locked = std::io::stderr().lock();
        std::thread::spawn(move || {
            complain("tests", "a line that this test says");
            said.send(()).unwrap();
        });
        let waited = says.recv_timeout(Duration::from_secs(20));
        drop(locked);
        waited.unwrap();
    }
}
