//! One record of a segment: its bytes, and the check that a payload can never pass for one.
//!
//! ```text
//! offset  size  all numbers little endian
//!      0     4  length of the whole record, this field and the last check included
//!      4     8  ordinal
//!     12     4  flags: 1 = a link tag follows the head; all others 0
//!     16     4  head check: CRC32C of the segment's salt (8 bytes) and of bytes 0..16
//!     20    28  link tag, if flagged: sender id (16), incarnation (4), sequence (8)
//!  20|48     n  frame
//!    end     4  check: CRC32C of the segment's salt and of all the bytes before
//! ```
//!
//! The salt is random for each segment and not known to who writes payloads. The head has a check of its own, so that
//! a search for the next record after damage computes a long check only where a record really began.

use std::ops::RangeInclusive;

use super::check::{Sum, agrees};
use super::files::byte_count;
use super::identity::{LinkTag, SenderId};

/// Largest frame a spool takes. Batches have some 64 KiB; this only keeps a reader's memory bounded.
pub const MAX_FRAME_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a record's head.
pub(super) const HEAD_BYTES: usize = 20;
/// Bytes of the smallest record: an empty frame without a link tag.
pub(super) const MIN_RECORD_BYTES: u64 = 24;
const TAG_BYTES: u64 = 28;
const MAX_RECORD_BYTES: u64 = MAX_FRAME_BYTES + MIN_RECORD_BYTES + TAG_BYTES;
const FLAG_LINK: u32 = 1;

/// A record to append.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Where it stood on the link it came over, if it did.
    pub link: Option<LinkTag>,
    /// The batch.
    pub frame: &'a [u8],
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in this spool.
    pub ordinal: u64,
    /// Where it stood on the link it came over, if it did.
    pub link: Option<LinkTag>,
    /// The batch.
    pub frame: Vec<u8>,
}

/// What the first bytes of a record say, once their check has passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) length: usize,
    ordinal: u64,
    linked: bool,
}

/// Encodes and decodes the records of one segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codec {
    /// CRC32C of the salt, which every check goes on from.
    seed: u32,
}

/// Bytes that a record takes on disk.
pub(super) fn encoded_length(record: &NewRecord<'_>) -> u64 {
    let tag = if record.link.is_some() { TAG_BYTES } else { 0 };
    MIN_RECORD_BYTES.saturating_add(tag).saturating_add(byte_count(record.frame.len()))
}

impl Codec {
    pub(super) fn new(salt: u64) -> Codec {
        Codec { seed: crc32c::crc32c(&salt.to_le_bytes()) }
    }

    /// Appends the bytes of a record, whose frame has at most [`MAX_FRAME_BYTES`], to `out`.
    pub(super) fn encode(self, ordinal: u64, record: &NewRecord<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let length = u32::try_from(encoded_length(record)).unwrap_or(u32::MAX);
        let flags = if record.link.is_some() { FLAG_LINK } else { 0 };
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&ordinal.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        self.push_check(start, out);
        if let Some(link) = record.link {
            out.extend_from_slice(&link.sender.id);
            out.extend_from_slice(&link.sender.incarnation.to_le_bytes());
            out.extend_from_slice(&link.sequence.to_le_bytes());
        }
        out.extend_from_slice(record.frame);
        self.push_check(start, out);
    }

    /// Reads a head, if one with an ordinal in `ordinals` begins with `bytes`.
    pub(super) fn head(self, bytes: &[u8], ordinals: &RangeInclusive<u64>) -> Option<Head> {
        let (content, check) = bytes.first_chunk::<HEAD_BYTES>()?.split_last_chunk::<4>()?;
        let mut rest = content;
        let length = u64::from(u32::from_le_bytes(take(&mut rest)?));
        let ordinal = u64::from_le_bytes(take(&mut rest)?);
        let flags = u32::from_le_bytes(take(&mut rest)?);
        let linked = flags == FLAG_LINK;
        let least = if linked { MIN_RECORD_BYTES + TAG_BYTES } else { MIN_RECORD_BYTES };
        let plausible =
            flags <= FLAG_LINK && ordinals.contains(&ordinal) && (least..=MAX_RECORD_BYTES).contains(&length);
        if !plausible || !agrees(Sum::RecordHead, self.check(content), u32::from_le_bytes(*check)) {
            return None;
        }
        Some(Head { length: usize::try_from(length).ok()?, ordinal, linked })
    }

    /// Reads the record that `head` announced; `bytes` are exactly its `length` bytes.
    pub(super) fn record(self, head: Head, bytes: &[u8]) -> Option<Record> {
        let (content, check) = bytes.split_last_chunk::<4>()?;
        if !agrees(Sum::Record, self.check(content), u32::from_le_bytes(*check)) {
            return None;
        }
        let mut rest = content.get(HEAD_BYTES..)?;
        let link = if head.linked { Some(take_tag(&mut rest)?) } else { None };
        Some(Record { ordinal: head.ordinal, link, frame: rest.to_vec() })
    }

    fn check(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed, bytes)
    }

    fn push_check(self, start: usize, out: &mut Vec<u8>) {
        let check = self.check(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&check.to_le_bytes());
    }
}

/// Takes the next `N` bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn take_tag(bytes: &mut &[u8]) -> Option<LinkTag> {
    let id = take(bytes)?;
    let incarnation = u32::from_le_bytes(take(bytes)?);
    let sequence = u64::from_le_bytes(take(bytes)?);
    Some(LinkTag { sender: SenderId { id, incarnation }, sequence })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(codec: Codec, bytes: &[u8]) -> Option<Record> {
        let head = codec.head(bytes, &(0..=u64::MAX))?;
        codec.record(head, bytes.get(..head.length)?)
    }

    proptest! {
        #[test]
        fn a_record_survives_its_bytes_and_no_other_salt_reads_it(
            salt: u64, ordinal: u64, sender: Option<([u8; 16], u32, u64)>,
            frame in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let link = sender.map(|(id, incarnation, sequence)| LinkTag { sender: SenderId { id, incarnation }, sequence });
            let new = NewRecord { link, frame: &frame };
            let mut bytes = Vec::new();
            Codec::new(salt).encode(ordinal, &new, &mut bytes);
            prop_assert_eq!(byte_count(bytes.len()), encoded_length(&new));
            prop_assert_eq!(decode(Codec::new(salt), &bytes), Some(Record { ordinal, link, frame }));
            prop_assert_eq!(decode(Codec::new(!salt), &bytes), None);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(Codec::new(1), &bytes);
        }
    }

    #[test]
    fn a_flipped_head_is_refused_before_the_frame_is_looked_at() {
        let codec = Codec::new(1);
        let mut bytes = Vec::new();
        codec.encode(2, &NewRecord { link: None, frame: b"abc" }, &mut bytes);
        assert!(codec.head(&bytes, &(0..=u64::MAX)).is_some());
        for at in 0..HEAD_BYTES {
            bytes[at] ^= 1;
            assert!(codec.head(&bytes, &(0..=u64::MAX)).is_none(), "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let link = LinkTag { sender: SenderId { id: [7; 16], incarnation: 3 }, sequence: 9 };
        let mut bytes = Vec::new();
        Codec::new(0).encode(2, &NewRecord { link: Some(link), frame: b"abc" }, &mut bytes);
        assert_eq!(bytes[..4], 55_u32.to_le_bytes());
        assert_eq!(bytes[4..12], 2_u64.to_le_bytes());
        assert_eq!(bytes[12..16], 1_u32.to_le_bytes());
        assert_eq!(bytes[16..20], crc32c::crc32c(&[&[0; 8], &bytes[..16]].concat()).to_le_bytes());
        assert_eq!(bytes[20..36], [7; 16]);
        assert_eq!(bytes[36..40], 3_u32.to_le_bytes());
        assert_eq!(bytes[40..48], 9_u64.to_le_bytes());
        assert_eq!(&bytes[48..51], b"abc");
        assert_eq!(bytes[51..], crc32c::crc32c(&[&[0; 8], &bytes[..51]].concat()).to_le_bytes());
    }
}
