//! Roll-ups to Graphite's carbon, one `name value seconds` line per figure over TCP.
//!
//! Carbon acknowledges nothing: a line counts as delivered when the kernel has taken it, and what carbon had not read
//! when it died is lost. Before each write the connection is asked whether the peer has closed it, which is how a
//! restarted carbon shows. A call that fails is repeated as a whole: lines may arrive twice, which is harmless,
//! because carbon overwrites a point of the same name and second.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use metlog_core::{Message, Value};
use metlog_pipeline::{config, quiet::Quiet};
use serde::{Deserialize, Deserializer, de::Error as _};
use tracing::info;

use super::{Delivered, Output, OutputError, OutputState};

/// The type of a roll-up whose payload is carbon lines.
const LINES_TYPE: &str = "statmetric";

/// An `[[output]]` of `type = "carbon"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarbonConfig {
    /// Where carbon listens for lines, usually on port 2003.
    pub address: Address,
    /// How long connecting, and the write of one delivery, may take; 5 s by default.
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    pub timeout: Duration,
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

/// Names the key: the position is lost where an output is told by its type.
fn timeout<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    config::duration(input).map_err(|error| D::Error::custom(format!("timeout: {error}")))
}

/// `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl Address {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
                Ok(Self(text))
            }
            _ => Err(format!("address {text:?} is not host:port, expected for example \"localhost:2003\"")),
        }
    }
}

/// The output. Connects when there is something to send, and again after every error.
#[derive(Debug)]
pub struct CarbonOutput {
    config: CarbonConfig,
    connection: Option<TcpStream>,
    quiet: Quiet,
}

impl CarbonOutput {
    /// An output that is not connected yet.
    #[must_use]
    pub fn new(config: CarbonConfig) -> Self {
        Self { config, connection: None, quiet: Quiet::default() }
    }

    /// The connection of the last delivery if it still stands, or else a new one.
    fn connection(&mut self) -> Result<TcpStream, OutputError> {
        let address = self.config.address.as_str();
        if let Some(mut connection) = self.connection.take() {
            if is_open(&mut connection).unwrap_or(false) {
                return Ok(connection);
            }
            self.quiet.say("closed", || info!(address, "carbon has closed the connection, connecting again"));
        }
        connect(address, self.config.timeout).map_err(OutputError::network("connect to", address))
    }
}

impl Output for CarbonOutput {
    fn deliver(&mut self, messages: &[Message]) -> Result<Delivered, OutputError> {
        let mut delivered = Delivered::default();
        let mut lines = String::new();
        for (position, message) in messages.iter().enumerate() {
            if let Err(reason) = add_lines(&mut lines, message) {
                delivered.dead.push((position, reason));
            }
        }
        if !lines.is_empty() {
            let mut connection = self.connection()?;
            write_within(&mut connection, lines.as_bytes(), self.config.timeout)
                .map_err(OutputError::network("write to", self.config.address.as_str()))?;
            // Kept only now: after an error the peer may have half a line.
            self.connection = Some(connection);
        }
        Ok(delivered)
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        Ok(OutputState::Nothing)
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Appends the lines of a message, all or, with the reason, none.
fn add_lines(out: &mut String, message: &Message) -> Result<(), String> {
    if message.kind != LINES_TYPE {
        return Err(format!("type is {:?}, carbon takes {LINES_TYPE:?} only", message.kind));
    }
    let Value::Text(payload) = &message.payload else {
        return Err("payload is no text, expected carbon lines".to_owned());
    };
    let lines = || (1..).zip(payload.lines()).filter(|(_, line)| !line.trim().is_empty());
    if let Some((number, line)) = lines().find(|(_, line)| !is_carbon_line(line)) {
        let shown: String = line.chars().take(80).collect();
        return Err(format!("payload line {number} is {shown:?}, expected \"name value seconds\""));
    }
    for (_, line) in lines() {
        out.push_str(line);
        out.push('\n');
    }
    Ok(())
}

/// Carbon itself drops other lines without a word.
fn is_carbon_line(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_finite = |word: &str| word.parse().is_ok_and(f64::is_finite);
    matches!(words[..], [_, value, seconds] if is_finite(value) && is_finite(seconds))
}

/// Tries every address of the host in turn; gives back the last refusal.
fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut refusal = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for socket in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket, timeout) {
            Ok(connection) => return Ok(connection),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Whether the peer has not closed. It never speaks; if it does, what it says is read and forgotten.
fn is_open(connection: &mut TcpStream) -> io::Result<bool> {
    /// A peer that says more than this between two writes is no carbon, and could keep us here.
    const MOST_READS: usize = 16;
    connection.set_nonblocking(true)?;
    let mut said = [0; 512];
    for _ in 0..MOST_READS {
        match connection.read(&mut said) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return connection.set_nonblocking(false).map(|()| true);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Writes all of `bytes`, within `timeout` as a whole: a peer that reads a byte a second is stuck too.
fn write_within(connection: &mut TcpStream, bytes: &[u8], timeout: Duration) -> io::Result<()> {
    let deadline = Instant::now() + timeout;
    let mut rest = bytes;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(stuck(timeout));
        }
        connection.set_write_timeout(Some(left))?;
        match connection.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(stuck(timeout)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn stuck(timeout: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("not all was taken within {timeout:?}; see timeout"))
}

#[cfg(test)]
#[path = "carbon_tests.rs"]
mod tests;
