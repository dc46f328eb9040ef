//! A file system in memory for the model test: it forgets, tears and reorders what was not synced, fails on demand, and
//! stops at any call.
//!
//! A file has what is durable and the changes that are not; a directory likewise. [`Simulated::power_cut`] keeps any
//! part of the changes: a write whole, not at all, or in pieces cut at any byte, later ones without earlier ones; a
//! creation, a rename or a removal or not. [`Simulated::kill`] keeps all of them, still not durable. A sync that fails
//! makes a part durable and calls the rest clean, as Linux does: a later sync does not write it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{FileRef, Files, SpoolFile};
use super::segment;

/// A call that does nothing, so that a test can tell whether it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
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
pub(super) enum Entry {
    Segment,
    Checkpoint,
    Damage,
    Directory,
    Renamed,
    Removed,
}

/// Numbers that look random and repeat with their seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    pub(super) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

#[derive(Debug, Clone, Hash)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Length(length) => content.resize(*length, 0),
            Change::Write(offset, bytes) => {
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

/// A file. A directory has one too, which stays empty.
#[derive(Debug, Default, Hash)]
struct Node {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// What a read gives.
    current: Vec<u8>,
}

/// A change of a directory: the entries it takes away and puts there.
#[derive(Debug, Clone)]
struct DirChange {
    kind: Entry,
    dirs: Vec<PathBuf>,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, usize)>,
}

impl DirChange {
    fn apply(&self, entries: &mut BTreeMap<PathBuf, usize>) {
        if let Some(path) = &self.removed {
            entries.remove(path);
        }
        if let Some((path, node)) = &self.added {
            entries.insert(path.clone(), *node);
        }
    }
}

#[derive(Debug)]
struct System {
    random: Random,
    nodes: Vec<Node>,
    entries: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<DirChange>,
    locked: bool,
    calls: u64,
    stop_at: u64,
    stopped: bool,
    fault_odds: usize,
    faults: u64,
    failed_removals: u64,
    skip: Option<Skip>,
}

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

fn refused() -> io::Error {
    io::Error::other("refused by the simulation")
}

impl System {
    /// Begins a call that changes something. An error: it fails, or the machine stops before it.
    /// `Ok(true)`: the machine stops after it.
    fn call(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Err(refused());
        }
        self.calls += 1;
        if self.calls == self.stop_at {
            self.stopped = true;
            return if self.random.one_in(2) { Err(refused()) } else { Ok(true) };
        }
        Ok(false)
    }

    fn fault(&mut self) -> bool {
        let fault = self.fault_odds > 0 && self.random.one_in(self.fault_odds);
        self.faults += u64::from(fault);
        fault
    }

    /// A call without parts: done or refused.
    fn whole_call(&mut self) -> io::Result<bool> {
        let stops = self.call()?;
        if !stops && self.fault() { Err(refused()) } else { Ok(stops) }
    }

    fn change_dir(&mut self, change: DirChange) {
        change.apply(&mut self.entries);
        self.pending.push(change);
    }

    fn add(&mut self, kind: Entry, path: &Path) -> usize {
        self.nodes.push(Node::default());
        let node = self.nodes.len() - 1;
        let added = Some((path.to_owned(), node));
        self.change_dir(DirChange { kind, dirs: vec![parent(path)], removed: None, added });
        node
    }

    fn create(&mut self, path: &Path, new: bool) -> io::Result<usize> {
        if self.stopped {
            return Err(refused());
        }
        if new && self.entries.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let stops = self.whole_call()?;
        let node = match self.entries.get(path) {
            Some(node) => {
                let node = *node;
                self.nodes[node].pending.push(Change::Length(0));
                self.nodes[node].current.clear();
                node
            }
            None => self.add(kind_of(path), path),
        };
        if stops { Err(refused()) } else { Ok(node) }
    }

    fn write(&mut self, node: usize, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let stops = self.call()?;
        let fault = !stops && self.fault();
        if fault && self.random.one_in(2) {
            let full = self.random.one_in(2);
            return Err(if full { io::ErrorKind::StorageFull.into() } else { refused() });
        }
        let count = if stops || fault { self.random.below(bytes.len() + 1) } else { bytes.len() };
        let change = Change::Write(usize::try_from(offset).unwrap(), bytes[..count].to_vec());
        change.apply(&mut self.nodes[node].current);
        self.nodes[node].pending.push(change);
        if stops { Err(refused()) } else { Ok(count) }
    }

    fn truncate(&mut self, node: usize, length: u64) -> io::Result<()> {
        let stops = self.whole_call()?;
        let change = Change::Length(usize::try_from(length).unwrap());
        change.apply(&mut self.nodes[node].current);
        self.nodes[node].pending.push(change);
        if stops { Err(refused()) } else { Ok(()) }
    }

    fn sync(&mut self, node: usize, path: &Path) -> io::Result<()> {
        let stops = self.call()?;
        if self.skip.is_some_and(|skip| skip == sync_of(path)) {
            return if stops { Err(refused()) } else { Ok(()) };
        }
        let fault = !stops && self.fault();
        let Node { durable, pending, current } = &mut self.nodes[node];
        if fault {
            tear(&mut self.random, pending, durable);
            if self.random.one_in(2) {
                current.clone_from(durable);
            }
        } else {
            pending.iter().for_each(|change| change.apply(durable));
        }
        pending.clear();
        if stops || fault { Err(refused()) } else { Ok(()) }
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let stops = self.call()?;
        let fault = !stops && self.fault();
        for change in std::mem::take(&mut self.pending) {
            let here = change.dirs.iter().any(|changed| changed == dir);
            let skipped = self.skip == Some(Skip::DirAfter(change.kind)) || (fault && self.random.one_in(2));
            if here && !skipped {
                change.apply(&mut self.durable);
            } else {
                self.pending.push(change);
            }
        }
        if stops || fault { Err(refused()) } else { Ok(()) }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let stops = self.whole_call()?;
        if self.skip != Some(Skip::Rename) {
            let node = *self.entries.get(from).ok_or(io::ErrorKind::NotFound)?;
            let (dirs, added) = (vec![parent(from), parent(to)], Some((to.to_owned(), node)));
            self.change_dir(DirChange { kind: Entry::Renamed, dirs, removed: Some(from.to_owned()), added });
        }
        if stops { Err(refused()) } else { Ok(()) }
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let stops = self.whole_call().inspect_err(|_| self.failed_removals += 1)?;
        self.entries.get(path).ok_or(io::ErrorKind::NotFound)?;
        if self.skip != Some(Skip::Removal) {
            let removed = Some(path.to_owned());
            let dirs = vec![parent(path)];
            self.change_dir(DirChange { kind: Entry::Removed, dirs, removed, added: None });
        }
        if stops { Err(refused()) } else { Ok(()) }
    }

    fn power_cut(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let fate = self.random.below(4);
        for change in pending {
            // None, all, or any of them.
            if fate > 0 && (fate == 1 || self.random.one_in(2)) {
                change.apply(&mut self.durable);
            }
        }
        // What lies in a directory that is gone is gone with it.
        let dirs: Vec<PathBuf> = self.durable.keys().cloned().collect();
        self.durable.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| dir == Path::new("/") || dirs.iter().any(|d| d == dir))
        });
        self.entries.clone_from(&self.durable);
        for node in &mut self.nodes {
            tear(&mut self.random, &node.pending, &mut node.durable);
            node.pending.clear();
            node.current.clone_from(&node.durable);
        }
    }
}

/// Makes any part of the changes durable.
fn tear(random: &mut Random, pending: &[Change], durable: &mut Vec<u8>) {
    let fate = random.below(4);
    for change in pending {
        match (fate, change) {
            (0, _) => {}
            (1, change) => change.apply(durable),
            (_, Change::Length(_)) if random.one_in(2) => {}
            (_, Change::Length(_)) => change.apply(durable),
            (2, _) if random.one_in(2) => change.apply(durable),
            (_, Change::Write(offset, bytes)) => {
                let mut start = 0;
                while start < bytes.len() {
                    let end = start + 1 + random.below(bytes.len() - start);
                    if random.one_in(2) {
                        Change::Write(offset + start, bytes[start..end].to_vec()).apply(durable);
                    }
                    start = end;
                }
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

fn kind_of(path: &Path) -> Entry {
    let name = path.to_string_lossy();
    if name.contains("/damaged/") {
        Entry::Damage
    } else if name.ends_with(".seg") {
        Entry::Segment
    } else {
        Entry::Checkpoint
    }
}

fn sync_of(path: &Path) -> Skip {
    match kind_of(path) {
        Entry::Damage => Skip::SyncOfDamage,
        Entry::Segment => Skip::SyncOfSegment,
        _ if path.to_string_lossy().contains("/meta.") => Skip::SyncOfMeta,
        _ => Skip::SyncOfCheckpoint,
    }
}

impl Simulated {
    pub(super) fn new(seed: u64, fault_odds: usize, skip: Option<Skip>) -> Simulated {
        Simulated(Arc::new(Mutex::new(System {
            random: Random(seed),
            nodes: Vec::new(),
            entries: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            locked: false,
            calls: 0,
            stop_at: 0,
            stopped: false,
            fault_odds,
            faults: 0,
            failed_removals: 0,
            skip,
        })))
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
    pub(super) fn flip(&self, path: &Path, at: usize) {
        let mut system = self.system();
        let node = system.entries[path];
        let Node { durable, current, .. } = &mut system.nodes[node];
        for content in [durable, current] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 0x10;
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
