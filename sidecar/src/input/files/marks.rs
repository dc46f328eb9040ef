//! How a file is known again whatever it is called by then: by hashes of what has been read of it.
//!
//! `head` is of its first bytes, `tail` of those before the position. A file that was renamed, copied or compressed still has
//! both; one that was truncated and written anew, or that only got the inode of another, does not.

use serde::{Deserialize, Serialize};

/// Bytes at the front that `head` stands for, when so many have been read.
pub const HEAD: usize = 1024;

/// Bytes before the position that `tail` stands for, when so many have been read.
pub const TAIL: usize = 256;

/// Which file, as the operating system counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Inode {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
}

/// How far a file has been read: what is durable of it. Saved in the header of the batch that brings its lines, and with the
/// input's cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// A number of its own, for as long as its content is known.
    pub id: u64,
    /// The file.
    pub inode: Inode,
    /// Its last known name.
    pub path: String,
    /// Bytes of its content, decompressed, whose lines are in the spool.
    pub offset: u64,
    /// Hash of the first [`HEAD`] of these bytes.
    pub head: u64,
    /// Hash of the last [`TAIL`] of these bytes.
    pub tail: u64,
    /// True inside a line that was cut: its rest is passed over.
    pub skipping: bool,
    /// True once an archive has been read to its end.
    pub done: bool,
}

impl Progress {
    /// A file of which nothing has been read.
    pub fn new(id: u64, inode: Inode, path: &str) -> Self {
        let path = path.to_owned();
        Self { id, inode, path, offset: 0, head: EMPTY, tail: EMPTY, skipping: false, done: false }
    }

    /// How many bytes `head` stands for.
    pub fn head_length(&self) -> usize {
        usize::try_from(self.offset).map_or(HEAD, |offset| offset.min(HEAD))
    }

    /// How many bytes `tail` stands for.
    pub fn tail_length(&self) -> usize {
        usize::try_from(self.offset).map_or(TAIL, |offset| offset.min(TAIL))
    }

    /// Everything up to `offset` is passed over; `last` are at least [`TAIL`] bytes before it. [`HEAD`] bytes have been read.
    pub fn jump(&mut self, offset: u64, last: &[u8]) {
        self.offset = offset;
        self.tail = hash(last.get(last.len().saturating_sub(TAIL)..).unwrap_or_default());
    }

    /// The next bytes have been read; `before` are those that `tail` stood for.
    pub fn advance(&mut self, before: &[u8], bytes: &[u8]) {
        let missing = HEAD - self.head_length();
        self.head = extend(self.head, bytes.get(..missing.min(bytes.len())).unwrap_or_default());
        self.offset = self.offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let of_before = self.tail_length().saturating_sub(bytes.len());
        let before = before.get(before.len().saturating_sub(of_before)..).unwrap_or_default();
        let last = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default();
        self.tail = extend(extend(EMPTY, before), last);
    }
}

/// The hash of nothing.
const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// 64-bit FNV-1a: saved on disk, so it must be the same in every version.
pub fn hash(bytes: &[u8]) -> u64 {
    extend(EMPTY, bytes)
}

fn extend(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However the content was cut into pieces, the marks are those of its first and last bytes.
        #[test]
        fn marks_do_not_depend_on_how_much_was_read_at_once(
            content in prop::collection::vec(any::<u8>(), 0..3_000),
            cuts in prop::collection::vec(0..3_000_usize, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(content.len())).collect();
            cuts.push(content.len());
            cuts.sort_unstable();
            let mut progress = Progress::new(1, Inode { device: 1, inode: 1 }, "a");
            let mut at = 0_usize;
            for cut in cuts {
                let before = &content[at.saturating_sub(TAIL)..at];
                progress.advance(before, &content[at..cut]);
                at = cut;
            }
            prop_assert_eq!(progress.head, hash(&content[..content.len().min(HEAD)]));
            prop_assert_eq!(progress.tail, hash(&content[content.len().saturating_sub(TAIL)..]));
        }
    }
}
