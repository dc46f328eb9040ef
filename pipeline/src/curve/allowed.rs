//! The list of the clients that may connect: a public key a line, and after it a name for people. Lines that begin with `# `
//! are comments (a key may begin with the sign itself, but has no spaces).

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use metlog_core::{Error, ErrorKind};
use tracing::{info, warn};

use super::PublicKey;
use crate::quiet::Quiet;

/// The list, read again whenever its file has changed.
#[derive(Debug)]
pub struct AllowedClients {
    path: PathBuf,
    names: HashMap<PublicKey, String>,
    seen: Option<Seen>,
    quiet: Quiet,
}

/// What tells one version of a file from the next.
type Seen = (u64, u64, i64, i64);

impl AllowedClients {
    /// Reads the list.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no key; the message names the line.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Looked at before it is read: what changes meanwhile is read again.
        let seen = seen(path);
        let names = read(path)?;
        Ok(Self { path: path.to_owned(), names, seen, quiet: Quiet::default() })
    }

    /// The name of a client that may connect. A list that has become bad changes nothing until it is good again.
    pub fn name(&mut self, key: &PublicKey) -> Option<&str> {
        let now = seen(&self.path);
        if now != self.seen {
            self.seen = now;
            match read(&self.path) {
                Ok(names) => {
                    info!(path = %self.path.display(), clients = names.len(), "allowed_clients read again");
                    self.names = names;
                }
                Err(error) => self.quiet.say("allowed", || warn!(%error, "allowed_clients stays as it was")),
            }
        }
        self.names.get(key).map(String::as_str)
    }
}

fn seen(path: &Path) -> Option<Seen> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn read(path: &Path) -> Result<HashMap<PublicKey, String>, Error> {
    let wrong =
        |why: String| Error::new(ErrorKind::Config, format!("allowed_clients {} {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|source| wrong(format!("cannot be read: {source}")))?;
    let mut names = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let (key, name) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        if key.is_empty() || key == "#" {
            continue;
        }
        let key = key.parse::<PublicKey>().map_err(|why| wrong(format!("line {number}: {why}")))?;
        names.insert(key, name.trim().to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::KeyPair;

    #[test]
    fn the_list_is_read_again_when_it_changes_and_stays_while_it_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients");
        let [first, second] = [(); 2].map(|()| KeyPair::generate().unwrap().public);
        fs::write(&path, format!("# sidecars\n#\n\n  {first}  web1 in the first hall\n")).unwrap();
        let mut list = AllowedClients::open(&path).unwrap();
        assert_eq!(list.name(&first), Some("web1 in the first hall"));
        assert_eq!(list.name(&second), None);
        fs::write(&path, format!("{first}\n{second} web2\n")).unwrap();
        assert_eq!(list.name(&first), Some(""));
        assert_eq!(list.name(&second), Some("web2"));
        fs::write(&path, format!("{second} web2\nnonsense\n")).unwrap();
        assert_eq!(list.name(&first), Some(""), "a bad list changes nothing");
        fs::remove_file(&path).unwrap();
        assert_eq!(list.name(&first), Some(""));
        fs::write(&path, format!("{second} web2\n")).unwrap();
        assert_eq!(list.name(&first), None, "taken off the list");
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients");
        fs::write(&path, "# all\n#web1\n").unwrap();
        let error = AllowedClients::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2: \"#web1\" is no public key"), "{error}");
    }
}
