//! The time of a message, cheap: the processor's own counter, set by the system clock twice a second.
//!
//! Measured: a reading costs 13 ns, `SystemTime::now` 34. Between two settings the counter drifts by microseconds; when
//! the system clock is stepped, messages follow within half a second. Learning how fast the counter runs takes up to 200 ms
//! of computing, which no call and not the worker may wait for: a thread of its own does it, and until it has, the system
//! clock is read.

use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

use once_cell::sync::OnceCell;
use quanta::Clock;

use crate::{process, timestamp::Timestamp};

/// How long the counter is trusted.
const SET_AGAIN_NANOS: u64 = 500_000_000;

/// After how long a thread is asked for again: a call must not pay for one each time.
const TRY_AGAIN_SECONDS: i64 = 10;

/// The processor's own counter, once its speed is known. quanta's own `Instant::now` panics in destructors of a thread,
/// where the last calls of an application may come from.
static COUNTER: OnceCell<Clock> = OnceCell::new();

/// The same moment by both clocks.
#[derive(Clone, Copy)]
struct Mark {
    counter: u64,
    wall: Timestamp,
}

/// The counter, if its speed is known; starts to learn it otherwise.
#[inline]
pub(crate) fn counter() -> Option<&'static Clock> {
    COUNTER.get().or_else(learn)
}

#[cold]
fn learn() -> Option<&'static Clock> {
    static LEARNING: Learning = Learning::new();
    LEARNING.begin(process::generation() + 1, Timestamp::now(), || {
        let learn = || drop(COUNTER.set(Clock::new()));
        std::thread::Builder::new().name("metlog-clock".to_owned()).spawn(learn).map(drop)
    });
    None
}

/// Who learns how fast the counter runs.
struct Learning {
    /// The process whose thread does, as its generation and one: a forked child has not inherited the thread.
    process: AtomicU64,
    /// When to try again, in seconds, where the operating system gave no thread.
    again_at: AtomicI64,
}

impl Learning {
    const fn new() -> Self {
        Self { process: AtomicU64::new(0), again_at: AtomicI64::new(0) }
    }

    fn begin(&self, process: u64, now: Timestamp, start: impl FnOnce() -> io::Result<()>) {
        // Every call comes here until the speed is known: they read, and leave the cache line to all.
        if self.process.load(Ordering::Relaxed) == process
            || now.as_seconds() < self.again_at.load(Ordering::Relaxed)
            || self.process.swap(process, Ordering::Relaxed) == process
        {
            return;
        }
        // Without the thread the system clock goes on being read.
        if start().is_err() {
            self.again_at.store(now.as_seconds().saturating_add(TRY_AGAIN_SECONDS), Ordering::Relaxed);
            self.process.store(0, Ordering::Relaxed);
        }
    }
}

thread_local! {
    static MARK: Cell<Option<Mark>> = const { Cell::new(None) };
}

/// The system clock, now, within a millisecond.
pub(crate) fn now() -> Timestamp {
    let Some(clock) = counter() else { return Timestamp::now() };
    let counter = clock.raw();
    if let Some(mark) = MARK.try_with(Cell::get).ok().flatten() {
        // A counter that went back (a machine that slept) is set again.
        if counter >= mark.counter {
            let since = clock.delta_as_nanos(mark.counter, counter);
            if since < SET_AGAIN_NANOS {
                return Timestamp::from_nanos(mark.wall.as_nanos().saturating_add_unsigned(since));
            }
        }
    }
    set(clock)
}

#[cold]
fn set(clock: &Clock) -> Timestamp {
    let mark = Mark { counter: clock.raw(), wall: Timestamp::now() };
    let _a_thread_past_its_destructors_reads_the_system_clock = MARK.try_with(|kept| kept.set(Some(mark)));
    mark.wall
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// It once was never tried again.
    #[test]
    fn a_thread_that_does_not_start_is_tried_again_later() {
        let learning = Learning::new();
        let started = |process, seconds: i64, starts: bool| {
            let mut is_asked = false;
            learning.begin(process, Timestamp::from_nanos(seconds * 1_000_000_000), || {
                is_asked = true;
                if starts { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
            });
            is_asked
        };
        let later = 100 + TRY_AGAIN_SECONDS;
        assert!(started(1, 100, false));
        assert!(!started(1, later - 1, true), "too early");
        assert!(started(1, later, true));
        assert!(!started(1, later + 100, true), "it runs");
        assert!(started(2, later + 100, true), "a forked child has a thread of its own");
    }

    #[test]
    fn it_is_the_system_clock_within_a_millisecond() {
        while counter().is_none() {
            std::thread::yield_now();
        }
        let deadline = std::time::Instant::now() + Duration::from_nanos(3 * SET_AGAIN_NANOS);
        let (mut readings, mut late) = (0_u32, 0_u32);
        while std::time::Instant::now() < deadline {
            // The thread may lose the processor between the readings; what counts is that both ends hold mostly.
            let (before, ours, after) = (Timestamp::now(), now(), Timestamp::now());
            let (low, high) = (before.as_nanos() - 1_000_000, after.as_nanos() + 1_000_000);
            readings += 1;
            late += u32::from(!(low..=high).contains(&ours.as_nanos()));
        }
        assert_eq!(late, 0, "of {readings} readings");
    }
}
