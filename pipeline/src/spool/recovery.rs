//! Opening: finds out what a spool holds, whatever happened to it.
//!
//! Only the last segment is read: an older one ends where the next begins, and readers check it as they go.
//! What is found is synced before anybody sees it, since a process that was killed had perhaps not done so. What is not
//! known to have been safe is first written anew: a sync of it may have failed, and then only new writes reach the disk.
//!
//! Ordinals are never used twice: after a torn tail, or after a segment that had to be set aside, the next record gets
//! an ordinal past all that the lost bytes can have held, in a segment of its own. The incarnation is raised when
//! records are missing that a receiver may know of.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::damage::Damaged;
use super::error::SpoolError;
use super::files::{FileRef, Files, read_full_at, rewrite};
use super::identity::SenderId;
use super::index::{Index, Segment};
use super::numbers::{Meta, Numbers};
use super::record::{Codec, MIN_RECORD_BYTES};
use super::scan::{Damage, Found, Limit, Scanner};
use super::segment::{self, HEADER_BYTES, Header};
use super::writer::{Current, Writer};

/// What opening a spool found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The spool was made now.
    pub created: bool,
    /// Segment files in use.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records in them, going by the ordinals.
    pub records: u64,
    /// First ordinal kept; 0 without a record.
    pub oldest: u64,
    /// Last ordinal kept; 0 without a record.
    pub last: u64,
    /// Bytes cut off the end: a write that was under way when the machine stopped.
    pub torn_bytes: u64,
    /// Records missing, as far as the ordinals tell.
    pub damaged_records: u64,
    /// Bytes set aside or missing with them.
    pub damaged_bytes: u64,
    /// Where the damaged bytes were put.
    pub set_aside: Vec<PathBuf>,
    /// The spool got a new incarnation, or a new id where the old one could not be read.
    pub new_identity: bool,
    /// Anything else a person should know.
    pub warnings: Vec<String>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.created {
            return f.write_str("new spool");
        }
        write!(f, "{} records ({}..{}), ", self.records, self.oldest, self.last)?;
        write!(f, "{} bytes in {} segments", self.bytes, self.segments)?;
        if self.torn_bytes > 0 {
            write!(f, "; torn tail of {} bytes cut off", self.torn_bytes)?;
        }
        if self.damaged_records > 0 || self.damaged_bytes > 0 {
            write!(f, "; {} records missing, {} bytes damaged", self.damaged_records, self.damaged_bytes)?;
        }
        for path in &self.set_aside {
            write!(f, "; set aside: {}", path.display())?;
        }
        if self.new_identity {
            f.write_str("; new link identity")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "; {warning}"))
    }
}

/// A spool as recovery leaves it.
pub(super) struct Opened {
    pub(super) sender: SenderId,
    pub(super) index: Index,
    pub(super) writer: Writer,
    pub(super) report: Recovery,
}

/// A recovery under way.
struct Pass<'a> {
    files: &'a Arc<dyn Files>,
    dir: &'a Path,
    damaged: &'a Damaged,
    report: Recovery,
    index: Index,
    /// Last ordinal found, or the one before the last segment if that is empty.
    last: u64,
    /// Lowest ordinal that no record can have had.
    next: u64,
    meta: Checkpoint<Meta>,
    state: Meta,
    floor: u64,
    /// Last ordinal that is known to be on the disk.
    safe: u64,
    /// Records are missing that were perhaps sent already.
    lost: bool,
}

/// Recovers the spool in `dir`, which is locked.
pub(super) fn open(files: &Arc<dyn Files>, dir: &Path, damaged: &Damaged) -> Result<Opened, SpoolError> {
    let (meta, floor, state) = Checkpoint::<Meta>::load_with(Arc::clone(files), dir, "meta")
        .map_err(SpoolError::io("read the identity in", dir))?;
    let index = Index::default();
    let next = state.next.max(1);
    let report = Recovery::default();
    let (last, safe, lost) = (0, floor, false);
    let mut pass = Pass { files, dir, damaged, report, index, last, next, meta, state, floor, safe, lost };
    pass.find_segments()?;
    let current = pass.scan_last()?;
    pass.compare_with(floor);
    pass.sync_found()?;
    if let Some(warning) = pass.meta.warning() {
        pass.report.warnings.push(warning.to_owned());
        pass.lost = true;
    }
    pass.identify()?;
    let Pass { report, index, last, next, meta, state, .. } = pass;
    // Only without a gap may the last segment be written on.
    let current = current.filter(|_| last.saturating_add(1) == next);
    let numbers = Numbers::new(meta, state.sender, last);
    Ok(Opened { sender: state.sender, index, writer: Writer::new(next, current, numbers), report })
}

impl Pass<'_> {
    /// Reads the headers. A segment without a readable one is moved away, or removed if it never got one.
    fn find_segments(&mut self) -> Result<(), SpoolError> {
        let names = self.files.list(self.dir).map_err(SpoolError::io("list", self.dir))?;
        let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment::first_of(name)).collect();
        firsts.sort_unstable();
        let mut headless = Vec::new();
        for first in firsts {
            let path = segment::path(self.dir, first);
            let file = self.files.open(&path).map_err(SpoolError::io("open", &path))?;
            let length = file.length().map_err(SpoolError::io("measure", &path))?;
            let mut bytes = [0; 48];
            let count = read_full_at(&*file, &mut bytes, 0).unwrap_or(0);
            let header = Header::decode(bytes.get(..count).unwrap_or_default());
            if let Some(header) = header.filter(|header| header.first == first) {
                self.safe = self.safe.max(header.safe);
                let file = Some(file);
                let found = Segment { salt: header.salt, length, readable: length, synced: 0, file };
                self.index.add_segment(first, found);
            } else {
                self.without_header(first, length)?;
                headless.push(first);
            }
        }
        headless.iter().for_each(|first| self.count_missing(*first));
        Ok(())
    }

    /// Counts the records of a segment without a header that were safe, as the headers after it tell: one that never
    /// got its header had none. Those behind the last header are noticed in the end.
    fn count_missing(&mut self, first: u64) {
        let Some((next, _)) = self.index.segments.range(first..).next() else { return };
        let missing = (*next).min(self.safe.saturating_add(1)).saturating_sub(first);
        self.report.damaged_records = self.report.damaged_records.saturating_add(missing);
        self.lost |= missing > 0;
    }

    fn without_header(&mut self, first: u64, length: u64) -> Result<(), SpoolError> {
        let path = segment::path(self.dir, first);
        self.use_up(first, length);
        self.keep_next()?;
        if length < HEADER_BYTES {
            self.report.torn_bytes = self.report.torn_bytes.saturating_add(length);
            return self.files.remove(&path).map_err(SpoolError::io("remove", &path));
        }
        let target = self.damaged.set_aside(&path).map_err(SpoolError::io("set aside", &path))?;
        self.report.set_aside.push(target);
        self.report.damaged_bytes = self.report.damaged_bytes.saturating_add(length);
        self.lost = true;
        Ok(())
    }

    /// Goes past the ordinals that lost bytes can have held.
    fn use_up(&mut self, first: u64, bytes: u64) {
        self.next = self.next.max(first.saturating_add(bytes / MIN_RECORD_BYTES).saturating_add(1));
    }

    /// Puts down the next ordinal before the bytes go that tell it: a crash in between must not give one again.
    fn keep_next(&mut self) -> Result<(), SpoolError> {
        self.state.next = self.next;
        for _ in 0..2 {
            self.meta
                .save(self.floor, &self.state)
                .map_err(SpoolError::io("save the next ordinal in", self.dir))?;
        }
        Ok(())
    }

    /// Reads the last segment, cuts its torn tail, and tells where it can be written on.
    fn scan_last(&mut self) -> Result<Option<Current>, SpoolError> {
        let Some((&first, segment)) = self.index.segments.last_key_value() else { return Ok(None) };
        let Segment { salt, length, .. } = *segment;
        let Some(file) = segment.file.clone() else { return Ok(None) };
        let mut scanner = Scanner::new(FileRef::clone(&file), salt, first);
        let limit = Limit { bytes: length, last: u64::MAX };
        let mut end = HEADER_BYTES;
        self.last = first.saturating_sub(1);
        loop {
            match scanner.next(limit) {
                Found::Record(record) => (self.last, end) = (record.ordinal, scanner.place.offset),
                Found::Damage(damage) => self.keep(first, &damage, &file)?,
                Found::Tail(_) | Found::End => break,
            }
        }
        self.next = self.next.max(self.last.saturating_add(1));
        if end < length {
            self.use_up(self.last.saturating_add(1), length.saturating_sub(end));
            self.keep_next()?;
            self.cut(first, end, &file)?;
        }
        Ok(Some(Current { first, file, codec: Codec::new(salt), length: end }))
    }

    fn cut(&mut self, first: u64, end: u64, file: &FileRef) -> Result<(), SpoolError> {
        let path = segment::path(self.dir, first);
        file.truncate(end).map_err(SpoolError::io("cut the torn tail of", path))?;
        if let Some(segment) = self.index.segments.get(&first).cloned() {
            self.report.torn_bytes =
                self.report.torn_bytes.saturating_add(segment.length.saturating_sub(end));
            self.index.add_segment(first, Segment { length: end, readable: end, ..segment });
        }
        Ok(())
    }

    fn keep(&mut self, first: u64, damage: &Damage, file: &FileRef) -> Result<(), SpoolError> {
        let kept = self
            .damaged
            .keep(first, damage, &**file)
            .map_err(SpoolError::io("set bytes aside in", self.dir))?;
        let Some(path) = kept else { return Ok(()) }; // Known since an earlier start.
        self.report.set_aside.push(path);
        self.report.damaged_records = self.report.damaged_records.saturating_add(damage.records);
        self.report.damaged_bytes = self.report.damaged_bytes.saturating_add(damage.bytes());
        self.lost = true;
        Ok(())
    }

    /// Notices records that were safe at the last close and are gone with the end of the spool.
    fn compare_with(&mut self, floor: u64) {
        if self.last < floor {
            let missing = floor.saturating_sub(self.last);
            self.report.damaged_records = self.report.damaged_records.saturating_add(missing);
            self.lost = true;
        }
        self.next = self.next.max(floor.saturating_add(1));
    }

    /// Syncs what was found, and tells its sizes.
    fn sync_found(&mut self) -> Result<(), SpoolError> {
        let last = self.index.segments.keys().next_back().copied();
        let ends = self.index.segments.keys().skip(1).map(|next| next.saturating_sub(1));
        let ends: Vec<u64> = ends.chain([self.last]).collect();
        for ((first, segment), end) in self.index.segments.iter_mut().zip(ends) {
            if let Some(file) = &segment.file {
                let from = doubtful_from(*first, segment, end, self.safe);
                // Of the last one at least the length: a cut may have been lost with the sync that was to make it safe.
                if from < segment.length || last == Some(*first) {
                    rewrite(&**file, from, segment.length)
                        .map_err(SpoolError::io("write anew", segment::path(self.dir, *first)))?;
                }
                file.sync().map_err(SpoolError::io("sync", segment::path(self.dir, *first)))?;
            }
            segment.synced = segment.length;
            segment.file = segment.file.take().filter(|_| last == Some(*first));
        }
        self.files.sync_dir(self.dir).map_err(SpoolError::io("sync", self.dir))?;
        let oldest = self.index.segments.keys().next().copied().unwrap_or(0);
        let report = &mut self.report;
        report.segments = u64::try_from(self.index.segments.len()).unwrap_or(u64::MAX);
        report.bytes = self.index.bytes;
        if oldest > 0 && self.last >= oldest {
            report.oldest = oldest;
            report.last = self.last;
            report.records = self.last.saturating_sub(oldest).saturating_add(1);
        }
        self.index.opened = self.last;
        self.index.appended = self.last;
        self.index.synced = self.last;
        Ok(())
    }

    /// Makes the identity, or gives it a new incarnation, and keeps a jump of the ordinals. Saved twice: a slot damaged
    /// later must not bring the old one back.
    fn identify(&mut self) -> Result<(), SpoolError> {
        let (meta, state) = (&mut self.meta, &mut self.state);
        let unknown = state.sender == SenderId::default();
        let jumps = self.next > self.last.saturating_add(1).max(state.next);
        if !unknown && !self.lost && !jumps {
            return Ok(());
        }
        self.report.created = unknown && self.report.segments == 0 && !self.lost;
        self.report.new_identity = (unknown || self.lost) && !self.report.created;
        if unknown {
            self.files.random(&mut state.sender.id)?;
        }
        if unknown || self.lost {
            state.sender.incarnation = state.sender.incarnation.saturating_add(1);
        }
        state.next = self.next;
        for _ in 0..2 {
            meta.save(self.last, state).map_err(SpoolError::io("save the identity in", self.dir))?;
        }
        Ok(())
    }
}

/// Offset from which on a segment, whose last record is `end`, is not known to be on the disk.
fn doubtful_from(first: u64, segment: &Segment, end: u64, safe: u64) -> u64 {
    if first <= end && end <= safe {
        segment.length
    } else if first > safe {
        0
    } else {
        offset_after(first, segment, safe)
    }
}

/// Offset of a segment behind the record `ordinal`.
fn offset_after(first: u64, segment: &Segment, ordinal: u64) -> u64 {
    let Some(file) = segment.file.clone() else { return 0 };
    let mut scanner = Scanner::new(file, segment.salt, first);
    let limit = Limit { bytes: segment.length, last: u64::MAX };
    loop {
        let before = scanner.place.offset;
        match scanner.next(limit) {
            Found::Record(record) if record.ordinal <= ordinal => {}
            Found::Damage(_) => {}
            Found::Record(_) | Found::Tail(_) | Found::End => return before,
        }
    }
}
