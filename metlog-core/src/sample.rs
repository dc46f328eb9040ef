//! Sampling: sending a share of the calls.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

/// The share of calls that are sent, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// Every call.
    pub const ALL: Self = Self(1.0);

    /// No call.
    pub const NONE: Self = Self(0.0);

    /// The share `rate`; below 0 is none, above 1 or no number at all is every call.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        if rate.is_nan() { Self::ALL } else { Self(rate.clamp(0.0, 1.0)) }
    }

    /// The number, as it travels in `fields.rate`.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Throws the dice for one call.
    #[must_use]
    pub fn sample(self) -> bool {
        self.0 >= 1.0 || (self.0 > 0.0 && uniform() < self.0)
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::ALL
    }
}

/// A number in [0, 1) from a generator of this thread (xorshift64*, Vigna 2016: good enough for sampling and jitter, not
/// for secrets).
#[must_use]
pub fn uniform() -> f64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(()) | 1);
    }
    let bits = STATE.try_with(|state| {
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    });
    // 53 bits fill the mantissa of a double.
    #[expect(clippy::cast_precision_loss, reason = "both are below 2^53")]
    bits.map_or(0.0, |bits| (bits >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_sends_its_share() {
        for (rate, low, high) in
            [(0.0, 0, 0), (-1.0, 0, 0), (0.1, 800, 1_200), (1.0, 10_000, 10_000), (7.0, 10_000, 10_000)]
        {
            let rate = Rate::new(rate);
            let sent = (0..10_000).filter(|_| rate.sample()).count();
            assert!((low..=high).contains(&sent), "{rate:?}: {sent}");
        }
        assert!(Rate::new(f64::NAN).sample());
    }
}
