//! The bytes of a file from any place on: a plain file, or an archive (gzip, zstd) as if it were one.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use super::marks::Inode;

/// An archive may expand so far before it has to look like text.
const FREE_BYTES: u64 = 64 << 20;

/// Log files compress 5 to 50 times; beyond this an archive is made to fill disks.
const MAX_RATIO: u64 = 400;

/// How a file's name says that it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it stands.
    Plain,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

impl Encoding {
    /// By the name.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// What a read found behind the bytes it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// More.
    More,
    /// Nothing yet: the file can grow, or the archive is not complete.
    Open,
    /// Nothing, and nothing will come: the end of an archive.
    Closed,
    /// The archive expands beyond all measure; the rest is left alone.
    Bomb,
}

/// An open file.
#[derive(Debug)]
pub enum Source {
    /// A file that may still grow.
    Plain(File),
    /// One that does not.
    Archive(Box<Archive>),
}

impl Source {
    /// Opens a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(match Encoding::of(path) {
            Encoding::Plain => Self::Plain(file),
            encoding => Self::Archive(Box::new(Archive::new(file, encoding)?)),
        })
    }

    /// Reads from `offset` on until the buffer is full or there is no more: how many bytes, and what follows.
    ///
    /// # Errors
    /// What the system says, or that the archive is damaged.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<(usize, End)> {
        match self {
            Self::Plain(file) => read_plain(file, offset, buffer),
            Self::Archive(archive) => archive.read_at(offset, buffer),
        }
    }

    /// The same plain file once more, also when it has no name any longer; `None` for an archive.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn again(&self) -> io::Result<Option<Self>> {
        match self {
            Self::Plain(file) => Ok(Some(Self::Plain(file.try_clone()?))),
            Self::Archive(_) => Ok(None),
        }
    }

    /// Which file it is, its size, and how many names it has.
    ///
    /// # Errors
    /// What the system says.
    pub fn look(&self) -> io::Result<(Inode, u64, u64)> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Archive(archive) => &archive.file,
        };
        let found = file.metadata()?;
        Ok((Inode { device: found.dev(), inode: found.ino() }, found.size(), found.nlink()))
    }
}

/// One read, so that what it gives was there at one time: a second one could find the file truncated and written anew.
fn read_plain(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<(usize, End)> {
    loop {
        match file.read_at(buffer, offset) {
            Ok(count) => return Ok((count, if count == buffer.len() { End::More } else { End::Open })),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// An archive, decompressed once from front to back; the last bytes are kept, since each read begins a little before the
/// end of the one before it.
pub struct Archive {
    file: File,
    encoding: Encoding,
    decoder: Box<dyn Read + Send>,
    /// Decompressed so far.
    position: u64,
    /// The bytes before `position`.
    last: Vec<u8>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Archive {
    fn new(file: File, encoding: Encoding) -> io::Result<Self> {
        let decoder = decoder(&file, encoding)?;
        Ok(Self { file, encoding, decoder, position: 0, last: Vec::new() })
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.decoder = decoder(&self.file, self.encoding)?;
        (self.position, self.last) = (0, Vec::new());
        Ok(())
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<(usize, End)> {
        if offset < self.position.saturating_sub(length(&self.last)) {
            self.rewind()?;
        }
        let allowed = self.file.metadata()?.size().saturating_mul(MAX_RATIO).max(FREE_BYTES);
        // What lies between is decompressed and forgotten.
        while self.position < offset {
            let wanted = usize::try_from(offset - self.position).unwrap_or(usize::MAX).min(buffer.len());
            let skipped = buffer.get_mut(..wanted).unwrap_or_default();
            let (count, end) = fill(&mut *self.decoder, skipped)?;
            self.position += u64::try_from(count).unwrap_or(u64::MAX);
            self.last = skipped.get(..count).unwrap_or_default().to_vec();
            if end == End::Open {
                self.rewind()?;
            }
            if end != End::More {
                return Ok((0, end));
            }
        }
        let again = usize::try_from(self.position - offset).unwrap_or(usize::MAX).min(buffer.len());
        let (front, rest) = buffer.split_at_mut(again);
        let start =
            self.last.len().saturating_sub(usize::try_from(self.position - offset).unwrap_or(usize::MAX));
        front.copy_from_slice(self.last.get(start..start + again).unwrap_or_default());
        let (count, end) = fill(&mut *self.decoder, rest)?;
        self.position += u64::try_from(count).unwrap_or(u64::MAX);
        if count > 0 {
            self.last = buffer.get(..again + count).unwrap_or_default().to_vec();
        }
        if end == End::Open {
            // A decoder that has met the end does not go on when there is more.
            self.rewind()?;
        }
        let end = if self.position > allowed { End::Bomb } else { end };
        Ok((again + count, end))
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Fills the buffer. An archive that ends too early is one that is still being written.
fn fill(decoder: &mut dyn Read, buffer: &mut [u8]) -> io::Result<(usize, End)> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest) {
            Ok(0) => return Ok((filled, End::Closed)),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok((filled, End::Open)),
            Err(error) => return Err(error),
        }
    }
    Ok((filled, End::More))
}

fn decoder(file: &File, encoding: Encoding) -> io::Result<Box<dyn Read + Send>> {
    let mut file = file.try_clone()?;
    io::Seek::rewind(&mut file)?;
    let file = BufReader::new(file);
    Ok(match encoding {
        Encoding::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(MultiGzDecoder::new(file)),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use proptest::prelude::*;

    use super::*;

    fn write(dir: &Path, encoding: Encoding, content: &[u8]) -> std::path::PathBuf {
        let (name, bytes) = match encoding {
            Encoding::Plain => ("a.log", content.to_vec()),
            Encoding::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                out.write_all(content).unwrap();
                ("a.log.gz", out.finish().unwrap())
            }
            Encoding::Zstd => ("a.log.zst", zstd::encode_all(content, 1).unwrap()),
        };
        fs::write(dir.join(name), bytes).unwrap();
        dir.join(name)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Reads in any order give what a plain file gives.
        #[test]
        fn an_archive_reads_like_a_plain_file(
            content in prop::collection::vec(any::<u8>(), 0..5_000),
            reads in prop::collection::vec((0..6_000_u64, 1..3_000_usize), 1..8),
        ) {
            let dir = tempfile::tempdir().unwrap();
            for encoding in [Encoding::Plain, Encoding::Gzip, Encoding::Zstd] {
                let mut source = Source::open(&write(dir.path(), encoding, &content)).unwrap();
                for (offset, wanted) in &reads {
                    let mut buffer = vec![0; *wanted];
                    let (count, _) = source.read_at(*offset, &mut buffer).unwrap();
                    let from = usize::try_from(*offset).unwrap().min(content.len());
                    let expected = &content[from..(from + wanted).min(content.len())];
                    prop_assert_eq!(&buffer[..count], expected, "{:?} at {}", encoding, offset);
                }
            }
        }
    }

    #[test]
    fn an_archive_that_is_still_written_is_open_and_a_whole_one_closed() {
        let dir = tempfile::tempdir().unwrap();
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
            let path = write(dir.path(), encoding, &content);
            let whole = fs::read(&path).unwrap();
            let mut buffer = vec![0; 1 << 20];
            let (count, end) = Source::open(&path).unwrap().read_at(0, &mut buffer).unwrap();
            assert_eq!((count, end), (content.len(), End::Closed), "{encoding:?}");
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let (count, end) = Source::open(&path).unwrap().read_at(0, &mut buffer).unwrap();
            assert!(count < content.len() && end == End::Open, "{encoding:?}: {count} {end:?}");
            assert_eq!(buffer[..count], content[..count]);
        }
    }

    #[test]
    fn a_bomb_is_left_alone_and_takes_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), Encoding::Gzip, &vec![b'\n'; 80 << 20]);
        let mut source = Source::open(&path).unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        let end = loop {
            let (count, end) = source.read_at(offset, &mut buffer).unwrap();
            offset += u64::try_from(count).unwrap();
            if end != End::More {
                break end;
            }
        };
        assert_eq!(end, End::Bomb);
        assert!(offset <= FREE_BYTES + (1 << 20), "{offset}");
    }
}
