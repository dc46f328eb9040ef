//! Whether a file that was found holds what has been read of another: the same content under another name.

use std::{io, path::Path};

use super::{
    marks::{HEAD, Inode, Progress, TAIL, hash},
    source::{End, Source},
};

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// It has that content.
    Same,
    /// It has another.
    Other,
    /// It is an archive that is still being written: nobody knows yet.
    Unclear,
}

/// A file, opened to be compared.
#[derive(Debug)]
pub struct Look {
    source: Source,
    /// Its first [`HEAD`] bytes, or fewer when it has no more.
    head: Vec<u8>,
    /// True when it is an archive that ends in the midst of its head.
    is_unfinished: bool,
}

impl Look {
    /// Opens a file and reads its head.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn at(path: &Path) -> io::Result<Self> {
        Self::of(Source::open(path)?)
    }

    /// Reads the head of an open file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(mut source: Source) -> io::Result<Self> {
        let mut head = vec![0; HEAD];
        let (length, end) = source.read_at(0, &mut head)?;
        head.truncate(length);
        let is_unfinished = end == End::Open && matches!(source, Source::Archive(_));
        Ok(Self { source, head, is_unfinished })
    }

    /// Which file it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn inode(&self) -> io::Result<Inode> {
        self.source.look().map(|(inode, ..)| inode)
    }

    /// True for what cannot be compared yet.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Whether its first bytes are those that have been read of another.
    pub fn begins_like(&self, known: &Progress) -> Likeness {
        match self.head.get(..known.head_length()) {
            Some(head) if hash(head) == known.head => Likeness::Same,
            None if self.is_unfinished => Likeness::Unclear,
            _ => Likeness::Other,
        }
    }

    /// Whether it holds everything that has been read of another: also the bytes before the position are the same.
    pub fn holds(&mut self, known: &Progress) -> Likeness {
        let likeness = self.begins_like(known);
        // An archive that was read to its end is known by its head: to look at the tail is to decompress all of it.
        if likeness != Likeness::Same || known.done {
            return likeness;
        }
        let mut tail = vec![0; known.tail_length()];
        let from = known.offset.saturating_sub(count(tail.len()));
        match self.source.read_at(from, &mut tail) {
            Ok((length, _)) if length == tail.len() && hash(&tail) == known.tail => Likeness::Same,
            Ok((length, End::Open)) if length < tail.len() && matches!(self.source, Source::Archive(_)) => {
                Likeness::Unclear
            }
            _ => Likeness::Other,
        }
    }

    /// True when it has the same bytes as another as far as it goes: that is being copied or compressed.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn is_copy_so_far(&mut self, mut original: Self) -> io::Result<bool> {
        if !original.head.starts_with(&self.head) {
            return Ok(false);
        }
        if matches!(self.source, Source::Archive(_)) {
            return Ok(true);
        }
        let (_, size, _) = self.source.look()?;
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(TAIL);
        let (mut ours, mut theirs) = (vec![0; length], vec![0; length]);
        let from = size - count(length);
        let read = (self.source.read_at(from, &mut ours)?.0, original.source.read_at(from, &mut theirs)?.0);
        Ok(read == (length, length) && ours == theirs)
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn copies_and_archives_are_known_and_unfinished_ones_are_unclear() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> =
            (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut known = Progress::new(1, Inode { device: 1, inode: 1 }, "a");
        known.advance(&[], &content[..50_000]);
        let packed = gzip(&content);
        let mut other = content.clone();
        other[49_990] ^= 1;
        for (name, bytes, expected) in [
            ("whole", &content[..], Likeness::Same),
            ("just what was read", &content[..50_000], Likeness::Same),
            ("too short", &content[..49_999], Likeness::Other),
            ("another before the position", &other[..], Likeness::Other),
            ("whole.gz", &packed[..], Likeness::Same),
            ("unfinished.gz", &packed[..packed.len() / 2], Likeness::Unclear),
            ("begun.gz", &packed[..100], Likeness::Unclear),
            ("another.gz", &gzip(&other)[..], Likeness::Other),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert_eq!(Look::at(&path).unwrap().holds(&known), expected, "{name}");
        }
    }

    #[test]
    fn a_copy_that_is_being_made_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let original = dir.path().join("a.log");
        let content: Vec<u8> = (0..2_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&original, &content).unwrap();
        let packed = gzip(&content);
        for (name, bytes, expected) in [
            ("a.log.1", &content[..3_000], true),
            ("a.log.2", &content[4..3_000], false),
            ("a.log.1.gz", &packed[..packed.len() / 2], true),
            ("a.log.2.gz", &packed[..10], true),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let is_copy = Look::at(&path).unwrap().is_copy_so_far(Look::at(&original).unwrap()).unwrap();
            assert_eq!(is_copy, expected, "{name}");
        }
    }
}
