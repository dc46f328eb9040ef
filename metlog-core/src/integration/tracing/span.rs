//! What is kept of a span while it is open, among the registry's extensions.
//!
//! Several layers share it: what one has done to it, the others do again, and that changes nothing.

use std::time::{Duration, Instant};

/// An open span.
pub(super) struct OpenSpan {
    opened: Instant,
    /// How often it is entered at this moment: by several threads, or by several layers.
    entered: usize,
    /// Since when it is entered.
    since: Instant,
    busy: Duration,
    pub(super) fields: KeptFields,
}

impl OpenSpan {
    pub(super) fn new(fields: KeptFields) -> Self {
        let now = Instant::now();
        Self { opened: now, entered: 0, since: now, busy: Duration::ZERO, fields }
    }

    pub(super) fn enter(&mut self) {
        if self.entered == 0 {
            self.since = Instant::now();
        }
        self.entered += 1;
    }

    pub(super) fn exit(&mut self) {
        self.entered = self.entered.saturating_sub(1);
        if self.entered == 0 {
            self.busy += self.since.elapsed();
        }
    }

    /// How long it has been open.
    pub(super) fn total(&self) -> Duration {
        self.opened.elapsed()
    }

    /// For how much of that a thread was in it.
    pub(super) fn busy(&self) -> Duration {
        self.busy
    }
}

/// Fields of a span, each name once, encoded one after another.
#[derive(Default)]
pub(super) struct KeptFields {
    /// Names, and how many bytes name and value have.
    pub(super) lengths: Vec<(&'static str, usize)>,
    pub(super) pairs: Vec<u8>,
}

impl KeptFields {
    /// Sets fields; those known by their names already are replaced.
    pub(super) fn merge(&mut self, later: Self) {
        for (name, _) in &later.lengths {
            self.remove(name);
        }
        self.lengths.extend(later.lengths);
        self.pairs.extend(later.pairs);
    }

    fn remove(&mut self, name: &str) {
        let Some(place) = self.lengths.iter().position(|(known, _)| *known == name) else { return };
        let start: usize = self.lengths.iter().take(place).map(|(_, length)| length).sum();
        let (_, length) = self.lengths.remove(place);
        self.pairs.drain(start..start + length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &str)]) -> KeptFields {
        KeptFields {
            lengths: pairs.iter().map(|(name, pair)| (*name, pair.len())).collect(),
            pairs: pairs.iter().flat_map(|(_, pair)| pair.bytes()).collect(),
        }
    }

    #[test]
    fn a_field_that_is_set_again_is_kept_once() {
        let mut kept = fields(&[("a", "a1"), ("b", "b-one"), ("c", "c1")]);
        for _ in 0..100 {
            kept.merge(fields(&[("b", "b2"), ("d", "d1")]));
        }
        assert_eq!(kept.pairs, b"a1c1b2d1");
        assert_eq!(kept.lengths, [("a", 2), ("c", 2), ("b", 2), ("d", 2)]);
    }
}
