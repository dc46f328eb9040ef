//! The settings of the syslog output.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use metlog_pipeline::config::Size;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Facility;
use crate::output::{
    Address, OutputError, TlsConfig,
    connection::Peer,
    datagrams::{PACKETS_PER_SECOND, Place},
    net::{default_timeout, timeout},
};

/// An `[[output]]` of `type = "syslog"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// Where the server listens; `path` on this host.
    pub address: Option<Address>,
    /// The server's unix socket, such as `/dev/log`.
    pub path: Option<PathBuf>,
    /// How it is spoken to: `udp` by default, `unix` when there is a `path`.
    pub protocol: Option<SyslogProtocol>,
    /// How lines are told apart over TCP, TLS and unix streams: `octet_counting` by default.
    #[serde(default)]
    pub framing: Framing,
    /// What stands before a line: `rfc5424` by default.
    #[serde(default)]
    pub format: SyslogFormat,
    /// The facility of messages that do not name one: `local4` by default.
    #[serde(default)]
    pub facility: Facility,
    /// The name of the program of messages that do not name one; the message's logger when left out.
    #[serde(default)]
    pub ident: String,
    /// What is written of a message that is no CEF event, with `%Field%`; when left out its payload, or where that is no
    /// text all of it as JSON.
    pub template: Option<String>,
    /// What becomes of the time and host that the originals' CEF lines begin with: `keep` by default.
    #[serde(default)]
    pub cef_header: CefHeader,
    /// Bytes of a line with its header, at most; 8 KiB by default, what servers take unless told otherwise.
    #[serde(default = "default_line")]
    #[schemars(with = "Size")]
    pub max_line_bytes: ByteSize,
    /// How long connecting, and the write of one delivery, may take; 5 s by default.
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    pub timeout: Duration,
    /// Packets a second over UDP, at most; 20,000 by default.
    #[serde(default = "default_rate")]
    pub packets_per_second: u32,
    /// Certificates, for the protocol `tls`.
    pub tls: Option<TlsConfig>,
}

/// How the server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyslogProtocol {
    /// A packet for each line.
    Udp,
    /// A stream in plain text.
    Tcp,
    /// An encrypted stream.
    Tls,
    /// Packets to a socket on this host.
    Unix,
    /// A stream to a socket on this host.
    UnixStream,
}

/// How lines are told apart in a stream (RFC 6587).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Each behind its length.
    #[default]
    OctetCounting,
    /// Each ends with a line feed.
    LineFeed,
}

/// What stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyslogFormat {
    /// Version 1, with a full time in UTC.
    #[default]
    Rfc5424,
    /// The old header, with the local time to the second.
    Rfc3164,
}

/// What becomes of the time and host that a CEF line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CefHeader {
    /// The line is written as the application made it.
    #[default]
    Keep,
    /// The line begins with `CEF:`; time and host are in the syslog header.
    Strip,
}

fn default_line() -> ByteSize {
    ByteSize::kib(8)
}

fn default_rate() -> u32 {
    PACKETS_PER_SECOND
}

/// Where lines go.
pub(super) enum Target {
    Packets(Place),
    Stream(Peer),
}

impl SyslogConfig {
    /// Where lines go.
    pub(super) fn target(&self) -> Result<Target, OutputError> {
        let implied = if self.path.is_some() { SyslogProtocol::Unix } else { SyslogProtocol::Udp };
        let protocol = self.protocol.unwrap_or(implied);
        if self.tls.is_some() && protocol != SyslogProtocol::Tls {
            return Err(OutputError::setting("tls", "is given, expected protocol = \"tls\" with it"));
        }
        Ok(match protocol {
            SyslogProtocol::Udp => Target::Packets(Place::Udp(self.address()?)),
            SyslogProtocol::Tcp => Target::Stream(Peer::Tcp(self.address()?)),
            SyslogProtocol::Tls => {
                Target::Stream(Peer::Tls(self.address()?, self.tls.clone().unwrap_or_default()))
            }
            SyslogProtocol::Unix => Target::Packets(Place::Unix(self.path()?)),
            SyslogProtocol::UnixStream => Target::Stream(Peer::Unix(self.path()?)),
        })
    }

    fn address(&self) -> Result<Address, OutputError> {
        match (&self.address, &self.path) {
            (Some(address), None) => Ok(address.clone()),
            _ => Err(OutputError::setting(
                "address",
                "is needed without path, expected host:port of the server",
            )),
        }
    }

    fn path(&self) -> Result<PathBuf, OutputError> {
        match (&self.path, &self.address) {
            (Some(path), None) => Ok(path.clone()),
            _ => Err(OutputError::setting("path", "is needed without address, expected the server's socket")),
        }
    }
}
