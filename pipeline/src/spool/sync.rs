//! The thread `spool-sync`: makes what was appended safe, group by group.
//!
//! While one sync runs, appends go on and gather for the next one: under load a group is as large as a sync is slow,
//! and an idle spool syncs a single record at once.
//!
//! After a failed `fdatasync` Linux may call the lost pages clean, so that a second one succeeds without having written
//! them. Hence a failure settles it: what was not synced is cut off and given up, and a new segment begins. The cut is
//! synced before anything else is taken, and what a start cannot know to be safe it writes anew (recovery.rs): neither
//! a crash after the failure nor the kernel's memory of the lost pages brings back what was given up.

use std::io;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use tracing::error;

use super::handle::{Durability, Shared, lock, wait};
use super::index::{Index, Segment};
use super::writer::Writer;

/// `durability = "buffered"`: a power cut costs at most so much.
const BUFFERED_INTERVAL: Duration = Duration::from_millis(500);

/// A disk that fails does so many times a second; the log tells it once in so long.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// One group: everything that was appended when it was planned.
pub(super) struct Group {
    target: u64,
    /// Records appended since the spool was opened.
    records: u64,
    /// Syncs that had failed before.
    failures: u64,
    segments: Vec<(u64, Segment)>,
    pub(super) directory: bool,
}

/// Runs until the spool is closed and everything in it is settled.
pub(super) fn run(shared: &Shared) {
    let mut logged: Option<Instant> = None;
    while let Some(index) = wait_for_work(shared) {
        drop(index);
        let group = plan(shared);
        let started = Instant::now();
        let result = sync(shared, &group);
        let lost = settle(shared, &group, &result, started.elapsed());
        let Err(error) = result else { continue };
        if logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            logged = Some(Instant::now());
            error!(dir = %shared.dir.display(), %error, given_up = lost, "sync of the spool failed");
        }
    }
}

fn wait_for_work(shared: &Shared) -> Option<MutexGuard<'_, Index>> {
    let mut index = lock(&shared.index);
    while !has_work(shared, &index) {
        if index.ending {
            return None;
        }
        index = wait(&shared.work, index, None)?;
    }
    if shared.options.durability == Durability::Buffered {
        index = pause(shared, index);
    }
    Some(index)
}

/// Gathers what is to be synced now.
pub(super) fn plan(shared: &Shared) -> Group {
    let mut index = lock(&shared.index);
    let directory = std::mem::take(&mut index.directory_dirty);
    let (target, records) = (index.appended, index.counts.appended_records);
    Group { target, records, failures: index.counts.failed_syncs, segments: index.unsynced(), directory }
}

pub(super) fn has_work(shared: &Shared, index: &Index) -> bool {
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

pub(super) fn sync(shared: &Shared, group: &Group) -> io::Result<()> {
    for file in group.segments.iter().filter_map(|(_, segment)| segment.file.as_ref()) {
        file.sync()?;
    }
    if group.directory {
        shared.files.sync_dir(&shared.dir)?;
    }
    Ok(())
}

/// Tells everybody what became of a group; returns how many records it cost.
pub(super) fn settle(shared: &Shared, group: &Group, result: &io::Result<()>, took: Duration) -> u64 {
    match result {
        Ok(()) => publish(shared, group, took),
        Err(error) => return fail(shared, error),
    }
    0
}

fn publish(shared: &Shared, group: &Group, took: Duration) {
    let mut index = lock(&shared.index);
    if index.counts.failed_syncs != group.failures {
        // One that cut off a refused append: all of this group was given up with it.
        index.directory_dirty |= group.directory;
        return;
    }
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
    let lost = give_up(shared, &mut writer, error);
    if let Err(error) = shared.make_cuts(&mut writer) {
        error!(dir = %shared.dir.display(), %error, "records whose sync failed are not cut off yet: nothing is taken");
    }
    lost
}

/// Gives up what was not synced when a sync failed, whoever called for it; returns how many records.
pub(super) fn give_up(shared: &Shared, writer: &mut Writer, error: &io::Error) -> u64 {
    let mut index = lock(&shared.index);
    index.counts.failed_syncs = index.counts.failed_syncs.saturating_add(1);
    index.counts.last_error = Some(error.to_string());
    let before = index.counts.given_up_records;
    let failed = index.unsynced();
    match shared.options.durability {
        Durability::Sync => index.give_up(&failed),
        Durability::Buffered => index.keep_unsynced(&failed),
    }
    let lost = index.counts.given_up_records.saturating_sub(before);
    for (first, _) in &failed {
        let left = index.segments.get(first).map_or(0, |segment| segment.length);
        if left == 0 || shared.options.durability == Durability::Sync {
            writer.must_cut(*first, left);
        }
    }
    writer.abandon(&failed);
    drop(index);
    shared.settled.notify_all();
    lost
}
