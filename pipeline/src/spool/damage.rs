//! Keeps bytes that could not be read, in `damaged/`, for a person to look at.
//!
//! A stretch is kept under `<segment>-<offset>.bytes`, so that the same damage, met again by another reader or after
//! the next start, is recognised and counted once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, SpoolFile, byte_count, make_dirs, read_full_at, rewrite, write_all_at};
use super::scan::Damage;

/// Bound of `damaged/`. Beyond it damage is still counted and marked by an empty file.
const MAX_KEPT_BYTES: u64 = 256 * 1024 * 1024;
const COPY_BYTES: usize = 256 * 1024;

/// The folder of damaged bytes of one spool.
#[derive(Debug)]
pub(super) struct Damaged {
    files: Arc<dyn Files>,
    spool: PathBuf,
    dir: PathBuf,
}

impl Damaged {
    pub(super) fn new(files: Arc<dyn Files>, spool: &Path) -> Damaged {
        Damaged { files, spool: spool.to_owned(), dir: spool.join("damaged") }
    }

    /// Copies a stretch of a segment. Returns the copy's path, or `None` when this damage was known before.
    pub(super) fn keep(
        &self,
        first: u64,
        damage: &Damage,
        file: &dyn SpoolFile,
    ) -> io::Result<Option<PathBuf>> {
        self.make_dir()?;
        let path = self.dir.join(format!("{first:020}-{}.bytes", damage.start));
        let copy = match self.files.create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            other => other?,
        };
        if let Err(error) = self.fill(&*copy, damage, file) {
            // Left there, it would make this damage pass for one that was counted.
            self.files.remove(&path)?;
            return Err(error);
        }
        Ok(Some(path))
    }

    fn fill(&self, copy: &dyn SpoolFile, damage: &Damage, file: &dyn SpoolFile) -> io::Result<()> {
        if self.kept_bytes().saturating_add(damage.bytes()) <= MAX_KEPT_BYTES {
            copy_range(file, damage, copy)?;
        }
        copy.sync()?;
        self.files.sync_dir(&self.dir)
    }

    /// Moves a whole segment away.
    pub(super) fn set_aside(&self, segment: &Path) -> io::Result<PathBuf> {
        self.make_dir()?;
        let file = self.files.open(segment)?;
        rewrite(&*file, 0, file.length()?)?;
        file.sync()?;
        let name = segment.file_name().unwrap_or_default().to_string_lossy();
        let taken = self.files.list(&self.dir)?;
        let mut free = (0_u32..).map(|n| if n == 0 { name.to_string() } else { format!("{name}.{n}") });
        let target = self.dir.join(free.find(|name| !taken.contains(name)).unwrap_or_default());
        self.files.rename(segment, &target)?;
        self.files.sync_dir(&self.dir)?;
        self.files.sync_dir(&self.spool)?;
        Ok(target)
    }

    fn make_dir(&self) -> io::Result<()> {
        make_dirs(&*self.files, &self.dir)
    }

    fn kept_bytes(&self) -> u64 {
        let names = self.files.list(&self.dir).unwrap_or_default();
        let length = |name: String| self.files.open(&self.dir.join(name)).and_then(|file| file.length());
        names.into_iter().filter_map(|name| length(name).ok()).fold(0, u64::saturating_add)
    }
}

/// Copies as much of the stretch as the disk gives.
fn copy_range(from: &dyn SpoolFile, damage: &Damage, to: &dyn SpoolFile) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = damage.start;
    while offset < damage.end {
        let left = usize::try_from(damage.end - offset).unwrap_or(usize::MAX).min(COPY_BYTES);
        let part = buffer.get_mut(..left).unwrap_or_default();
        let Ok(count) = read_full_at(from, part, offset) else { break };
        if count == 0 {
            break;
        }
        write_all_at(to, part.get(..count).unwrap_or_default(), offset - damage.start)?;
        offset = offset.saturating_add(byte_count(count));
    }
    Ok(())
}
