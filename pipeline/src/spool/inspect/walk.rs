//! The walk through a spool's segments, record by record and over what is damaged.

use std::fs::File;
use std::sync::Arc;
use std::thread;

use super::super::files::FileRef;
use super::super::scan::{Damage, Found, Limit, Scanner};
use super::{DamageKind, DamagedStretch, Item, SegmentFile, TAIL_LOOKS, TAIL_PAUSE};

/// Goes through the segments of a [`View`](super::View).
#[derive(Debug)]
pub struct Walk<'a> {
    /// Segments not begun yet.
    rest: &'a [SegmentFile],
    /// Records before this ordinal are passed over.
    from: u64,
    /// The ordinal that comes next if none is left out.
    next: u64,
    current: Option<Open>,
}

/// The segment a walk is in.
#[derive(Debug)]
struct Open {
    first: u64,
    salt: u64,
    file: FileRef,
    scanner: Scanner,
    limit: Limit,
    is_last: bool,
}

impl Iterator for Walk<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let Some(open) = &mut self.current else {
                match self.enter()? {
                    Some(item) => return Some(item),
                    None => continue,
                }
            };
            let (first, offset) = (open.first, open.scanner.place.offset);
            match open.step() {
                Found::Record(record) => {
                    self.next = record.ordinal.saturating_add(1);
                    if record.ordinal >= self.from {
                        return Some(Item::Record { segment: first, offset, record });
                    }
                }
                Found::Damage(damage) => {
                    let ordinal = self.next;
                    self.next = ordinal.saturating_add(damage.records);
                    return Some(stretch(first, ordinal, damage, DamageKind::Records));
                }
                Found::Tail(damage) => {
                    let (ordinal, is_last) = (self.next, open.is_last);
                    self.current = None;
                    if is_last {
                        let unknown = Damage { records: 0, ..damage };
                        return Some(stretch(first, ordinal, unknown, DamageKind::TornTail));
                    }
                    self.next = ordinal.saturating_add(damage.records);
                    return Some(stretch(first, ordinal, damage, DamageKind::Records));
                }
                Found::End => self.current = None,
            }
        }
    }
}

fn stretch(segment: u64, ordinal: u64, damage: Damage, kind: DamageKind) -> Item {
    let (offset, bytes, records) = (damage.start, damage.bytes(), damage.records);
    Item::Damage(DamagedStretch { segment, offset, bytes, ordinal, records, kind })
}

impl<'a> Walk<'a> {
    /// From `ordinal` on; `segments` are in order.
    pub(super) fn new(segments: &'a [SegmentFile], ordinal: u64) -> Walk<'a> {
        let before = segments.partition_point(|segment| segment.first <= ordinal).saturating_sub(1);
        let rest = segments.get(before..).unwrap_or_default();
        Walk { rest, from: ordinal, next: rest.first().map_or(0, |segment| segment.first), current: None }
    }

    /// Begins the next segment. `Some(None)`: go on; an item: something is to be told first; `None`: there is none.
    fn enter(&mut self) -> Option<Option<Item>> {
        let (segment, rest) = self.rest.split_first()?;
        if segment.first > self.next {
            let jump = Item::Jump { from: self.next, to: segment.first - 1 };
            self.next = segment.first;
            return Some(Some(jump));
        }
        self.rest = rest;
        self.next = segment.first;
        let (Some(salt), Ok(file)) = (segment.salt, File::open(&segment.path)) else {
            // Gone meanwhile: every consumer was done with it.
            if !segment.path.exists() {
                return Some(None);
            }
            let damage = Damage { start: 0, end: segment.bytes, records: 0 };
            return Some(Some(stretch(segment.first, segment.first, damage, DamageKind::Header)));
        };
        let file: FileRef = Arc::new(file);
        let last = rest.first().map_or(u64::MAX, |next| next.first.saturating_sub(1));
        self.current = Some(Open {
            first: segment.first,
            salt,
            scanner: Scanner::new(FileRef::clone(&file), salt, segment.first),
            file,
            limit: Limit { bytes: segment.bytes, last },
            is_last: rest.is_empty(),
        });
        Some(None)
    }
}

impl Open {
    /// The next of this segment. At the end of the last one, bytes that are no record are looked at again for a while: a
    /// daemon may be writing them.
    fn step(&mut self) -> Found {
        let place = self.scanner.place;
        let mut found = self.scanner.next(self.limit);
        for _ in 0..TAIL_LOOKS {
            if !self.is_last || !matches!(found, Found::Tail(_)) {
                break;
            }
            thread::sleep(TAIL_PAUSE);
            self.limit.bytes = self.file.length().unwrap_or(0).max(self.limit.bytes);
            // A new one: the old one may hold what was read before the write was whole.
            self.scanner = Scanner::new(FileRef::clone(&self.file), self.salt, self.first);
            self.scanner.place = place;
            found = self.scanner.next(self.limit);
        }
        found
    }
}
