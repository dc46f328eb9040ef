//! Results as external commands, written into the named pipe that Nagios reads.
//!
//! The pipe is opened so that nothing ever waits: without a Nagios that reads it opening fails, and when it is full
//! writing does. A line is at most `PIPE_BUF` bytes long, which the kernel takes whole or not at all.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use super::check::{Check, cut};

/// Longest write that a pipe takes as one piece.
const PIPE_BUF: usize = 4096;

/// Opens the pipe.
///
/// # Errors
/// When nobody reads it, or it is something else than a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().write(true).custom_flags(nonblock).open(path).map_err(told)?;
    if file.metadata()?.file_type().is_fifo() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no named pipe: see command_file of nagios.cfg"))
}

/// "No such device or address" says little.
fn told(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
        return io::Error::new(error.kind(), "nobody reads the pipe: is Nagios running?");
    }
    error
}

/// Writes the command of a result.
///
/// # Errors
/// `WouldBlock` when Nagios is behind with reading.
pub(super) fn write(mut pipe: &File, check: &Check) -> io::Result<()> {
    let line = line(check);
    let written = pipe.write(line.as_bytes())?;
    // The kernel's promise, which a file system that is no pipe does not make.
    if written == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn line(check: &Check) -> String {
    let Check { host, service, code, text, seconds } = check;
    let mut line = format!("[{seconds}] PROCESS_SERVICE_CHECK_RESULT;{host};{service};{code};");
    let left = PIPE_BUF - 1 - line.len();
    let _never_fails = writeln!(line, "{}", cut(text, left));
    line
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    fn check(text: &str) -> Check {
        Check {
            host: "h1".into(),
            service: "disk".into(),
            code: 1,
            text: text.into(),
            seconds: 1_795_341_600,
        }
    }

    fn pipe() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nagios.cmd");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        (folder, path)
    }

    #[test]
    fn a_command_is_one_line_that_a_pipe_takes_whole() {
        assert_eq!(line(&check("70%")), "[1795341600] PROCESS_SERVICE_CHECK_RESULT;h1;disk;1;70%\n");
        let long = line(&check(&"ñ".repeat(4000)));
        assert!(long.len() <= PIPE_BUF && long.ends_with("ñ\n"), "{}", long.len());
    }

    #[test]
    fn without_a_reader_nothing_waits() {
        let (_folder, path) = pipe();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("nobody reads the pipe"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(open(file.path()).unwrap_err().to_string().contains("no named pipe"));
    }

    #[test]
    fn a_full_pipe_is_an_error_and_takes_no_half_line() {
        let (_folder, path) = pipe();
        let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let mut reader = OpenOptions::new().read(true).custom_flags(nonblock).open(&path).unwrap();
        let pipe = open(&path).unwrap();
        let mut lines = 0;
        let error = loop {
            match write(&pipe, &check(&"x".repeat(3000))) {
                Ok(()) => lines += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let mut read = String::new();
        let _until_empty = reader.read_to_string(&mut read);
        assert_eq!(read.lines().count(), lines);
        assert!(read.ends_with('\n') && lines > 0);
    }
}
