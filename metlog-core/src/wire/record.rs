//! One message in the body of a batch.
//!
//! ```text
//! offset  size  what
//! 0       4     N, the length of the array, u32 little-endian
//! 4       N     MessagePack array [type, severity, logger, timestamp, payload, fields]
//!               or [type, severity, logger, timestamp, payload, fields, env_version, pid, hostname]
//!               when one of the last three differs from the batch header's
//! ```
//! The order lets a reader look at type, severity and logger without decoding the rest, and the length lets it step
//! over a message without looking at all. The timestamp is nanoseconds since the epoch.

use super::{MAX_MESSAGE_BYTES, pack, read::Reader};
use crate::{
    error::{Error, ErrorKind},
    message::{Message, Severity},
    timestamp::Timestamp,
    value::{Encode, Fields, Value},
};

/// Bytes before the array.
pub const LENGTH_BYTES: usize = 4;

/// Columns of a message with the identity of its batch.
pub(crate) const COLUMNS: usize = 6;

/// Columns of a message with an identity of its own.
const COLUMNS_WITH_IDENTITY: usize = 9;

/// The sender's identity: columns that a batch carries once in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The version of the envelope.
    pub env_version: &'a str,
    /// The process.
    pub pid: i64,
    /// The host.
    pub hostname: &'a str,
}

/// Appends a record to `out`, or leaves `out` as it was. `content` appends payload and fields, one MessagePack value each;
/// `identity` is given when it differs from the header's.
///
/// # Errors
/// `TooBig` when the message is over [`MAX_MESSAGE_BYTES`].
#[inline]
pub fn write(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    identity: Option<&Identity<'_>>,
    content: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Error> {
    framed(out, |out| {
        encode_front(out, head, if identity.is_some() { COLUMNS_WITH_IDENTITY } else { COLUMNS });
        head.timestamp.as_nanos().encode(out);
        content(out);
        if let Some(identity) = identity {
            identity.env_version.encode(out);
            identity.pid.encode(out);
            identity.hostname.encode(out);
        }
    })
}

/// Appends the array's head and its columns before the timestamp.
#[inline]
pub(crate) fn encode_front(out: &mut Vec<u8>, head: &Head<'_>, columns: usize) {
    pack::list(out, columns);
    head.kind.encode(out);
    u32::from(head.severity.as_u8()).encode(out);
    head.logger.encode(out);
}

/// Appends the array that `array` appends, behind its length, or leaves `out` as it was.
///
/// # Errors
/// As [`write()`].
#[inline]
pub(crate) fn framed(out: &mut Vec<u8>, array: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    array(out);
    let length = out.len() - start - LENGTH_BYTES;
    match (u32::try_from(length), out.get_mut(start..start + LENGTH_BYTES)) {
        (Ok(announced), Some(place)) if length <= MAX_MESSAGE_BYTES => {
            place.copy_from_slice(&announced.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(too_big(length))
        }
    }
}

#[cold]
fn too_big(length: usize) -> Error {
    Error::new(ErrorKind::TooBig, format!("message of {length} bytes, expected at most {MAX_MESSAGE_BYTES}"))
}

/// Appends a whole message as a record of a batch whose header says `shared`.
///
/// # Errors
/// As [`write()`].
pub fn write_message(out: &mut Vec<u8>, message: &Message, shared: Identity<'_>) -> Result<(), Error> {
    let own = Identity { env_version: &message.env_version, pid: message.pid, hostname: &message.hostname };
    let head = Head {
        kind: &message.kind,
        severity: message.severity,
        logger: &message.logger,
        timestamp: message.timestamp,
    };
    write(out, &head, (own != shared).then_some(&own), |out| {
        message.payload.encode(out);
        message.fields.encode(out);
    })
}

/// A record's array, not decoded yet.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a>(&'a [u8]);

/// The columns at the front of a record, readable without the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head<'a> {
    /// `type`.
    pub kind: &'a str,
    /// `severity`.
    pub severity: Severity,
    /// `logger`.
    pub logger: &'a str,
    /// `timestamp`.
    pub timestamp: Timestamp,
}

impl<'a> Record<'a> {
    /// Splits the first record off `body`; gives back the record and what follows.
    ///
    /// # Errors
    /// `Malformed` when the length goes past the end, `TooBig` over [`MAX_MESSAGE_BYTES`].
    pub fn split(body: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let (length, rest) = body.split_first_chunk::<LENGTH_BYTES>().ok_or_else(|| cut(body.len()))?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_BYTES {
            return Err(Error::new(
                ErrorKind::TooBig,
                format!("record of {length} bytes, expected at most {MAX_MESSAGE_BYTES}"),
            ));
        }
        rest.split_at_checked(length).map(|(array, rest)| (Self(array), rest)).ok_or_else(|| cut(rest.len()))
    }

    /// The front columns.
    ///
    /// # Errors
    /// `Malformed` when they are not there.
    pub fn head(&self) -> Result<Head<'a>, Error> {
        self.open().map(|(head, _, _)| head)
    }

    /// The whole message; `shared` is the identity in the batch's header.
    ///
    /// # Errors
    /// `Malformed` when the bytes are no message.
    pub fn decode(&self, shared: Identity<'_>) -> Result<Message, Error> {
        let (head, mut rest, has_identity) = self.open()?;
        let payload = rest.value()?;
        let fields = rest.fields()?;
        let identity = if has_identity {
            Identity { env_version: rest.text()?, pid: rest.i64()?, hostname: rest.text()? }
        } else {
            shared
        };
        Ok(Message {
            kind: head.kind.to_owned(),
            timestamp: head.timestamp,
            logger: head.logger.to_owned(),
            severity: head.severity,
            payload,
            fields,
            env_version: identity.env_version.to_owned(),
            pid: identity.pid,
            hostname: identity.hostname.to_owned(),
        })
    }

    /// Payload and fields alone.
    ///
    /// # Errors
    /// `Malformed` when the bytes are no message.
    pub fn content(&self) -> Result<(Value, Fields), Error> {
        let (_, mut rest, _) = self.open()?;
        Ok((rest.value()?, rest.fields()?))
    }

    /// The array as it stands in the body, without its length.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn open(&self) -> Result<(Head<'a>, Reader<'a>, bool), Error> {
        let mut reader = Reader::new(self.0);
        let columns = reader.array_len()?;
        if columns < 6 {
            return Err(Error::malformed(format!("record of {columns} columns, expected 6 or 9")));
        }
        let kind = reader.text()?;
        let level = reader.i64()?;
        let severity = Severity::try_from(level)
            .map_err(|found| Error::malformed(format!("severity is {found}, expected 0 to 7")))?;
        let logger = reader.text()?;
        let timestamp = Timestamp::from_nanos(reader.i64()?);
        Ok((Head { kind, severity, logger, timestamp }, reader, columns >= 9))
    }
}

fn cut(left: usize) -> Error {
    Error::malformed(format!("batch body ends inside a record ({left} bytes left)"))
}
