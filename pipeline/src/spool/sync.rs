//! The thread `spool-sync`: makes what was appended safe, group by group.
//!
//! While one sync runs, appends go on and gather for the next one: under load a group is as large as a sync is slow,
//! and an idle spool syncs a single record at once.
//!
//! After a failed `fdatasync` Linux may call the lost pages clean, so that a second one succeeds without having written
//! them. Hence a failure settles it: what was not synced is cut off and given up, and a new segment begins.

use std::io;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use tracing::error;

use super::handle::{Durability, Shared, lock, wait};
use super::index::{Index, Segment};
use super::segment;

/// `durability = "buffered"`: a power cut costs at most so much.
const BUFFERED_INTERVAL: Duration = Duration::from_millis(500);

/// A disk that fails does so many times a second; the log tells it once in so long.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// One group: everything that was appended when it was planned.
struct Group {
    target: u64,
    /// Records appended since the spool was opened.
    records: u64,
    segments: Vec<(u64, Segment)>,
    directory: bool,
}

/// Runs until the spool is closed and everything in it is settled.
pub(super) fn run(shared: &Shared) {
    let mut logged: Option<Instant> = None;
    while let Some(group) = next_group(shared) {
        let started = Instant::now();
        let Err(error) = sync(shared, &group) else {
            publish(shared, &group, started.elapsed());
            continue;
        };
        let lost = fail(shared, &error);
        if logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            logged = Some(Instant::now());
            error!(dir = %shared.dir.display(), %error, given_up = lost, "sync of the spool failed");
        }
    }
}

fn next_group(shared: &Shared) -> Option<Group> {
    let mut index = lock(&shared.index);
    while !has_work(shared, &index) {
        if index.closed {
            return None;
        }
        index = wait(&shared.work, index, None)?;
    }
    if shared.options.durability == Durability::Buffered {
        index = pause(shared, index);
    }
    let directory = std::mem::take(&mut index.directory_dirty);
    let (target, records) = (index.appended, index.counts.appended_records);
    Some(Group { target, records, segments: index.unsynced(), directory })
}

fn has_work(shared: &Shared, index: &Index) -> bool {
    let unsynced = match shared.options.durability {
        Durability::Sync => index.first_unsettled().is_some(),
        Durability::Buffered => index.segments.values().any(|segment| segment.synced < segment.length),
    };
    unsynced || index.directory_dirty
}

/// Lets the interval pass, or less when the spool is closed.
fn pause<'a>(shared: &'a Shared, mut index: MutexGuard<'a, Index>) -> MutexGuard<'a, Index> {
    let deadline = Instant::now().checked_add(BUFFERED_INTERVAL);
    while !index.closed {
        match wait(&shared.work, index, deadline) {
            Some(again) => index = again,
            None => return lock(&shared.index),
        }
    }
    index
}

fn sync(shared: &Shared, group: &Group) -> io::Result<()> {
    for file in group.segments.iter().filter_map(|(_, segment)| segment.file.as_ref()) {
        file.sync()?;
    }
    if group.directory {
        shared.files.sync_dir(&shared.dir)?;
    }
    Ok(())
}

fn publish(shared: &Shared, group: &Group, took: Duration) {
    let mut index = lock(&shared.index);
    for (first, segment) in &group.segments {
        index.mark_synced(*first, segment.length);
    }
    index.synced = index.synced.max(group.target);
    index.settled_records = group.records;
    index.counts.syncs = index.counts.syncs.saturating_add(1);
    index.counts.last_sync = took;
    drop(index);
    shared.settled.notify_all();
}

/// Settles a failed sync; returns how many records it cost.
fn fail(shared: &Shared, error: &io::Error) -> u64 {
    // Taken first: no append may come between what is given up and the new segment.
    let mut writer = lock(&shared.writer);
    let mut index = lock(&shared.index);
    index.counts.failed_syncs = index.counts.failed_syncs.saturating_add(1);
    index.counts.last_error = Some(error.to_string());
    let before = index.counts.given_up_records;
    let failed = index.unsynced();
    match shared.options.durability {
        Durability::Sync => {
            index.give_up(&failed);
            writer.abandon(&failed, true);
            failed.iter().for_each(|(first, segment)| cut(shared, *first, segment));
        }
        // Readers may have passed these records on: they stay, and the log tells that a power cut can take them.
        Durability::Buffered => {
            failed.iter().for_each(|(first, segment)| index.mark_synced(*first, segment.length));
            writer.abandon(&failed, false);
        }
    }
    let lost = index.counts.given_up_records.saturating_sub(before);
    drop(index);
    shared.settled.notify_all();
    lost
}

/// Cuts a segment back to what is safe. Where that fails too, the next start may find records that were given up;
/// their appenders sent them again, and repeats are told by their origin.
fn cut(shared: &Shared, first: u64, segment: &Segment) {
    let path = segment::path(&shared.dir, first);
    let result = match &segment.file {
        Some(file) if segment.synced > 0 => file.truncate(segment.synced),
        _ => shared.files.remove(&path),
    };
    if let Err(error) = result {
        error!(segment = %path.display(), %error, "records whose sync failed could not be cut off");
    }
}
