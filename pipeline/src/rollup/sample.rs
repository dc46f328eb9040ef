//! One sample as it enters the roll-up, whatever input it came by.

use metlog_core::sketch::Sketch;

/// One measured value for a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample<'a> {
    /// Added to the name's total.
    Counter {
        /// What to add; may be negative.
        value: f64,
        /// The share of events that was sent.
        rate: SampleRate,
    },
    /// One duration or other observation, of which the spread is wanted.
    Timer {
        /// Milliseconds, by convention.
        value: f64,
        /// The share of events that was sent.
        rate: SampleRate,
    },
    /// Many observations that a client has sketched.
    Sketch {
        /// Their spread, in the unit of timers.
        sketch: &'a Sketch,
        /// How many events they stand for.
        events: f64,
    },
    /// The present value of something.
    Gauge {
        /// The new value, or the change when `delta` is set.
        value: f64,
        /// Whether the value is added to the gauge instead of replacing it.
        delta: bool,
    },
    /// One member of a set, of which the number of distinct members is wanted.
    Set {
        /// The member.
        member: &'a str,
    },
}

/// A sampling rate, `0 < rate <= 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRate(f64);

impl SampleRate {
    /// Every event was sent.
    pub const ONE: Self = Self(1.0);

    /// A rate, or nothing when it is outside `0 < rate <= 1` or not a number.
    pub fn new(rate: f64) -> Option<Self> {
        (rate > 0.0 && rate <= 1.0).then_some(Self(rate))
    }

    /// The rate as a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// How many events one sent sample stands for. Infinite for rates below `1 / f64::MAX`.
    pub fn weight(self) -> f64 {
        1.0 / self.0
    }
}

#[cfg(test)]
mod tests {
    use super::SampleRate;

    #[test]
    fn a_rate_is_above_zero_and_at_most_one() {
        for (given, valid) in [
            (1.0, true),
            (0.1, true),
            (f64::MIN_POSITIVE, true),
            (0.0, false),
            (-0.0, false),
            (-0.5, false),
            (1.000_001, false),
            (f64::INFINITY, false),
            (f64::NAN, false),
        ] {
            assert_eq!(SampleRate::new(given).is_some(), valid, "{given}");
        }
    }
}
