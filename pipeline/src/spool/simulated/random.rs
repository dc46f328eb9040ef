//! Numbers that look random and repeat with their seed.

/// `SplitMix64`.
#[derive(Debug, Clone)]
pub(in crate::spool) struct Random(pub(in crate::spool) u64);

impl Random {
    pub(in crate::spool) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(in crate::spool) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    pub(in crate::spool) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}
