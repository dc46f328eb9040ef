//! The names of one client and what is flushed of them; rebuilt in a forked child at its first call.
//!
//! Locks, none held while another is taken but `entries` over `inbox`: `names` while a name is looked up or added,
//! `inbox` while a series is put onto the list, `entries` for a whole flush, which no call waits for.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    counter::{Counter, CounterEntry, Counters},
    gauge::{self, Gauge, GaugeCell},
    message::Aggregate,
    names::{self, Kind, Names},
    series::{Handle, Series},
    threads,
    timer::{Running, Timer, TimerEntry, Timers},
};
use crate::{
    client::{Count, close_all},
    config::EXIT_TIMEOUT,
    process,
};

/// Where names go that a client has no room for.
pub const OVERFLOW_NAME: &str = "metlog.overflow";

/// The counter of calls that went to [`OVERFLOW_NAME`].
pub const OVERFLOW_CALLS: &str = "metlog.overflow.calls";

/// Longer names go to [`OVERFLOW_NAME`]: with `max_names` of them this bounds what names cost.
pub(super) const MAX_NAME_BYTES: usize = 1_024;

/// Names clients for the threads' caches; never reused.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A series on the list of what is flushed.
pub(super) enum Entry {
    Counter(CounterEntry),
    Gauge(Arc<Series<GaugeCell>>),
    Timer(Box<TimerEntry>),
}

impl From<Arc<Series<Counters>>> for Entry {
    fn from(series: Arc<Series<Counters>>) -> Self {
        Self::Counter(CounterEntry::new(series))
    }
}

impl From<Arc<Series<GaugeCell>>> for Entry {
    fn from(series: Arc<Series<GaugeCell>>) -> Self {
        Self::Gauge(series)
    }
}

impl From<Arc<Series<Timers>>> for Entry {
    fn from(series: Arc<Series<Timers>>) -> Self {
        Self::Timer(Box::new(TimerEntry::new(series)))
    }
}

/// The counters, gauges and timers of one client. Clones are the same.
#[derive(Clone)]
pub struct Aggregates(Arc<Inner>);

pub(super) struct Inner {
    id: u64,
    max_names: usize,
    on_use: Box<dyn Fn() + Send + Sync>,
    live: ArcSwap<Live>,
}

/// The part that belongs to one process.
struct Live {
    generation: u64,
    /// Threads with lower numbers are the parent's.
    base: usize,
    used: AtomicBool,
    names: Mutex<Names>,
    inbox: Mutex<Vec<Entry>>,
    entries: Mutex<Vec<Entry>>,
}

/// A poisoned lock only says that a thread panicked; what it guards here is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    fn new(names: Names) -> Self {
        Self {
            generation: process::generation(),
            base: threads::base(),
            used: AtomicBool::new(false),
            names: Mutex::new(names),
            inbox: Mutex::default(),
            entries: Mutex::default(),
        }
    }
}

impl Inner {
    fn live(&self) -> Arc<Live> {
        let live = self.live.load();
        if live.generation == process::generation() {
            return Arc::clone(&live);
        }
        // In a forked child. The names are the parent's if no thread was about to change them; what the parent has
        // to flush is left alone.
        let names = live.names.try_lock().map(|names| names.clone()).unwrap_or_default();
        // Leaked, and all its series with it: of what other threads were about to change nothing may be freed.
        std::mem::forget(Arc::clone(&live));
        // Of several threads that come here at once, one wins.
        self.live.compare_and_swap(&*live, Arc::new(Live::new(names)));
        self.live.load_full()
    }

    /// Runs `change` on the list of what will be flushed; says so to the owner when it is the first of this process.
    pub(super) fn list(&self, change: impl FnOnce(&mut Vec<Entry>)) {
        let live = self.live();
        change(&mut lock(&live.inbox));
        if !live.used.swap(true, Ordering::Relaxed) {
            (self.on_use)();
        }
    }
}

impl Aggregates {
    /// At most `max_names` names. `on_use` runs at the first use of any of them, in each process: from then on somebody
    /// has to call [`Aggregates::flush`].
    #[must_use]
    pub fn new(max_names: usize, on_use: impl Fn() + Send + Sync + 'static) -> Self {
        // The first hook stays: this is the one that a client would install.
        process::install_hooks(|| close_all(EXIT_TIMEOUT));
        Self(Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            max_names,
            on_use: Box::new(on_use),
            live: ArcSwap::from_pointee(Live::new(Names::default())),
        }))
    }

    /// The counter `name`.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        Counter(self.handle(name))
    }

    /// The gauge `name`.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Gauge {
        Gauge(self.handle(name))
    }

    /// The timer `name`.
    #[must_use]
    pub fn timer(&self, name: &str) -> Timer {
        Timer(self.handle(name))
    }

    /// Counts `count` under `name`.
    #[inline]
    pub fn incr(&self, name: &str, count: i64) {
        self.by_name(name, |counter: &Arc<Series<Counters>>| counter.add(count));
    }

    /// Counts `count` under `name`, whole or not.
    pub fn incr_count(&self, name: &str, count: Count) {
        self.by_name(name, |counter: &Arc<Series<Counters>>| counter.add_count(count));
    }

    /// Sets the gauge `name`.
    pub fn set(&self, name: &str, value: f64) {
        self.by_name(name, |gauge: &Arc<Series<GaugeCell>>| gauge.set(value));
    }

    /// Adds a time to the timer `name`.
    pub fn record(&self, name: &str, elapsed: Duration) {
        self.by_name(name, |timer: &Arc<Series<Timers>>| timer.record(elapsed));
    }

    /// Adds a time in milliseconds to the timer `name`.
    pub fn record_millis(&self, name: &str, millis: f64) {
        self.by_name(name, |timer: &Arc<Series<Timers>>| timer.record_millis(millis));
    }

    /// Measures under `name` until the guard is stopped or dropped.
    pub fn start(&self, name: &str) -> Running<Timer> {
        let mut timer = None;
        // A call that overflows is counted at its end.
        names::with_cached(self.0.id, name, |series| {
            timer = Some(Timer(Handle { series: Arc::clone(series), overflow: None }));
        });
        Running::start(timer.unwrap_or_else(|| Timer(self.look_up(name))))
    }

    /// Gives what was added since the last flush, a name at a time. `emit` says whether it has taken it: what it has
    /// not stays for the next flush. Another flush at the same time waits for this one.
    pub fn flush(&self, emit: &mut dyn FnMut(&Aggregate<'_>) -> bool) {
        let live = self.0.live();
        let mut entries = lock(&live.entries);
        entries.append(&mut lock(&live.inbox));
        for entry in entries.iter_mut() {
            match entry {
                Entry::Counter(counter) => counter.flush(live.base, emit),
                Entry::Gauge(series) => gauge::flush(series, emit),
                Entry::Timer(timer) => timer.flush(live.base, emit),
            }
        }
    }

    /// True once anything was added in this process: there may be something to flush.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.0.live().used.load(Ordering::Relaxed)
    }

    /// How many names there are, the overflow's own included.
    #[must_use]
    pub fn names(&self) -> usize {
        lock(&self.0.live().names).len()
    }

    /// How many calls went to [`OVERFLOW_NAME`] in this process, up to the last flush.
    #[must_use]
    pub fn overflowed(&self) -> i64 {
        let live = self.0.live();
        let entries = lock(&live.entries);
        let calls = entries.iter().find_map(|entry| match entry {
            Entry::Counter(counter) if counter.name() == OVERFLOW_CALLS => Some(counter.total(live.base)),
            _ => None,
        });
        calls.unwrap_or(0)
    }

    /// Runs `work` with the series of `name`, which this thread knows after the first time.
    #[inline]
    fn by_name<C: Kind>(&self, name: &str, work: impl Fn(&Arc<Series<C>>)) {
        if !names::with_cached(self.0.id, name, &work) {
            work(self.look_up(name).called());
        }
    }

    #[cold]
    fn look_up<C: Kind>(&self, name: &str) -> Handle<C> {
        let handle = self.handle::<C>(name);
        if handle.overflow.is_none() {
            names::cache(self.0.id, &self.0, Arc::clone(&handle.series));
        }
        handle
    }

    fn handle<C: Kind>(&self, name: &str) -> Handle<C> {
        let live = self.0.live();
        let mut names = lock(&live.names);
        if let Some(series) = C::of(&names).get(name) {
            return Handle { series: Arc::clone(series), overflow: None };
        }
        if names.len() < self.0.max_names && name.len() <= MAX_NAME_BYTES {
            return Handle { series: self.series(&mut names, name), overflow: None };
        }
        let series = self.series(&mut names, OVERFLOW_NAME);
        Handle { series, overflow: Some(self.series(&mut names, OVERFLOW_CALLS)) }
    }

    fn series<C: Kind>(&self, names: &mut Names, name: &str) -> Arc<Series<C>> {
        let series =
            C::of_mut(names).entry(name.into()).or_insert_with(|| Series::new(name, Arc::downgrade(&self.0)));
        Arc::clone(series)
    }
}

impl fmt::Debug for Aggregates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregates").field("max_names", &self.0.max_names).finish_non_exhaustive()
    }
}
