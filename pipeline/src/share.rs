//! A share of all messages, chosen by where each comes from: one that is looked at again meets the same fate.

use metlog_core::wire::batch::ProducerId;

use crate::rollup::SampleRate;

/// Which messages are among the share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of all numbers a hash may have, those below are.
    below: u64,
    /// Makes shares of other names independent of this one.
    seed: u64,
}

impl Share {
    /// A share of the size `rate`. Shares of one name take the same messages; those of different names are independent of
    /// each other, so that a tenth of a tenth is a hundredth.
    #[must_use]
    pub fn new(rate: SampleRate, name: &str) -> Self {
        Self { below: below(rate), seed: name.bytes().fold(0xcbf2_9ce4_8422_2325, step) }
    }

    /// Whether the message of this origin is among it.
    #[must_use]
    pub fn takes(&self, producer: ProducerId, sequence: u64) -> bool {
        self.below == u64::MAX || self.hash(&producer.0, sequence) < self.below
    }

    /// A number that depends on nothing but the origin of a message. The last step of SplitMix64 over FNV-1a.
    fn hash(&self, producer: &[u8; 16], sequence: u64) -> u64 {
        let mut hash = producer.iter().copied().chain(sequence.to_le_bytes()).fold(self.seed, step);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

/// One step of 64-bit FNV-1a.
fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The number below which a share of all hashes lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the product is between 0 and u64::MAX, and the conversion saturates"
)]
fn below(rate: SampleRate) -> u64 {
    (rate.get() * u64::MAX as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 100_000;

    fn share(rate: f64, name: &str) -> Share {
        Share::new(SampleRate::new(rate).unwrap(), name)
    }

    fn taken(takes: impl Fn(ProducerId, u64) -> bool) -> u64 {
        let origin = |number: u64| (ProducerId([u8::try_from(number % 7).unwrap(); 16]), number / 7);
        (0..COUNT).map(origin).map(|(producer, sequence)| u64::from(takes(producer, sequence))).sum()
    }

    #[test]
    fn a_share_is_as_large_as_its_rate_and_independent_of_those_of_other_names() {
        let near = |found: u64, wanted: u64| found.abs_diff(wanted) < COUNT / 100;
        for (rate, wanted) in [(1.0, COUNT), (0.5, COUNT / 2), (0.1, COUNT / 10)] {
            let found = taken(|producer, sequence| share(rate, "a").takes(producer, sequence));
            assert!(near(found, wanted), "{rate}: {found}");
        }
        for (other, both) in [("a", COUNT / 2), ("b", COUNT / 4)] {
            let (one, other) = (share(0.5, "a"), share(0.5, other));
            let found =
                taken(|producer, sequence| one.takes(producer, sequence) && other.takes(producer, sequence));
            assert!(near(found, both), "{both}: {found}");
        }
    }
}
