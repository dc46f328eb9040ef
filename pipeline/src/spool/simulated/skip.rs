//! Calls of the file system that a test takes out, and which call is meant.

use std::path::Path;

use crate::spool::segment::Header;

/// A call that does nothing, so that a test can tell whether it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) struct Skip {
    pub(in crate::spool) call: Call,
    /// Only where the spool makes it on behalf of this.
    pub(in crate::spool) during: Option<Phase>,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) enum Call {
    SyncOfSegment,
    /// That of a segment without a good header, before it is moved away.
    SyncOfLostSegment,
    SyncOfCheckpoint,
    SyncOfMeta,
    SyncOfDamage,
    Rename,
    Removal,
    /// The sync of a directory, for what has happened to its entries.
    DirAfter(Entry),
}

/// What can happen to an entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) enum Entry {
    Segment,
    Checkpoint,
    Damage,
    Directory,
    Renamed,
    Removed,
}

/// What the spool is asked for just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) enum Phase {
    /// A start.
    Open,
    /// A consumer's start.
    Load,
    /// An append; or a sync that is settled, since both cut off what was given up.
    Append,
    /// A group is synced.
    Sync,
    Read,
    Save,
    Close,
}

pub(super) fn kind_of(path: &Path) -> Entry {
    let name = path.to_string_lossy();
    if name.contains("/damaged/") {
        Entry::Damage
    } else if name.ends_with(".seg") {
        Entry::Segment
    } else {
        Entry::Checkpoint
    }
}

pub(super) fn sync_of(path: &Path, content: &[u8]) -> Call {
    match kind_of(path) {
        Entry::Damage => Call::SyncOfDamage,
        Entry::Segment if Header::decode(content).is_none() => Call::SyncOfLostSegment,
        Entry::Segment => Call::SyncOfSegment,
        _ if path.to_string_lossy().contains("/meta.") => Call::SyncOfMeta,
        _ => Call::SyncOfCheckpoint,
    }
}
