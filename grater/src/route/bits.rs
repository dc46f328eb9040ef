//! A small set of positions: outputs, tags or changes.

use std::fmt;

/// How many positions there are.
pub(super) const MAX_BITS: usize = u128::BITS as usize;

/// Positions from 0 to [`MAX_BITS`], a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bits(u128);

impl Bits {
    /// Whether `position` is among them.
    pub(super) fn contains(self, position: usize) -> bool {
        bit(position) & self.0 != 0
    }

    /// Positions, lowest first.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let position = usize::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
            left &= left - 1; // takes the lowest bit away
            Some(position)
        })
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is in both.
    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn insert(&mut self, position: usize) {
        self.0 |= bit(position);
    }
}

fn bit(position: usize) -> u128 {
    u32::try_from(position).ok().and_then(|position| 1_u128.checked_shl(position)).unwrap_or(0)
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        Self(positions.into_iter().fold(0, |bits, position| bits | bit(position)))
    }
}
