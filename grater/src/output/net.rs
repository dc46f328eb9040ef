//! What outputs that speak over TCP share: addresses, connecting, and writing within a time.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use metlog_pipeline::config;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

/// How long connecting, and the write of one delivery, may take when nobody says.
pub(super) fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

/// Names the key: the position is lost where an output is told by its type.
pub(super) fn timeout<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    config::duration(input).map_err(|error| D::Error::custom(format!("timeout: {error}")))
}

/// `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Address(String);

impl Address {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the port, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
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

/// Tries every address of the host in turn; gives back the last refusal.
pub(super) fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
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
pub(super) fn is_open(connection: &mut TcpStream) -> io::Result<bool> {
    /// A peer that says more than this between two writes is none of ours, and could keep us here.
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
pub(super) fn write_within(connection: &mut TcpStream, bytes: &[u8], timeout: Duration) -> io::Result<()> {
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
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_stands_before_the_port() {
        for (text, host) in [("localhost:1", "localhost"), ("[::1]:2", "::1"), ("10.0.0.1:3", "10.0.0.1")] {
            assert_eq!(Address::try_from(text.to_owned()).unwrap().host(), host);
        }
    }
}
