//! The head of a segment file and its name.
//!
//! ```text
//! offset  size  all numbers little endian
//!      0     8  magic "METSPOOL"
//!      8     2  version, 2
//!     10     2  0
//!     12     8  salt: random, goes into the check of every record (record.rs)
//!     20     8  ordinal of the first record, the same as in the file's name
//!     28     8  ordinal up to which all was safe when the segment was begun (version 1: the id of the spool, 16 bytes)
//!     36     8  the first half of the id of the spool
//!     44     4  CRC32C of bytes 0..44
//!     48        records, one after another, their ordinals without a gap
//! ```
//!
//! Version 1 is read as well. The ordinal that was safe tells a start how far back it cannot trust what it reads to be
//! on the disk (recovery.rs).
//!
//! The name is the first ordinal in 20 decimal digits and `.seg`, so that names sort like ordinals.

use std::path::{Path, PathBuf};

use super::check::{Sum, agrees};
use super::record::take;

/// Bytes before the first record.
pub(super) const HEADER_BYTES: u64 = 48;
const HEADER_LENGTH: usize = 48;
const MAGIC: [u8; 8] = *b"METSPOOL";
const VERSION: u16 = 2;
const EXTENSION: &str = ".seg";

/// What the first bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: u64,
    pub(super) first: u64,
    /// Records up to this one were on disk when the segment was begun.
    pub(super) safe: u64,
    pub(super) spool: [u8; 8],
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.safe.to_le_bytes());
        bytes.extend_from_slice(&self.spool);
        let check = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is damaged or of another version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        let (content, check) = bytes.first_chunk::<HEADER_LENGTH>()?.split_last_chunk::<4>()?;
        let mut rest = content;
        let magic = take(&mut rest)?;
        let version = u16::from_le_bytes(take(&mut rest)?);
        let known = magic == MAGIC && (1..=VERSION).contains(&version);
        if !known || !agrees(Sum::Segment, crc32c::crc32c(content), u32::from_le_bytes(*check)) {
            return None;
        }
        take::<2>(&mut rest)?;
        let salt = u64::from_le_bytes(take(&mut rest)?);
        let first = u64::from_le_bytes(take(&mut rest)?);
        let safe = u64::from_le_bytes(take(&mut rest)?);
        let safe = if version == 1 { first.saturating_sub(1) } else { safe };
        Some(Header { salt, first, safe, spool: take(&mut rest)? })
    }
}

/// Path of the segment that begins with the ordinal `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}{EXTENSION}"))
}

/// First ordinal of the segment with this file name; `None` for every other file.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(EXTENSION)?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_and_every_flipped_byte_is_noticed() {
        let header = Header { salt: 0x0102_0304_0506_0708, first: 77, safe: 70, spool: [9; 8] };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_LENGTH);
        assert_eq!(Header::decode(&bytes), Some(header));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert_eq!(Header::decode(&flipped), None, "byte {at} is not covered");
        }
    }

    #[test]
    fn a_header_of_version_1_is_read() {
        let mut bytes = b"METSPOOL\x01\0\0\0".to_vec();
        bytes.extend_from_slice(&5_u64.to_le_bytes());
        bytes.extend_from_slice(&77_u64.to_le_bytes());
        bytes.extend_from_slice(&[9; 16]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        assert_eq!(Header::decode(&bytes), Some(Header { salt: 5, first: 77, safe: 76, spool: [9; 8] }));
    }

    #[test]
    fn names_sort_like_ordinals_and_other_files_are_no_segments() {
        let name = |first| path(Path::new(""), first).to_string_lossy().into_owned();
        assert!(name(9) < name(10) && name(10) < name(u64::MAX));
        assert_eq!(first_of(&name(u64::MAX)), Some(u64::MAX));
        for other in ["meta.0", "lock", "1.seg", "+0000000000000000001.seg", "00000000000000000001.seg.tmp"] {
            assert_eq!(first_of(other), None, "{other}");
        }
    }
}
