//! Sets of sequence numbers, kept as ranges: small while numbers arrive mostly in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of `u64`, stored as disjoint ranges that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds the numbers `start..end`; gives back how many of them are new.
    pub fn insert(&mut self, start: u64, end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        let (mut low, mut high) = (start, end);
        let mut known = 0;
        // Every range that overlaps or touches start..end begins at or before `end`.
        while let Some((&first, &last)) = self.0.range(..=high).next_back().filter(|(_, last)| **last >= low)
        {
            known += last.min(end).saturating_sub(first.max(start));
            low = low.min(first);
            high = high.max(last);
            self.0.remove(&first);
        }
        self.0.insert(low, high);
        end - start - known
    }

    /// True when all of `start..end` is in the set.
    #[must_use]
    pub fn contains(&self, start: u64, end: u64) -> bool {
        start >= end || self.0.range(..=start).next_back().is_some_and(|(_, last)| *last >= end)
    }

    /// How many numbers the set has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// The number after the highest one, 0 for the empty set.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// The ranges below [`Ranges::end`] that are not in the set, as `start..end` pairs.
    #[must_use]
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let mut from = 0;
        let mut gaps = Vec::new();
        for (&start, &end) in &self.0 {
            if start > from {
                gaps.push((from, start));
            }
            from = end;
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_a_set(inserts in proptest::collection::vec((0_u64..60, 0_u64..12), 0..40)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (start, length) in inserts {
                let news = (start..start + length).filter(|number| model.insert(*number)).count();
                prop_assert_eq!(ranges.insert(start, start + length), u64::try_from(news).unwrap());
                prop_assert!(ranges.contains(start, start + length));
            }
            prop_assert_eq!(ranges.count(), u64::try_from(model.len()).unwrap());
            prop_assert_eq!(ranges.end(), model.last().map_or(0, |last| last + 1));
            let missing: Vec<u64> = ranges.gaps().into_iter().flat_map(|(start, end)| start..end).collect();
            let expected: Vec<u64> = (0..ranges.end()).filter(|number| !model.contains(number)).collect();
            prop_assert_eq!(missing, expected);
            for (&start, &end) in &ranges.0 {
                prop_assert!(start < end && !ranges.0.contains_key(&end), "ranges touch");
            }
        }
    }
}
