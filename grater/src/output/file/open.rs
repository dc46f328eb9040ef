//! One open file: appended to as a whole or not at all, and cut back after a crash.

use std::{
    fs::{self, DirBuilder, DirEntry, File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, DirEntryExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::output::OutputError;

/// Readable by the group, which log shippers belong to; messages are nobody else's business.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Which file was written, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it was.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// The device it is on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
}

impl Kept {
    pub(super) fn of(path: &Path, metadata: &Metadata) -> Self {
        let (length, device, inode) = (metadata.len(), metadata.dev(), metadata.ino());
        Self { path: path.to_owned(), length, device, inode }
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Where a failed write began that could not be cut off yet.
    pub(super) torn_at: Option<u64>,
    /// What the path's times were when it was opened: with others the file is closed.
    pub(super) period: String,
    /// In which turn of `rotate_every` it was begun.
    pub(super) turn: u64,
    /// When it was written to last, in deliveries.
    pub(super) used: u64,
    /// Whether a saved checkpoint knows it.
    pub(super) is_known: bool,
}

impl OpenFile {
    pub(super) fn kept(&self) -> Result<Kept, OutputError> {
        let metadata = self.file.metadata().map_err(OutputError::file("look at", &self.path))?;
        Ok(Kept::of(&self.path, &metadata))
    }

    /// Whether it is still what its path leads to.
    pub(super) fn is_at_its_path(&self) -> Result<bool, OutputError> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(self.kept()?.is_same_file(&Kept::of(&self.path, &metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(OutputError::file("look at", &self.path)(error)),
        }
    }

    pub(super) fn sync(&self) -> Result<(), OutputError> {
        self.file.sync_data().map_err(OutputError::file("sync", &self.path))
    }

    /// Cuts off what a failed write left behind.
    pub(super) fn mend(&mut self) -> Result<(), OutputError> {
        if let Some(length) = self.torn_at {
            cut(&self.file, length).map_err(OutputError::file("cut off a failed write to", &self.path))?;
        }
        self.torn_at = None;
        Ok(())
    }

    /// Appends `lines`, or leaves the file as it was; gives back how long it was.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<u64, OutputError> {
        self.mend()?;
        // Asked each time: `copytruncate` of logrotate empties the file under us.
        let length = self.kept()?.length;
        let written = (&self.file).write_all(lines);
        if written.is_err() {
            self.take_back(length);
        }
        written.map(|()| length).map_err(OutputError::file("write to", &self.path))
    }

    /// Cuts back to an earlier length, at once or before the next write.
    pub(super) fn take_back(&mut self, length: u64) {
        self.torn_at = cut(&self.file, length).is_err().then_some(length);
    }
}

/// Cuts off what came after a checkpoint, wherever the file is now; gives back where that is.
pub(super) fn cut_back(kept: &Kept) -> Result<Option<PathBuf>, OutputError> {
    let Some(path) = find(kept)? else {
        if kept.length > 0 {
            warn!(path = %kept.path.display(), "file of the last checkpoint is gone; messages may be in a copy of it twice");
        }
        return Ok(None);
    };
    let file =
        OpenOptions::new().read(true).write(true).open(&path).map_err(OutputError::file("open", &path))?;
    let found = Kept::of(&path, &file.metadata().map_err(OutputError::file("look at", &path))?);
    if found.length == kept.length {
        return Ok(Some(path));
    }
    if let Some(reason) = reason_to_leave(&file, kept, &found).map_err(OutputError::file("read", &path))? {
        warn!(reason, path = %path.display(), kept = kept.length, found = found.length,
            "file is not what it was at the last checkpoint and is left as it is; messages may be in it twice");
        return Ok(Some(path));
    }
    cut(&file, kept.length).map_err(OutputError::file("cut", &path))?;
    let bytes = found.length - kept.length;
    info!(path = %path.display(), bytes, "cut off what was written after the last checkpoint");
    Ok(Some(path))
}

/// Where a file is now: at its path, or beside it under another name.
fn find(kept: &Kept) -> Result<Option<PathBuf>, OutputError> {
    let is_it =
        |path: &Path| fs::metadata(path).is_ok_and(|metadata| kept.is_same_file(&Kept::of(path, &metadata)));
    if is_it(&kept.path) {
        return Ok(Some(kept.path.clone()));
    }
    let mut beside = entries(&kept.path)?.filter(|entry| entry.ino() == kept.inode).map(|entry| entry.path());
    Ok(beside.find(|path| is_it(path)))
}

/// What lies in the directory of a path.
fn entries(path: &Path) -> Result<impl Iterator<Item = DirEntry>, OutputError> {
    let entries = match fs::read_dir(parent(path)) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(OutputError::file("look into", parent(path))(error)),
    };
    Ok(entries.into_iter().flatten().filter_map(Result::ok))
}

/// The files beside a path whose names begin with its own, sorted.
pub(super) fn siblings(path: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let begins = |found: &PathBuf| {
        let found = found.file_name().unwrap_or_default().as_encoded_bytes();
        found.len() > name.len() && found.starts_with(name)
    };
    let mut found: Vec<PathBuf> = entries(path)?.map(|entry| entry.path()).filter(begins).collect();
    found.sort();
    Ok(found)
}

/// Why a file that differs from its last checkpoint must not be cut.
fn reason_to_leave(file: &File, kept: &Kept, found: &Kept) -> io::Result<Option<&'static str>> {
    if found.length < kept.length {
        return Ok(Some("shorter"));
    }
    // Emptied and written anew beyond its old length: a cut would go through a line.
    let mut before = [b'\n'];
    if let Some(last) = kept.length.checked_sub(1) {
        file.read_exact_at(&mut before, last)?;
    }
    Ok((before != [b'\n']).then_some("rewritten"))
}

fn cut(file: &File, length: u64) -> io::Result<()> {
    // `set_len` also lengthens: never beyond what is there, which `copytruncate` may have emptied.
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

pub(super) fn refuse_no_file(path: &Path) -> Result<(), OutputError> {
    let found = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => "a directory",
        // Opening a pipe waits for a reader, and a device cannot be cut.
        Ok(metadata) if !metadata.is_file() => "a pipe, socket or device",
        _ => return Ok(()),
    };
    Err(OutputError::NoFile { path: path.to_owned(), found })
}

/// Opens or creates the file, so that its name survives a crash too.
pub(super) fn open(path: &Path) -> Result<File, OutputError> {
    refuse_no_file(path)?;
    let parent = parent(path);
    let missing: Vec<&Path> = parent.ancestors().take_while(|above| !is_there(above)).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(parent)
        .map_err(OutputError::file("create directory", parent))?;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(OutputError::file("open", path))?;
    for named in missing.into_iter().chain([path]) {
        sync_directory(self::parent(named))?;
    }
    Ok(file)
}

/// The directory a path is in; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

pub(super) fn is_there(path: &Path) -> bool {
    path == Path::new("") || path.exists()
}

pub(super) fn sync_directory(path: &Path) -> Result<(), OutputError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(OutputError::file("sync directory", path))
}
