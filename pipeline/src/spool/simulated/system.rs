//! The calls of the simulated system: each may fail, come short, or be the last before everything stops; and the disk
//! can be kept as it was before each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::{Change, DirChange, Node, tear};
use super::random::Random;
use super::skip::{Call, Entry, Phase, Skip, kind_of, sync_of};

#[derive(Debug, Clone)]
pub(super) struct System {
    pub(super) random: Random,
    /// Shared with copies until one of them is changed.
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) entries: BTreeMap<PathBuf, usize>,
    pub(super) durable: BTreeMap<PathBuf, usize>,
    pub(super) pending: Vec<DirChange>,
    pub(super) locked: bool,
    pub(super) calls: u64,
    pub(super) stop_at: u64,
    pub(super) stopped: bool,
    pub(super) fault_odds: usize,
    pub(super) faults: u64,
    pub(super) failed_removals: u64,
    pub(super) skip: Option<Skip>,
    pub(super) phase: Phase,
    /// The system before each call that found something pending, while they are wanted.
    pub(super) copies: Option<Vec<System>>,
}

pub(super) fn refused() -> io::Error {
    io::Error::other("refused by the simulation")
}

impl System {
    pub(super) fn new(seed: u64, fault_odds: usize, skip: Option<Skip>) -> System {
        System {
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
            phase: Phase::Open,
            copies: None,
        }
    }

    /// Begins a call that changes something. An error: it fails, or the machine stops before it.
    /// `Ok(true)`: the machine stops after it.
    fn call(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Err(refused());
        }
        self.keep_a_copy();
        self.calls += 1;
        if self.calls == self.stop_at {
            self.stopped = true;
            return if self.random.one_in(2) { Err(refused()) } else { Ok(true) };
        }
        Ok(false)
    }

    fn keep_a_copy(&mut self) {
        let Some(mut copies) = self.copies.take() else { return };
        if !self.pending.is_empty() || self.nodes.iter().any(|node| !node.pending.is_empty()) {
            copies.push(self.clone());
        }
        self.copies = Some(copies);
    }

    fn skips(&self, call: Call) -> bool {
        self.skip.is_some_and(|skip| skip.call == call && skip.during.is_none_or(|phase| phase == self.phase))
    }

    fn node(&mut self, node: usize) -> &mut Node {
        Arc::make_mut(&mut self.nodes[node])
    }

    fn fault(&mut self) -> bool {
        let fault = self.fault_odds > 0 && self.random.one_in(self.fault_odds);
        self.faults += u64::from(fault);
        fault
    }

    /// A call without parts: done or refused.
    pub(super) fn whole_call(&mut self) -> io::Result<bool> {
        let stops = self.call()?;
        if !stops && self.fault() { Err(refused()) } else { Ok(stops) }
    }

    fn change_dir(&mut self, change: DirChange) {
        change.apply(&mut self.entries);
        self.pending.push(change);
    }

    pub(super) fn add(&mut self, kind: Entry, path: &Path) -> usize {
        self.nodes.push(Arc::default());
        let node = self.nodes.len() - 1;
        let added = Some((path.to_owned(), node));
        self.change_dir(DirChange { kind, dirs: vec![parent(path)], removed: None, added });
        node
    }

    pub(super) fn create(&mut self, path: &Path, new: bool) -> io::Result<usize> {
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
                self.node(node).pending.push(Change::Length(0));
                self.node(node).current.clear();
                node
            }
            None => self.add(kind_of(path), path),
        };
        if stops { Err(refused()) } else { Ok(node) }
    }

    pub(super) fn write(&mut self, node: usize, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let stops = self.call()?;
        let fault = !stops && self.fault();
        if fault && self.random.one_in(2) {
            let full = self.random.one_in(2);
            return Err(if full { io::ErrorKind::StorageFull.into() } else { refused() });
        }
        let count = if stops || fault { self.random.below(bytes.len() + 1) } else { bytes.len() };
        let change = Change::Write(usize::try_from(offset).unwrap(), bytes[..count].to_vec());
        let node = self.node(node);
        change.apply(&mut node.current);
        node.pending.push(change);
        if stops { Err(refused()) } else { Ok(count) }
    }

    pub(super) fn truncate(&mut self, node: usize, length: u64) -> io::Result<()> {
        let stops = self.whole_call()?;
        let change = Change::Length(usize::try_from(length).unwrap());
        let node = self.node(node);
        change.apply(&mut node.current);
        node.pending.push(change);
        if stops { Err(refused()) } else { Ok(()) }
    }

    pub(super) fn sync(&mut self, node: usize, path: &Path) -> io::Result<()> {
        let stops = self.call()?;
        if self.skips(sync_of(path, &self.nodes[node].current)) {
            return if stops { Err(refused()) } else { Ok(()) };
        }
        let fault = !stops && self.fault();
        let Node { durable, pending, current } = Arc::make_mut(&mut self.nodes[node]);
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

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let stops = self.call()?;
        let fault = !stops && self.fault();
        let mut kept = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            let here = change.dirs.iter().any(|changed| changed == dir);
            let skipped = self.skips(Call::DirAfter(change.kind)) || (fault && self.random.one_in(2));
            if here && !skipped {
                self.make_durable(&change, &mut kept);
            } else {
                kept.push(change);
            }
        }
        self.pending = kept;
        if stops || fault { Err(refused()) } else { Ok(()) }
    }

    /// A directory is written as it is now: of one name never a later change without those before it.
    fn make_durable(&mut self, change: &DirChange, kept: &mut Vec<DirChange>) {
        let (before, others): (Vec<_>, Vec<_>) =
            std::mem::take(kept).into_iter().partition(|kept| kept.names_one_of(change));
        *kept = others;
        for earlier in before {
            self.make_durable(&earlier, kept);
        }
        change.apply(&mut self.durable);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let stops = self.whole_call()?;
        if !self.skips(Call::Rename) {
            let node = *self.entries.get(from).ok_or(io::ErrorKind::NotFound)?;
            let (dirs, added) = (vec![parent(from), parent(to)], Some((to.to_owned(), node)));
            self.change_dir(DirChange { kind: Entry::Renamed, dirs, removed: Some(from.to_owned()), added });
        }
        if stops { Err(refused()) } else { Ok(()) }
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let stops = self.whole_call().inspect_err(|_| self.failed_removals += 1)?;
        self.entries.get(path).ok_or(io::ErrorKind::NotFound)?;
        if !self.skips(Call::Removal) {
            let removed = Some(path.to_owned());
            let dirs = vec![parent(path)];
            self.change_dir(DirChange { kind: Entry::Removed, dirs, removed, added: None });
        }
        if stops { Err(refused()) } else { Ok(()) }
    }

    pub(super) fn power_cut(&mut self) {
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
            if node.pending.is_empty() && node.current == node.durable {
                continue;
            }
            let node = Arc::make_mut(node);
            tear(&mut self.random, &node.pending, &mut node.durable);
            node.pending.clear();
            node.current.clone_from(&node.durable);
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}
