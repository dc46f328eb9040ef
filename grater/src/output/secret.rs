//! Passwords and keys of back ends: read when the output is built, shown to nobody.
//!
//! A secret is given in one of two ways: `password = "${VAR}"` in the configuration, or `password_file = "/path"`, a
//! file that only its owner and group can read. A reload builds the outputs anew, so it reads the file again.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Deserialize;

/// No password is longer; a file that is was named by mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// Text that appears in no log, error or debug output.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the back end alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret that cannot be used. Names the setting and the way out, never the text.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Both ways at once.
    #[error("{key} and {key}_file are both given, expected one of them")]
    Both {
        /// The setting.
        key: &'static str,
    },
    /// There is nothing in it.
    #[error("{key} is empty, expected a value or no such key")]
    Empty {
        /// The setting.
        key: String,
    },
    /// The file cannot be read.
    #[error("cannot read {key}_file {}: {source}", path.display())]
    Unreadable {
        /// The setting without `_file`.
        key: &'static str,
        /// Its value.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than owner and group may read the file.
    #[error(
        "{key}_file {} has mode {mode:04o}, so that others can read it: expected 0600 or 0640 (chmod o= {})",
        path.display(), path.display()
    )]
    Open {
        /// The setting without `_file`.
        key: &'static str,
        /// Its value.
        path: PathBuf,
        /// The permissions found.
        mode: u32,
    },
}

/// The secret `key` from its value or from its file; nothing when neither is given.
///
/// # Errors
/// When both are given, or the one that is cannot be used.
pub(super) fn read(
    key: &'static str,
    value: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<Secret>, SecretError> {
    match (value, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(SecretError::Both { key }),
        (Some(Secret(text)), None) if text.is_empty() => Err(SecretError::Empty { key: key.to_owned() }),
        (Some(secret), None) => Ok(Some(secret.clone())),
        (None, Some(path)) => from_file(key, path).map(Some),
    }
}

fn from_file(key: &'static str, path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable { key, path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(SecretError::Open { key, path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "it is over 64 KiB")));
    }
    // Editors and `echo` end a file with a newline that is no part of the password.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(SecretError::Empty { key: format!("{key}_file {}", path.display()) });
    }
    Ok(Secret(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_secret_comes_from_its_value_or_its_file() {
        let given = Secret("p w".to_owned());
        assert_eq!(read("password", Some(&given), None).unwrap().unwrap().reveal(), "p w");
        assert_eq!(read("password", None, None).unwrap(), None);
        for (text, expected) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), (" a b ", " a b ")] {
            let (_folder, path) = file(text, 0o640);
            assert_eq!(read("password", None, Some(&path)).unwrap().unwrap().reveal(), expected);
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_secret() {
        let given = Secret("hunter2".to_owned());
        let (_a, open) = file("hunter2", 0o644);
        let (_b, empty) = file("\n", 0o600);
        let (_c, long) = file(&"hunter2".repeat(10_000), 0o600);
        let missing = Path::new("/nowhere/hunter");
        let cases: [(Option<&Secret>, Option<&Path>, &str); 7] = [
            (Some(&given), Some(&open), "password and password_file are both given"),
            (Some(&Secret(String::new())), None, "password is empty"),
            (None, Some(&open), "has mode 0644, so that others can read it: expected 0600 or 0640"),
            (None, Some(&empty), "password is empty, expected"),
            (None, Some(&long), "it is over 64 KiB"),
            (None, Some(missing), "cannot read password_file /nowhere/hunter: No such file"),
            (None, Some(Path::new("/")), "it is no regular file"),
        ];
        for (value, path, expected) in cases {
            let error = read("password", value, path).unwrap_err().to_string();
            let said = error.replace(&format!("_file {}", empty.display()), "");
            assert!(said.contains(expected) && !error.contains("hunter2"), "{expected}: {error}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret("hunter2".to_owned()))), "Some(***)");
    }
}
