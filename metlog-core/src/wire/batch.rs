//! A batch: one ZeroMQ frame of messages from one producer. This module and its siblings `header` and `record` are the
//! only places that know the layout.
//!
//! ```text
//! offset  size  what
//! 0       3     magic "MLB"
//! 3       1     major version, 1; a reader refuses any other
//! 4       4     H, the length of the header, u32 little-endian
//! 8       H     header: MessagePack map with integer keys (`header`); unknown keys are skipped
//! 8+H     ...   body: records (`record`), as many as the header's `present` runs say
//! ```

use std::sync::{Arc, Mutex, PoisonError};

pub use super::header::{Counts, Header, ProducerId, Role};
use super::record::{self, Head, Identity, Record};
use crate::{
    error::{Error, ErrorKind},
    message::Message,
};

const MAGIC: [u8; 3] = *b"MLB";
const MAJOR: u8 = 1;
const PREFIX_BYTES: usize = 8;

/// No reader takes a frame larger than this: a full client batch and one message over it, with room for the header.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The frame of a header and the records it announces.
#[must_use]
pub fn encode(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX_BYTES + 256 + body.len());
    frame.extend_from_slice(&MAGIC);
    frame.push(MAJOR);
    frame.extend_from_slice(&[0; 4]);
    header.encode(&mut frame);
    let header_bytes = u32::try_from(frame.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
    if let Some(place) = frame.get_mut(4..PREFIX_BYTES) {
        place.copy_from_slice(&header_bytes.to_le_bytes());
    }
    frame.extend_from_slice(body);
    frame
}

/// Room before the records of a [`Draft`]; a header takes some 150 bytes.
const HEADER_ROOM: usize = 512;

/// A batch that is being gathered: its records are there before its header is known. A full one becomes a frame without
/// being copied.
#[derive(Debug)]
pub struct Draft {
    /// [`HEADER_ROOM`] bytes, then the records.
    bytes: Vec<u8>,
    capacity: usize,
    /// Memory of frames that are gone.
    pool: Pool,
}

/// A framed batch.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    start: usize,
    /// Where its memory goes back to.
    pool: Option<Pool>,
}

/// The memory of a few frames. Given back to the allocator, that of a large frame goes on to the kernel and comes back
/// page by page.
type Pool = Arc<Mutex<Vec<Vec<u8>>>>;

/// Frames whose memory is kept: as many as a socket has on its way to the kernel at once.
const POOLED: usize = 4;
const MAX_POOLED_BYTES: usize = 128 * 1024;

impl Draft {
    /// An empty one, for about `body` bytes of records.
    #[must_use]
    pub fn with_capacity(body: usize) -> Self {
        let (capacity, pool) = (HEADER_ROOM + body, Pool::default());
        Self { bytes: Self::empty(&pool, capacity), capacity, pool }
    }

    fn empty(pool: &Pool, capacity: usize) -> Vec<u8> {
        let pooled = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = pooled.unwrap_or_else(|| Vec::with_capacity(capacity));
        bytes.resize(HEADER_ROOM, 0);
        bytes
    }

    /// Bytes of records so far.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.bytes.len() - HEADER_ROOM
    }

    /// Appends whole records.
    pub fn extend(&mut self, records: &[u8]) {
        self.bytes.extend_from_slice(records);
    }

    /// The frame of what was gathered; the draft is empty again.
    pub fn finish(&mut self, header: &Header) -> Frame {
        let head = encode(header, &[]);
        let start = HEADER_ROOM.checked_sub(head.len()).filter(|_| self.bytes.len() > self.capacity / 2);
        let place = start.and_then(|start| self.bytes.get_mut(start..HEADER_ROOM));
        if let (Some(start), Some(place)) = (start, place) {
            place.copy_from_slice(&head);
            let bytes = std::mem::replace(&mut self.bytes, Self::empty(&self.pool, self.capacity));
            return Frame { bytes, start, pool: Some(Arc::clone(&self.pool)) };
        }
        // Whoever keeps a small batch must not keep room for a large one.
        let bytes = [&head, self.bytes.get(HEADER_ROOM..).unwrap_or_default()].concat();
        self.bytes.truncate(HEADER_ROOM);
        Frame { bytes, start: 0, pool: None }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let Some(pool) = &self.pool else { return };
        let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
        // One that grew for a large message is not kept.
        if pool.len() < POOLED && self.bytes.capacity() <= MAX_POOLED_BYTES {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            pool.push(bytes);
        }
    }
}

impl std::ops::Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// A batch as it was received: the header decoded, the body checked for its lengths and left as bytes.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// What the batch says about itself.
    pub header: Header,
    body: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// `TooBig` over [`MAX_BATCH_BYTES`], `Version` for a major version or encoding this build does not read,
    /// `Malformed` for anything else that is no batch.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Error> {
        if frame.len() > MAX_BATCH_BYTES {
            let found = frame.len();
            return Err(Error::new(
                ErrorKind::TooBig,
                format!("batch of {found} bytes, expected at most {MAX_BATCH_BYTES}"),
            ));
        }
        let (header, body) = split(frame)?;
        let batch = Self { header: Header::decode(header)?, body };
        let mut rest = body;
        for _ in 0..batch.header.count() {
            rest = Record::split(rest)?.1;
        }
        if rest.is_empty() {
            return Ok(batch);
        }
        Err(Error::malformed(format!("batch has {} bytes after its last record", rest.len())))
    }

    /// The messages, each with its sequence number, not decoded yet.
    pub fn records(&self) -> impl Iterator<Item = (u64, Record<'a>)> {
        let first = self.header.first_sequence;
        let sequences = self.header.present.iter().flat_map(move |(offset, length)| {
            let start = first + offset;
            start..start + length
        });
        let mut rest = self.body;
        sequences.map_while(move |sequence| {
            let (record, after) = Record::split(rest).ok()?;
            rest = after;
            Some((sequence, record))
        })
    }

    /// The messages, decoded; one that is broken inside is an error of its own.
    pub fn messages(&self) -> impl Iterator<Item = (u64, Result<Message, Error>)> {
        self.records().map(|(sequence, record)| (sequence, record.decode(self.header.identity())))
    }

    /// The same batch without the messages for which `verdict` names a reason; they are counted under it.
    /// `None` when nothing was taken out.
    #[must_use]
    pub fn thin(&self, mut verdict: impl FnMut(u64, &Record<'a>) -> Option<String>) -> Option<Vec<u8>> {
        self.rework(|sequence, record| verdict(sequence, record).map_or(Fate::Kept, Fate::Removed))
    }

    /// The same batch after each message has met its fate. `None` when all are kept.
    #[must_use]
    pub fn rework(&self, mut fate: impl FnMut(u64, &Record<'a>) -> Fate) -> Option<Vec<u8>> {
        let mut builder = Builder::from_header(&self.header);
        let mut is_changed = false;
        for (sequence, record) in self.records() {
            let fate = fate(sequence, &record);
            is_changed |= fate != Fate::Kept;
            match fate {
                Fate::Kept => builder.push_record(sequence, record),
                Fate::Removed(reason) => builder.header.take_out(&reason, 1),
                Fate::Replaced(message) => builder.push_in_place(sequence, &message),
            }
        }
        is_changed.then(|| builder.finish())
    }
}

/// What becomes of a message on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It goes on as it is.
    Kept,
    /// It is taken out, for a reason.
    Removed(String),
    /// Another goes on in its place.
    Replaced(Box<Message>),
}

/// The header and the body of a frame.
fn split(frame: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let short = || Error::malformed(format!("batch of {} bytes ends inside its header", frame.len()));
    let (prefix, rest) = frame.split_first_chunk::<PREFIX_BYTES>().ok_or_else(short)?;
    let [m, l, b, major, length @ ..] = *prefix;
    if [m, l, b] != MAGIC {
        return Err(Error::malformed("frame is no batch: it does not begin with \"MLB\""));
    }
    if major != MAJOR {
        return Err(Error::new(
            ErrorKind::Version,
            format!("batch of major version {major}, this build reads {MAJOR}: upgrade the receiver first"),
        ));
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or_else(short)
}

/// Builds a batch message by message, for writers that hold whole messages (inputs of a daemon, roll-ups).
#[derive(Debug)]
pub struct Builder {
    header: Header,
    body: Vec<u8>,
}

impl Builder {
    /// A batch whose header says what `header` says, and accounts for nothing yet.
    #[must_use]
    pub fn new(header: Header) -> Self {
        Self {
            header: Header { span: 0, present: Vec::new(), removed: Counts::new(), ..header },
            body: Vec::new(),
        }
    }

    /// A batch that accounts for the same span as `header`, nothing present yet.
    fn from_header(header: &Header) -> Self {
        Self { header: Header { present: Vec::new(), ..header.clone() }, body: Vec::new() }
    }

    /// Adds the next message.
    ///
    /// # Errors
    /// `TooBig` when the message is; it is then counted as removed under `dropped:too_big`.
    pub fn push(&mut self, message: &Message) -> Result<(), Error> {
        let written = record::write_message(&mut self.body, message, self.header.identity());
        self.account(written)
    }

    /// Adds the next message without one being built: `content` appends payload and fields, as in [`record::write`].
    ///
    /// # Errors
    /// As [`Builder::push`].
    pub fn push_with(
        &mut self,
        head: &Head<'_>,
        identity: Option<&Identity<'_>>,
        content: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        let written = record::write(&mut self.body, head, identity, content);
        self.account(written)
    }

    fn account(&mut self, written: Result<(), Error>) -> Result<(), Error> {
        match written {
            Ok(()) => {
                self.extend_run(self.header.span);
                self.header.span += 1;
            }
            Err(_) => self.remove("dropped:too_big", 1),
        }
        written
    }

    /// Accounts for the next `count` sequence numbers without a message.
    pub fn remove(&mut self, reason: &str, count: u64) {
        if count > 0 {
            self.header.take_out(reason, count);
            self.header.span += count;
        }
    }

    fn push_record(&mut self, sequence: u64, record: Record<'_>) {
        let array = record.as_bytes();
        self.body.extend_from_slice(&u32::try_from(array.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.body.extend_from_slice(array);
        self.extend_run(sequence - self.header.first_sequence);
    }

    /// Adds a message under a number that another had. One that is too big for a record is taken out.
    fn push_in_place(&mut self, sequence: u64, message: &Message) {
        match record::write_message(&mut self.body, message, self.header.identity()) {
            Ok(()) => self.extend_run(sequence - self.header.first_sequence),
            Err(_) => self.header.take_out("dropped:too_big", 1),
        }
    }

    fn extend_run(&mut self, offset: u64) {
        match self.header.present.last_mut() {
            Some((start, length)) if *start + *length == offset => *length += 1,
            _ => self.header.present.push((offset, 1)),
        }
    }

    /// The header as it will be, but for the producer's totals, which the caller may set.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// How many sequence numbers the batch accounts for so far.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.header.span
    }

    /// Bytes of the body so far.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The frame.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        encode(&self.header, &self.body)
    }
}
