//! What can go wrong when a spool is opened or appended to.

use std::io;
use std::path::PathBuf;

use super::record::MAX_FRAME_BYTES;

/// Why a spool could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process, or another handle of this one, holds the lock.
    #[error("another daemon uses this spool: {}; stop it or set another data_dir", dir.display())]
    Locked {
        /// Directory of the spool.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes for the identity or the salt.
    #[error("cannot make a random identity: {0}")]
    Random(#[from] getrandom::Error),
}

impl SpoolError {
    /// For `map_err`: puts the action and the path around an error of the system.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SpoolError {
        let path = path.into();
        move |source| SpoolError::Io { action, path, source }
    }
}

/// Why an append was refused. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bound of the spool is reached: a consumer lags or has stopped.
    #[error("spool holds {bytes} of {max_bytes} bytes; wait for its consumers or raise spool.max_bytes")]
    Full {
        /// Bytes held.
        bytes: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// The file system has no room, or the quota of the daemon's user is used up.
    #[error("the file system of the spool is full: {0}; make room and the next append works")]
    DiskFull(#[source] io::Error),
    /// The file system refused for another reason.
    #[error("cannot write to the spool: {0}")]
    Io(#[source] io::Error),
    /// A frame is larger than any frame may be.
    #[error("a frame has {bytes} bytes, expected at most {MAX_FRAME_BYTES}")]
    TooBig {
        /// Bytes of the frame.
        bytes: u64,
    },
    /// The spool was closed.
    #[error("the spool is closed")]
    Closed,
}

impl AppendError {
    /// Whether room is all that is lacking, so that the same append can work later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, AppendError::Full { .. } | AppendError::DiskFull(_))
    }
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> AppendError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AppendError::DiskFull(error),
            _ => AppendError::Io(error),
        }
    }
}
