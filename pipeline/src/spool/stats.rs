//! What a spool tells of itself: counters, sizes, and what became of a record.

use std::time::Duration;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not synced yet.
    Waiting,
    /// Safe on disk (with `durability = "buffered"`: written).
    Synced,
    /// Its sync failed: it is not in the spool and never will be under this ordinal.
    GivenUp,
}

/// Counters and sizes of a spool, since it was opened.
#[derive(Debug, Clone, Default)]
pub struct SpoolStats {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// First ordinal that is kept.
    pub oldest: u64,
    /// Last ordinal written.
    pub appended: u64,
    /// Last ordinal that readers may see.
    pub synced: u64,
    /// Records appended.
    pub appended_records: u64,
    /// Bytes appended.
    pub appended_bytes: u64,
    /// Syncs that worked.
    pub syncs: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// How long the last sync took.
    pub last_sync: Duration,
    /// Records lost to failed syncs; their appenders were told.
    pub given_up_records: u64,
    /// Appends refused because the spool or its file system was full.
    pub refused_full: u64,
    /// Appends refused for another reason of the file system.
    pub refused_io: u64,
    /// Records lost to damage that readers met.
    pub damaged_records: u64,
    /// Bytes of that damage.
    pub damaged_bytes: u64,
    /// Segments deleted because every consumer had released them.
    pub deleted_segments: u64,
    /// What the file system said last when something failed.
    pub last_error: Option<String>,
}
