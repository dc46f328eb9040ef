//! The sections `[input.link.curve]` and `[forward.curve]`.

use std::{fmt::Write as _, path::PathBuf};

use metlog_core::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AllowedClients, KeyPair, PublicKey};

/// Who listens, and who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurveServer {
    /// Files of key pairs, as `keygen` writes them: one for all `tcp://` endpoints, or one for each. With a second key at a
    /// second port, senders can be moved to it one by one.
    pub key_files: Vec<PathBuf>,
    /// The file of the public keys that may connect, one a line, a name after it. It is read again when it changes.
    pub allowed_clients: PathBuf,
}

impl CurveServer {
    /// Everything that is wrong with it, a line each; `section` is where it stands, with so many `tcp://` endpoints.
    #[must_use]
    pub fn check(&self, section: &str, endpoints: usize) -> Vec<String> {
        let mut wrong: Vec<String> =
            super::is_there().err().map(|error| error.to_string()).into_iter().collect();
        wrong.extend(count(&format!("{section}.key_files"), self.key_files.len(), endpoints));
        wrong.extend(
            self.key_files.iter().filter_map(|path| KeyPair::read(path).err()).map(in_section(section)),
        );
        wrong.extend(AllowedClients::open(&self.allowed_clients).err().map(in_section(section)));
        wrong
    }

    /// The key pairs, in the order of the `tcp://` endpoints.
    ///
    /// # Errors
    /// Those of [`KeyPair::read`].
    pub fn keys(&self) -> Result<Vec<KeyPair>, Error> {
        self.key_files.iter().map(|path| KeyPair::read(path)).collect()
    }

    /// What tells a socket of these keys and this list from another.
    ///
    /// # Errors
    /// As [`CurveServer::keys`].
    pub fn name(&self) -> Result<String, Error> {
        let mut name = format!(" curve {}", self.allowed_clients.display());
        for keys in self.keys()? {
            let _in_memory = write!(name, " {}", keys.public);
        }
        Ok(name)
    }
}

/// Who connects, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurveClient {
    /// The file of our key pair, as `keygen` writes it.
    pub key_file: PathBuf,
    /// The receivers' public keys: one for all `tcp://` endpoints, or one for each.
    pub server_keys: Vec<PublicKey>,
}

impl CurveClient {
    /// Everything that is wrong with it, a line each.
    #[must_use]
    pub fn check(&self, section: &str, endpoints: usize) -> Vec<String> {
        let mut wrong: Vec<String> =
            super::is_there().err().map(|error| error.to_string()).into_iter().collect();
        wrong.extend(count(&format!("{section}.server_keys"), self.server_keys.len(), endpoints));
        wrong.extend(KeyPair::read(&self.key_file).err().map(in_section(section)));
        wrong
    }

    /// The key of the receiver at the `tcp://` endpoint of this place.
    #[must_use]
    pub fn server_key(&self, place: usize) -> Option<PublicKey> {
        nth(&self.server_keys, place).copied()
    }

    /// Makes a socket ours, for the receiver of that key.
    ///
    /// # Errors
    /// When the key file cannot be read, or libzmq refuses.
    pub fn apply(&self, socket: &zmq::Socket, server: PublicKey) -> Result<KeyPair, Error> {
        let keys = KeyPair::read(&self.key_file)?;
        let set = || {
            socket.set_curve_serverkey(server.as_bytes())?;
            socket.set_curve_publickey(keys.public.as_bytes())?;
            socket.set_curve_secretkey(keys.secret())
        };
        set().map_err(|source| {
            Error::new(ErrorKind::Io, format!("ZeroMQ takes no keys: {source}")).with_source(source)
        })?;
        Ok(keys)
    }
}

/// The one that is for all, or that of its place.
pub(crate) fn nth<T>(all: &[T], place: usize) -> Option<&T> {
    if all.len() == 1 { all.first() } else { all.get(place) }
}

fn count(key: &str, keys: usize, endpoints: usize) -> Option<String> {
    (keys != 1 && keys != endpoints).then(|| {
        format!("{key} has {keys} entries, expected one for all tcp:// endpoints or one for each of the {endpoints}")
    })
}

fn in_section(section: &str) -> impl Fn(Error) -> String {
    move |error| format!("{section}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_said_at_once() {
        let server = CurveServer {
            key_files: vec!["/nonexistent/a".into(); 3],
            allowed_clients: "/nonexistent/b".into(),
        };
        let said = server.check("input.link.curve", 2).join("\n");
        for part in
            ["key_files has 3 entries", "each of the 2", "/nonexistent/a", "allowed_clients /nonexistent/b"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let client = CurveClient { key_file: "/nonexistent/c".into(), server_keys: Vec::new() };
        let said = client.check("forward.curve", 1).join("\n");
        for part in ["forward.curve.server_keys has 0 entries", "/nonexistent/c"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
