//! What outputs that speak over TCP share: addresses, time limits, connecting.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
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
