//! What the kernel has dropped of datagrams for which a socket had no room.

use std::{
    os::fd::RawFd,
    time::{Duration, Instant},
};

use metlog_pipeline::counters::Counters;

use super::statsd::dropped;

/// How often the kernel is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts what one socket of an input has lost.
pub(super) struct Drops {
    input: &'static str,
    counters: Counters,
    told: u32,
    asked: Instant,
    /// True when something has come since the kernel was asked.
    is_open: bool,
}

impl Drops {
    /// From now on; what a kept socket lost before has been told.
    pub(super) fn new(socket: RawFd, input: &'static str, counters: Counters) -> Self {
        let told = dropped(socket).unwrap_or(0);
        Self { input, counters, told, asked: Instant::now(), is_open: false }
    }

    /// Something has come. The kernel is asked once in a while.
    pub(super) fn received(&mut self, socket: RawFd) {
        self.is_open = true;
        if self.asked.elapsed() >= INTERVAL {
            self.tell(socket);
        }
    }

    /// How long nothing has to come until the kernel is asked; nothing when it has told all.
    pub(super) fn due(&self) -> Option<Duration> {
        self.is_open.then(|| INTERVAL.saturating_sub(self.asked.elapsed()))
    }

    /// Asks the kernel, and counts.
    pub(super) fn tell(&mut self, socket: RawFd) {
        self.asked = Instant::now();
        self.is_open = false;
        let Some(now) = dropped(socket) else { return };
        let more = now.wrapping_sub(std::mem::replace(&mut self.told, now));
        if more > 0 {
            self.counters.add("input_kernel_dropped", &[("input", self.input)], more.into());
        }
    }
}
