//! What becomes of one message.

use super::bits::Bits;

/// The outputs that one message goes to, by their position in the configuration, and what is changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decision {
    pub(super) outputs: Bits,
    /// Changes to make, by their position among all changes.
    pub(super) changes: Bits,
    /// The first route that would have taken it, had it been among its share.
    pub(super) sampled: Option<usize>,
    /// Whether the aggregator merges it, so that it goes no further.
    pub(super) is_consumed: bool,
}

impl Decision {
    /// The output that accounts for the message in the ledger: the first in the configuration. `None` when the
    /// message goes nowhere.
    #[must_use]
    pub fn principal(self) -> Option<usize> {
        self.outputs().next()
    }

    #[cfg(test)]
    pub(super) fn to(positions: &[usize]) -> Self {
        Self { outputs: positions.iter().copied().collect(), ..Self::default() }
    }

    /// Whether the message goes to the output at `position`.
    #[must_use]
    pub fn contains(self, position: usize) -> bool {
        self.outputs.contains(position)
    }

    /// Positions of the outputs, lowest first.
    pub fn outputs(self) -> impl Iterator<Item = usize> {
        self.outputs.iter()
    }

    /// Whether the message goes nowhere.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.outputs.is_empty()
    }
}
