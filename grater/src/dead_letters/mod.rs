//! What a back end refused for good: one file of JSON lines for each output, bounded, with reason, time and attempts.
//!
//! ```text
//! dead/<output>.jsonl    the letters, a line each (`letter`)
//! dead/<output>.new      a new version of it on its way: written, synced, then renamed over the old one
//! dead/<output>.lock     held by whoever changes the letters
//! dead/<output>.replay   there when letters have been marked to be sent again; the output's thread looks for it
//! ```
//!
//! A crash between keeping a letter and saving the output's cursor has the message refused and kept again: of several
//! letters of one message the last counts. A line that is no letter is left where it is, and counted.

mod letter;

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use letter::{Letter, Owner};

/// How long somebody else's change is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How often the lock is tried.
const LOCK_STEP: Duration = Duration::from_millis(5);

/// The dead letters of one output.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    dir: PathBuf,
    output: String,
    max_bytes: u64,
}

/// The letters of an output at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shelf {
    /// The letters, oldest first.
    pub letters: Vec<Letter>,
    /// Lines that are no letters, as they are.
    pub unreadable: Vec<String>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What to do with a letter.
#[derive(Debug)]
pub enum Change {
    /// It stays as it is.
    Stay(Letter),
    /// It becomes this.
    Become(Letter),
    /// It goes.
    Go,
}

impl DeadLetters {
    /// The dead letters of `output`, under the daemon's data folder. The file is made with the first letter.
    #[must_use]
    pub fn new(data_dir: &Path, output: &str, max_bytes: u64) -> Self {
        Self { dir: data_dir.join("dead"), output: output.to_owned(), max_bytes }
    }

    /// The outputs that have letters, configured or not.
    #[must_use]
    pub fn outputs(data_dir: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(data_dir.join("dead")) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut outputs: Vec<_> =
            names.filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned())).collect();
        outputs.sort_unstable();
        outputs
    }

    /// Keeps the letters of one delivery, as many as there is room for; gives back how many, safe on disk.
    ///
    /// # Errors
    /// When the file system refuses: nothing was kept.
    pub fn keep(&self, letters: &[Letter]) -> io::Result<usize> {
        if letters.is_empty() {
            return Ok(0);
        }
        self.make_dir()?;
        let _lock = self.lock()?;
        let path = self.path("jsonl");
        let created = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        let mut lines = String::new();
        // A line that a crash has cut short would swallow the next one.
        if !ends_a_line(&file, length)? {
            lines.push('\n');
        }
        let mut kept = 0;
        for letter in letters {
            let line = letter.to_line();
            if length + byte_count(lines.len() + line.len()) > self.max_bytes {
                break;
            }
            lines.push_str(&line);
            kept += 1;
        }
        if let Err(error) = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()) {
            file.set_len(length)?;
            return Err(error);
        }
        if created {
            self.sync_dir()?;
        }
        Ok(kept)
    }

    /// All letters. May be called at any time: a change shows as a whole or not at all.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn read(&self) -> io::Result<Shelf> {
        let mut bytes = Vec::new();
        match File::open(self.path("jsonl")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Shelf::default()),
            opened => opened?.read_to_end(&mut bytes)?,
        };
        let mut shelf = Shelf { bytes: byte_count(bytes.len()), ..Shelf::default() };
        let mut places: HashMap<String, usize> = HashMap::new();
        for line in String::from_utf8_lossy(&bytes).lines().filter(|line| !line.is_empty()) {
            let Ok(letter) = Letter::parse(line) else {
                shelf.unreadable.push(line.to_owned());
                continue;
            };
            let place = *places.entry(letter.key()).or_insert(shelf.letters.len());
            match shelf.letters.get_mut(place) {
                Some(earlier) => *earlier = letter,
                None => shelf.letters.push(letter),
            }
        }
        Ok(shelf)
    }

    /// Asks `change` about each letter and puts the outcome in place of the file, all of it or nothing.
    ///
    /// # Errors
    /// When the file system refuses: nothing has changed, unless the folder could not be synced at the end.
    pub fn rewrite(&self, mut change: impl FnMut(Letter) -> Change) -> io::Result<()> {
        self.change(|shelf| {
            let mut has_changed = false;
            let letters = shelf.letters.drain(..).filter_map(|letter| {
                let (changed, letter) = match change(letter) {
                    Change::Stay(letter) => (false, Some(letter)),
                    Change::Become(letter) => (true, Some(letter)),
                    Change::Go => (true, None),
                };
                has_changed |= changed;
                letter
            });
            shelf.letters = letters.collect::<Vec<_>>();
            has_changed
        })
    }

    /// Takes everything away, lines that are no letters included; gives back what was there.
    ///
    /// # Errors
    /// As [`DeadLetters::rewrite`].
    pub fn clear(&self) -> io::Result<Shelf> {
        let mut had = Shelf::default();
        self.change(|shelf| {
            had = std::mem::take(shelf);
            true
        })?;
        Ok(had)
    }

    /// Writes what `change` leaves when it says that it changed something.
    fn change(&self, change: impl FnOnce(&mut Shelf) -> bool) -> io::Result<()> {
        if !self.path("jsonl").exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let mut shelf = self.read()?;
        if !change(&mut shelf) {
            return Ok(());
        }
        let new = self.path("new");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut out = io::BufWriter::new(file);
        for line in &shelf.unreadable {
            writeln!(out, "{line}")?;
        }
        for letter in &shelf.letters {
            out.write_all(letter.to_line().as_bytes())?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&new, self.path("jsonl"))?;
        self.sync_dir()
    }

    /// Tells the output's thread that letters have been marked to be sent again.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn ask_for_replay(&self) -> io::Result<()> {
        File::create(self.path("replay"))?.sync_all()?;
        self.sync_dir()
    }

    /// Whether somebody has asked since the last call.
    #[must_use]
    pub fn is_replay_asked(&self) -> bool {
        fs::remove_file(self.path("replay")).is_ok()
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.output))
    }

    fn make_dir(&self) -> io::Result<()> {
        if self.dir.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        self.dir.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// Ends when the result is dropped.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(self.path("lock"))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let text = format!("somebody has held {} for 5 s", self.path("lock").display());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_STEP),
            }
        }
    }
}

fn ends_a_line(file: &File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut byte, last)?;
    Ok(byte == *b"\n")
}

fn byte_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
