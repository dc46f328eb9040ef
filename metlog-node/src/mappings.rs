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
///
/// Minified code is one line of a million segments, so none is held against all places: each finds the first place it may
/// be for, and what it says there goes for the places behind, up to the next that is known.
pub(crate) fn find(mappings: &str, places: &[Place]) -> Option<Vec<Option<Found>>> {
    let mut sorted = places.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut found: Vec<Option<(i64, Found)>> = vec![None; sorted.len()];
    let last = sorted.last().map_or(0, |place| place.line);
    let mut segment = Segment::default();
    for (line, segments) in (0..=last).zip(mappings.split(';')) {
        segment.column = 0;
        let from = sorted.partition_point(|place| place.line < line);
        let until = sorted.partition_point(|place| place.line <= line);
        let (asked, found) = (sorted.get(from..until)?, found.get_mut(from..until)?);
        for text in segments.split(',').filter(|text| !text.is_empty()) {
            if segment.advance(text)? {
                segment.offer(asked, found);
            }
        }
        carry_on(found);
    }
    let of = |place| sorted.binary_search(place).ok().and_then(|at| *found.get(at)?);
    Some(places.iter().map(|place| of(place).map(|(_, found)| found)).collect())
}

/// Gives what is known of a place to those behind it of which nothing is.
fn carry_on(found: &mut [Option<(i64, Found)>]) {
    let mut known = None;
    for found in found {
        *found = found.or(known);
        known = *found;
    }
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

    /// Keeps the segment for the first of the places it fits, unless that has a better one.
    fn offer(&self, places: &[Place], found: &mut [Option<(i64, Found)>]) {
        let first = places.partition_point(|place| i64::from(place.column) < self.column);
        let Some(found) = found.get_mut(first) else { return };
        if found.is_none_or(|(column, _)| column <= self.column) {
            *found = self.found().map(|ours| (self.column, ours)).or(*found);
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
