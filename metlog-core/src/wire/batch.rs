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

pub use super::header::{Counts, Header, ProducerId, Role};
use super::record::{self, Record};
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
        let mut builder = Builder::from_header(&self.header);
        for (sequence, record) in self.records() {
            match verdict(sequence, &record) {
                Some(reason) => builder.header.take_out(&reason, 1),
                None => builder.push_record(sequence, record),
            }
        }
        (builder.header.count() < self.header.count()).then(|| builder.finish())
    }
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
