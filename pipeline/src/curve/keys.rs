//! Key pairs of CURVE in files, and public keys as people pass them on: 40 characters of Z85 (ZeroMQ RFC 32).

use std::{
    borrow::Cow,
    fmt, fs,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    str::FromStr,
};

use metlog_core::{Error, ErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const KEY_BYTES: usize = 32;

/// Others may neither read a key nor put one of theirs in its place; the group may read it, so that root can own it.
const FORBIDDEN_MODE: u32 = 0o027;

/// Who somebody is, for all to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// As libzmq takes it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As libzmq gives it; nothing when it is no key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&zmq::z85_encode(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        decode(text).map(Self).ok_or_else(|| {
            format!("{text:?} is no public key, expected the 40 characters that `keygen` has printed")
        })
    }
}

impl TryFrom<String> for PublicKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl JsonSchema for PublicKey {
    fn schema_name() -> Cow<'static, str> {
        "PublicKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 40, "maxLength": 40 })
    }
}

fn decode(text: &str) -> Option<[u8; KEY_BYTES]> {
    // The decoder takes any text whose length is a multiple of five, and says nothing of signs that mean nothing.
    let key: [u8; KEY_BYTES] = zmq::z85_decode(text).ok()?.try_into().ok()?;
    (zmq::z85_encode(&key).ok()? == text).then_some(key)
}

/// A key file, as TOML.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    public: String,
    secret: String,
}

/// Who we are: what all may know, and what nobody else may.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// To be told to the other end.
    pub public: PublicKey,
    secret: [u8; KEY_BYTES],
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new one.
    ///
    /// # Errors
    /// When this build has no CURVE.
    pub fn generate() -> Result<Self, Error> {
        super::is_there()?;
        loop {
            let pair = zmq::CurveKeyPair::new().map_err(|source| {
                Error::new(ErrorKind::Io, format!("cannot make keys: {source}")).with_source(source)
            })?;
            let public = PublicKey(pair.public_key);
            // It is to stand in configurations, where `${` begins the name of a variable.
            if !public.to_string().contains("${") {
                return Ok(Self { public, secret: pair.secret_key });
            }
        }
    }

    /// As libzmq takes it.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it holds no key pair. The message never shows what it holds.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::new(ErrorKind::Config, format!("key file {} {why}", path.display()));
        let found = fs::metadata(path).map_err(|source| wrong(format!("cannot be read: {source}")))?;
        let mode = found.mode() & 0o777;
        if mode & FORBIDDEN_MODE != 0 {
            return Err(wrong(format!("has mode {mode:04o}, so that others have the key: chmod 0600 it")));
        }
        let text = fs::read_to_string(path).map_err(|source| wrong(format!("cannot be read: {source}")))?;
        let keys = toml::from_str::<KeyFile>(&text)
            .ok()
            .and_then(|file| Some(Self { public: file.public.parse().ok()?, secret: decode(&file.secret)? }));
        keys.ok_or_else(|| wrong("holds no key pair, expected one that `keygen` has written".to_owned()))
    }

    /// Writes a key file that only its owner may read.
    ///
    /// # Errors
    /// When there is a file already, or none can be made.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |source: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot write key file {}: {source}", path.display()))
                .with_source(source)
        };
        let secret = zmq::z85_encode(&self.secret).unwrap_or_default();
        let keys = toml::to_string(&KeyFile { public: self.public.to_string(), secret }).unwrap_or_default();
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(keys.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_is_read_as_it_was_written_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidecar.key");
        let keys = KeyPair::generate().unwrap();
        keys.write(&path).unwrap();
        assert_eq!(KeyPair::read(&path).unwrap(), keys);
        let error = keys.write(&path).unwrap_err().to_string();
        assert!(error.contains("exists"), "{error}");
        let shown = format!("{keys:?}");
        assert!(!shown.contains(&zmq::z85_encode(keys.secret()).unwrap()), "{shown}");
    }

    #[test]
    fn a_key_that_others_could_have_read_is_refused_and_so_is_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        KeyPair::generate().unwrap().write(&path).unwrap();
        for (mode, good) in [(0o600, true), (0o640, true), (0o400, true), (0o644, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = KeyPair::read(&path);
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains(&format!("has mode {mode:04o}")), "{error}");
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "public = \"x\"\nsecret = \"hunter2\"\n").unwrap();
        let error = KeyPair::read(&path).unwrap_err().to_string();
        assert!(error.contains("holds no key pair") && !error.contains("hunter2"), "{error}");
        let error = KeyPair::read(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn a_public_key_has_forty_characters() {
        let key = KeyPair::generate().unwrap().public;
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        for text in ["", "abc", "aaaaa", &"\"".repeat(40), &"a".repeat(45)] {
            assert!(text.parse::<PublicKey>().unwrap_err().contains("no public key"), "{text}");
        }
    }
}
