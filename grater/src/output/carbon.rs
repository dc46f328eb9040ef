//! Roll-ups to Graphite's carbon, one `name value seconds` line per figure over TCP.
//!
//! Carbon acknowledges nothing: a line counts as delivered when the kernel has taken it, and what carbon had not read
//! when it died is lost. Before each write the connection is asked whether the peer has closed it, which is how a
//! restarted carbon shows. A call that fails is repeated as a whole: lines may arrive twice, which is harmless,
//! because carbon overwrites a point of the same name and second.

use std::{net::TcpStream, time::Duration};

use metlog_core::{Message, Value};
use metlog_pipeline::quiet::Quiet;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::info;

use super::{
    Address, Delivered, Halted, Item, Output, OutputError, OutputState,
    net::{connect, default_timeout, is_open, timeout, write_within},
};

/// The type of a roll-up whose payload is carbon lines.
const LINES_TYPE: &str = "statmetric";

/// An `[[output]]` of `type = "carbon"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CarbonConfig {
    /// Where carbon listens for lines, usually on port 2003.
    pub address: Address,
    /// How long connecting, and the write of one delivery, may take; 5 s by default.
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    pub timeout: Duration,
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
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        let mut delivered = Delivered::default();
        let mut lines = String::new();
        for (position, item) in items.iter().enumerate() {
            if let Err(reason) = add_lines(&mut lines, &item.message) {
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

    fn probe(&self) -> Result<String, OutputError> {
        let address = self.config.address.as_str();
        connect(address, self.config.timeout).map_err(OutputError::network("connect to", address))?;
        Ok(format!("{address} takes connections"))
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

#[cfg(test)]
#[path = "carbon_tests.rs"]
mod tests;
