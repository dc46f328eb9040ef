//! Goes through a segment record by record and finds the next good one after damage.
//!
//! Used by recovery on the last segment and by every reader on the segments it passes.

use std::ops::RangeInclusive;

use super::files::{FileRef, SpoolFile, byte_count, read_full_at};
use super::record::{Codec, HEAD_BYTES, MIN_RECORD_BYTES, Record};
use super::segment::HEADER_BYTES;

/// Read from the file at a time. Holds some batches of 64 KiB, so that most records cost no read of their own.
const WINDOW_BYTES: usize = 256 * 1024;

/// Around a sector that cannot be read, so much is given up.
const PAGE_BYTES: usize = 4096;

/// How far a scan may go: the end of the last safe record, and that record's ordinal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    pub(super) last: u64,
}

/// A stretch of a segment that holds no readable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Records that were in it, as far as the ordinals around it tell.
    pub(super) records: u64,
}

impl Damage {
    pub(super) fn bytes(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What a scan came to.
#[derive(Debug)]
pub(super) enum Found {
    Record(Record),
    /// Bad bytes, then another good record.
    Damage(Damage),
    /// Bad bytes up to the limit.
    Tail(Damage),
    End,
}

/// Where a scan stands; can be kept and gone back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Offset of the next record.
    pub(super) offset: u64,
    /// Lowest ordinal that record can have.
    pub(super) expected: u64,
    /// Highest one; above `expected` only behind damage.
    farthest: u64,
}

/// A scan of one segment.
#[derive(Debug)]
pub(super) struct Scanner {
    file: FileRef,
    codec: Codec,
    pub(super) place: Place,
    window: Window,
}

impl Scanner {
    /// Starts at the first record of a segment.
    pub(super) fn new(file: FileRef, salt: u64, first: u64) -> Scanner {
        let place = Place { offset: HEADER_BYTES, expected: first, farthest: first };
        Scanner { file, codec: Codec::new(salt), place, window: Window::default() }
    }

    pub(super) fn file(&self) -> &dyn SpoolFile {
        &*self.file
    }

    /// Goes on to the next record, or over the next damage.
    pub(super) fn next(&mut self, limit: Limit) -> Found {
        if self.place.offset >= limit.bytes {
            return Found::End;
        }
        let ordinals = self.place.expected..=self.place.farthest;
        let Some((record, length)) = self.record_at(self.place.offset, limit.bytes, &ordinals) else {
            return self.skip(limit);
        };
        let next = record.ordinal.saturating_add(1);
        self.place =
            Place { offset: self.place.offset.saturating_add(length), expected: next, farthest: next };
        Found::Record(record)
    }

    /// Looks for the next offset at which a record begins. Its ordinal cannot be further on than the bytes skipped
    /// have room for, nor past the last one.
    fn skip(&mut self, limit: Limit) -> Found {
        let Place { offset: start, expected, .. } = self.place;
        let farthest = |end: u64| expected.saturating_add(end.saturating_sub(start) / MIN_RECORD_BYTES);
        for candidate in start.saturating_add(1)..limit.bytes {
            let ordinals = expected..=farthest(candidate).min(limit.last);
            let Some((record, _)) = self.record_at(candidate, limit.bytes, &ordinals) else { continue };
            self.place = Place { offset: candidate, expected, farthest: record.ordinal };
            return Found::Damage(Damage { start, end: candidate, records: record.ordinal - expected });
        }
        // The limit is the end of a record, so that the next one, if it comes, begins there.
        let next = limit.last.saturating_add(1);
        let most = farthest(limit.bytes).saturating_sub(expected).max(1);
        let records = next.saturating_sub(expected).min(most);
        self.place = Place { offset: limit.bytes, expected: next, farthest: next };
        Found::Tail(Damage { start, end: limit.bytes, records })
    }

    /// The record at an offset and its length, if a good one with one of these ordinals begins there.
    fn record_at(
        &mut self,
        offset: u64,
        limit: u64,
        ordinals: &RangeInclusive<u64>,
    ) -> Option<(Record, u64)> {
        let bytes = self.window.bytes(&*self.file, offset..limit, HEAD_BYTES)?;
        let head = self.codec.head(bytes, ordinals)?;
        let bytes = self.window.bytes(&*self.file, offset..limit, head.length)?;
        Some((self.codec.record(head, bytes)?, byte_count(head.length)))
    }
}

/// The part of a file that is in memory.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The first `count` bytes of a range of the file, read if they are not here yet.
    fn bytes(&mut self, file: &dyn SpoolFile, range: std::ops::Range<u64>, count: usize) -> Option<&[u8]> {
        let end = range.start.checked_add(byte_count(count))?;
        if end > range.end {
            return None;
        }
        if range.start < self.start || end > self.start.saturating_add(byte_count(self.bytes.len())) {
            self.fill(file, &range, count);
        }
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(count)?)
    }

    fn fill(&mut self, file: &dyn SpoolFile, range: &std::ops::Range<u64>, count: usize) {
        let left = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let wanted = count.max(WINDOW_BYTES).min(left);
        self.start = range.start;
        self.bytes.clear();
        // A single large record must not keep its memory for ever.
        self.bytes.shrink_to(wanted.max(WINDOW_BYTES));
        self.bytes.resize(wanted, 0);
        match read_full_at(file, &mut self.bytes, range.start) {
            Ok(filled) => self.bytes.truncate(filled),
            Err(_) => read_by_pages(file, &mut self.bytes, range.start),
        }
    }
}

/// Reads what can be read and leaves zeros where the disk fails, which then count as damage.
fn read_by_pages(file: &dyn SpoolFile, buffer: &mut [u8], mut offset: u64) {
    for page in buffer.chunks_mut(PAGE_BYTES) {
        if read_full_at(file, page, offset).is_err() {
            page.fill(0);
        }
        offset = offset.saturating_add(byte_count(page.len()));
    }
}
