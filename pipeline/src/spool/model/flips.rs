//! Bits that turn over at rest.

use super::records::record_at;
use super::{HEADER_LENGTH, Model};

impl Model {
    /// Damages a segment that is at rest, and forgives what that hits.
    pub(super) fn flip_a_bit(&mut self) {
        let segments = self.system.segments();
        if segments.is_empty() {
            return;
        }
        let index = self.random.below(segments.len());
        let (first, path) = &segments[index];
        let next = segments.get(index + 1).map_or(u64::MAX, |(next, _)| *next);
        let content = self.system.content(path).unwrap_or_default();
        // Headers are short, and cost the most.
        let aim = if self.random.one_in(3) { HEADER_LENGTH.min(content.len()) } else { content.len() };
        let at = self.random.below(aim);
        if content.is_empty() || !self.system.at_rest(path) || !self.flipped.insert((path.clone(), at)) {
            return;
        }
        self.system.flip(path, at, self.random.below(8));
        self.tally.flips += 1;
        if at >= HEADER_LENGTH {
            self.forgiven.extend(record_at(&content, at));
        } else {
            self.forgiven.extend(self.acknowledged.range(first..&next).map(|(ordinal, _)| *ordinal));
        }
        let beheaded = at < HEADER_LENGTH || self.beheaded.contains_key(path);
        if beheaded && content.len() >= HEADER_LENGTH {
            self.beheaded.extend(self.system.content(path).map(|content| (path.clone(), content)));
        }
    }
}
