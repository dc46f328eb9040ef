//! Reading: hands out safe records in order, each reader at its own pace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::error;

use super::files::{FileRef, byte_count};
use super::handle::{Shared, lock, wait};
use super::index::{Segment, Step};
use super::record::Record;
use super::scan::{Found, Limit, Scanner};
use super::segment;
use crate::stop::Stop;

/// Goes through the spool from an ordinal on. Holds nothing back: a consumer registers with the spool for that.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    position: u64,
    /// The segment being read, by its first ordinal; `None` before the first one.
    current: Option<(u64, Scanner)>,
    stop: Option<Stop>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from_ordinal: u64) -> Reader {
        Reader { shared, position: from_ordinal, current: None, stop: None }
    }

    /// Waits no longer once `stop` is set, whose setting has to wake it: [`super::Spool::wake_readers_on`].
    #[must_use]
    pub fn until(self, stop: &Stop) -> Self {
        Self { stop: Some(stop.clone()), ..self }
    }

    /// The next records, of at most `max_bytes` of frames unless the first alone is larger. Waits until there is one;
    /// empty after the timeout, or at once when the spool is closed and read to its end.
    ///
    /// The ordinals of what is returned can jump: see the module's invariants.
    pub fn next(&mut self, max_bytes: usize, timeout: Duration) -> Vec<Record> {
        let deadline = Instant::now().checked_add(timeout);
        while let Some(step) = self.next_step(deadline) {
            match step {
                Step::Wait => {}
                Step::Enter { first, segment } => {
                    if !self.enter(first, segment) {
                        return Vec::new();
                    }
                }
                Step::Read(limit) => {
                    let records = self.read(limit, max_bytes);
                    if !records.is_empty() {
                        return records;
                    }
                }
            }
        }
        Vec::new()
    }

    /// Bytes of safe records that were not handed out yet, heads and checks included.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        let index = lock(&self.shared.index);
        match &self.current {
            Some((first, scanner)) => index.bytes_after(*first, scanner.place.offset),
            // Not yet begun: to the byte only if the position is the first of a segment.
            None => {
                let first = index.segments.range(..=self.position).next_back().map_or(0, |(first, _)| *first);
                if self.position > index.synced { 0 } else { index.bytes_after(first, segment::HEADER_BYTES) }
            }
        }
    }

    /// Ordinal from which the next record is looked for.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What to do next, waiting as long as that is nothing; `None` after the deadline.
    fn next_step(&self, deadline: Option<Instant>) -> Option<Step> {
        let place = self.current.as_ref().map(|(first, scanner)| (*first, scanner.place.offset));
        let mut index = lock(&self.shared.index);
        loop {
            match index.step(self.position, place) {
                Step::Wait if index.closed && index.first_unsettled().is_none() => return None,
                Step::Wait if self.stop.as_ref().is_some_and(Stop::is_set) => return None,
                Step::Wait => index = wait(&self.shared.settled, index, deadline)?,
                step => return Some(step),
            }
        }
    }

    /// Goes to the start of a segment. Returns whether to go on at once.
    fn enter(&mut self, first: u64, segment: Segment) -> bool {
        match self.open(first, segment.file) {
            Ok(file) => {
                self.current = Some((first, Scanner::new(file, segment.salt, first)));
                self.position = self.position.max(first);
                true
            }
            Err(error) => self.cannot_open(first, &error),
        }
    }

    fn open(&self, first: u64, file: Option<FileRef>) -> std::io::Result<FileRef> {
        file.map_or_else(|| self.shared.files.open(&segment::path(&self.shared.dir, first)), Ok)
    }

    /// A segment that is gone is skipped; any other error is left for the next call.
    fn cannot_open(&self, first: u64, error: &std::io::Error) -> bool {
        let mut index = lock(&self.shared.index);
        if !index.segments.contains_key(&first) {
            return true; // Deleted just now: every consumer was done with it.
        }
        index.counts.last_error = Some(error.to_string());
        error!(segment = first, %error, "segment of the spool cannot be opened");
        if error.kind() != std::io::ErrorKind::NotFound {
            return false;
        }
        let next = index.segments.range(first.saturating_add(1)..).next().map(|(next, _)| *next);
        let lost = next.map_or(0, |next| next.saturating_sub(first));
        index.counts.damaged_records = index.counts.damaged_records.saturating_add(lost);
        index.remove_segment(first);
        true
    }

    fn read(&mut self, limit: Limit, max_bytes: usize) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let Some((first, scanner)) = self.current.as_mut() else { return records };
        let (mut bytes, max_bytes) = (0_u64, byte_count(max_bytes));
        while records.is_empty() || bytes < max_bytes {
            let before = scanner.place;
            match scanner.next(limit) {
                Found::End => break,
                Found::Damage(damage) | Found::Tail(damage) => {
                    self.shared.set_aside(*first, &damage, scanner.file());
                }
                Found::Record(record) if record.ordinal < self.position => {}
                Found::Record(record) => {
                    bytes = bytes.saturating_add(byte_count(record.frame.len()));
                    if bytes > max_bytes && !records.is_empty() {
                        scanner.place = before;
                        break;
                    }
                    self.position = record.ordinal.saturating_add(1);
                    records.push(record);
                }
            }
        }
        records
    }
}
