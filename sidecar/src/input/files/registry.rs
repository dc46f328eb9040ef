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
    io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use metlog_core::Timestamp;
use tracing::{debug, warn};

use super::{
    candidates::Candidate,
    config::Start,
    follower::{self, Follower, Reading},
    likeness::{Likeness, Look},
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

impl Why {
    /// True when a plain file can be what has become of the content.
    fn leaves_copies(self) -> bool {
        matches!(self, Self::NotSeen | Self::Truncated(_))
    }
}

/// What a file is that nobody follows.
#[derive(Debug)]
enum Verdict {
    /// What has become of a content whose file is gone.
    Successor(Progress),
    /// A copy of a file that is there, or an archive that is not complete: nobody needs it, or not yet.
    Copy,
    /// A content of its own.
    New,
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
        self.settle(positions);
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
            let Some(follower) = self.followers.get_mut(&id) else { continue };
            let (has_moved, has_changed) =
                (follower.path != candidate.path, follower.has_changed(&candidate));
            // Another file may have the inode by now, and no turn would tell: nobody looks into an archive again that was
            // read to its end, and of a file that was not read at all nothing is known.
            let is_unread = follower.progress.offset == 0 && !follower.is_open();
            if is_unread || follower.progress.done && has_changed {
                self.lose(id, Why::Missing);
                unknown.push(candidate);
                continue;
            }
            follower.meet(candidate);
            met.insert(id);
            if has_moved {
                self.by_path.insert(canonical(&follower.path), id);
            }
            if has_moved || has_changed {
                self.dirty.insert(id);
            }
        }
        let missed: Vec<u64> = self.followers.keys().filter(|id| !met.contains(id)).copied().collect();
        for id in missed {
            // One that is open is read to its end, and only its next turn can tell that it was deleted.
            if self.followers.get(&id).is_some_and(Follower::is_open) {
                self.dirty.insert(id);
            } else {
                self.lose(id, Why::Missing);
            }
        }
        self.by_path.retain(|path, id| self.followers.get(id).is_some_and(|it| canonical_is(path, &it.path)));
        unknown
    }

    /// A content whose file has the same inode and begins as it did.
    fn same_file(&self, candidate: &Candidate, positions: &Positions) -> Option<Progress> {
        let orphans = self.orphans.iter().filter(|(_, why)| **why != Why::Deleted);
        let known = orphans.filter_map(|(id, _)| positions.get(*id));
        let same: Vec<&Progress> =
            known.filter(|progress| progress.inode == candidate.inode && progress.offset > 0).collect();
        if same.is_empty() {
            return None;
        }
        let mut look = look(candidate).ok().flatten()?;
        same.into_iter().find(|progress| look.holds(progress) == Likeness::Same).cloned()
    }

    fn identify(&mut self, candidate: Candidate, positions: &mut Positions, reading: &Reading) {
        let verdict = self.likeness(&candidate, positions);
        debug!(path = %candidate.path.display(), inode = candidate.inode.inode, size = candidate.size, ?verdict, "log file found");
        match verdict {
            Ok(Verdict::Successor(progress)) => self.follow(progress, candidate),
            Ok(Verdict::New) if !is_too_old(&candidate, reading) => self.begin(candidate, positions, reading),
            // What cannot be told yet is looked at again when it changes, and by each scan.
            Ok(Verdict::Copy | Verdict::New) => {}
            Err(error) => {
                let path = candidate.path.display();
                warn!(%path, %error, "log file cannot be read");
            }
        }
    }

    /// What the file is: archives and copies are named after the file that they are of.
    fn likeness(&self, candidate: &Candidate, positions: &Positions) -> io::Result<Verdict> {
        let look = match look(candidate) {
            // A damaged archive is told by its follower.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Ok(Verdict::New),
            other => other?,
        };
        let Some(mut look) = look.filter(|look| !look.is_empty()) else { return Ok(Verdict::Copy) };
        let is_archive = Encoding::of(&candidate.path) != Encoding::Plain;
        let name = stem(&candidate.path);
        if self.is_copy(&mut look, &name, is_archive, positions) {
            return Ok(Verdict::Copy);
        }
        let orphans = self.orphans.iter().filter(|(_, why)| is_archive || why.leaves_copies());
        let known = orphans.filter_map(|(id, _)| positions.get(*id)).filter(|known| known.offset > 0);
        let mut furthest: Option<&Progress> = None;
        for known in known.filter(|known| stem(known.path.as_ref()) == name) {
            match look.holds(known) {
                Likeness::Same if furthest.is_none_or(|other| other.offset < known.offset) => {
                    furthest = Some(known);
                }
                Likeness::Unclear => return Ok(Verdict::Copy),
                _ => {}
            }
        }
        Ok(furthest.cloned().map_or(Verdict::New, Verdict::Successor))
    }

    /// True when the content is that of a followed file so far.
    fn is_copy(&self, look: &mut Look, name: &str, is_archive: bool, positions: &Positions) -> bool {
        let related = self.followers.values().filter(|follower| stem(&follower.path) == name);
        related.into_iter().any(|follower| {
            let original = follower.look().ok().flatten();
            if original.is_some_and(|original| look.is_copy_so_far(original).unwrap_or(false)) {
                return true;
            }
            // The original may have been truncated just now; then the copy is complete, and holds what was read of it.
            let known = positions.get(follower.progress.id).filter(|known| known.offset > 0);
            let likeness = |known| if is_archive { look.begins_like(known) } else { look.holds(known) };
            known.map(likeness).is_some_and(|likeness| likeness != Likeness::Other)
        })
    }

    /// Follows a file whose content is new.
    fn begin(&mut self, candidate: Candidate, positions: &mut Positions, reading: &Reading) {
        let is_archive = Encoding::of(&candidate.path) != Encoding::Plain;
        let progress = Progress::new(positions.new_id(), candidate.inode, &candidate.path.to_string_lossy());
        let was_there = positions.started_at() == 0 || is_archive && is_before(&candidate, positions);
        if reading.config.start == Start::Beginning || !was_there {
            self.follow(progress, candidate);
            return;
        }
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
            debug!(path = %follower.path.display(), id, offset = follower.progress.offset, ?why, "log file gone");
            self.orphans.insert(id, why);
        }
        self.dirty.remove(&id);
    }

    /// The file holds something else now: it was truncated, and what it held may have been copied, or its inode is that of
    /// another file by now. The next scan tells.
    pub fn replaced(&mut self, id: u64) {
        self.lose(id, Why::Truncated(Instant::now()));
    }

    /// What was not found by now has been deleted, and copies have been found. Of what was never read nothing is known.
    fn settle(&mut self, positions: &Positions) {
        self.orphans.retain(|id, _| positions.get(*id).is_some());
        for why in self.orphans.values_mut() {
            match why {
                Why::Truncated(since) if since.elapsed() < COPY_PATIENCE => {}
                Why::Deleted => {}
                why => *why = Why::Missing,
            }
        }
    }
}

/// The candidate's content; `None` when its name stands for another file by now: the next scan finds both.
fn look(candidate: &Candidate) -> io::Result<Option<Look>> {
    match Look::at(&candidate.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        look => {
            let look = look?;
            Ok((look.inode()? == candidate.inode).then_some(look))
        }
    }
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
