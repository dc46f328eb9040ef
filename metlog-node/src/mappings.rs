//! The mappings of a source map: lines behind `;`, segments behind `,`, each one to five numbers in base 64, the lowest
//! five bits first, each the difference to the one before it:
//!
//! ```text
//! AAAA,GAAG;AACA    column, source, line in it, column in it, name
//! ```
//!
//! A map has up to a million segments of which an event needs a few, so they are not kept: one pass finds all places.

/// A place in a file, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Where a place comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Its place among the map's sources.
    pub(crate) source: usize,
    pub(crate) place: Place,
}

/// Running values of the columns of a segment.
#[derive(Default)]
struct Segment {
    column: i64,
    source: i64,
    line: i64,
    original_column: i64,
}

/// What each of the places comes from: the segment of its line that is the last one to begin at it or before. Nothing for
/// mappings that are broken.
pub(crate) fn find(mappings: &str, places: &[Place]) -> Option<Vec<Option<Found>>> {
    let mut found: Vec<Option<(i64, Found)>> = vec![None; places.len()];
    let last = places.iter().map(|place| place.line).max().unwrap_or(0);
    let mut segment = Segment::default();
    for (line, segments) in (0..=last).zip(mappings.split(';')) {
        segment.column = 0;
        let is_asked_for = places.iter().any(|place| place.line == line);
        for text in segments.split(',').filter(|text| !text.is_empty()) {
            let has_source = segment.advance(text)?;
            if is_asked_for && has_source {
                segment.offer(line, places, &mut found);
            }
        }
    }
    Some(found.into_iter().map(|found| found.map(|(_, found)| found)).collect())
}

impl Segment {
    /// Adds the next segment's differences; true when it names a source. Nothing when it is broken.
    fn advance(&mut self, text: &str) -> Option<bool> {
        let mut rest = text.bytes();
        let mut next = || number(&mut rest);
        self.column += next()?;
        let Some(source) = next() else { return Some(false) };
        self.source += source;
        self.line += next()?;
        self.original_column += next()?;
        Some(true)
    }

    /// Keeps the segment for the places it fits better than what they have.
    fn offer(&self, line: u32, places: &[Place], found: &mut [Option<(i64, Found)>]) {
        for (place, found) in places.iter().zip(found) {
            let fits = place.line == line && self.column <= i64::from(place.column);
            let is_better = found.is_none_or(|(column, _)| column <= self.column);
            if let (true, true, Some(ours)) = (fits, is_better, self.found()) {
                *found = Some((self.column, ours));
            }
        }
    }

    fn found(&self) -> Option<Found> {
        let line = u32::try_from(self.line).ok()?;
        let column = u32::try_from(self.original_column).ok()?;
        Some(Found { source: usize::try_from(self.source).ok()?, place: Place { line, column } })
    }
}

/// The next number; nothing at the end, and for what is none.
fn number(digits: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let (mut value, mut shift) = (0_i64, 0_u32);
    loop {
        let digit = digit(digits.next()?)?;
        // Numbers of a map fit 32 bits; what is longer is broken.
        if shift > 35 {
            return None;
        }
        value |= (digit & 31) << shift;
        if digit & 32 == 0 {
            let size = value >> 1;
            return Some(if value & 1 == 1 { -size } else { size });
        }
        shift += 5;
    }
}

fn digit(byte: u8) -> Option<i64> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}
