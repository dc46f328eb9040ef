//! The file-system calls of the spool, behind two traits so that a test can put a failing disk in their place.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What a spool holds may be private to the applications: only the daemon's user reads it.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// Copied at a time.
const COPY_BYTES: usize = 256 * 1024;

/// One open file, read and written at given offsets.
pub(super) trait SpoolFile: fmt::Debug + Send + Sync {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    fn length(&self) -> io::Result<u64>;
}

/// A shared open file.
pub(super) type FileRef = Arc<dyn SpoolFile>;

/// What a spool asks of the system besides: directories, locks, random bytes.
pub(super) trait Files: fmt::Debug + Send + Sync {
    /// Makes one directory, failing with `AlreadyExists` when there is one. See [`make_dirs`].
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    fn is_dir(&self, path: &Path) -> bool;
    /// Names of the entries of a directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file, emptying one that is there.
    fn create(&self, path: &Path) -> io::Result<FileRef>;
    /// Makes an empty file, failing with `AlreadyExists` when there is one.
    fn create_new(&self, path: &Path) -> io::Result<FileRef>;
    fn open(&self, path: &Path) -> io::Result<FileRef>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock that ends when the result is dropped; `None` when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>>;
    /// Random bytes for salts and identities: asked for here, so that a simulated system can be repeated.
    fn random(&self, buffer: &mut [u8]) -> Result<(), getrandom::Error>;
}

/// The real file system.
#[derive(Debug)]
pub(super) struct Disk;

impl SpoolFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Files for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(DIR_MODE).create(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<FileRef> {
        Ok(Arc::new(read_write().create(true).truncate(true).open(path)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<FileRef> {
        Ok(Arc::new(read_write().create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<FileRef> {
        Ok(Arc::new(read_write().open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let file = read_write().create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn random(&self, buffer: &mut [u8]) -> Result<(), getrandom::Error> {
        getrandom::fill(buffer)
    }
}

fn read_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

/// Makes a directory and its parents, each synced into its own parent before the next. One that exists is synced into
/// its parent all the same: who made it was perhaps killed before that.
pub(super) fn make_dirs(files: &dyn Files, path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .map_or(Path::new("/"), |parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    if files.is_dir(path) {
        return match files.sync_dir(parent) {
            // A parent that may only be passed through: whoever made this directory answers for it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        };
    }
    make_dirs(files, parent)?;
    match files.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    files.sync_dir(parent)
}

/// Writes all of `bytes` at `offset`: one system call unless the kernel takes less.
pub(super) fn write_all_at(file: &dyn SpoolFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                offset = offset.saturating_add(byte_count(count));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes the end of a file anew as it is read, and its length. After a sync that failed, a kernel may show what is not
/// on the disk and what it will not write again: a later sync is to be believed only for what was written since.
pub(super) fn rewrite(file: &dyn SpoolFile, from: u64, to: u64) -> io::Result<()> {
    let most = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX).min(COPY_BYTES);
    let mut buffer = vec![0; most];
    let mut offset = from;
    while offset < to {
        let left = usize::try_from(to.saturating_sub(offset)).unwrap_or(usize::MAX).min(most);
        let part = buffer.get_mut(..left).unwrap_or_default();
        let count = read_full_at(file, part, offset)?;
        if count == 0 {
            break;
        }
        write_all_at(file, part.get(..count).unwrap_or_default(), offset)?;
        offset = offset.saturating_add(byte_count(count));
    }
    file.truncate(to)
}

/// Fills `buffer` from `offset` on as far as the file goes; returns how much there was.
pub(super) fn read_full_at(file: &dyn SpoolFile, buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                offset = offset.saturating_add(byte_count(count));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A length in memory as a length on disk; saturating only where `usize` is wider than 64 bits.
pub(super) fn byte_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
