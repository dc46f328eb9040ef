//! The records of the model: each carries a number, which tells what all of it has to be.

use super::HEADER_LENGTH;
use crate::spool::{LinkTag, Record, SenderId};

pub(super) fn frame(id: u32) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((0..id % 37).map(|n| u8::try_from((id + n) % 251).unwrap()));
    bytes
}

pub(super) fn tag(id: u32) -> Option<LinkTag> {
    let sender = SenderId { id: [3; 16], incarnation: 1 };
    id.is_multiple_of(3).then(|| LinkTag { sender, sequence: u64::from(id) })
}

pub(super) fn identity(record: &Record) -> Result<u32, String> {
    let id = record.frame.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let known = id.filter(|id| record.frame == frame(*id) && record.link == tag(*id));
    known.ok_or_else(|| format!("record {} was never written: {:?}", record.ordinal, record.frame))
}

/// Ordinal of the good record that covers an offset of a segment. Looked for from each byte on: the lengths of records
/// that were hit before lead nowhere.
pub(super) fn record_at(content: &[u8], at: usize) -> Option<u64> {
    let salt = content.get(12..20)?;
    (HEADER_LENGTH..=at).find_map(|start| {
        let rest = content.get(start..)?;
        let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?;
        let (bytes, check) = rest.get(..length)?.split_last_chunk()?;
        let good = crc32c::crc32c_append(crc32c::crc32c(salt), bytes) == u32::from_le_bytes(*check);
        let ordinal = u64::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
        (good && at < start + length).then_some(ordinal)
    })
}
