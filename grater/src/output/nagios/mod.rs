//! Results of passive checks to Nagios: over the network by NSCA, or into the command file of a Nagios on this host.
//!
//! Neither of the two acknowledges anything. By NSCA a call's results count as delivered when the server, having read
//! them all, has closed the connection in order; a result in a packet that it could not make out (a wrong password, a
//! wrong method) is dropped by it without a word to us. Into the command file they count when the pipe has taken them.
//! A call that fails is repeated as a whole: a result that comes twice is the same result.

mod check;
mod cipher;
mod command;
mod nsca;
mod packet;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use metlog_pipeline::template::Template;
use schemars::JsonSchema;
use serde::Deserialize;

use self::{
    check::{Check, Names},
    cipher::Encryption,
    nsca::Nsca,
};
use super::{
    Address, Delivered, Halted, Item, Output, OutputError, OutputState, net,
    secret::{self, Secret},
};

/// An `[[output]]` of `type = "nagios"`: with an `address` or a `command_file`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NagiosConfig {
    /// Where nsca listens, usually on port 5667.
    pub address: Option<Address>,
    /// The pipe that a Nagios on this host reads, `command_file` of its `nagios.cfg`.
    pub command_file: Option<PathBuf>,
    /// What `decryption_method` of `nsca.cfg` says: `none` (0), `xor` (1, the default), `3des` (3) or `aes` (14).
    #[serde(default)]
    pub encryption: Encryption,
    /// What `password` of `nsca.cfg` says.
    pub password: Option<Secret>,
    /// A file with it, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// How large nsca expects packets: 4304, by default, since 2.9; 720 before.
    #[serde(default)]
    pub packet_bytes: PacketBytes,
    /// The host of a message without a field `host`: `%Hostname%` by default.
    #[serde(default = "default_host")]
    pub host: String,
    /// The service of a message without a field `service`: `%Logger%` by default.
    #[serde(default = "default_service")]
    pub service: String,
    /// How long connecting, and one delivery, may take; 5 s by default.
    #[serde(default = "net::default_timeout", deserialize_with = "net::timeout")]
    pub timeout: Duration,
}

fn default_host() -> String {
    "%Hostname%".to_owned()
}

fn default_service() -> String {
    "%Logger%".to_owned()
}

/// How large packets of NSCA are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
pub struct PacketBytes(usize);

impl Default for PacketBytes {
    fn default() -> Self {
        Self(4304)
    }
}

impl TryFrom<u32> for PacketBytes {
    type Error = String;

    fn try_from(bytes: u32) -> Result<Self, String> {
        match bytes {
            720 => Ok(Self(720)),
            4304 => Ok(Self(4304)),
            _ => Err(format!("packet_bytes is {bytes}, expected 4304, or 720 for nsca before 2.9")),
        }
    }
}

/// The output.
#[derive(Debug)]
pub struct NagiosOutput {
    way: Way,
    names: Names,
    timeout: Duration,
}

/// How results reach Nagios.
#[derive(Debug)]
enum Way {
    Nsca { address: Address, encryption: Encryption, password: Secret, packet_bytes: usize },
    CommandFile { path: PathBuf, pipe: Option<File> },
}

impl NagiosOutput {
    /// An output that connects and opens when there is something to send. Reads the password's file.
    ///
    /// # Errors
    /// Settings that contradict each other, or a password that is missing or cannot be read.
    pub fn new(config: NagiosConfig) -> Result<Self, OutputError> {
        let template = |key, text: &str| Template::parse(text).map_err(|why| OutputError::setting(key, why));
        let names =
            Names { host: template("host", &config.host)?, service: template("service", &config.service)? };
        let password = secret::read("password", config.password.as_ref(), config.password_file.as_deref())?;
        let way = match (config.address, config.command_file) {
            (Some(address), None) => Way::Nsca {
                address,
                encryption: config.encryption,
                password: needed(password, config.encryption)?,
                packet_bytes: config.packet_bytes.0,
            },
            (None, Some(path)) => Way::CommandFile { path, pipe: None },
            _ => {
                let message =
                    "expected either address, where nsca listens, or command_file, a pipe of this host";
                return Err(OutputError::setting("address", message));
            }
        };
        Ok(Self { way, names, timeout: config.timeout })
    }
}

/// A password is needed wherever it is used.
fn needed(password: Option<Secret>, encryption: Encryption) -> Result<Secret, OutputError> {
    match (password, encryption) {
        (Some(password), _) => Ok(password),
        // nsca itself takes an empty one, which hides a packet behind what it has said aloud.
        (None, Encryption::None | Encryption::Xor) => Ok(Secret::default()),
        (None, _) => Err(OutputError::setting("password", "is missing, expected the one of nsca.cfg")),
    }
}

impl Output for NagiosOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        let mut delivered = Delivered::default();
        let mut checks = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            match Check::of(&item.message, &self.names) {
                Ok(check) => checks.push((position, check)),
                Err(reason) => delivered.dead.push((position, reason)),
            }
        }
        if checks.is_empty() {
            return Ok(delivered);
        }
        let sent = match &mut self.way {
            Way::Nsca { address, encryption, password, packet_bytes } => {
                let nsca = Nsca { address, encryption: *encryption, password, timeout: self.timeout };
                nsca.send_all(&checks, *packet_bytes)
            }
            Way::CommandFile { path, pipe } => write_all(&checks, path, pipe),
        };
        match sent {
            Ok(()) => Ok(delivered),
            Err((position, error)) => Err(Halted::after(position, delivered.dead, error)),
        }
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        Ok(OutputState::Nothing)
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        Ok(())
    }

    fn probe(&self) -> Result<String, OutputError> {
        match &self.way {
            Way::Nsca { address, encryption, password, .. } => {
                let nsca = Nsca { address, encryption: *encryption, password, timeout: self.timeout };
                nsca.greeted().map_err(OutputError::network("reach nsca at", address.as_str()))?;
                Ok(format!(
                    "nsca answers at {}; it never tells whether the password is right",
                    address.as_str()
                ))
            }
            Way::CommandFile { path, .. } => {
                command::open(path).map_err(OutputError::file("open command_file", path))?;
                Ok(format!("a Nagios reads {}", path.display()))
            }
        }
    }
}

/// A check that was not delivered, by its position in the call, and why; those before it were.
type Undelivered = (usize, OutputError);

fn write_all(checks: &[(usize, Check)], path: &Path, pipe: &mut Option<File>) -> Result<(), Undelivered> {
    for (position, check) in checks {
        let written = open_once(pipe, path).and_then(|pipe| command::write(pipe, check));
        if let Err(error) = written {
            *pipe = None;
            return Err((*position, OutputError::file("write to command_file", path)(error)));
        }
    }
    Ok(())
}

fn open_once<'a>(pipe: &'a mut Option<File>, path: &Path) -> io::Result<&'a File> {
    let opened = match pipe.take() {
        Some(opened) => opened,
        None => command::open(path)?,
    };
    Ok(pipe.insert(opened))
}

#[cfg(test)]
mod tests;
