//! What becomes of files that nothing is written to any more: renamed, compressed, deleted when there are too many.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::write::GzEncoder;
use jiff::Timestamp;
use tracing::info;

use super::{
    config::Compression,
    open::{parent, siblings, sync_directory},
};
use crate::output::OutputError;

/// Renames a file after the time, so that names sort by age, and gives back its new name.
pub(super) fn rename(path: &Path, now: Timestamp) -> Result<PathBuf, OutputError> {
    let time = now.strftime("%Y%m%dT%H%M%S%.6fZ").to_string();
    let names = (0_u32..).map(|turn| {
        let suffix = if turn == 0 { format!(".{time}") } else { format!(".{time}-{turn}") };
        with_suffix(path, &suffix)
    });
    let is_free = |name: &PathBuf| {
        !name.exists() && !with_suffix(name, ".gz").exists() && !with_suffix(name, ".zst").exists()
    };
    let name = names.into_iter().find(is_free).unwrap_or_else(|| with_suffix(path, ".old"));
    fs::rename(path, &name).map_err(OutputError::file("rename", path))?;
    sync_directory(parent(path))?;
    info!(path = %path.display(), name = %name.display(), "file rotated");
    Ok(name)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Puts a compressed file in place of a closed one. What a crash leaves behind is done again.
pub(super) fn compress(path: &Path, compression: Compression) -> Result<(), OutputError> {
    let suffix = match compression {
        Compression::None => return Ok(()),
        Compression::Gzip => ".gz",
        Compression::Zstd => ".zst",
    };
    let mut from = match File::open(path) {
        Ok(file) => file,
        // Compressed before, or taken away.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OutputError::file("open", path)(error)),
    };
    let (part, done) = (with_suffix(path, ".part"), with_suffix(path, suffix));
    let written = fs::metadata(path).and_then(|metadata| {
        let to = File::create(&part)?;
        to.set_permissions(metadata.permissions())?;
        let to = match compression {
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(to, 3)?;
                io::copy(&mut from, &mut encoder)?;
                encoder.finish()?
            }
            Compression::Gzip | Compression::None => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::default());
                io::copy(&mut from, &mut encoder)?;
                encoder.flush()?;
                encoder.finish()?
            }
        };
        to.sync_all()
    });
    written.map_err(OutputError::file("compress", path))?;
    fs::rename(&part, &done).map_err(OutputError::file("rename", &part))?;
    sync_directory(parent(path))?;
    fs::remove_file(path).map_err(OutputError::file("delete", path))
}

/// Deletes the oldest of the renamed files of `path` beyond `keep`.
pub(super) fn thin_out(path: &Path, keep: usize) -> Result<(), OutputError> {
    let mut renamed: Vec<PathBuf> =
        siblings(path)?.into_iter().filter(|found| is_renamed(path, found)).collect();
    renamed.truncate(renamed.len().saturating_sub(keep));
    for old in renamed {
        fs::remove_file(&old).map_err(OutputError::file("delete", &old))?;
        info!(path = %old.display(), keep, "old file deleted: see keep_files");
    }
    Ok(())
}

/// Whether a name is one that [`rename`] gives: nothing else is ever deleted.
pub(super) fn is_renamed(path: &Path, found: &Path) -> bool {
    let (own, name) = (path.as_os_str().as_encoded_bytes(), found.as_os_str().as_encoded_bytes());
    let Some(time) = name.strip_prefix(own).and_then(|rest| rest.strip_prefix(b".")) else { return false };
    let shape = |position: usize, byte: &u8| match position {
        8 => *byte == b'T',
        15 => *byte == b'.',
        22 => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    time.len() >= 23
        && time.iter().take(23).enumerate().all(|(position, byte)| shape(position, byte))
        && matches!(time.get(23), None | Some(b'.' | b'-'))
}
