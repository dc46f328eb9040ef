//! Bounds of the hand-off and of a batch.

use std::time::Duration;

use crate::{
    error::Error,
    wire::{MAX_MESSAGE_BYTES, batch::MAX_BATCH_BYTES},
};

/// How long the hooks at the end of a process wait for what is left.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest `batch_bytes`: a batch is over it by up to one message, and the same again is left for its header.
pub const MAX_BODY_BYTES: usize = MAX_BATCH_BYTES - 2 * MAX_MESSAGE_BYTES;

/// The longest interval: a day. What is longer is a unit mistaken, and may be past the end of the clock.
pub const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Bounds of the hand-off and of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Encoded messages the hand-off holds before it refuses more; 4 MiB by default.
    pub queue_bytes: usize,
    /// A batch leaves when its body has this many bytes; 64 KiB by default, at most [`MAX_BODY_BYTES`].
    pub batch_bytes: usize,
    /// A batch leaves when it has this many messages; 1,024 by default.
    pub batch_messages: u64,
    /// A batch leaves when its first message has waited this long; 10 ms by default.
    pub batch_age: Duration,
    /// True sums `incr`, gauges and timers in the process and sends one message a name and interval instead of one a
    /// call; false by default, as the originals. Handles (`Client::counter`) sum in any case.
    pub aggregate: bool,
    /// How often sums leave; 10 s by default.
    pub aggregate_interval: Duration,
    /// Names that are summed one by one; 10,000 by default. Further ones share a series that says so.
    pub max_names: usize,
    /// How often the client's own books leave as a message of type `metlog.stats`; 60 s by default, 0 for never.
    pub stats_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_bytes: 4 * 1024 * 1024,
            batch_bytes: 64 * 1024,
            batch_messages: 1_024,
            batch_age: Duration::from_millis(10),
            aggregate: false,
            aggregate_interval: Duration::from_secs(10),
            max_names: 10_000,
            stats_interval: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    pub fn check(&self) -> Result<(), Error> {
        let zeros = [
            ("queue_bytes", self.queue_bytes == 0),
            ("batch_bytes", self.batch_bytes == 0),
            ("batch_messages", self.batch_messages == 0),
            ("aggregate_interval", self.aggregate_interval.is_zero()),
        ];
        if let Some((name, _)) = zeros.into_iter().find(|(_, zero)| *zero) {
            return Err(Error::config(format!("{name} is 0, expected at least 1")));
        }
        if self.batch_bytes > MAX_BODY_BYTES {
            let found = self.batch_bytes;
            return Err(Error::config(format!("batch_bytes is {found}, expected at most {MAX_BODY_BYTES}")));
        }
        let intervals = [
            ("batch_age", self.batch_age),
            ("aggregate_interval", self.aggregate_interval),
            ("stats_interval", self.stats_interval),
        ];
        match intervals.into_iter().find(|(_, time)| *time > MAX_INTERVAL) {
            Some((name, time)) => {
                Err(Error::config(format!("{name} is {} s, expected at most a day", time.as_secs())))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named() {
        let with = Settings::default();
        let table = [
            (Settings { batch_bytes: 0, ..with }, "batch_bytes is 0, expected at least 1"),
            (
                Settings { batch_bytes: 1 << 30, ..with },
                "batch_bytes is 1073741824, expected at most 2097152",
            ),
            (
                Settings { batch_age: Duration::MAX, ..with },
                "batch_age is 18446744073709551615 s, expected at most a day",
            ),
        ];
        for (settings, expected) in table {
            assert_eq!(settings.check().unwrap_err().to_string(), expected);
        }
        let never = Settings { stats_interval: Duration::ZERO, batch_age: Duration::ZERO, ..with };
        assert!(never.check().is_ok());
    }
}
