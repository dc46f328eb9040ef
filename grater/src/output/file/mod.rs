//! Messages as lines in files that other programs read, rotate and carry away.
//!
//! Each message is in its file once, whatever happens to this process: a checkpoint keeps how long each open file was, and
//! what was written after it is cut off before it is written again, also where the file was renamed meanwhile. So a file
//! is written to only once a saved checkpoint knows it, is renamed in a checkpoint, and is compressed once that is
//! saved. What can repeat messages is a program that copies a file and empties it (`copytruncate`), or compresses it at
//! once, in the second before a crash.

mod closed;
mod config;
mod open;
mod path;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use jiff::Timestamp;
use metlog_core::{Message, wire::json};
use metlog_pipeline::{quiet::Quiet, template::Template};
use rustix::fs::Access;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

pub use config::{Compression, FileConfig, FileFormat};
pub use open::Kept;

use self::{
    open::{OpenFile, is_there, refuse_no_file},
    path::PathTemplate,
};
use super::{Delivered, Halted, Item, Output, OutputError, OutputState};

/// What is remembered of all files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileState {
    /// The open ones.
    pub files: Vec<Kept>,
    /// Closed ones that are still to be compressed.
    pub closed: Vec<PathBuf>,
}

/// The output. Nobody else may write to its files; renaming, deleting and emptying them are fine at any time.
#[derive(Debug)]
pub struct FileOutput {
    config: FileConfig,
    template: Template,
    path: PathTemplate,
    open: HashMap<PathBuf, OpenFile>,
    /// Every path that was opened since the start.
    named: HashSet<PathBuf>,
    closed: Vec<PathBuf>,
    /// Paths whose files were renamed: there may be too many of them now.
    renamed: Vec<PathBuf>,
    deliveries: u64,
    quiet: Quiet,
}

impl FileOutput {
    /// An output that opens its files when it first needs them.
    ///
    /// # Errors
    /// `NoFile` when the path is a directory or something else that is no file, and settings that cannot work.
    pub fn new(config: FileConfig) -> Result<Self, OutputError> {
        let path = PathTemplate::parse(&config.path)?;
        if let Some(path) = path.fixed(Timestamp::now()) {
            refuse_no_file(&path)?;
        }
        if config.template.is_some() && config.format == FileFormat::Json {
            return Err(OutputError::setting("template", "is given, expected format = \"text\" with it"));
        }
        let template = Template::parse(config.template.as_deref().unwrap_or("%Payload%"))
            .map_err(|error| OutputError::setting("template", error))?;
        Ok(Self {
            config,
            template,
            path,
            open: HashMap::new(),
            named: HashSet::new(),
            closed: Vec::new(),
            renamed: Vec::new(),
            deliveries: 0,
            quiet: Quiet::default(),
        })
    }

    /// The line of a message and where it goes.
    fn line(&self, message: &Message, now: Timestamp) -> Result<(PathBuf, String), String> {
        let path = self.path.fill(message, now)?;
        let line = match self.config.format {
            FileFormat::Json => json::to_json(message),
            FileFormat::Text => {
                let mut line = String::new();
                if !self.template.fill_from(message, &mut line) {
                    return Err("the message lacks what template asks for".to_owned());
                }
                // Nothing that a client sends begins a line.
                line.replace('\r', "").replace('\n', "\n\t")
            }
        };
        Ok((path, line))
    }

    /// Opens a file, which the next checkpoint has to know.
    fn open(&mut self, path: &Path, now: Timestamp) -> Result<(), OutputError> {
        let file = open::open(path)?;
        let metadata = file.metadata().map_err(OutputError::file("look at", path))?;
        let written = metadata.modified().ok().filter(|_| metadata.len() > 0);
        let seconds =
            written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
        let turn = self.turn(seconds.unwrap_or_else(|| self::seconds(now)));
        let period = self.path.timed(now).unwrap_or_default();
        let opened = OpenFile {
            path: path.to_owned(),
            file,
            torn_at: None,
            period,
            turn,
            used: self.deliveries,
            is_known: false,
        };
        self.open.insert(path.to_owned(), opened);
        self.named.insert(path.to_owned());
        Ok(())
    }

    /// Which turn of `rotate_every` a time is in.
    fn turn(&self, seconds: u64) -> u64 {
        let every = self.config.rotate_every.map_or(0, |every| every.as_secs());
        seconds.checked_div(every).unwrap_or(0)
    }

    /// Whether a file is to be renamed before it is written to again.
    fn is_due(&self, file: &OpenFile, now: Timestamp) -> Result<bool, OutputError> {
        let length = file.kept()?.length;
        let is_full = self.config.rotate_bytes.is_some_and(|most| length >= most.as_u64());
        Ok(length > 0 && (is_full || file.turn != self.turn(seconds(now))))
    }

    /// Whether a file can be written to as it is; opens what is not, and lets go of what was renamed or deleted.
    fn is_ready(&mut self, path: &Path, now: Timestamp) -> Result<bool, OutputError> {
        if let Some(file) = self.open.get(path) {
            if file.is_at_its_path()? {
                return Ok(file.is_known && !self.is_due(file, now)?);
            }
            file.sync()?;
            info!(path = %path.display(), "file was renamed or deleted, opening it anew");
            self.open.remove(path);
        }
        self.open(path, now)?;
        Ok(false)
    }

    /// Writes the lines of all files, or of none.
    fn append(&mut self, lines: &BTreeMap<PathBuf, Vec<u8>>) -> Result<(), OutputError> {
        let mut written: Vec<(&PathBuf, u64)> = Vec::new();
        for (path, lines) in lines {
            let Some(file) = self.open.get_mut(path) else { continue };
            file.used = self.deliveries;
            match file.append(lines) {
                Ok(length) => written.push((path, length)),
                Err(error) => {
                    for (path, length) in written {
                        if let Some(file) = self.open.get_mut(path) {
                            file.take_back(length);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Renames what is due, and closes what has had its time or is one too many.
    fn retire(&mut self, now: Timestamp) -> Result<(), OutputError> {
        let period = self.path.timed(now).unwrap_or_default();
        for path in self.open.keys().cloned().collect::<Vec<_>>() {
            let Some(file) = self.open.get(&path) else { continue };
            if self.is_due(file, now)? && file.is_at_its_path()? {
                self.closed.push(closed::rename(&path, now)?);
                self.open.remove(&path);
                self.renamed.push(path);
            } else if file.period != period {
                self.closed.push(path.clone());
                self.open.remove(&path);
            }
        }
        // What the last delivery was for stays: it may wait for this checkpoint.
        let idle = |file: &&OpenFile| file.used < self.deliveries;
        let mut by_use: Vec<(u64, PathBuf)> =
            self.open.values().filter(idle).map(|file| (file.used, file.path.clone())).collect();
        by_use.sort();
        let surplus = self.open.len().saturating_sub(self.config.max_open_files);
        for (_, path) in by_use.into_iter().take(surplus) {
            self.open.remove(&path);
        }
        Ok(())
    }

    /// Compresses what was closed, and deletes what is too old.
    fn look_after_closed(&mut self) -> Result<(), OutputError> {
        while let Some(path) = self.closed.last().cloned() {
            closed::compress(&path, self.config.compress)?;
            self.closed.pop();
        }
        let keep = self.config.keep_files.unwrap_or(usize::MAX);
        self.renamed.drain(..).try_for_each(|path| closed::thin_out(&path, keep))
    }
}

impl Output for FileOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        let (now, mut delivered) = (Timestamp::now(), Delivered::default());
        let mut lines: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
        for (position, Item { message, .. }) in items.iter().enumerate() {
            match self.line(message, now) {
                Ok((path, line)) => {
                    let is_new = !lines.contains_key(&path) && !self.named.contains(&path);
                    if is_new && self.named.len() + lines.len() >= self.config.max_files {
                        let most = self.config.max_files;
                        delivered.dead.push((
                            position,
                            format!("would be in one more than {most} files: see max_files"),
                        ));
                        continue;
                    }
                    let lines = lines.entry(path).or_default();
                    lines.extend_from_slice(line.as_bytes());
                    lines.push(b'\n');
                }
                Err(reason) => delivered.dead.push((position, reason)),
            }
        }
        self.deliveries += 1;
        let mut is_ready = true;
        for path in lines.keys() {
            is_ready &= self.is_ready(path, now)?;
        }
        if !is_ready {
            return Err(OutputError::CheckpointFirst.into());
        }
        self.append(&lines)?;
        Ok(delivered)
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        let now = Timestamp::now();
        for file in self.open.values_mut() {
            file.mend()?;
            file.sync()?;
        }
        self.retire(now)?;
        if let Some(path) = self.path.fixed(now)
            && !self.open.contains_key(&path)
        {
            self.open(&path, now)?;
        }
        let files = self.open.values().map(OpenFile::kept).collect::<Result<_, _>>()?;
        Ok(OutputState::File(FileState { files, closed: self.closed.clone() }))
    }

    fn saved(&mut self) {
        for file in self.open.values_mut() {
            file.is_known = true;
        }
        if let Err(error) = self.look_after_closed() {
            self.quiet.say("closed", || warn!(%error, "closed file left as it is for now"));
        }
    }

    fn restore(&mut self, state: &OutputState) -> Result<(), OutputError> {
        let OutputState::File(state) = state else { return Ok(()) };
        self.open.clear();
        self.closed.clone_from(&state.closed);
        for kept in &state.files {
            let found = open::cut_back(kept)?;
            // Renamed after the checkpoint, by us or by others: then others look after it.
            let renamed =
                found.filter(|found| *found != kept.path && self.config.compress != Compression::None);
            self.closed.extend(renamed.filter(|found| closed::is_renamed(&kept.path, found)));
        }
        Ok(())
    }

    fn probe(&self) -> Result<String, OutputError> {
        match self.path.fixed(Timestamp::now()) {
            Some(path) => probe(&path),
            None => {
                probe(&self.config.path).map(|_| format!("{} can be created", self.config.path.display()))
            }
        }
    }
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_second()).unwrap_or(0)
}

/// Whether the file can be written to, or made where it is missing.
fn probe(path: &Path) -> Result<String, OutputError> {
    refuse_no_file(path)?;
    let may = |path: &Path, access| rustix::fs::access(path, access).map_err(std::io::Error::from);
    if path.exists() {
        may(path, Access::READ_OK | Access::WRITE_OK).map_err(OutputError::file("open", path))?;
        return Ok(format!("{} can be written to", path.display()));
    }
    let above = path.ancestors().skip(1).find(|above| is_there(above)).unwrap_or(Path::new("."));
    let above = if above == Path::new("") { Path::new(".") } else { above };
    may(above, Access::WRITE_OK | Access::EXEC_OK).map_err(OutputError::file("create files in", above))?;
    Ok(format!("{} can be created", path.display()))
}

#[cfg(test)]
mod tests;
