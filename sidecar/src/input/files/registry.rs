//! Which file is which: every content once, under whatever name and inode it appears.
//!
//! A file that is found is, in this order:
//! - one that is followed already, by its inode;
//! - one that was followed before, by its inode and what has been read of it;
//! - what has become of one that is gone: the copy of a file that was truncated after it (`copytruncate`), or its archive;
//! - a copy of a file that is followed, which nobody needs as long as that is there: it is parked;
//! - a new one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use metlog_core::Timestamp;
use tracing::warn;

use super::{
    candidates::Candidate,
    config::Start,
    follower::{self, Follower, Reading},
    marks::{Inode, Progress},
    order::stem,
    positions::Positions,
    source::Encoding,
};

/// How long a copy of a file is looked for after it was truncated. Copies are made before, so one scan finds them.
const COPY_PATIENCE: Duration = Duration::from_secs(60);

/// Why a content that is known has no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It has not been looked for since the start.
    NotSeen,
    /// Its file was truncated.
    Truncated(Instant),
    /// Its file is not among those that are found. It may come back, and only an archive can be what has become of it: a
    /// file of the same content is a new one.
    Missing,
    /// Its file was deleted, and has been read to its end. What has its inode is another file.
    Deleted,
}

/// The files of an input.
#[derive(Debug, Default)]
pub struct Registry {
    /// Those that are followed.
    pub followers: BTreeMap<u64, Follower>,
    /// Contents without a file.
    orphans: BTreeMap<u64, Why>,
    by_inode: HashMap<Inode, u64>,
    by_path: HashMap<PathBuf, u64>,
    /// Followers that may have something to read.
    pub dirty: BTreeSet<u64>,
}

impl Registry {
    /// Everything that is known is looked for anew: on start, and after a failed sync.
    pub fn reset(&mut self, positions: &Positions) {
        *self = Self::default();
        self.orphans = positions.files().map(|progress| (progress.id, Why::NotSeen)).collect();
    }

    /// A name was written to. False when nobody knows it.
    pub fn touch(&mut self, path: &PathBuf) -> bool {
        self.by_path.get(path).is_some_and(|id| {
            self.dirty.insert(*id);
            true
        })
    }

    /// How many files are open.
    pub fn open(&self) -> usize {
        self.followers.values().filter(|follower| follower.is_open()).count()
    }

    /// True when a file is open.
    pub fn has_open(&self) -> bool {
        self.followers.values().any(Follower::is_open)
    }

    /// Takes in what the patterns find now.
    pub fn scan(&mut self, candidates: Vec<Candidate>, positions: &mut Positions, reading: &Reading) {
        let unknown = self.meet_known(candidates);
        // What is gone is noted first: its archive may be among those that are not known.
        let mut rest = Vec::new();
        for candidate in unknown {
            if let Some(progress) = self.same_file(&candidate, positions) {
                self.follow(progress, candidate);
            } else if candidate.size > 0 {
                rest.push(candidate);
            }
        }
        // Older files first, so that what they have become is known before a new file is taken for one.
        rest.sort_by(|a, b| a.place.rank.cmp(&b.place.rank));
        let started_at = positions.started_at();
        for candidate in rest {
            self.identify(candidate, positions, reading);
        }
        if started_at == 0 {
            positions.set_started(Timestamp::now());
        }
        self.settle();
    }

    /// Followed files under the names they have now. Gives back those that are not followed.
    fn meet_known(&mut self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let mut unknown = Vec::new();
        let mut met = BTreeSet::new();
        for candidate in candidates {
            let Some(id) = self.by_inode.get(&candidate.inode).copied() else {
                unknown.push(candidate);
                continue;
            };
            met.insert(id);
            if let Some(follower) = self.followers.get_mut(&id) {
                let has_moved = follower.path != candidate.path;
                if follower.meet(candidate) || has_moved {
                    self.dirty.insert(id);
                }
                if has_moved {
                    self.by_path.insert(canonical(&follower.path), id);
                }
            }
        }
        let is_gone = |id: &u64, follower: &Follower| !met.contains(id) && !follower.is_open();
        let gone: Vec<u64> =
            self.followers.iter().filter(|(id, it)| is_gone(id, it)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.lose(id, Why::Missing));
        self.by_path.retain(|path, id| self.followers.get(id).is_some_and(|it| canonical_is(path, &it.path)));
        unknown
    }

    /// A content whose file has the same inode and begins as it did.
    fn same_file(&self, candidate: &Candidate, positions: &Positions) -> Option<Progress> {
        let orphans = self.orphans.iter().filter(|(_, why)| **why != Why::Deleted);
        let orphans = orphans.filter_map(|(id, _)| positions.get(*id));
        let mut same = orphans.filter(|progress| progress.inode == candidate.inode);
        same.find(|progress| is_same(candidate, progress)).cloned()
    }

    fn identify(&mut self, candidate: Candidate, positions: &mut Positions, reading: &Reading) {
        let is_archive = Encoding::of(&candidate.path) != Encoding::Plain;
        if let Some(progress) = self.successor(&candidate, is_archive, positions) {
            self.follow(progress, candidate);
            return;
        }
        if self.is_copy(&candidate, is_archive, positions) || is_too_old(&candidate, reading) {
            return;
        }
        let progress = Progress::new(positions.new_id(), candidate.inode, &candidate.path.to_string_lossy());
        let is_there_before = positions.started_at() == 0;
        if reading.config.start == Start::End
            && (is_there_before || is_archive && is_before(&candidate, positions))
        {
            if is_archive {
                return;
            }
            match follower::skip_to_end(&candidate.path, progress, candidate.size) {
                Ok(progress) => {
                    positions.apply(vec![progress.clone()]);
                    self.follow(progress, candidate);
                }
                Err(error) => warn!(path = %candidate.path.display(), %error, "log file cannot be read"),
            }
            return;
        }
        self.follow(progress, candidate);
    }

    /// The content that the file has become of: of those without a file the one that was read furthest.
    fn successor(&self, candidate: &Candidate, is_archive: bool, positions: &Positions) -> Option<Progress> {
        let name = stem(&candidate.path);
        let orphans = self
            .orphans
            .iter()
            .filter(|(_, why)| is_archive || matches!(why, Why::NotSeen | Why::Truncated(_)));
        let known = orphans.filter_map(|(id, _)| positions.get(*id)).filter(|progress| progress.offset > 0);
        let related = known.filter(|progress| is_archive || stem(progress.path.as_ref()) == name);
        let mut matching: Vec<&Progress> = related.filter(|progress| is_same(candidate, progress)).collect();
        matching.sort_by_key(|progress| progress.offset);
        matching.pop().cloned()
    }

    /// True when the content is that of a followed file so far: it is being copied or compressed.
    fn is_copy(&self, candidate: &Candidate, is_archive: bool, positions: &Positions) -> bool {
        let name = stem(&candidate.path);
        self.followers.values().filter(|it| is_archive || stem(&it.path) == name).any(|it| {
            // What is durable is what the file is known by.
            let known = positions.get(it.progress.id).filter(|known| known.offset > 0);
            let is_read = known.is_some_and(|known| is_same(candidate, known));
            let is_plain = !is_archive && Encoding::of(&it.path) == Encoding::Plain;
            is_read || is_plain && it.is_copied_to(&candidate.path, candidate.size).unwrap_or(false)
        })
    }

    fn follow(&mut self, progress: Progress, candidate: Candidate) {
        let id = progress.id;
        self.orphans.remove(&id);
        self.by_inode.insert(candidate.inode, id);
        self.by_path.insert(canonical(&candidate.path), id);
        self.followers.insert(id, Follower::new(progress, candidate));
        self.dirty.insert(id);
    }

    /// The file was deleted and has been read to its end.
    pub fn finish(&mut self, id: u64) {
        self.lose(id, Why::Deleted);
    }

    fn lose(&mut self, id: u64, why: Why) {
        if let Some(follower) = self.followers.remove(&id) {
            if self.by_inode.get(&follower.progress.inode) == Some(&id) {
                self.by_inode.remove(&follower.progress.inode);
            }
            self.orphans.insert(id, why);
        }
        self.dirty.remove(&id);
    }

    /// The file begins anew; what it held may have been copied.
    pub fn replace(&mut self, id: u64, positions: &mut Positions) {
        let Some(mut follower) = self.followers.remove(&id) else { return };
        self.dirty.remove(&id);
        let fresh = positions.new_id();
        // What was read and is not durable yet is noted in the batch under the old number.
        let _kept_by_the_batch = follower.replaced(fresh);
        self.orphans.insert(id, Why::Truncated(Instant::now()));
        self.by_inode.insert(follower.progress.inode, fresh);
        self.by_path.insert(canonical(&follower.path), fresh);
        self.followers.insert(fresh, follower);
        self.dirty.insert(fresh);
    }

    /// What was not found by now has been deleted, and copies have been found.
    fn settle(&mut self) {
        for why in self.orphans.values_mut() {
            match why {
                Why::Truncated(since) if since.elapsed() < COPY_PATIENCE => {}
                Why::Deleted => {}
                why => *why = Why::Missing,
            }
        }
    }
}

fn is_same(candidate: &Candidate, progress: &Progress) -> bool {
    let is_plain = Encoding::of(&candidate.path) == Encoding::Plain;
    if is_plain && candidate.size < progress.offset {
        return false;
    }
    follower::has_content_of(&candidate.path, progress).unwrap_or(false)
}

fn is_too_old(candidate: &Candidate, reading: &Reading) -> bool {
    candidate.modified.elapsed().is_ok_and(|age| age > reading.config.oldest)
}

/// True for a file that was there before the input ran for the first time.
fn is_before(candidate: &Candidate, positions: &Positions) -> bool {
    let modified = candidate.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(modified.as_nanos()).is_ok_and(|modified| modified < positions.started_at())
}

/// The name without links: what the system tells of changes by.
fn canonical(path: &PathBuf) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())
}

/// Names of which only the folder is a link are told by the file's own name.
fn canonical_is(canonical: &std::path::Path, path: &std::path::Path) -> bool {
    canonical.file_name() == path.file_name() || path.is_symlink()
}
