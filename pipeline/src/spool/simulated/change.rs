//! Files and directories with what is durable and what is not yet; and what a crash leaves of that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::random::Random;
use super::skip::Entry;

#[derive(Debug, Clone, Hash)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
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
#[derive(Debug, Default, Clone, Hash)]
pub(super) struct Node {
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// What a read gives.
    pub(super) current: Vec<u8>,
}

/// A change of a directory: the entries it takes away and puts there.
#[derive(Debug, Clone)]
pub(super) struct DirChange {
    pub(super) kind: Entry,
    pub(super) dirs: Vec<PathBuf>,
    pub(super) removed: Option<PathBuf>,
    pub(super) added: Option<(PathBuf, usize)>,
}

impl DirChange {
    fn names(&self) -> impl Iterator<Item = &PathBuf> {
        self.removed.iter().chain(self.added.iter().map(|(path, _)| path))
    }

    pub(super) fn names_one_of(&self, other: &DirChange) -> bool {
        self.names().any(|name| other.names().any(|others| others == name))
    }

    pub(super) fn apply(&self, entries: &mut BTreeMap<PathBuf, usize>) {
        if let Some(path) = &self.removed {
            entries.remove(path);
        }
        if let Some((path, node)) = &self.added {
            entries.insert(path.clone(), *node);
        }
    }
}

/// Makes any part of the changes durable.
pub(super) fn tear(random: &mut Random, pending: &[Change], durable: &mut Vec<u8>) {
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
