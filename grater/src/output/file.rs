//! Messages as lines in a file that other programs read, rotate and carry away.
//!
//! Each message is in the file once, whatever happens to this process: a checkpoint keeps how long the file was, and
//! what was written after it is cut off before it is written again. The exception is a crash between a rotation and
//! the next checkpoint: the renamed file is no longer ours to cut, so the new one repeats what was written since.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use metlog_core::wire::json;
use rustix::fs::Access;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Delivered, Halted, Item, Output, OutputError, OutputState};

/// Readable by the group, which log shippers belong to; messages are nobody else's business.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// An `[[output]]` of `type = "file"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file, mode 0640. It and the directories above it are created when they are missing.
    pub path: PathBuf,
    /// How a message is written: `json` by default.
    #[serde(default)]
    pub format: FileFormat,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// One line of JSON with the nine keys of the envelope.
    #[default]
    Json,
}

/// Which file was written, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Its length in bytes.
    pub length: u64,
    /// The device it is on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), device: metadata.dev(), inode: metadata.ino() }
    }

    fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The output. Nobody else may write to its file; renaming, deleting and emptying it are fine at any time.
#[derive(Debug)]
pub struct FileOutput {
    config: FileConfig,
    file: Option<File>,
    /// Where a failed write began that could not be cut off yet.
    torn_at: Option<u64>,
    /// Kept from call to call for its memory.
    lines: Vec<u8>,
}

impl FileOutput {
    /// An output that opens its file when it first needs it.
    ///
    /// # Errors
    /// `NoFile` when the path is a directory or something else that is no file.
    pub fn new(config: FileConfig) -> Result<Self, OutputError> {
        refuse_no_file(&config.path)?;
        Ok(Self { config, file: None, torn_at: None, lines: Vec::new() })
    }

    /// The file at the path, opened or created.
    fn open(&mut self) -> Result<&File, OutputError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => open(&self.config.path)?,
        };
        Ok(self.file.insert(file))
    }

    /// Lets go of a file that was renamed or deleted, once what is in it is safe.
    fn let_go_of_rotated(&mut self) -> Result<(), OutputError> {
        let Some(file) = &self.file else { return Ok(()) };
        let path = &self.config.path;
        let ours = FileState::of(&file.metadata().map_err(OutputError::file("look at", path))?);
        let at_path = match fs::metadata(path) {
            Ok(metadata) => Some(FileState::of(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OutputError::file("look at", path)(error)),
        };
        if at_path.is_some_and(|found| found.is_same_file(ours)) {
            return Ok(());
        }
        file.sync_data().map_err(OutputError::file("sync the rotated", path))?;
        info!(path = %path.display(), "file was renamed or deleted, opening it anew");
        self.file = None;
        Ok(())
    }

    /// Cuts off what a failed write left behind.
    fn mend(&mut self) -> Result<(), OutputError> {
        if let (Some(file), Some(length)) = (&self.file, self.torn_at) {
            cut(file, length).map_err(OutputError::file("cut off a failed write to", &self.config.path))?;
        }
        self.torn_at = None;
        Ok(())
    }

    /// Appends `lines`, or leaves the file as it was.
    fn append(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        self.mend()?;
        self.let_go_of_rotated()?;
        let path = self.config.path.clone();
        let file = self.open()?;
        // Asked each time: `copytruncate` of logrotate empties the file under us.
        let length = file.metadata().map_err(OutputError::file("look at", &path))?.len();
        let mut writer = file;
        let written = writer.write_all(lines);
        let is_cut = written.is_ok() || cut(file, length).is_ok();
        self.torn_at = (!is_cut).then_some(length);
        written.map_err(OutputError::file("write to", &path))
    }
}

impl Output for FileOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        if items.is_empty() {
            return Ok(Delivered::default());
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for item in items {
            match self.config.format {
                FileFormat::Json => lines.extend_from_slice(json::to_json(&item.message).as_bytes()),
            }
            lines.push(b'\n');
        }
        let appended = self.append(&lines);
        self.lines = lines;
        appended?;
        Ok(Delivered::default())
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        self.mend()?;
        let path = self.config.path.clone();
        let file = self.open()?;
        file.sync_data().map_err(OutputError::file("sync", &path))?;
        let metadata = file.metadata().map_err(OutputError::file("look at", &path))?;
        Ok(OutputState::File(FileState::of(&metadata)))
    }

    fn restore(&mut self, state: &OutputState) -> Result<(), OutputError> {
        let OutputState::File(kept) = *state else { return Ok(()) };
        let path = self.config.path.clone();
        let file = self.open()?;
        let found = FileState::of(&file.metadata().map_err(OutputError::file("look at", &path))?);
        if found == kept {
            return Ok(());
        }
        if let Some(reason) = reason_to_leave(file, kept, found).map_err(OutputError::file("read", &path))? {
            warn!(reason, path = %path.display(), kept = kept.length, found = found.length,
                "file is not the one of the last checkpoint and is left as it is; messages may be in it twice");
            return Ok(());
        }
        cut(file, kept.length).map_err(OutputError::file("cut", &path))?;
        info!(path = %path.display(), bytes = found.length - kept.length, "cut off what was written after the last checkpoint");
        Ok(())
    }

    fn probe(&self) -> Result<String, OutputError> {
        probe(&self.config.path)
    }
}

/// Whether the file can be written to, or made where it is missing.
fn probe(path: &Path) -> Result<String, OutputError> {
    refuse_no_file(path)?;
    let writable = |path: &Path, access| rustix::fs::access(path, access).map_err(io::Error::from);
    if path.exists() {
        writable(path, Access::READ_OK | Access::WRITE_OK).map_err(OutputError::file("open", path))?;
        return Ok(format!("{} can be written to", path.display()));
    }
    let above = path.ancestors().skip(1).find(|above| is_there(above)).unwrap_or(Path::new("."));
    let above = if above == Path::new("") { Path::new(".") } else { above };
    writable(above, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(OutputError::file("create files in", above))?;
    Ok(format!("{} can be created", path.display()))
}

/// Why a file that differs from its last checkpoint must not be cut.
fn reason_to_leave(file: &File, kept: FileState, found: FileState) -> io::Result<Option<&'static str>> {
    if !found.is_same_file(kept) {
        return Ok(Some("rotated"));
    }
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

fn refuse_no_file(path: &Path) -> Result<(), OutputError> {
    let found = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => "a directory",
        // Opening a pipe waits for a reader, and a device cannot be cut.
        Ok(metadata) if !metadata.is_file() => "a pipe, socket or device",
        _ => return Ok(()),
    };
    Err(OutputError::NoFile { path: path.to_owned(), found })
}

/// Opens or creates the file, so that its name survives a crash too.
fn open(path: &Path) -> Result<File, OutputError> {
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
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn is_there(path: &Path) -> bool {
    path == Path::new("") || path.exists()
}

fn sync_directory(path: &Path) -> Result<(), OutputError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(OutputError::file("sync directory", path))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
