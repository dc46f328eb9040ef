//! Helpers of the spool's tests: short ways to append and read, copies of a directory, and a disk that fails on demand.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::files::{Disk, FileRef, Files, SpoolFile};
use super::*;

/// Longer than anything takes that works, on a loaded machine too.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn options(segment_bytes: u64, max_bytes: u64) -> SpoolOptions {
    SpoolOptions { segment_bytes, max_bytes, durability: Durability::Sync }
}

pub(super) fn open(dir: &Path, segment_bytes: u64) -> (Spool, Recovery) {
    Spool::open(dir, options(segment_bytes, 1 << 30)).unwrap()
}

pub(super) fn append(spool: &Spool, frames: &[Vec<u8>]) -> Result<u64, AppendError> {
    let records: Vec<_> = frames.iter().map(|frame| NewRecord { link: None, frame }).collect();
    spool.append(&records)
}

/// Appends each frame by itself and waits until the last is safe.
pub(super) fn fill(spool: &Spool, frames: &[Vec<u8>]) -> u64 {
    let mut last = spool.appended();
    for frame in frames {
        last = append(spool, std::slice::from_ref(frame)).unwrap();
    }
    assert!(spool.wait_synced(last, PATIENCE));
    last
}

/// Frames of different lengths, told apart by their content.
pub(super) fn frames(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|n| vec![n + 1; usize::from(n) % 7 * 3]).collect()
}

/// Everything that is safe now, from an ordinal on.
pub(super) fn read_all(spool: &Spool, from: u64) -> Vec<Record> {
    let mut reader = spool.reader(from);
    let mut records = Vec::new();
    loop {
        let more = reader.next(100, Duration::ZERO);
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Paths of the segment files, in order.
pub(super) fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    paths.sort();
    paths
}

/// Copies a spool as a killed daemon leaves it.
pub(super) fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
    }
    to
}

/// What the failing disk is told to do, and what it has seen.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) fail_sync: AtomicBool,
    pub(super) fail_dir_sync: AtomicBool,
    pub(super) fail_truncate: AtomicBool,
    pub(super) hold_sync: AtomicBool,
    pub(super) holding: AtomicBool,
    /// Bytes that can still be written.
    pub(super) room: AtomicU64,
    pub(super) dir_syncs: AtomicU64,
    /// A read that covers this offset of any file fails; 0: none does.
    pub(super) bad_offset: AtomicU64,
}

/// The real disk with faults.
#[derive(Debug, Clone)]
pub(super) struct FaultyDisk(pub(super) Arc<Faults>);

#[derive(Debug)]
struct FaultyFile(FileRef, Arc<Faults>);

impl FaultyDisk {
    pub(super) fn new() -> FaultyDisk {
        FaultyDisk(Arc::new(Faults {
            fail_sync: AtomicBool::new(false),
            fail_dir_sync: AtomicBool::new(false),
            fail_truncate: AtomicBool::new(false),
            hold_sync: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            room: AtomicU64::new(u64::MAX),
            dir_syncs: AtomicU64::new(0),
            bad_offset: AtomicU64::new(0),
        }))
    }

    pub(super) fn open_spool(&self, dir: &Path, options: SpoolOptions) -> Spool {
        Spool::open_with(Arc::new(self.clone()), dir, options).unwrap().0
    }

    fn wrap(&self, file: FileRef) -> FileRef {
        Arc::new(FaultyFile(file, Arc::clone(&self.0)))
    }
}

impl SpoolFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bad = self.1.bad_offset.load(Ordering::SeqCst);
        if bad > 0 && (offset..offset + u64::try_from(buffer.len()).unwrap()).contains(&bad) {
            return Err(io::Error::other("read refused by the test"));
        }
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let room = self.1.room.load(Ordering::SeqCst);
        let count = bytes.len().min(usize::try_from(room).unwrap());
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.room.fetch_sub(u64::try_from(count).unwrap(), Ordering::SeqCst);
        self.0.write_at(&bytes[..count], offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        if self.1.fail_truncate.load(Ordering::SeqCst) {
            return Err(io::Error::other("truncate refused by the test"));
        }
        self.0.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        while self.1.hold_sync.load(Ordering::SeqCst) {
            self.1.holding.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.1.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("sync refused by the test"));
        }
        self.0.sync()
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}

impl Files for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        Disk.is_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<FileRef> {
        Ok(self.wrap(Disk.create(path)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<FileRef> {
        Ok(self.wrap(Disk.create_new(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<FileRef> {
        Ok(self.wrap(Disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.dir_syncs.fetch_add(1, Ordering::SeqCst);
        if self.0.fail_dir_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("directory sync refused by the test"));
        }
        Disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>> {
        Disk.lock(path)
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), getrandom::Error> {
        Disk.random(buffer)
    }
}
