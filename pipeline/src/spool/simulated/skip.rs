//! Calls of the file system that a test takes out, and which call is meant.

use std::path::Path;

/// A call that does nothing, so that a test can tell whether it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) enum Skip {
    SyncOfSegment,
    SyncOfCheckpoint,
    SyncOfMeta,
    SyncOfDamage,
    Rename,
    Removal,
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

pub(super) fn sync_of(path: &Path) -> Skip {
    match kind_of(path) {
        Entry::Damage => Skip::SyncOfDamage,
        Entry::Segment => Skip::SyncOfSegment,
        _ if path.to_string_lossy().contains("/meta.") => Skip::SyncOfMeta,
        _ => Skip::SyncOfCheckpoint,
    }
}
