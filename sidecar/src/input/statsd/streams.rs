//! statsd by streams, over TCP or a unix socket: lines, or packets as dogstatsd's clients send them to a unix stream, each
//! behind its length.
//!
//! One thread serves all connections. What is read of one is bounded: a line that does not end in time is given up and counted.

use std::{
    io::{self, Read},
    net::{TcpListener, TcpStream},
    ops::Deref,
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
};

use metlog_pipeline::{counters::Counters, stop::Stop, waiter::Waiter};

use super::{Messages, Taker};
use crate::{input::drain, rollup::SharedRollup};

/// Connections at a time; further ones are closed and counted.
const MAX_CONNECTIONS: usize = 1_000;

/// Longest line or packet.
const MAX_PACKET: usize = 65_536;

/// Bytes before a packet that say its length, little-endian.
const PREFIX: usize = 4;

/// What connections come in by.
pub trait Listener: AsRawFd {
    /// The next connection that waits, set not to block, and who made it, where that is known.
    ///
    /// # Errors
    /// `WouldBlock` when none does.
    fn next(&self) -> io::Result<(Box<dyn Stream>, Option<String>)>;
}

/// A connection.
pub trait Stream: Read + AsRawFd + Send {}

impl<T: Read + AsRawFd + Send> Stream for T {}

impl Listener for TcpListener {
    fn next(&self) -> io::Result<(Box<dyn Stream>, Option<String>)> {
        let (stream, address): (TcpStream, _) = self.accept()?;
        stream.set_nonblocking(true)?;
        let source = (!address.ip().is_loopback()).then(|| format!("statsd {}", address.ip()));
        Ok((Box::new(stream), source))
    }
}

impl Listener for UnixListener {
    fn next(&self) -> io::Result<(Box<dyn Stream>, Option<String>)> {
        let (stream, _): (UnixStream, _) = self.accept()?;
        stream.set_nonblocking(true)?;
        Ok((Box::new(stream), None))
    }
}

/// The thread of a stream input. `L` is the listener, or what lends it; it must not block.
pub struct Streams<L> {
    listener: L,
    taker: Taker,
    counters: Counters,
    name: &'static str,
    connections: Vec<Connection>,
    scratch: Vec<u8>,
}

impl<L: Deref<Target: Listener>> Streams<L> {
    /// The input that takes the connections of `listener`.
    #[must_use]
    pub fn new(listener: L, rollup: SharedRollup, messages: &Messages) -> Self {
        let counters = messages.counters();
        Self {
            listener,
            taker: Taker::new(messages.input(), rollup, messages.for_thread(), counters.clone()),
            counters,
            name: messages.input().name(),
            connections: Vec::new(),
            scratch: vec![0; MAX_PACKET],
        }
    }

    /// Serves until told to stop, and then what the kernel holds already.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            let listener = self.listener.as_raw_fd();
            let descriptors: Vec<RawFd> = [listener]
                .into_iter()
                .chain(self.connections.iter().map(|connection| connection.stream.as_raw_fd()))
                .collect();
            let ready = waiter.descriptors(&descriptors, None);
            self.serve(&ready);
            if ready.contains(&listener) {
                self.accept();
            }
        }
        drain(|| self.serve_all());
    }

    fn serve_all(&mut self) -> bool {
        let all: Vec<_> = self.connections.iter().map(|connection| connection.stream.as_raw_fd()).collect();
        self.serve(&all) > 0
    }

    /// Reads once from each connection that is ready; how many bytes it was.
    fn serve(&mut self, ready: &[RawFd]) -> usize {
        let Self { connections, taker, scratch, .. } = self;
        let mut bytes = 0;
        connections.retain_mut(|connection| {
            if !ready.contains(&connection.stream.as_raw_fd()) {
                return true;
            }
            match connection.stream.read(scratch) {
                Ok(length @ 1..) => {
                    bytes += length;
                    connection.take(scratch.get(..length).unwrap_or_default(), taker)
                }
                Err(error) if is_temporary(&error) => true,
                _ => {
                    connection.finish(taker);
                    false
                }
            }
        });
        bytes
    }

    fn accept(&mut self) {
        while let Ok((stream, source)) = self.listener.next() {
            if self.connections.len() < MAX_CONNECTIONS {
                self.connections.push(Connection::new(stream, source));
            } else {
                self.counters.add("input_refused", &[("input", self.name)], 1);
            }
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

struct Connection {
    stream: Box<dyn Stream>,
    source: Option<String>,
    /// What has come of a line or packet that is not whole yet.
    held: Vec<u8>,
    framing: Framing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Too little has come to tell.
    Unknown,
    Lines,
    /// The rest of a line that was too long is left out.
    Skipping,
    Packets,
}

impl Connection {
    fn new(stream: Box<dyn Stream>, source: Option<String>) -> Self {
        Self { stream, source, held: Vec::new(), framing: Framing::Unknown }
    }

    /// Takes what was read; false when the connection makes no sense and is to be closed.
    fn take(&mut self, bytes: &[u8], taker: &mut Taker) -> bool {
        self.held.extend_from_slice(bytes);
        if self.framing == Framing::Unknown {
            // Lengths below 16 MiB end in a zero, and no line has one.
            let is_prefixed = |held: &[u8]| held.get(PREFIX - 1) == Some(&0);
            self.framing = match self.held.len() {
                ..PREFIX if !self.held.contains(&b'\n') => return true,
                _ if is_prefixed(&self.held) => Framing::Packets,
                _ => Framing::Lines,
            };
        }
        let end = match self.framing {
            Framing::Packets => match self.take_packets(taker) {
                Some(end) => end,
                None => return false,
            },
            _ => self.take_lines(taker),
        };
        self.held.drain(..end);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        true
    }

    /// Takes whole lines; up to where.
    fn take_lines(&mut self, taker: &mut Taker) -> usize {
        let start = match (self.framing, memchr::memchr(b'\n', &self.held)) {
            (Framing::Skipping, None) => return self.held.len(),
            (Framing::Skipping, Some(end)) => end + 1,
            _ => 0,
        };
        self.framing = Framing::Lines;
        match memchr::memrchr(b'\n', &self.held) {
            Some(last) => {
                let lines = self.held.get(start..=last).unwrap_or_default();
                taker.take([(lines, self.source.as_deref())].into_iter());
                last + 1
            }
            None if self.held.len() > MAX_PACKET => {
                self.give_up(taker);
                self.framing = Framing::Skipping;
                self.held.len()
            }
            None => 0,
        }
    }

    /// Takes whole packets; up to where, or nothing when one is too long to be one.
    fn take_packets(&self, taker: &mut Taker) -> Option<usize> {
        let mut at = 0;
        while let Some((prefix, rest)) = self.held.get(at..).and_then(<[u8]>::split_first_chunk::<PREFIX>) {
            let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
            if length > MAX_PACKET {
                self.give_up(taker);
                return None;
            }
            let Some(packet) = rest.get(..length) else { break };
            taker.take([(packet, self.source.as_deref())].into_iter());
            at += PREFIX + length;
        }
        Some(at)
    }

    fn give_up(&self, taker: &mut Taker) {
        taker.refuse("too_long");
        taker.take([(&[][..], self.source.as_deref())].into_iter());
    }

    /// The end of a stream ends its last line too.
    fn finish(&self, taker: &mut Taker) {
        if matches!(self.framing, Framing::Lines | Framing::Unknown) && !self.held.is_empty() {
            taker.take([(&*self.held, self.source.as_deref())].into_iter());
        }
    }
}
