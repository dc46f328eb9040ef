//! Why a back end took nothing.

use std::{io, path::PathBuf};

/// A delivery that failed as a whole. Each can pass: the caller tries again.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was being done, as a verb.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is something else than a file.
    #[error("path {} is {found}, expected a file: name one in it or beside it", path.display())]
    NoFile {
        /// The setting.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Nothing is wrong: a checkpoint has to be saved before this delivery can go on.
    #[error("a checkpoint has to be saved first")]
    CheckpointFirst,
    /// The network or the peer refused.
    #[error("cannot {action} {address}: {source}")]
    Network {
        /// What was being done, as a verb.
        action: &'static str,
        /// With whom.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A setting cannot work, or what it names is not what it should be.
    #[error("{key}: {message}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What was found and what was expected.
        message: String,
    },
    /// A password or key cannot be read.
    #[error(transparent)]
    Secret(#[from] super::secret::SecretError),
    /// The back end was reached and refused.
    #[error("{address} refuses: {reason}")]
    Refused {
        /// Who.
        address: String,
        /// What it said, and what to look at.
        reason: String,
    },
}

impl OutputError {
    /// For `map_err`: puts the action and the path around an error of the system.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// For `map_err`: puts the action and the address around an error of the system.
    pub(super) fn network(action: &'static str, address: &str) -> impl FnOnce(io::Error) -> Self {
        let address = address.to_owned();
        move |source| Self::Network { action, address, source }
    }

    /// A setting that cannot work.
    pub(super) fn setting(key: &'static str, message: impl Into<String>) -> Self {
        Self::Setting { key, message: message.into() }
    }
}
