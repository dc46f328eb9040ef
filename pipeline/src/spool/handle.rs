//! The handle of a spool: opening, asking, releasing, closing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use super::damage::Damaged;
use super::error::{AppendError, SpoolError};
use super::files::{Disk, Files, SpoolFile, make_dirs};
use super::identity::SenderId;
use super::index::Index;
use super::reader::Reader;
use super::record::NewRecord;
use super::recovery::{self, Recovery};
use super::scan::Damage;
use super::segment;
use super::stats::{Outcome, SpoolStats};
use super::sync;
use super::writer::Writer;
use crate::stop::Stop;

/// When an appended record counts as safe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// After a sync: survives a power cut. The default.
    #[default]
    Sync,
    /// At once, with a sync each 500 ms: survives the end of the process; a power cut takes what was not synced.
    Buffered,
}

/// Sizes and durability of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolOptions {
    /// A new segment file begins here. Default 64 MiB, at most a quarter of `max_bytes`.
    pub segment_bytes: u64,
    /// Bound of all segments; appends beyond it are refused. Default 1 GiB.
    pub max_bytes: u64,
    /// When a record counts as safe.
    pub durability: Durability,
}

impl Default for SpoolOptions {
    fn default() -> SpoolOptions {
        SpoolOptions { segment_bytes: 64 << 20, max_bytes: 1 << 30, durability: Durability::Sync }
    }
}

/// A handle to the spool of a daemon. Clones are cheap; the owner calls [`Spool::close`].
#[derive(Debug, Clone)]
pub struct Spool {
    pub(super) shared: Arc<Shared>,
    owned: Arc<Mutex<Owned>>,
}

/// What the handles, the readers and the sync thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: PathBuf,
    pub(super) options: SpoolOptions,
    pub(super) sender: SenderId,
    pub(super) writer: Mutex<Writer>,
    pub(super) index: Mutex<Index>,
    /// Something is there for the sync thread.
    pub(super) work: Condvar,
    /// Something was synced or given up, or the spool was closed.
    pub(super) settled: Condvar,
    damaged: Damaged,
}

/// What is given back by `close`.
struct Owned {
    thread: Option<JoinHandle<()>>,
    lock: Option<Box<dyn Send>>,
}

impl std::fmt::Debug for Owned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owned").field("closed", &self.thread.is_none()).finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool in `dir`, making it when there is none, and tells what was found.
    ///
    /// # Errors
    /// When another daemon uses it, or the file system refuses. Never because of what the files hold.
    pub fn open(dir: &Path, options: SpoolOptions) -> Result<(Spool, Recovery), SpoolError> {
        Spool::open_with(Arc::new(Disk), dir, options)
    }

    pub(super) fn open_with(
        files: Arc<dyn Files>,
        dir: &Path,
        options: SpoolOptions,
    ) -> Result<(Spool, Recovery), SpoolError> {
        let (spool, recovery) = Spool::open_unsynced(files, dir, options)?;
        let shared = Arc::clone(&spool.shared);
        let thread = thread::Builder::new()
            .name("spool-sync".to_owned())
            .spawn(move || sync::run(&shared))
            .map_err(SpoolError::io("start the thread of", dir))?;
        lock(&spool.owned).thread = Some(thread);
        Ok((spool, recovery))
    }

    /// Without the thread: nothing is synced but by [`sync::plan`], [`sync::sync`] and [`sync::settle`].
    pub(super) fn open_unsynced(
        files: Arc<dyn Files>,
        dir: &Path,
        options: SpoolOptions,
    ) -> Result<(Spool, Recovery), SpoolError> {
        make_dirs(&*files, dir).map_err(SpoolError::io("make the directory", dir))?;
        let lock = files.lock(&dir.join("lock")).map_err(SpoolError::io("lock", dir.join("lock")))?;
        let Some(lock) = lock else { return Err(SpoolError::Locked { dir: dir.to_owned() }) };
        let damaged = Damaged::new(Arc::clone(&files), dir);
        let opened = recovery::open(&files, dir, &damaged)?;
        let segment_bytes = options.segment_bytes.min(options.max_bytes / 4);
        let shared = Arc::new(Shared {
            files,
            dir: dir.to_owned(),
            options: SpoolOptions { segment_bytes, ..options },
            sender: opened.sender,
            writer: Mutex::new(opened.writer),
            index: Mutex::new(opened.index),
            work: Condvar::new(),
            settled: Condvar::new(),
            damaged,
        });
        let owned = Owned { thread: None, lock: Some(lock) };
        Ok((Spool { shared, owned: Arc::new(Mutex::new(owned)) }, opened.report))
    }

    /// Identity of this spool as the sender of a link.
    #[must_use]
    pub fn id(&self) -> SenderId {
        self.shared.sender
    }

    /// Writes records, all or none, and returns the ordinal of the last. They are safe, and seen by readers, once
    /// [`Spool::wait_synced`] says so. No records: the ordinal of the last append.
    ///
    /// # Errors
    /// When the spool or its disk is full ([`AppendError::is_full`]: try again later), the disk fails, a frame is too
    /// big, or the spool is closed.
    pub fn append(&self, records: &[NewRecord<'_>]) -> Result<u64, AppendError> {
        self.shared.append(records)
    }

    /// Last ordinal that is safe. Records below it can have been given up after a failed sync: who acknowledges to a
    /// sender asks [`Spool::wait_synced`] or [`Spool::outcome`] for each ordinal that it got from an append.
    #[must_use]
    pub fn synced(&self) -> u64 {
        lock(&self.shared.index).synced
    }

    /// Last ordinal written.
    #[must_use]
    pub fn appended(&self) -> u64 {
        lock(&self.shared.index).appended
    }

    /// What became of a record that was appended. One that was given up has to be appended again, or sent again by
    /// who sent it.
    #[must_use]
    pub fn outcome(&self, ordinal: u64) -> Outcome {
        lock(&self.shared.index).outcome(ordinal)
    }

    /// Waits until a record is safe. `false` after the timeout, and at once when its sync failed or the spool was
    /// closed without it; [`Spool::outcome`] tells these apart.
    #[must_use]
    pub fn wait_synced(&self, ordinal: u64, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut index = lock(&self.shared.index);
        while index.outcome(ordinal) == Outcome::Waiting {
            if index.closed && index.first_unsettled().is_none() {
                return false;
            }
            let Some(again) = wait(&self.shared.settled, index, deadline) else { return false };
            index = again;
        }
        index.outcome(ordinal) == Outcome::Synced
    }

    /// Whether the last append was refused for want of room and none was made since. Inputs that can wait do.
    #[must_use]
    pub fn is_full(&self) -> bool {
        lock(&self.shared.index).is_full()
    }

    /// Sizes and counters.
    #[must_use]
    pub fn stats(&self) -> SpoolStats {
        lock(&self.shared.index).stats()
    }

    /// A reader whose first record is `from_ordinal`, or the oldest kept one if that is later. An ordinal past the next
    /// one is of records that were lost with the end of the spool: then it begins with what came since the opening.
    #[must_use]
    pub fn reader(&self, from_ordinal: u64) -> Reader {
        let from_ordinal = lock(&self.shared.index).place(from_ordinal.saturating_sub(1)).saturating_add(1);
        Reader::new(Arc::clone(&self.shared), from_ordinal)
    }

    /// Wakes the readers that go on until `stop` when it is set.
    pub fn wake_readers_on(&self, stop: &Stop) {
        let shared = Arc::clone(&self.shared);
        stop.on_set(move || {
            // A reader asks for the stop and goes to sleep under this lock: none does between the two.
            drop(lock(&shared.index));
            shared.settled.notify_all();
        });
    }

    /// Makes `consumer` hold back what comes after `through`, the ordinal of its checkpoint. With no consumer at all
    /// nothing is ever deleted. An ordinal past the last one counts as in [`Spool::reader`].
    ///
    /// Deletes nothing: after a start the first to register is ahead of others that have not yet. All consumers are to
    /// be registered before one of them releases.
    pub fn register(&self, consumer: &str, through: u64) {
        lock(&self.shared.index).register(consumer, through);
    }

    /// Lets go of everything `consumer` held back: it is no longer configured.
    pub fn unregister(&self, consumer: &str) {
        lock(&self.shared.index).unregister(consumer);
        self.shared.delete_released();
    }

    /// Tells that `consumer` has saved its checkpoint through this ordinal, and deletes the segments that nobody needs.
    pub fn release(&self, consumer: &str, through: u64) {
        lock(&self.shared.index).release(consumer, through);
        self.shared.delete_released();
    }

    /// Syncs what is written, ends the thread and lets the directory go. Appends are refused from now on; readers give
    /// what is safe and then return at once. A second call does nothing.
    pub fn close(&self) {
        let mut owned = lock(&self.owned);
        lock(&self.shared.index).closed = true;
        // An append that saw the spool open is waited for: it holds this lock.
        drop(lock(&self.shared.writer));
        lock(&self.shared.index).ending = true;
        self.shared.work.notify_all();
        self.shared.settled.notify_all();
        if owned.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!(dir = %self.shared.dir.display(), "the thread spool-sync had panicked");
        }
        self.shared.settled.notify_all();
        let Some(_until_all_is_saved) = owned.lock.take() else { return };
        let mut writer = lock(&self.shared.writer);
        // What is to be cut off and could not be is still there, and was not synced: a start must not trust it.
        let (uncut, next) = (writer.first_cut(), writer.next);
        let safe =
            lock(&self.shared.index).safe().min(uncut.map_or(u64::MAX, |first| first.saturating_sub(1)));
        if let Err(error) = writer.numbers.save(safe, next) {
            warn!(%error, "last ordinal not saved; the next start goes by the segments alone");
        }
    }
}

impl Shared {
    pub(super) fn delete_released(&self) {
        let released = lock(&self.index).take_released();
        for first in &released {
            let path = segment::path(&self.dir, *first);
            if let Err(error) = self.files.remove(&path) {
                warn!(file = %path.display(), %error, "segment not deleted; the next start tries again");
            }
        }
        if !released.is_empty() {
            // Not before: a sync of the directory that is under way would be taken for one of these removals.
            lock(&self.index).directory_dirty = true;
            self.work.notify_all();
        }
    }

    /// Keeps and counts damage that a reader met, unless it was met before.
    pub(super) fn set_aside(&self, first: u64, damage: &Damage, file: &dyn SpoolFile) {
        let kept = self.damaged.keep(first, damage, file);
        if matches!(kept, Ok(None)) {
            return;
        }
        let segment = segment::path(&self.dir, first);
        let (records, bytes) = (damage.records, damage.bytes());
        error!(segment = %segment.display(), offset = damage.start, records, bytes, ?kept, "spool is damaged");
        let mut index = lock(&self.index);
        index.counts.damaged_records = index.counts.damaged_records.saturating_add(records);
        index.counts.damaged_bytes = index.counts.damaged_bytes.saturating_add(bytes);
    }
}

/// Locks, whatever a thread that panicked meanwhile has left: every change under these locks is complete in itself.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the condition; `None` once the deadline has passed. Without a deadline it waits for ever.
pub(super) fn wait<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> Option<MutexGuard<'a, T>> {
    let Some(deadline) = deadline else {
        return Some(condition.wait(guard).unwrap_or_else(PoisonError::into_inner));
    };
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
    Some(condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0)
}
