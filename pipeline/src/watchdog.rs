//! Names the part of a daemon that has work and does not move: in the log once, in `/metrics`, `/readyz` and `/stats`.
//!
//! A consumer of the spool moves when its cursor does, and has work while the spool holds safe records after it. The spool's
//! thread moves when records become safe. Every other thread moves each time it asks whether to stop, and says when it rests
//! until there is work; one that does neither is stuck in a call.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{error, info};

use crate::{
    spool::{Outcome, Spool},
    stop::{Pulse, Stop},
};

/// The parts are looked at so often within the patience: none is named much later than it should be.
const LOOKS: u32 = 6;

/// Bounds of the time between two looks.
const LOOK_BOUNDS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The part that makes records safe.
const SPOOL_SYNC: &str = "spool-sync";

/// Where a consumer stands, as others may read it at any time.
#[derive(Debug, Clone)]
pub struct Place {
    name: String,
    through: Arc<AtomicU64>,
}

impl Place {
    /// The place of the consumer `name`.
    pub(crate) fn new(name: &str, through: u64) -> Self {
        Self { name: name.to_owned(), through: Arc::new(AtomicU64::new(through)) }
    }

    /// The consumer is done with everything up to here.
    pub(crate) fn set(&self, through: u64) {
        self.through.store(through, Ordering::Relaxed);
    }
}

/// What the pages read: the parts that do not move, and for how long.
#[derive(Clone)]
pub struct Watchdog {
    patience: Duration,
    consumers: Vec<Place>,
    stalled: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").field("stalled", &self.stalled()).finish_non_exhaustive()
    }
}

impl Watchdog {
    /// A watchdog that barks after `patience`, over these consumers and over what [`Watchdog::run`] is given.
    #[must_use]
    pub fn new(patience: Duration, consumers: Vec<Place>) -> Self {
        Self { patience, consumers, stalled: Arc::default() }
    }

    /// How often the parts are looked at. Threads that wait for nothing else than work move at least as often.
    #[must_use]
    pub fn look_interval(&self) -> Duration {
        (self.patience / LOOKS).clamp(LOOK_BOUNDS.0, LOOK_BOUNDS.1)
    }

    /// The parts that have work and do not move, and for how long.
    #[must_use]
    pub fn stalled(&self) -> BTreeMap<String, Duration> {
        let stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        stalled.iter().map(|(part, since)| (part.clone(), since.elapsed())).collect()
    }

    /// The stalled part without which the daemon can take nothing in, if there is one: consumers have the spool between
    /// them and the inputs.
    #[must_use]
    pub fn blocks_intake(&self) -> Option<(String, Duration)> {
        let is_consumer = |part: &String| self.consumers.iter().any(|place| place.name == *part);
        self.stalled().into_iter().find(|(part, _)| !is_consumer(part))
    }

    /// Watches until told to stop. `threads` are those to watch beside the consumers and the spool.
    pub fn run(&self, spool: &Spool, threads: &[(String, Pulse)], stop: &Stop) {
        let mut watch = Watch::new(self.patience);
        while !stop.wait(self.look_interval()) {
            for event in watch.look(Instant::now(), &self.samples(spool, threads)) {
                self.tell(event);
            }
        }
    }

    fn samples(&self, spool: &Spool, threads: &[(String, Pulse)]) -> Vec<Sample> {
        let consumer = |place: &Place| {
            let marker = place.through.load(Ordering::Relaxed);
            Sample { part: place.name.clone(), marker, has_work: spool.synced() > marker }
        };
        let thread = |(name, pulse): &(String, Pulse)| {
            let (marker, is_resting) = pulse.read();
            Sample { part: name.clone(), marker, has_work: !is_resting }
        };
        // A consumer's thread is told by its cursor.
        let is_other = |(name, _): &&(String, Pulse)| self.consumers.iter().all(|place| place.name != *name);
        let appended = spool.appended();
        let waits = appended > 0 && spool.outcome(appended) == Outcome::Waiting;
        let sync = Sample { part: SPOOL_SYNC.to_owned(), marker: spool.synced(), has_work: waits };
        let others = threads.iter().filter(is_other).map(thread);
        self.consumers.iter().map(consumer).chain(others).chain([sync]).collect()
    }

    fn tell(&self, event: Event) {
        let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Stalled { part, since } => {
                let seconds = since.elapsed().as_secs();
                error!(part, seconds, "part has work and does not move");
                stalled.insert(part, since);
            }
            Event::Moves { part } => {
                info!(part, "part moves again");
                stalled.remove(&part);
            }
        }
    }
}

/// One part at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    part: String,
    /// Changes whenever the part moves.
    marker: u64,
    has_work: bool,
}

/// What is to be told, once each.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Stalled { part: String, since: Instant },
    Moves { part: String },
}

/// What is remembered of the parts between two looks.
#[derive(Debug)]
struct Watch {
    patience: Duration,
    parts: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    marker: u64,
    /// When it moved last or had nothing to do.
    since: Instant,
    is_told: bool,
}

impl Watch {
    fn new(patience: Duration) -> Self {
        Self { patience, parts: BTreeMap::new() }
    }

    fn look(&mut self, now: Instant, samples: &[Sample]) -> Vec<Event> {
        let mut events = Vec::new();
        for Sample { part, marker, has_work } in samples {
            let new = || Known { marker: *marker, since: now, is_told: false };
            let known = self.parts.entry(part.clone()).or_insert_with(new);
            if *has_work && known.marker == *marker {
                let waited = now.saturating_duration_since(known.since);
                if waited >= self.patience && !known.is_told {
                    known.is_told = true;
                    events.push(Event::Stalled { part: part.clone(), since: known.since });
                }
                continue;
            }
            if known.is_told {
                events.push(Event::Moves { part: part.clone() });
            }
            *known = new();
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::spool::SpoolOptions;

    #[test]
    fn a_thread_stuck_in_a_call_is_named_and_one_that_rests_or_beats_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(dir.path(), SpoolOptions::default()).unwrap();
        let stop = Stop::default();
        let (stuck, resting, beating) = (stop.for_thread(), stop.for_thread(), stop.for_thread());
        let threads = [("input-stuck", &stuck), ("resting", &resting), ("beating", &beating)];
        let threads = threads.map(|(name, stop)| (name.to_owned(), stop.pulse()));
        let watchdog = Watchdog::new(Duration::from_secs(1), vec![Place::new("idle", 0)]);
        thread::scope(|scope| {
            scope.spawn(|| resting.wait(Duration::from_secs(60)));
            scope.spawn(|| while !beating.is_set() {});
            scope.spawn(|| watchdog.run(&spool, &threads, &stop.for_thread()));
            let deadline = Instant::now() + Duration::from_secs(20);
            while watchdog.stalled().is_empty() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            let stalled: Vec<String> = watchdog.stalled().into_keys().collect();
            let blocking = watchdog.blocks_intake().map(|(part, _)| part);
            stop.set();
            assert_eq!((stalled, blocking), (vec!["input-stuck".to_owned()], Some("input-stuck".to_owned())));
        });
        spool.close();
    }

    #[test]
    fn a_part_with_work_that_stands_still_is_told_once_and_once_more_when_it_moves() {
        let begin = Instant::now();
        let mut watch = Watch::new(Duration::from_secs(10));
        let mut told = Vec::new();
        for (second, marker, has_work) in [
            (0, 5, true),
            (9, 5, true),
            (10, 5, true), // told
            (11, 5, true),
            (30, 6, true), // moves again
            (39, 6, true),
            (40, 6, false), // nothing to do
            (70, 6, false),
            (71, 6, true),
            (79, 6, true),
            (80, 6, true),  // told
            (82, 6, false), // what it had to do is gone
        ] {
            let sample = Sample { part: "output-a".to_owned(), marker, has_work };
            let events = watch.look(begin + Duration::from_secs(second), &[sample]);
            told.extend(events.into_iter().map(|event| (second, matches!(event, Event::Stalled { .. }))));
        }
        assert_eq!(told, [(10, true), (30, false), (80, true), (82, false)]);
    }
}
