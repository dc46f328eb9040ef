//! One file that is followed. It keeps nothing of what it has read but its position: each turn reads from there.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use metlog_core::{Timestamp, Value};

use super::{
    candidates::Candidate,
    config::{Compiled, FilesConfig},
    entry,
    likeness::Look,
    lines::{Found, line_end},
    marks::{HEAD, Progress, TAIL, hash},
    order::Place,
    sink::Sink,
    source::{End, Source},
};
use crate::formatter::{Field, Origin};

/// Bytes read in one turn; a record and what is read again before it fit twice.
pub const CHUNK: usize = 640 * 1024;

/// How long a deleted file is read on: whoever wrote it may still have it open.
const LINGER: Duration = Duration::from_secs(2);

/// A file nothing came of for so long is closed; it is opened again when something does.
const CLOSE_IDLE: Duration = Duration::from_secs(30);

/// What all files of an input have in common.
#[derive(Debug)]
pub struct Reading {
    /// The configuration.
    pub config: FilesConfig,
    /// What it compiles to.
    pub compiled: Compiled,
    /// The daemon's host.
    pub hostname: String,
    /// What is read into.
    pub buffer: Vec<u8>,
}

/// What a turn has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is more to read.
    More,
    /// There is no more for now.
    AtEnd,
    /// Lines are held back, until they are complete or have waited.
    Holds,
    /// What is there is not what was read: the file was truncated, or another has its inode.
    Replaced,
    /// Its name stands for another file now, or for none.
    Lost,
    /// It was deleted and has been read to its end.
    Finished,
}

/// A followed file.
#[derive(Debug)]
pub struct Follower {
    /// How far it has been read.
    pub progress: Progress,
    /// Its name.
    pub path: PathBuf,
    /// The stream it is part of.
    pub place: Place,
    /// Size and time of its last look, to see whether it has changed.
    pub seen: (u64, SystemTime),
    source: Option<Source>,
    used_at: Instant,
    /// Where its content ended, and since when.
    grown: (u64, Instant),
    gone_at: Option<Instant>,
}

impl Follower {
    /// Goes on with a file from `progress` on.
    pub fn new(mut progress: Progress, candidate: Candidate) -> Self {
        let Candidate { path, inode, size, modified, place } = candidate;
        progress.inode = inode;
        progress.path = path.to_string_lossy().into_owned();
        let now = Instant::now();
        Self {
            progress,
            path,
            place,
            seen: (size, modified),
            source: None,
            used_at: now,
            grown: (0, now),
            gone_at: None,
        }
    }

    /// True when the file is not as it was when it was looked at.
    pub fn has_changed(&self, candidate: &Candidate) -> bool {
        (candidate.size, candidate.modified) != self.seen
    }

    /// The file is called so, and as large, now.
    pub fn meet(&mut self, candidate: Candidate) {
        self.seen = (candidate.size, candidate.modified);
        if candidate.path != self.path {
            self.progress.path = candidate.path.to_string_lossy().into_owned();
            self.path = candidate.path;
        }
        self.place = candidate.place;
    }

    /// The file, to be compared with what may be its copy: as it is open, or else by its name if that is still its own.
    /// `None` for an archive.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(&self) -> io::Result<Option<Look>> {
        let source = match &self.source {
            Some(source) => source.again()?,
            None => Source::open(&self.path)?.again()?,
        };
        let Some(source) = source else { return Ok(None) };
        let (inode, ..) = source.look()?;
        if inode == self.progress.inode { Look::of(source).map(Some) } else { Ok(None) }
    }

    /// True for a file that is open.
    pub fn is_open(&self) -> bool {
        self.source.is_some()
    }

    /// True when a turn may find something though nobody says that the file has changed.
    pub fn is_waiting(&self) -> bool {
        self.gone_at.is_some()
    }

    /// Closes the file unless it was of use a moment ago. One without a name stays open: it could not be found again.
    pub fn close_if_idle(&mut self, at_once: bool) {
        if self.gone_at.is_none() && (at_once || self.used_at.elapsed() >= CLOSE_IDLE) {
            self.source = None;
        }
    }

    /// Reads what comes next, up to a chunk of it, and gives its lines to the sink.
    ///
    /// # Errors
    /// When the file cannot be read, or the archive is damaged.
    pub fn turn(&mut self, reading: &mut Reading, sink: &mut Sink) -> io::Result<Turn> {
        if self.progress.done {
            return Ok(Turn::AtEnd);
        }
        let Some(mut source) = self.open()? else { return Ok(Turn::Lost) };
        let read = self.read(&mut source, reading, sink);
        // An archive that was read to its end is closed, and one that cannot be read is opened anew for the next try.
        if read.is_ok() && !self.progress.done {
            self.source = Some(source);
        }
        read
    }

    /// The file under its name, if that is still the same.
    fn open(&mut self) -> io::Result<Option<Source>> {
        self.used_at = Instant::now();
        if let Some(source) = self.source.take() {
            return Ok(Some(source));
        }
        let source = match Source::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let (inode, ..) = source.look()?;
        Ok((inode == self.progress.inode).then_some(source))
    }

    fn read(&mut self, source: &mut Source, reading: &mut Reading, sink: &mut Sink) -> io::Result<Turn> {
        let overlap = self.progress.tail_length();
        let from = self.progress.offset.saturating_sub(count(overlap));
        let Reading { buffer, config, compiled, hostname } = reading;
        let (length, end) = source.read_at(from, buffer)?;
        let is_archive = matches!(source, Source::Archive(_));
        // One read gives both what was read before and what is new, so no truncation can come between.
        let Some((before, fresh)) = buffer.get(..length).unwrap_or_default().split_at_checked(overlap) else {
            return Ok(if is_archive { Turn::AtEnd } else { Turn::Replaced });
        };
        if hash(before) != self.progress.tail {
            return Ok(Turn::Replaced);
        }
        self.grow(from + count(length));
        let can_follow = end == End::More;
        let is_last = !can_follow && (end == End::Closed || self.is_gone());
        let has_waited = !can_follow && self.has_waited(config);
        let lines = Lines { path: &self.progress.path, place: &self.place, config, compiled, hostname };
        let (used, skipping) = lines.take(fresh, self.progress.skipping, (is_last, has_waited), sink);
        self.progress.skipping = skipping;
        self.progress.advance(before, fresh.get(..used).unwrap_or_default());
        if end == End::Bomb {
            sink.count("decompression_bomb");
        }
        self.progress.done = end == End::Bomb || end == End::Closed && used == fresh.len();
        if used > 0 || self.progress.done {
            sink.note(&self.progress);
        }
        if can_follow || sink.is_full() {
            return Ok(Turn::More);
        }
        let holds = used < fresh.len() && config.multiline.is_some();
        self.at_end(source, holds)
    }

    /// The content was found to end here.
    fn grow(&mut self, end: u64) {
        if end != self.grown.0 {
            self.grown = (end, Instant::now());
        }
    }

    fn has_waited(&self, config: &FilesConfig) -> bool {
        config.multiline.as_ref().is_some_and(|multiline| self.grown.1.elapsed() >= multiline.timeout)
    }

    /// True when it was deleted, and nothing was written to it for a while.
    fn is_gone(&self) -> bool {
        self.gone_at.is_some_and(|since| since.max(self.grown.1).elapsed() >= LINGER)
    }

    fn at_end(&mut self, source: &Source, holds: bool) -> io::Result<Turn> {
        if self.is_gone() {
            return Ok(Turn::Finished);
        }
        let (_, _, names) = source.look()?;
        if names == 0 {
            self.gone_at.get_or_insert_with(Instant::now);
        }
        Ok(if holds || self.gone_at.is_some() { Turn::Holds } else { Turn::AtEnd })
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How the bytes of one file become messages.
struct Lines<'a> {
    path: &'a str,
    place: &'a Place,
    config: &'a FilesConfig,
    compiled: &'a Compiled,
    hostname: &'a str,
}

impl Lines<'_> {
    /// Gives whole records to the sink until it is full; how many bytes were used, and whether they end in a line that was cut.
    fn take(
        &self,
        fresh: &[u8],
        skipping: bool,
        (is_last, has_waited): (bool, bool),
        sink: &mut Sink,
    ) -> (usize, bool) {
        let now = Timestamp::now();
        let mut used = 0;
        if skipping {
            match line_end(fresh) {
                Some(end) => used = end,
                None => return (fresh.len(), true),
            }
        }
        while !sink.is_full() {
            let rest = fresh.get(used..).unwrap_or_default();
            let Found::Record { content, end, is_cut } =
                self.compiled.splitter.next(rest, is_last, has_waited)
            else {
                break;
            };
            self.add(rest.get(..content).unwrap_or_default(), is_cut, now, sink);
            used += end;
            if is_cut {
                match line_end(rest.get(end..).unwrap_or_default()) {
                    Some(rest) => used += rest,
                    None => return (fresh.len(), true),
                }
            }
        }
        (used, false)
    }

    fn add(&self, mut line: &[u8], is_cut: bool, now: Timestamp, sink: &mut Sink) {
        if line.is_empty() {
            return;
        }
        if is_cut {
            sink.count(entry::CUT);
            line = whole_characters(line);
        }
        let (text, is_good) = self.config.encoding.decode(line);
        if !is_good {
            sink.count("encoding");
        }
        let origin = Origin { path: self.path, hostname: self.hostname, labels: Some(&self.place.labels) };
        let (mut parsed, is_unformatted) = entry::parse(&text, &self.compiled.formatters, now, &origin);
        if is_unformatted {
            sink.count(entry::UNFORMATTED);
        }
        if is_cut {
            parsed.set(entry::CUT, Field::Other(Value::Bool(true)));
        }
        let named = self.place.is_named.then_some(self.place.stream.as_str());
        let logger = self.config.logger.as_deref().or(named).unwrap_or(self.path);
        sink.add(&parsed, logger, now);
    }
}

/// Without the first bytes of a character that was cut in two.
fn whole_characters(line: &[u8]) -> &[u8] {
    let start = line.iter().rposition(|byte| !matches!(byte, 0x80..=0xbf)).unwrap_or(0);
    match line.split_at_checked(start) {
        Some((before, last)) if std::str::from_utf8(last).is_err() => before,
        _ => line,
    }
}

/// The progress of a file that is to be read from its end on: after its last whole line.
///
/// # Errors
/// When it cannot be read.
pub fn skip_to_end(path: &Path, mut progress: Progress, size: u64) -> io::Result<Progress> {
    let mut source = Source::open(path)?;
    let mut buffer = vec![0; CHUNK];
    let (length, _) = source.read_at(0, &mut buffer)?;
    if size <= count(length) {
        let bytes = buffer.get(..length).unwrap_or_default();
        let end = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        progress.advance(&[], bytes.get(..end).unwrap_or_default());
        return Ok(progress);
    }
    progress.advance(&[], buffer.get(..HEAD).unwrap_or_default());
    let from = size - count(CHUNK);
    let (length, _) = source.read_at(from, &mut buffer)?;
    let bytes = buffer.get(..length).unwrap_or_default();
    // In the midst of a line that is longer than any that is read.
    let newline = memchr::memrchr(b'\n', bytes).filter(|at| *at >= TAIL);
    let end = newline.map_or(bytes.len(), |at| at + 1);
    progress.jump(from + count(end), bytes.get(..end).unwrap_or_default());
    progress.skipping = newline.is_none();
    Ok(progress)
}
