//! Looks at the files of a spool beside the daemon that uses them, or without one. Nothing is written, locked or deleted.
//!
//! A running daemon goes on meanwhile: a segment that is deleted while it is looked for is passed over, and a record that
//! is being written is waited for before it counts as torn.

mod walk;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::checkpoint;
use super::error::SpoolError;
use super::files::read_full_at;
use super::record::Record;
use super::segment::{self, HEADER_BYTES, Header};

pub use walk::Walk;

/// A record at the end that is not whole yet is looked at so often before it counts as torn, with a pause between.
const TAIL_LOOKS: u32 = 20;
const TAIL_PAUSE: Duration = Duration::from_millis(25);

/// One segment file.
#[derive(Debug, Clone)]
pub struct SegmentFile {
    /// The file.
    pub path: PathBuf,
    /// Ordinal of its first record, by its name.
    pub first: u64,
    /// Its length.
    pub bytes: u64,
    /// When it was written last.
    pub written: SystemTime,
    /// `None` when its header cannot be read.
    salt: Option<u64>,
}

/// The files of a spool at one moment.
#[derive(Debug, Clone)]
pub struct View {
    dir: PathBuf,
    segments: Vec<SegmentFile>,
}

/// What a walk comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A good record.
    Record {
        /// First ordinal of the segment it lies in.
        segment: u64,
        /// Where in the file it begins.
        offset: u64,
        /// The record.
        record: Record,
    },
    /// Bytes that are no record.
    Damage(DamagedStretch),
    /// Ordinals that no segment holds. A spool leaves some out when it cuts a torn tail or gives a failed sync up.
    Jump {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
}

/// Bytes of a segment that are no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedStretch {
    /// First ordinal of the segment.
    pub segment: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// The ordinal that was expected there.
    pub ordinal: u64,
    /// Records in it, as far as the ordinals around it tell; 0 when nothing tells.
    pub records: u64,
    /// What it is.
    pub kind: DamageKind,
}

/// What a damaged stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The segment's header: nothing of the file can be read.
    Header,
    /// Between good records, or at the end of a segment that others follow.
    Records,
    /// The end of the last segment: a write that was cut short. The next start cuts it off.
    TornTail,
}

/// A consumer's place, as its checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// The last ordinal it is done with; `None` when neither file of its checkpoint can be read.
    pub through: Option<u64>,
}

impl View {
    /// Looks at the spool in `dir`.
    ///
    /// # Errors
    /// When there is none, or its files may not be read.
    pub fn open(dir: &Path) -> Result<View, SpoolError> {
        let mut firsts = Vec::new();
        for entry in fs::read_dir(dir).map_err(SpoolError::io("list", dir))? {
            let name = entry.map_err(SpoolError::io("list", dir))?.file_name();
            firsts.extend(name.to_str().and_then(segment::first_of));
        }
        firsts.sort_unstable();
        let mut segments = Vec::new();
        // Measured only now: one that was listed with a later one grows no more.
        for first in firsts {
            let path = segment::path(dir, first);
            segments.extend(SegmentFile::open(&path, first).map_err(SpoolError::io("read", &path))?);
        }
        Ok(View { dir: dir.to_owned(), segments })
    }

    /// The segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> &[SegmentFile] {
        &self.segments
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add)
    }

    /// The last ordinal that was safe when the spool was closed last, or got a new identity; 0 when neither has happened.
    #[must_use]
    pub fn safe_at_close(&self) -> u64 {
        checkpoint::peek(&self.dir, "meta").unwrap_or(0)
    }

    /// Files set aside in `damaged/`, and their bytes.
    #[must_use]
    pub fn set_aside(&self) -> (u64, u64) {
        let Ok(entries) = fs::read_dir(self.dir.join("damaged")) else { return (0, 0) };
        let lengths = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        lengths.fold((0, 0), |(files, bytes), length| (files + 1, bytes + length))
    }

    /// Everything from `ordinal` on, in order.
    #[must_use]
    pub fn walk(&self, ordinal: u64) -> Walk<'_> {
        Walk::new(&self.segments, ordinal)
    }

    /// The last ordinal there is; reads the last segment.
    #[must_use]
    pub fn last(&self) -> u64 {
        let Some(last) = self.segments.last() else { return 0 };
        let ordinals = self.walk(last.first).filter_map(|item| match item {
            Item::Record { record, .. } => Some(record.ordinal),
            _ => None,
        });
        ordinals.last().unwrap_or(last.first.saturating_sub(1))
    }

    /// Bytes of the records after `ordinal`; reads the segment it lies in.
    #[must_use]
    pub fn bytes_after(&self, ordinal: u64) -> u64 {
        let from = ordinal.saturating_add(1);
        let begin = self.walk(from).find_map(|item| match item {
            Item::Record { segment, offset, .. } => Some((segment, offset)),
            _ => None,
        });
        let Some((first, offset)) = begin else { return 0 };
        let of = |segment: &SegmentFile| {
            segment.bytes.saturating_sub(if segment.first == first { offset } else { HEADER_BYTES })
        };
        self.segments.iter().filter(|segment| segment.first >= first).map(of).fold(0, u64::saturating_add)
    }
}

impl SegmentFile {
    /// `None` when the file is gone, or is empty: the next start removes one that never got a header.
    fn open(path: &Path, first: u64) -> io::Result<Option<SegmentFile>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        for _ in 0..TAIL_LOOKS {
            if file.metadata()?.len() >= HEADER_BYTES {
                break;
            }
            // Made just now, perhaps, and about to get its header.
            thread::sleep(TAIL_PAUSE);
        }
        let metadata = file.metadata()?;
        if metadata.len() == 0 {
            return Ok(None);
        }
        let mut bytes = [0; 48];
        let count = read_full_at(&file, &mut bytes, 0).unwrap_or(0);
        let header = Header::decode(bytes.get(..count).unwrap_or_default());
        let salt = header.filter(|header| header.first == first).map(|header| header.salt);
        let written = metadata.modified()?;
        Ok(Some(SegmentFile { path: path.to_owned(), first, bytes: metadata.len(), written, salt }))
    }
}

/// The consumers that have checkpoints in `dir`, by name.
#[must_use]
pub fn consumers(dir: &Path) -> Vec<Consumer> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".0").or_else(|| name.strip_suffix(".1"))?.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let place = |name: String| Consumer { through: checkpoint::peek(dir, &name), name };
    names.into_iter().map(place).collect()
}
