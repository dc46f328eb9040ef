//! Where a consumer stands in the spool, saved together with what it had made of the records up to there.
//!
//! Two files, `<name>.0` and `<name>.1`, are written in turn, so that one good state is on disk at any moment:
//!
//! ```text
//! offset  size  all numbers little endian
//!      0     4  magic "MCP1"
//!      4     8  generation: the higher of two good files counts
//!     12     8  ordinal
//!     20     4  length n of the state
//!     24     4  CRC32C of bytes 0..24 and of the state
//!     28     n  state, MessagePack with named fields
//! ```

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::check::{Sum, agrees};
use super::files::{Disk, FileRef, Files, make_dirs, read_full_at, rewrite, write_all_at};
use super::record::take;

const MAGIC: [u8; 4] = *b"MCP1";

/// A consumer's saved place and state. `S` should carry `#[serde(default)]`, so that it can grow fields.
#[derive(Debug)]
pub struct Checkpoint<S> {
    files: Arc<dyn Files>,
    dir: PathBuf,
    name: String,
    generation: u64,
    /// The file to write next: never the one that holds the newest good state.
    slot: u8,
    /// Files whose directory entries this process has synced: whoever made them was perhaps killed before that.
    entries_synced: u8,
    warning: Option<String>,
    state: PhantomData<fn() -> S>,
}

/// What one file holds.
struct Slot<S> {
    generation: u64,
    ordinal: u64,
    state: S,
}

impl<S: Serialize + DeserializeOwned + Default> Checkpoint<S> {
    /// Loads the newest readable state, or ordinal 0 and the default state when there is none.
    ///
    /// A file that is there and cannot be read never stops a consumer: it is logged and told by
    /// [`Checkpoint::warning`]. What was found is written anew and synced: a process that was killed had perhaps not
    /// done so, or its sync had failed, and segments are deleted on its word.
    ///
    /// # Errors
    /// When the directory cannot be made, a file may not be read or written, or `name` is not a plain file name.
    pub fn load(dir: &Path, name: &str) -> io::Result<(Checkpoint<S>, u64, S)> {
        Checkpoint::load_with(Arc::new(Disk), dir, name)
    }

    pub(super) fn load_with(
        files: Arc<dyn Files>,
        dir: &Path,
        name: &str,
    ) -> io::Result<(Checkpoint<S>, u64, S)> {
        check_name(name)?;
        make_dirs(&*files, dir)?;
        let mut checkpoint = Checkpoint {
            files,
            dir: dir.to_owned(),
            name: name.to_owned(),
            generation: 0,
            slot: 0,
            entries_synced: 0,
            warning: None,
            state: PhantomData,
        };
        let first = checkpoint.read(0)?;
        let second = checkpoint.read(1)?;
        let (slot, newest) = match (first, second) {
            (Some(first), Some(second)) if second.generation > first.generation => (1, Some(second)),
            (Some(first), _) => (0, Some(first)),
            (None, second) => (1, second),
        };
        let newest = newest.unwrap_or_else(|| Slot { generation: 0, ordinal: 0, state: S::default() });
        checkpoint.generation = newest.generation;
        checkpoint.slot = 1 - slot;
        if newest.generation > 0 {
            checkpoint.make_safe(slot)?;
        }
        Ok((checkpoint, newest.ordinal, newest.state))
    }

    /// What could not be read while loading, for a report.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Saves the place and the state; safe on disk when this returns `Ok`.
    ///
    /// # Errors
    /// When the state cannot be encoded or written. The state saved before then still counts.
    pub fn save(&mut self, ordinal: u64, state: &S) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        let bytes = encode(generation, ordinal, state)?;
        let (file, created) = self.open_slot()?;
        let sync_entry = created || self.entries_synced < 2;
        write_all_at(&*file, &bytes, 0)?;
        file.truncate(super::files::byte_count(bytes.len()))?;
        file.sync()?;
        if sync_entry {
            self.files.sync_dir(&self.dir)?;
            self.entries_synced = self.entries_synced.saturating_add(1);
        }
        self.generation = generation;
        self.slot = 1 - self.slot;
        Ok(())
    }

    /// Into the same file: the other one holds what counts should this one not be on the disk yet.
    fn make_safe(&self, slot: u8) -> io::Result<()> {
        let file = self.files.open(&self.path(slot))?;
        rewrite(&*file, 0, file.length()?)?;
        file.sync()?;
        self.files.sync_dir(&self.dir)
    }

    /// The file to write, and whether it was made now.
    fn open_slot(&self) -> io::Result<(FileRef, bool)> {
        let path = self.path(self.slot);
        match self.files.open(&path) {
            Ok(file) => Ok((file, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((self.files.create(&path)?, true)),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, slot: u8) -> io::Result<Option<Slot<S>>> {
        let path = self.path(slot);
        let file = match self.files.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
        let count = read_full_at(&*file, &mut bytes, 0)?;
        bytes.truncate(count);
        let decoded = decode(&bytes);
        if decoded.is_none() {
            warn!(file = %path.display(), bytes = count, "checkpoint cannot be read; the one before is used");
            let text = format!("{} cannot be read; the one before is used, or none", path.display());
            let known = self.warning.take().map(|known| format!("{known}; {text}"));
            self.warning = Some(known.unwrap_or(text));
        }
        Ok(decoded)
    }

    fn path(&self, slot: u8) -> PathBuf {
        self.dir.join(format!("{}.{slot}", self.name))
    }
}

/// The ordinal that the checkpoint `name` says, whatever its state is; `None` when neither file can be read. Writes
/// nothing, and may be called while the checkpoint's owner saves.
pub(super) fn peek(dir: &Path, name: &str) -> Option<u64> {
    let slot = |slot: u8| {
        let bytes = std::fs::read(dir.join(format!("{name}.{slot}"))).ok()?;
        decode::<serde::de::IgnoredAny>(&bytes)
    };
    let newest = [slot(0), slot(1)].into_iter().flatten().max_by_key(|slot| slot.generation);
    newest.map(|slot| slot.ordinal)
}

fn check_name(name: &str) -> io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let message = format!("checkpoint name is {name:?}, expected letters, digits, '.', '_' and '-'");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

fn encode<S: Serialize>(generation: u64, ordinal: u64, state: &S) -> io::Result<Vec<u8>> {
    let state = rmp_serde::to_vec_named(state).map_err(io::Error::other)?;
    let length = u32::try_from(state.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(28 + state.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&ordinal.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    let check = crc32c::crc32c_append(crc32c::crc32c(&bytes), &state);
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes.extend_from_slice(&state);
    Ok(bytes)
}

fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Option<Slot<S>> {
    let head = bytes.get(..24)?;
    let mut rest = bytes;
    if take(&mut rest)? != MAGIC {
        return None;
    }
    let generation = u64::from_le_bytes(take(&mut rest)?);
    let ordinal = u64::from_le_bytes(take(&mut rest)?);
    let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
    let check = u32::from_le_bytes(take(&mut rest)?);
    let state = rest.get(..length)?;
    if !agrees(Sum::Checkpoint, crc32c::crc32c_append(crc32c::crc32c(head), state), check) {
        return None;
    }
    Some(Slot { generation, ordinal, state: rmp_serde::from_slice(state).ok()? })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    type State = BTreeMap<String, u64>;

    fn load(dir: &Path) -> (Checkpoint<State>, u64, State) {
        Checkpoint::load(dir, "rollup").unwrap()
    }

    fn state(value: u64) -> State {
        BTreeMap::from([("seen".to_owned(), value)])
    }

    #[test]
    fn the_newest_of_two_alternating_files_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let (mut checkpoint, ordinal, empty) = load(dir.path());
        assert_eq!((ordinal, empty), (0, State::new()));
        for n in 1..=5 {
            checkpoint.save(n * 10, &state(n)).unwrap();
            let (loaded, ordinal, found) = load(dir.path());
            assert_eq!((ordinal, found), (n * 10, state(n)));
            assert_eq!(loaded.warning(), None);
        }
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["rollup.0", "rollup.1"]);
    }

    #[test]
    fn a_file_torn_or_flipped_anywhere_falls_back_to_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let (mut checkpoint, ..) = load(dir.path());
        checkpoint.save(1, &state(1)).unwrap();
        checkpoint.save(2, &state(2)).unwrap();
        let (older, newest) = (dir.path().join("rollup.0"), dir.path().join("rollup.1"));
        let (first, good) = (fs::read(&older).unwrap(), fs::read(&newest).unwrap());
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            for bad in [&flipped[..], &good[..at]] {
                fs::write(&older, &first).unwrap();
                fs::write(&newest, bad).unwrap();
                let (mut again, ordinal, found) = load(dir.path());
                assert_eq!((ordinal, found), (1, state(1)), "byte {at}");
                assert!(again.warning().is_some());
                again.save(3, &state(3)).unwrap();
                let (_, ordinal, _) = load(dir.path());
                assert_eq!(ordinal, 3, "the bad file is the next to be written");
            }
        }
    }

    #[test]
    fn two_unreadable_files_start_from_nothing_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        for slot in ["rollup.0", "rollup.1"] {
            fs::write(dir.path().join(slot), b"no checkpoint").unwrap();
        }
        let (checkpoint, ordinal, found) = load(dir.path());
        assert_eq!((ordinal, found), (0, State::new()));
        let warning = checkpoint.warning().unwrap();
        assert!(warning.contains("rollup.0") && warning.contains("rollup.1"), "{warning}");
    }

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", "../x"] {
            let error = Checkpoint::<State>::load(dir.path(), name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
