//! Appending: numbers the records, encodes them and writes them with one system call.

use std::collections::BTreeMap;
use std::io;

use super::error::AppendError;
use super::files::{FileRef, byte_count, write_all_at};
use super::handle::{Durability, Shared, lock};
use super::index::Segment;
use super::numbers::Numbers;
use super::record::{Codec, MAX_FRAME_BYTES, NewRecord, encoded_length};
use super::segment::{self, HEADER_BYTES, Header};
use super::sync;

/// Encoding space that is kept between appends.
const KEPT_BUFFER_BYTES: usize = 4 << 20;

/// The state under the lock `writer`.
#[derive(Debug)]
pub(super) struct Writer {
    /// Ordinal of the next record.
    pub(super) next: u64,
    /// The segment being written; `None`: the next append begins one.
    pub(super) current: Option<Current>,
    pub(super) numbers: Numbers,
    /// What must be gone from the disk before anything else is taken: what stays of a segment, by its first ordinal; 0:
    /// nothing, not even its name. These bytes were refused or given up: who appended them appends them again, so they
    /// must never come back.
    cuts: BTreeMap<u64, u64>,
    buffer: Vec<u8>,
}

/// The segment being written.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) first: u64,
    pub(super) file: FileRef,
    pub(super) codec: Codec,
    pub(super) length: u64,
}

impl Writer {
    pub(super) fn new(next: u64, current: Option<Current>, numbers: Numbers) -> Writer {
        Writer { next, current, numbers, cuts: BTreeMap::new(), buffer: Vec::new() }
    }

    /// Leaves the segment being written if its sync failed: the next append begins another.
    pub(super) fn abandon(&mut self, failed: &[(u64, Segment)]) {
        let hit = |current: &Current| failed.iter().any(|(first, _)| *first == current.first);
        if self.current.as_ref().is_some_and(hit) {
            self.current = None;
        }
    }

    /// Takes note of a cut; the shorter counts.
    pub(super) fn must_cut(&mut self, first: u64, length: u64) {
        let left = self.cuts.entry(first).or_insert(length);
        *left = length.min(*left);
    }

    /// The first segment that is to be cut.
    pub(super) fn first_cut(&self) -> Option<u64> {
        self.cuts.keys().next().copied()
    }

    fn encode(&mut self, codec: Codec, records: &[NewRecord<'_>]) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        for (ordinal, record) in (self.next..).zip(records) {
            codec.encode(ordinal, record, &mut self.buffer);
        }
    }
}

impl Shared {
    pub(super) fn append(&self, records: &[NewRecord<'_>]) -> Result<u64, AppendError> {
        let bytes = checked_size(records)?;
        let mut writer = lock(&self.writer);
        if records.is_empty() {
            return Ok(writer.next.saturating_sub(1));
        }
        self.make_cuts(&mut writer).map_err(|error| self.refused(error))?;
        self.make_room(&mut writer, bytes)?;
        self.reserve(&mut writer, records.len()).map_err(|error| self.refused(error))?;
        self.write(&mut writer, records, bytes).map_err(|error| self.refused(error))?;
        let count = byte_count(records.len());
        writer.next = writer.next.saturating_add(count);
        let last = writer.next.saturating_sub(1);
        let mut index = lock(&self.index);
        index.grow(bytes, count, last);
        if self.options.durability == Durability::Buffered {
            index.publish_all();
            self.settled.notify_all();
        }
        self.work.notify_all();
        Ok(last)
    }

    /// Cuts off what was refused or given up, and makes that safe. As long as it fails nothing is taken: a record that
    /// is appended again must not be there twice after a crash. From the end of the spool on, since a start doubts the
    /// length of the last segment only.
    pub(super) fn make_cuts(&self, writer: &mut Writer) -> io::Result<()> {
        while let Some((&first, &length)) = writer.cuts.last_key_value() {
            if length > 0 {
                self.shorten(writer, first, length)?;
            } else {
                self.take_away(first)?;
            }
            writer.cuts.remove(&first);
        }
        Ok(())
    }

    fn shorten(&self, writer: &mut Writer, first: u64, length: u64) -> io::Result<()> {
        let file = self.files.open(&segment::path(&self.dir, first))?;
        file.truncate(length)?;
        file.sync().inspect_err(|error| self.lose_unsynced(writer, error))
    }

    fn take_away(&self, first: u64) -> io::Result<()> {
        match self.files.remove(&segment::path(&self.dir, first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        self.files.sync_dir(&self.dir)
    }

    /// A sync made on behalf of an append has failed. It stood for all that was written there: a later one would not write what this one
    /// has lost.
    fn lose_unsynced(&self, writer: &mut Writer, error: &io::Error) {
        if !lock(&self.index).unsynced().is_empty() {
            sync::give_up(self, writer, error);
        }
    }

    fn reserve(&self, writer: &mut Writer, records: usize) -> io::Result<()> {
        match self.options.durability {
            Durability::Sync => Ok(()),
            Durability::Buffered => {
                let next = writer.next.saturating_add(byte_count(records));
                writer.numbers.reserve(next)
            }
        }
    }

    /// Checks the bound. Where only the last segment is in the way and nobody needs it any more, a new one is begun.
    fn make_room(&self, writer: &mut Writer, bytes: u64) -> Result<(), AppendError> {
        let max_bytes = self.options.max_bytes;
        let needed = bytes.saturating_add(HEADER_BYTES);
        let mut index = lock(&self.index);
        if index.closed {
            return Err(AppendError::Closed);
        }
        let fits = |held: u64| held.saturating_add(needed) <= max_bytes;
        if fits(index.bytes) {
            return Ok(());
        }
        let last_is_free = index.all_released() && index.first_unsettled().is_none();
        if !last_is_free || !fits(HEADER_BYTES) {
            let held = index.bytes;
            index.note_full();
            return Err(AppendError::Full { bytes: held, max_bytes });
        }
        drop(index);
        self.begin_safe_segment(writer).map_err(|error| self.refused(error))?;
        self.delete_released();
        Ok(())
    }

    /// Begins a segment that is on the disk at once, so that the one before may go.
    fn begin_safe_segment(&self, writer: &mut Writer) -> io::Result<()> {
        self.begin_segment(writer)?;
        let Some(Current { first, file, length, .. }) = &writer.current else { return Ok(()) };
        let (first, length) = (*first, *length);
        if let Err(error) = file.sync().and_then(|()| self.files.sync_dir(&self.dir)) {
            self.lose_unsynced(writer, &error);
            return Err(error);
        }
        lock(&self.index).mark_synced(first, length);
        Ok(())
    }

    fn write(&self, writer: &mut Writer, records: &[NewRecord<'_>], bytes: u64) -> io::Result<()> {
        let limit = self.options.segment_bytes;
        let goes_on = |current: &Current| {
            current.length <= HEADER_BYTES || current.length.saturating_add(bytes) <= limit
        };
        if !writer.current.as_ref().is_some_and(goes_on) {
            self.begin_segment(writer)?;
        }
        let Some(codec) = writer.current.as_ref().map(|current| current.codec) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        writer.encode(codec, records);
        let Some(current) = writer.current.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        if let Err(error) = write_all_at(&*current.file, &writer.buffer, current.length) {
            if current.file.truncate(current.length).is_err() {
                // Whole records may have been left behind. They were refused: their ordinals are not used again.
                let (first, length) = (current.first, current.length);
                writer.must_cut(first, length);
                writer.current = None;
                writer.next = writer.next.saturating_add(byte_count(records.len()));
            }
            return Err(error);
        }
        current.length = current.length.saturating_add(bytes);
        Ok(())
    }

    /// Makes the next segment. It and its directory entry are synced together with its first records.
    fn begin_segment(&self, writer: &mut Writer) -> io::Result<()> {
        let first = writer.next;
        let mut salt = [0; 8];
        self.files.random(&mut salt).map_err(io::Error::other)?;
        let salt = u64::from_le_bytes(salt);
        let path = segment::path(&self.dir, first);
        let file = self.files.create(&path)?;
        let safe = lock(&self.index).safe();
        let spool = self.sender.id.first_chunk().copied().unwrap_or_default();
        let header = Header { salt, first, safe, spool }.encode();
        if let Err(error) = write_all_at(&*file, &header, 0) {
            // Left behind it is empty or torn, which opening handles; and the next try writes it anew.
            let _ = self.files.remove(&path);
            return Err(error);
        }
        writer.current = Some(Current {
            first,
            file: FileRef::clone(&file),
            codec: Codec::new(salt),
            length: HEADER_BYTES,
        });
        let mut index = lock(&self.index);
        let segment =
            Segment { salt, length: HEADER_BYTES, readable: HEADER_BYTES, synced: 0, file: Some(file) };
        index.add_segment(first, segment);
        index.directory_dirty = true;
        Ok(())
    }

    /// Counts a refusal by the file system.
    fn refused(&self, error: io::Error) -> AppendError {
        let error = AppendError::from(error);
        let mut index = lock(&self.index);
        match &error {
            AppendError::DiskFull(source) => index.note_disk_full(source.to_string()),
            other => index.note_io_error(other.to_string()),
        }
        error
    }
}

fn checked_size(records: &[NewRecord<'_>]) -> Result<u64, AppendError> {
    let mut total = 0_u64;
    for record in records {
        let bytes = byte_count(record.frame.len());
        if bytes > MAX_FRAME_BYTES {
            return Err(AppendError::TooBig { bytes });
        }
        total = total.saturating_add(encoded_length(record));
    }
    Ok(total)
}
