//! Measuring how long something takes.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use crate::{client::Client, clock, sample::Rate};

/// Sends a `timer` message when it is dropped or stopped; also when the code it measures panics.
#[derive(Debug)]
#[must_use = "a timer that is not kept measures nothing"]
pub struct Timer {
    client: Client,
    name: String,
    rate: Rate,
    started: Option<Instant>,
}

impl Timer {
    /// Starts to measure, unless `rate` leaves this one out.
    pub(crate) fn start(client: Client, name: &str, rate: Rate) -> Self {
        let started = rate.sample().then(Instant::now);
        Self { client, name: name.to_owned(), rate, started }
    }

    /// Ends the measurement and gives it back; `None` when the timer was sampled out or is disabled.
    pub fn stop(mut self) -> Option<Duration> {
        self.send()
    }

    /// Forgets the measurement: nothing is sent.
    pub fn cancel(mut self) {
        self.started = None;
    }

    fn send(&mut self) -> Option<Duration> {
        let elapsed = self.started.take()?.elapsed();
        self.client.timer_send_sampled(&self.name, elapsed, self.rate);
        Some(elapsed)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.send();
    }
}

/// A moment to measure from, in a word: for the faces of languages, which keep many. Two of them cost half of two
/// `Instant`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick(u64);

impl Tick {
    /// Set in a moment of the system's clock, before the speed of the processor's counter is known.
    const SYSTEM: u64 = 1;

    /// Now.
    #[must_use]
    #[inline]
    pub fn now() -> Self {
        match clock::counter() {
            Some(counter) => Self(counter.raw() << 1),
            None => Self(system_nanos() << 1 | Self::SYSTEM),
        }
    }

    /// How many nanoseconds ago it was.
    #[must_use]
    #[inline]
    pub fn elapsed_nanos(self) -> u64 {
        let start = self.0 >> 1;
        match clock::counter() {
            _ if self.0 & Self::SYSTEM != 0 => system_nanos().saturating_sub(start),
            // Counters of two processors may differ by a little.
            Some(counter) => counter.delta_as_nanos(start, counter.raw().max(start)),
            None => 0,
        }
    }

    /// As a number, which is not 0.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// What [`Tick::to_bits`] gave.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Nanoseconds since the first call.
fn system_nanos() -> u64 {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(FIRST.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds, rounded half up: what a timer message carries.
#[must_use]
pub fn whole_millis(elapsed: Duration) -> i64 {
    i64::try_from((elapsed.as_micros() + 500) / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_measures_before_and_after_the_counter_is_known() {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut known = false;
        while !known && Instant::now() < deadline {
            known = clock::counter().is_some();
            let (started, tick) = (Instant::now(), Tick::from_bits(Tick::now().to_bits()));
            std::thread::sleep(Duration::from_millis(5));
            let (least, most) = (Duration::from_millis(5), started.elapsed());
            let elapsed = Duration::from_nanos(tick.elapsed_nanos());
            // The counter's speed is known to some parts in a thousand.
            assert!(elapsed >= least * 99 / 100 && elapsed <= most * 101 / 100, "{elapsed:?} of {most:?}");
        }
        assert!(known);
    }
}
