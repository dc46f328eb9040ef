//! Who makes too many names: a number for each source, and the shapes of the names that were refused.

use std::collections::HashMap;

/// Shapes of names that are counted at a time: a new one takes the place of the rarest.
const MAX_FAMILIES: usize = 64;

/// Shapes that are told.
const WORST: usize = 5;

/// Sources that are told apart; those that come later share the last number.
const MAX_SOURCES: u16 = 1_000;

/// Who sent a sample, as a number that is good for one process. The default is nobody in particular.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SourceId(u16);

impl SourceId {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The numbers of all sources.
#[derive(Debug, Clone, Default)]
pub struct Sources(HashMap<String, SourceId>);

impl Sources {
    /// The number of a source: `statsd 10.0.0.7`, `app`.
    pub fn id(&mut self, source: &str) -> SourceId {
        if let Some(known) = self.0.get(source) {
            return *known;
        }
        let next = u16::try_from(self.0.len() + 1).unwrap_or(MAX_SOURCES);
        if next >= MAX_SOURCES {
            return SourceId(MAX_SOURCES);
        }
        self.0.insert(source.to_owned(), SourceId(next));
        SourceId(next)
    }
}

/// Counts of refused samples by the shape of their names: `flood.4711.hits` and `flood.4712.hits` are `flood.#.hits`.
#[derive(Debug, Clone, Default)]
pub(super) struct Families {
    counts: HashMap<String, u64>,
    scratch: String,
}

impl Families {
    /// Counts a refused sample. A shape that takes the rarest one's place takes its count too, so that a frequent one is
    /// never forgotten (Metwally's space-saving counters).
    pub(super) fn add(&mut self, name: &str) {
        shape(name, &mut self.scratch);
        if let Some(count) = self.counts.get_mut(self.scratch.as_str()) {
            *count += 1;
            return;
        }
        let mut count = 1;
        if self.counts.len() >= MAX_FAMILIES {
            let rarest = self.counts.iter().min_by_key(|(_, count)| **count);
            if let Some((rarest, least)) = rarest.map(|(name, count)| (name.clone(), *count)) {
                self.counts.remove(&rarest);
                count += least;
            }
        }
        self.counts.insert(self.scratch.clone(), count);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (family, count) in &other.counts {
            if self.counts.len() < MAX_FAMILIES || self.counts.contains_key(family) {
                *self.counts.entry(family.clone()).or_insert(0) += count;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
    }

    /// The most frequent ones first.
    pub(super) fn worst(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<_> = self.counts.iter().map(|(family, count)| (family.clone(), *count)).collect();
        counts.sort_unstable_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        counts.truncate(WORST);
        counts
    }
}

/// Writes a name with `#` for each part that has a digit; parts end at what is no letter and no digit.
fn shape(name: &str, out: &mut String) {
    out.clear();
    let mut part = 0;
    let mut has_digit = false;
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            has_digit |= letter.is_ascii_digit();
            if has_digit {
                out.truncate(part);
                out.push('#');
            } else {
                out.push(letter);
            }
        } else {
            out.push(letter);
            part = out.len();
            has_digit = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_numbers_have_one_shape() {
        for (name, expected) in [
            ("flood.4711.hits", "flood.#.hits"),
            ("sess.ab12cd-9f.x", "sess.#-#.x"),
            ("web1.requests;host=a2", "#.requests;host=#"),
            ("plain", "plain"),
            ("", ""),
        ] {
            let mut shaped = String::from("left over");
            shape(name, &mut shaped);
            assert_eq!(shaped, expected, "{name}");
        }
    }

    #[test]
    fn a_frequent_shape_is_kept_among_any_number_of_rare_ones() {
        let mut families = Families::default();
        let letters = |number: u32| number.to_string().replace(|digit: char| digit.is_ascii_digit(), "x");
        for number in 0..10_000_u32 {
            families.add("user.1.hits");
            families.add(&format!("{}{}", letters(number), char::from_u32(0x4e00 + number).unwrap()));
        }
        assert_eq!(families.counts.len(), MAX_FAMILIES);
        assert_eq!(families.worst()[0], ("user.#.hits".to_owned(), 10_000));
        assert_eq!(families.worst().len(), WORST);
    }

    #[test]
    fn sources_beyond_the_bound_share_one_number() {
        let mut sources = Sources::default();
        let first = sources.id("a");
        assert_eq!((sources.id("a"), first), (first, SourceId(1)));
        for number in 0..5_000 {
            sources.id(&number.to_string());
        }
        assert_eq!(sources.id("x"), sources.id("y"));
        assert_eq!(sources.id("a"), first);
    }
}
