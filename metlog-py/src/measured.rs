//! What one timer has measured in each thread: the starts that have no end yet, and the last result.
//!
//! Most timers live for one block in one thread. Theirs lie in three numbers, which cost no lock and no memory of their
//! own; what nests, or comes from a second thread, goes to a list behind a lock.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use metlog_core::{client::Count, timer::Tick};

use crate::calls;

/// No result yet.
const NONE: i64 = i64::MIN;

static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Names this thread; never given again.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// Stands for this thread: a reference to it tells whether the thread still runs.
    static ALIVE: Arc<()> = Arc::default();
}

/// Callers hold the interpreter's lock, so that no two of them are here at once.
pub(crate) struct Measured {
    /// The thread that came first, 0 for none; the others are only its own.
    thread: AtomicU64,
    /// As [`now`] has it, 0 for none.
    start: AtomicU64,
    result: AtomicI64,
    more: OnceLock<Box<Mutex<Vec<OfThread>>>>,
}

/// What does not fit above.
struct OfThread {
    thread: u64,
    alive: Weak<()>,
    starts: Vec<u64>,
    result: i64,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            thread: AtomicU64::new(0),
            start: AtomicU64::new(0),
            result: AtomicI64::new(NONE),
            more: OnceLock::new(),
        }
    }
}

/// This moment, as a number that is not 0.
#[inline]
fn now() -> u64 {
    Tick::now().to_bits()
}

#[inline]
#[expect(clippy::cast_precision_loss, reason = "a time beyond 2^53 ns needs no last digit")]
fn millis(start: u64) -> f64 {
    Tick::from_bits(start).elapsed_nanos() as f64 / 1e6
}

/// Whole milliseconds, as the messages have them.
#[inline]
pub(crate) fn whole(elapsed: f64) -> i64 {
    calls::millis(Count::Float(elapsed))
}

#[inline]
fn this_thread() -> u64 {
    NUMBER
        .try_with(|number| {
            if number.get() == 0 {
                number.set(NEXT_THREAD.fetch_add(1, Relaxed));
            }
            number.get()
        })
        .unwrap_or(0)
}

impl Measured {
    /// Begins a measurement of this thread; gives back what [`Self::end_of`] ends it by.
    #[inline]
    pub(crate) fn begin(&self) -> u64 {
        let (thread, start) = (this_thread(), now());
        if self.thread.load(Relaxed) == 0 {
            self.thread.store(thread, Relaxed);
        }
        if self.thread.load(Relaxed) == thread && self.start.load(Relaxed) == 0 {
            self.start.store(start, Relaxed);
        } else {
            self.with_more(thread, |mine| mine.starts.push(start));
        }
        start
    }

    /// Ends the innermost measurement of this thread and keeps it as the result; gives back its milliseconds.
    #[inline]
    pub(crate) fn end(&self) -> Option<f64> {
        let thread = this_thread();
        let elapsed = millis(self.take(thread)?);
        self.keep_of(thread, elapsed);
        Some(elapsed)
    }

    /// Ends the measurement of this thread that began at `start`, whatever began after it, and keeps it as the result:
    /// greenlets of one thread end in any order. Gives back its milliseconds.
    pub(crate) fn end_of(&self, start: u64) -> f64 {
        let elapsed = millis(start);
        let thread = this_thread();
        if self.thread.load(Relaxed) == thread && self.start.load(Relaxed) == start {
            self.start.store(0, Relaxed);
        } else {
            self.with_more(thread, |mine| {
                if let Some(place) = mine.starts.iter().rposition(|begun| *begun == start) {
                    mine.starts.remove(place);
                }
            });
        }
        self.keep_of(thread, elapsed);
        elapsed
    }

    #[inline]
    fn take(&self, thread: u64) -> Option<u64> {
        if self.has_more()
            && let Some(start) = self.with_more(thread, |mine| mine.starts.pop())
        {
            return Some(start);
        }
        let start = self.start.load(Relaxed);
        if self.thread.load(Relaxed) != thread || start == 0 {
            return None;
        }
        // Not an exchange, which costs as much as the rest of this: nobody else is here.
        self.start.store(0, Relaxed);
        Some(start)
    }

    /// How many nanoseconds the innermost measurement of this thread has lasted.
    pub(crate) fn lasts(&self) -> Option<u64> {
        let thread = this_thread();
        let inner = || self.with_more(thread, |mine| mine.starts.last().copied());
        let inner = self.has_more().then(inner).flatten();
        let outer = || (self.thread.load(Relaxed) == thread).then(|| self.start.load(Relaxed));
        let start = inner.or_else(outer).filter(|start| *start != 0)?;
        Some(Tick::from_bits(start).elapsed_nanos())
    }

    /// Keeps a time in milliseconds as the last result of this thread.
    pub(crate) fn keep(&self, elapsed: f64) {
        self.keep_of(this_thread(), elapsed);
    }

    #[inline]
    fn keep_of(&self, thread: u64, elapsed: f64) {
        let result = whole(elapsed);
        if self.thread.load(Relaxed) == 0 {
            self.thread.store(thread, Relaxed);
        }
        if self.thread.load(Relaxed) == thread {
            self.result.store(result, Relaxed);
        } else {
            self.with_more(thread, |mine| mine.result = result);
        }
    }

    /// The last result of this thread.
    pub(crate) fn result(&self) -> Option<i64> {
        let thread = this_thread();
        let result = if self.thread.load(Relaxed) == thread {
            self.result.load(Relaxed)
        } else if self.has_more() {
            self.with_more(thread, |mine| mine.result)
        } else {
            NONE
        };
        (result != NONE).then_some(result)
    }

    #[inline]
    fn has_more(&self) -> bool {
        self.more.get().is_some()
    }

    #[cold]
    fn with_more<T>(&self, thread: u64, work: impl FnOnce(&mut OfThread) -> T) -> T {
        let more = self.more.get_or_init(Box::default);
        let mut more: MutexGuard<'_, Vec<OfThread>> = more.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = more.iter_mut().find(|known| known.thread == thread) {
            return work(mine);
        }
        // Those of threads that have ended leave when a new one comes.
        more.retain(|known| known.alive.strong_count() > 0);
        let alive = ALIVE.try_with(Arc::downgrade).unwrap_or_default();
        let mut mine = OfThread { thread, alive, starts: Vec::new(), result: NONE };
        let done = work(&mut mine);
        more.push(mine);
        done
    }
}
