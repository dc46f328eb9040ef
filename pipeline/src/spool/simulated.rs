//! A file system in memory for the model test: it forgets, tears and reorders what was not synced, fails on demand, and
//! stops at any call.
//!
//! A file has what is durable and the changes that are not; a directory likewise. [`Simulated::power_cut`] keeps any
//! part of the changes: a write whole, not at all, or in pieces cut at any byte, later ones without earlier ones; a
//! creation, a rename or a removal or not. [`Simulated::kill`] keeps all of them, still not durable. A sync that fails
//! makes a part durable and calls the rest clean, as Linux does: a later sync does not write it.

mod change;
mod random;
mod skip;
mod system;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{FileRef, Files, SpoolFile};
use super::segment;
use change::Node;
pub(super) use random::Random;
use skip::kind_of;
pub(super) use skip::{Call, Entry, Phase, Skip};
use system::{System, refused};

/// A handle to the file system.
#[derive(Debug, Clone)]
pub(super) struct Simulated(Arc<Mutex<System>>);

#[derive(Debug)]
struct SimulatedFile {
    system: Simulated,
    path: PathBuf,
    node: usize,
}

struct Lock(Simulated);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.system().locked = false;
    }
}

impl Simulated {
    pub(super) fn new(seed: u64, fault_odds: usize, skip: Option<Skip>) -> Simulated {
        Simulated(Arc::new(Mutex::new(System::new(seed, fault_odds, skip))))
    }

    fn system(&self) -> MutexGuard<'_, System> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on after a crash, until that many calls were made.
    pub(super) fn restart(&self, calls: u64) {
        let mut system = self.system();
        system.stopped = false;
        system.stop_at = system.calls + calls;
    }

    /// What the calls to come are for.
    pub(super) fn during(&self, phase: Phase) {
        self.system().phase = phase;
    }

    /// Keeps the system as it is before each call from now on, where something is pending.
    pub(super) fn keep_copies(&self) {
        self.system().copies = Some(Vec::new());
    }

    /// Gives the copies, which are stopped and without faults to come.
    pub(super) fn take_copies(&self) -> Vec<Simulated> {
        let copies = self.system().copies.take().unwrap_or_default();
        copies.into_iter().map(|copy| self.apart(System { stopped: true, fault_odds: 0, ..copy })).collect()
    }

    /// The same system once more.
    pub(super) fn copy(&self) -> Simulated {
        let copy = self.system().clone();
        self.apart(copy)
    }

    /// A system of its own, with other random numbers.
    fn apart(&self, system: System) -> Simulated {
        let random = Random(self.number());
        Simulated(Arc::new(Mutex::new(System { random, locked: false, ..system })))
    }

    /// A random number.
    pub(super) fn number(&self) -> u64 {
        self.system().random.next()
    }

    /// Every call is refused from now on: the process has ended.
    pub(super) fn kill(&self) {
        self.system().stopped = true;
    }

    /// Loses what was not durable, or any part of it.
    pub(super) fn power_cut(&self) {
        self.kill();
        self.system().power_cut();
    }

    pub(super) fn stopped(&self) -> bool {
        self.system().stopped
    }

    pub(super) fn faults(&self) -> u64 {
        self.system().faults
    }

    pub(super) fn calls(&self) -> u64 {
        self.system().calls
    }

    pub(super) fn failed_removals(&self) -> u64 {
        self.system().failed_removals
    }

    /// How many changes are pending, and a number that tells this state of the disk from others.
    pub(super) fn pending(&self) -> (usize, u64) {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let system = self.system();
        let mut hasher = DefaultHasher::new();
        let mut count = system.pending.len();
        (&system.durable, &system.entries).hash(&mut hasher);
        for node in system.entries.values().map(|node| &system.nodes[*node]) {
            count += node.pending.len();
            (&node.durable, &node.pending).hash(&mut hasher);
        }
        (count, hasher.finish())
    }

    /// What a file holds, if it is there.
    pub(super) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let system = self.system();
        system.entries.get(path).map(|node| system.nodes[*node].current.clone())
    }

    /// What the files in `damaged/` hold.
    pub(super) fn set_aside(&self) -> Vec<Vec<u8>> {
        let system = self.system();
        let damaged = system.entries.iter().filter(|(path, _)| kind_of(path) == Entry::Damage);
        damaged.map(|(_, node)| system.nodes[*node].current.clone()).collect()
    }

    /// First ordinals and paths of the segments, in order.
    pub(super) fn segments(&self) -> Vec<(u64, PathBuf)> {
        let system = self.system();
        let first = |path: &PathBuf| segment::first_of(path.file_name()?.to_str()?);
        let in_spool = |path: &&PathBuf| kind_of(path) == Entry::Segment;
        let paths = system.entries.keys().filter(in_spool);
        paths.filter_map(|path| Some((first(path)?, path.clone()))).collect()
    }

    /// Whether all of a file is durable, and what the disk holds is what is shown.
    pub(super) fn at_rest(&self, path: &Path) -> bool {
        let system = self.system();
        let node = system.entries.get(path).map(|node| &system.nodes[*node]);
        node.is_some_and(|node| node.pending.is_empty() && node.durable == node.current)
    }

    /// Turns a bit over, on the disk.
    pub(super) fn flip(&self, path: &Path, at: usize, bit: usize) {
        let mut system = self.system();
        let node = system.entries[path];
        let Node { durable, current, .. } = Arc::make_mut(&mut system.nodes[node]);
        for content in [durable, current] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }
}

impl SpoolFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let system = self.system.system();
        let content = &system.nodes[self.node].current;
        let rest = content.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        if system.stopped { Err(refused()) } else { Ok(count) }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.system.system().write(self.node, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.system.system().truncate(self.node, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.system.system().sync(self.node, &self.path)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.system.system().nodes[self.node].current.len()).unwrap())
    }
}

impl Simulated {
    fn file(&self, path: &Path, node: usize) -> FileRef {
        Arc::new(SimulatedFile { system: self.clone(), path: path.to_owned(), node })
    }
}

impl Files for Simulated {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut system = self.system();
        if system.entries.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let stops = system.whole_call()?;
        system.add(Entry::Directory, path);
        if stops { Err(refused()) } else { Ok(()) }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/") || self.system().entries.contains_key(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let system = self.system();
        if system.stopped {
            return Err(refused());
        }
        let inside = system.entries.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<FileRef> {
        let node = self.system().create(path, false)?;
        Ok(self.file(path, node))
    }

    fn create_new(&self, path: &Path) -> io::Result<FileRef> {
        let node = self.system().create(path, true)?;
        Ok(self.file(path, node))
    }

    fn open(&self, path: &Path) -> io::Result<FileRef> {
        let node = {
            let system = self.system();
            if system.stopped {
                return Err(refused());
            }
            *system.entries.get(path).ok_or(io::ErrorKind::NotFound)?
        };
        Ok(self.file(path, node))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.system().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.system().remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.system().sync_dir(dir)
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let mut system = self.system();
        if std::mem::replace(&mut system.locked, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), getrandom::Error> {
        let mut system = self.system();
        buffer.fill_with(|| system.random.next().to_le_bytes()[0]);
        Ok(())
    }
}
