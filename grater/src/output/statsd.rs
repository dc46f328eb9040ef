//! Counters, timers, gauges and sets to a statsd daemon, one line each.
//!
//! Statsd acknowledges nothing, and a counter that comes twice counts twice: what the kernel has taken is not sent again.
//! What lay unread in the daemon's sockets when it died is lost.

use std::{fmt::Write as _, time::Duration};

use bytesize::ByteSize;
use metlog_core::{Message, Value};
use metlog_pipeline::{config::Size, rollup::message_key};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Address, Delivered, Halted, Item, Output, OutputError, OutputState,
    connection::Peer,
    datagrams::{Datagrams, PACKETS_PER_SECOND, Place},
    frames::Frames,
    net::{default_timeout, timeout},
    stream::Stream,
    way::Way,
};

/// An `[[output]]` of `type = "statsd"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatsdConfig {
    /// Where the daemon listens, usually on port 8125.
    pub address: Address,
    /// How it is spoken to: `udp` by default.
    #[serde(default)]
    pub protocol: StatsdProtocol,
    /// What stands before a message's name: `envelope` by default.
    #[serde(default)]
    pub namespace: Namespace,
    /// How long connecting, and the write of one delivery, may take; 5 s by default.
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    pub timeout: Duration,
    /// Bytes of lines in a UDP packet, at most; 1,400 by default, which fit into one frame of any network.
    #[serde(default = "default_packet")]
    #[schemars(with = "Size")]
    pub max_packet_bytes: ByteSize,
    /// UDP packets a second, at most; 20,000 by default.
    #[serde(default = "default_rate")]
    pub packets_per_second: u32,
}

/// How the daemon is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatsdProtocol {
    /// Packets of lines.
    #[default]
    Udp,
    /// Lines.
    Tcp,
}

/// What stands before the name of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// Nothing.
    None,
    /// `fields.logger`, where there is one.
    Fields,
    /// `fields.logger`, else the message's logger.
    #[default]
    Envelope,
}

fn default_packet() -> ByteSize {
    ByteSize::b(1400)
}

fn default_rate() -> u32 {
    PACKETS_PER_SECOND
}

/// The output. Connects when there is something to send, and again after every error.
#[derive(Debug)]
pub struct StatsdOutput {
    namespace: Namespace,
    most: usize,
    way: Way,
    frames: Frames,
}

impl StatsdOutput {
    /// An output that is not connected yet.
    #[must_use]
    pub fn new(config: StatsdConfig) -> Self {
        let most = usize::try_from(config.max_packet_bytes.as_u64()).unwrap_or(usize::MAX);
        let way = match config.protocol {
            StatsdProtocol::Udp => {
                let place = Place::Udp(config.address);
                Way::Packets(Datagrams::new(place, config.timeout, config.packets_per_second), most)
            }
            StatsdProtocol::Tcp => {
                Way::Stream(Box::new(Stream::new(Peer::Tcp(config.address), config.timeout, 0)))
            }
        };
        Self { namespace: config.namespace, most, way, frames: Frames::default() }
    }
}

impl Output for StatsdOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        self.frames.clear();
        let mut line = String::new();
        for item in items {
            self.frames.add(|writer| {
                write_line(&item.message, self.namespace, &mut line)?;
                if line.len() > self.most {
                    let (length, most) = (line.len(), self.most);
                    return Err(format!(
                        "line has {length} bytes, expected at most {most}: see max_packet_bytes"
                    ));
                }
                writer.frame(line.as_bytes());
                Ok(())
            });
        }
        let sent = self.way.send(&self.frames);
        self.frames.settle(sent)
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        self.way.checkpoint()
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        self.way.restore();
        Ok(())
    }

    fn probe(&self) -> Result<String, OutputError> {
        self.way.probe()
    }
}

/// Writes the line of a message, or says why it has none.
fn write_line(message: &Message, namespace: Namespace, line: &mut String) -> Result<(), String> {
    let kind = match message.kind.as_str() {
        "counter" => "c",
        "timer" => "ms",
        "gauge" => "g",
        "set" => "s",
        other => return Err(format!("type is {other:?}, statsd takes counter, timer, gauge and set")),
    };
    let name = message.fields.get("name").and_then(Value::as_text).unwrap_or_default();
    if name.is_empty() {
        return Err("fields.name is missing or empty, expected the name of a metric".to_owned());
    }
    message_key(logger(message, namespace), name, line);
    clear_of_controls(line);
    let rate = rate(message)?;
    if kind == "s" {
        let member = member(&message.payload)?;
        let _written = writeln!(line, ":{member}|s");
        return Ok(());
    }
    let value = number(&message.payload)
        .ok_or_else(|| format!("payload is {:?}, expected a finite number", shown(&message.payload)))?;
    if kind == "g" && value < 0.0 {
        // A sign means a change: a gauge gets below zero from zero only.
        let key = line.clone();
        let _written = write!(line, ":0|g\n{key}");
    }
    let _written = write!(line, ":{value}|{kind}");
    if rate < 1.0 && kind != "g" {
        let _written = write!(line, "|@{rate}");
    }
    line.push('\n');
    Ok(())
}

fn logger(message: &Message, namespace: Namespace) -> &str {
    let own = || message.fields.get("logger").and_then(Value::as_text).filter(|logger| !logger.is_empty());
    match namespace {
        Namespace::None => "",
        Namespace::Fields => own().unwrap_or_default(),
        Namespace::Envelope => own().unwrap_or(&message.logger),
    }
}

/// A line break in a name would begin a line of the sender's own making.
fn clear_of_controls(text: &mut String) {
    if text.contains(char::is_control) {
        *text = text.replace(char::is_control, "_");
    }
}

/// The share of events that was sent: a receiver divides by it.
fn rate(message: &Message) -> Result<f64, String> {
    match message.fields.get("rate") {
        None | Some(Value::Null) => Ok(1.0),
        Some(rate) => number(rate)
            .filter(|rate| *rate > 0.0 && *rate <= 1.0)
            .ok_or_else(|| format!("fields.rate is {:?}, expected more than 0 and at most 1", shown(rate))),
    }
}

/// A finite number, or a text that is one: the originals send numbers as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Text(text) => text.trim().parse().ok()?,
        value => value.as_number()?,
    };
    number.is_finite().then_some(number)
}

/// What a set counts.
fn member(payload: &Value) -> Result<String, String> {
    let text = match payload {
        Value::Text(text) => text.clone(),
        value => value.as_number().map(|number| number.to_string()).unwrap_or_default(),
    };
    if text.is_empty() {
        return Err("payload is neither text nor number, expected a member of the set".to_owned());
    }
    Ok(text.replace(|letter: char| letter.is_control() || ":|@".contains(letter), "_"))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.chars().take(80).collect(),
        value => value.as_number().map_or_else(|| "no number".to_owned(), |number| number.to_string()),
    }
}

#[cfg(test)]
#[path = "statsd_tests.rs"]
mod tests;
