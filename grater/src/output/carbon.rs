//! Roll-ups to Graphite's carbon: lines over TCP or UDP, or pickles over TCP.
//!
//! Carbon acknowledges nothing, see [`stream`](super::stream). Figures may arrive twice, which is harmless, because
//! carbon overwrites a point of the same name and second.
//!
//! A pickle is a frame of its length (4 bytes, big-endian) and a list of `(name, (seconds, value))` in protocol 2.

use std::time::Duration;

use bytesize::ByteSize;
use metlog_core::{Message, Value};
use metlog_pipeline::config::Size;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Address, Delivered, Halted, Item, Output, OutputError, OutputState,
    connection::Peer,
    datagrams::{Datagrams, PACKETS_PER_SECOND, Place},
    frames::{Frames, Writer},
    net::{default_timeout, timeout},
    stream::{BOTH_SOCKET_BUFFERS, Stream},
    way::Way,
};

/// The type of a roll-up whose payload is carbon lines.
const LINES_TYPE: &str = "statmetric";

/// Points in a pickle: carbon takes a frame of 1 MiB at most, and a name is rarely longer than 200 bytes.
const PICKLE_POINTS: usize = 500;

/// An `[[output]]` of `type = "carbon"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CarbonConfig {
    /// Where carbon listens: usually on port 2003 for lines, on 2004 for pickles.
    pub address: Address,
    /// How it is spoken to: `tcp` by default.
    #[serde(default)]
    pub protocol: CarbonProtocol,
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

/// How carbon is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CarbonProtocol {
    /// Lines over TCP.
    #[default]
    Tcp,
    /// Lines over UDP.
    Udp,
    /// Pickles over TCP.
    Pickle,
}

fn default_packet() -> ByteSize {
    ByteSize::b(1400)
}

fn default_rate() -> u32 {
    PACKETS_PER_SECOND
}

/// The output. Connects when there is something to send, and again after every error.
#[derive(Debug)]
pub struct CarbonOutput {
    config: CarbonConfig,
    way: Way,
    frames: Frames,
}

impl CarbonOutput {
    /// An output that is not connected yet.
    #[must_use]
    pub fn new(config: CarbonConfig) -> Self {
        let address = config.address.clone();
        let way = match config.protocol {
            CarbonProtocol::Udp => {
                let most = usize::try_from(config.max_packet_bytes.as_u64()).unwrap_or(usize::MAX);
                let place = Place::Udp(address);
                Way::Packets(Datagrams::new(place, config.timeout, config.packets_per_second), most)
            }
            CarbonProtocol::Tcp | CarbonProtocol::Pickle => {
                Way::Stream(Box::new(Stream::new(Peer::Tcp(address), config.timeout, BOTH_SOCKET_BUFFERS)))
            }
        };
        Self { config, way, frames: Frames::default() }
    }
}

impl Output for CarbonOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        self.frames.clear();
        for item in items {
            self.frames.add(|writer| match self.config.protocol {
                CarbonProtocol::Pickle => add_pickles(writer, &item.message),
                CarbonProtocol::Tcp | CarbonProtocol::Udp => add_lines(writer, &item.message),
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

/// A frame for each line of the message.
fn add_lines(writer: &mut Writer<'_>, message: &Message) -> Result<(), String> {
    for point in points(message)? {
        let Point { name, value, seconds } = point?;
        writer.frame(format!("{name} {value} {seconds}\n").as_bytes());
    }
    Ok(())
}

/// As few frames as carbon takes.
fn add_pickles(writer: &mut Writer<'_>, message: &Message) -> Result<(), String> {
    let points = points(message)?.collect::<Result<Vec<_>, _>>()?;
    let pickled = points.iter().map(Point::numbers).collect::<Result<Vec<_>, _>>()?;
    for points in pickled.chunks(PICKLE_POINTS) {
        let pickle = serde_pickle::to_vec(&points, serde_pickle::SerOptions::new().proto_v2())
            .map_err(|error| format!("cannot be pickled: {error}"))?;
        let length = u32::try_from(pickle.len()).map_err(|_| "pickle is longer than 4 GiB".to_owned())?;
        writer.frame(&[&length.to_be_bytes(), pickle.as_slice()].concat());
    }
    Ok(())
}

/// One figure, its words as they are in the payload.
struct Point<'a> {
    name: &'a str,
    value: &'a str,
    seconds: &'a str,
}

impl<'a> Point<'a> {
    /// Carbon itself drops what is no such line without a word.
    fn read(line: &'a str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_finite = |word: &str| word.parse().is_ok_and(f64::is_finite);
        match words[..] {
            [name, value, seconds] if is_finite(value) && is_finite(seconds) => {
                Some(Self { name, value, seconds })
            }
            _ => None,
        }
    }

    /// As carbon's pickles have it.
    fn numbers(&self) -> Result<(&'a str, (f64, f64)), String> {
        let number = |word: &str| word.parse::<f64>().map_err(|error| format!("{word:?}: {error}"));
        Ok((self.name, (number(self.seconds)?, number(self.value)?)))
    }
}

/// The figures in the payload; the first line that is none is an error.
fn points(message: &Message) -> Result<impl Iterator<Item = Result<Point<'_>, String>>, String> {
    if message.kind != LINES_TYPE {
        return Err(format!("type is {:?}, carbon takes {LINES_TYPE:?} only", message.kind));
    }
    let Value::Text(payload) = &message.payload else {
        return Err("payload is no text, expected carbon lines".to_owned());
    };
    let lines = (1..).zip(payload.lines()).filter(|(_, line)| !line.trim().is_empty());
    Ok(lines.map(|(number, line)| {
        Point::read(line).ok_or_else(|| {
            let shown: String = line.chars().take(80).collect();
            format!("payload line {number} is {shown:?}, expected \"name value seconds\"")
        })
    }))
}

#[cfg(test)]
#[path = "carbon_tests.rs"]
mod tests;
