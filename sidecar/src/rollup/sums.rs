//! The sums, as inputs add to them, and what is kept of them over a restart.
//!
//! A flush or a save takes the sums aside: inputs go on adding to empty ones meanwhile, and both are merged when they are put
//! back. So the lock is held for a moment, however many names there are.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metlog_pipeline::rollup::{Accumulators, RollupOptions, Sample, SourceId, Sources};
use serde::{Deserialize, Serialize};

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) accumulators: Accumulators,
    /// What came by each statsd input since the last flush.
    pub(super) statsd: BTreeMap<StatsdInput, Received>,
    /// Batches of a flush that are not safe in the spool yet.
    #[serde(with = "metlog_pipeline::outbox::frames")]
    pub(super) outbox: Vec<Vec<u8>>,
    /// When the last flush was, in seconds since the epoch.
    pub(super) flushed_at: i64,
}

impl State {
    /// True when a flush would have nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.accumulators.names() == 0 && self.statsd.is_empty()
    }
}

/// The statsd inputs, each a producer of its own in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatsdInput {
    /// UDP datagrams.
    StatsdUdp,
    /// Lines over TCP.
    StatsdTcp,
    /// Datagrams to a unix socket.
    StatsdUnix,
    /// Lines or packets over a unix stream socket.
    StatsdStream,
}

impl StatsdInput {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StatsdUdp, Self::StatsdTcp, Self::StatsdUnix, Self::StatsdStream];

    /// Its name in the configuration, in counters and on pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StatsdUdp => "statsd_udp",
            Self::StatsdTcp => "statsd_tcp",
            Self::StatsdUnix => "statsd_unix",
            Self::StatsdStream => "statsd_stream",
        }
    }

    /// Its name in the ledger.
    #[must_use]
    pub fn producer(self) -> String {
        format!("metlog.input.{}", self.name())
    }
}

/// Where a statsd metric came from.
#[derive(Debug, Clone, Copy)]
pub struct Via {
    /// The input.
    pub input: StatsdInput,
    /// Who answers for the names it makes.
    pub source: SourceId,
}

/// Metrics of one input since the last flush.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Received {
    pub(super) taken: u64,
    /// By reason.
    pub(super) refused: BTreeMap<String, u64>,
}

impl Received {
    fn refuse(&mut self, reason: &str, count: u64) {
        if let Some(known) = self.refused.get_mut(reason) {
            *known += count;
        } else if count > 0 {
            self.refused.insert(reason.to_owned(), count);
        }
    }
}

/// The sums, as inputs add to them.
#[derive(Debug)]
pub struct Sums {
    pub(super) state: State,
    pub(super) options: Arc<RollupOptions>,
    sources: Sources,
    /// True when something is not saved yet.
    pub(super) changed: bool,
}

impl Sums {
    /// The number of a source of names.
    pub fn source(&mut self, name: &str) -> SourceId {
        self.sources.id(name)
    }

    /// Adds a statsd metric, or says why not; the caller counts both: [`Sums::count_statsd`].
    #[inline]
    pub fn add_statsd(&mut self, via: Via, name: &str, sample: Sample<'_>) -> Option<&'static str> {
        self.state.accumulators.add_from(via.source, name, sample, &self.options).refused()
    }

    /// Counts what was taken and refused of an input, a packet or more at a time.
    pub fn count_statsd(&mut self, input: StatsdInput, taken: u64, refused: &[(&'static str, u64)]) {
        let received = self.state.statsd.entry(input).or_default();
        received.taken += taken;
        refused.iter().for_each(|(reason, count)| received.refuse(reason, *count));
        self.changed = true;
    }

    /// Adds what a message measured.
    pub(super) fn add_message(
        &mut self,
        source: SourceId,
        name: &str,
        sample: Sample<'_>,
    ) -> Option<&'static str> {
        self.changed = true;
        self.state.accumulators.add_from(source, name, sample, &self.options).refused()
    }
}

/// The sums, shared by the inputs and the roll-up's thread.
#[derive(Debug, Clone)]
pub struct SharedRollup(Arc<Mutex<Sums>>);

impl SharedRollup {
    pub(super) fn new(state: State, options: RollupOptions) -> Self {
        let options = Arc::new(options);
        Self(Arc::new(Mutex::new(Sums { state, options, sources: Sources::default(), changed: false })))
    }

    /// The sums, for as long as the guard is kept.
    pub fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the sums aside. Only the roll-up's thread does, and puts them back.
    pub(super) fn take_aside(&self) -> State {
        let mut sums = self.lock();
        sums.changed = false;
        mem::take(&mut sums.state)
    }

    /// Puts the sums back and merges what was added meanwhile. What finds no room now was counted as taken: it is counted as
    /// refused, and by messages nothing is added meanwhile, because their thread is the one that calls this.
    pub(super) fn put_back(&self, state: State) {
        let mut sums = self.lock();
        let later = mem::replace(&mut sums.state, state);
        let options = Arc::clone(&sums.options);
        let refused = sums.state.accumulators.merge(later.accumulators, &options);
        for (input, received) in later.statsd {
            let known = sums.state.statsd.entry(input).or_default();
            known.taken += received.taken;
            received.refused.iter().for_each(|(reason, count)| known.refuse(reason, *count));
        }
        for (reason, count) in refused {
            correct(&mut sums.state.statsd, reason, count);
        }
    }
}

/// Counts samples as refused that were counted as taken, wherever enough were.
fn correct(statsd: &mut BTreeMap<StatsdInput, Received>, reason: &str, mut count: u64) {
    for received in statsd.values_mut() {
        let moved = count.min(received.taken);
        received.taken -= moved;
        received.refuse(reason, moved);
        count -= moved;
    }
}

#[cfg(test)]
mod tests {
    use metlog_pipeline::rollup::SampleRate;

    use super::*;

    const COUNT: Sample<'_> = Sample::Counter { value: 1.0, rate: SampleRate::ONE };

    #[test]
    fn what_comes_while_the_sums_are_aside_is_in_them_afterwards() {
        let shared =
            SharedRollup::new(State::default(), RollupOptions { max_names: 2, ..RollupOptions::default() });
        let via = Via { input: StatsdInput::StatsdTcp, source: SourceId::default() };
        let add = |name| {
            let mut sums = shared.lock();
            let refused = sums.add_statsd(via, name, COUNT);
            sums.count_statsd(via.input, u64::from(refused.is_none()), &[]);
        };
        ["a", "b"].into_iter().for_each(add);
        let aside = shared.take_aside();
        ["a", "c", "c"].into_iter().for_each(add);
        shared.put_back(aside);
        let sums = shared.lock();
        assert_eq!(sums.state.accumulators.names(), 2);
        let refused = [("name_overflow".to_owned(), 2)].into_iter().collect();
        assert_eq!(sums.state.statsd[&via.input], Received { taken: 3, refused });
        assert!(sums.changed, "it is not saved yet");
    }
}
