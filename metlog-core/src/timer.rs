//! Measuring how long something takes.

use std::time::{Duration, Instant};

use crate::{client::Client, sample::Rate};

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

/// Milliseconds, rounded half up: what a timer message carries.
#[must_use]
pub fn whole_millis(elapsed: Duration) -> i64 {
    i64::try_from((elapsed.as_micros() + 500) / 1_000).unwrap_or(i64::MAX)
}
