//! statsd by datagrams, over UDP or a unix socket.
//!
//! A packet is in no hurry: what matters is that none is lost and that few are read one by one. So the thread waits for the
//! first, rests for a moment, and takes all that have come by then with one call.

use std::{collections::HashMap, net::IpAddr, ops::Deref, os::fd::AsRawFd, thread, time::Duration};

use metlog_pipeline::{stop::Stop, waiter::Waiter};

use super::{
    Messages, Taker,
    receive::{Packets, receive_buffer},
};
use crate::{
    input::{drain, drops::Drops},
    rollup::SharedRollup,
};

/// Bytes of receive buffer for each microsecond of rest: a small packet takes 768 of them, so that 2.6 million packets a
/// second are more than loopback brings.
const BUFFER_PER_MICRO: usize = 2_048;

/// Bounds of the rest. Each costs a switch of threads, so that a longer one would spare nothing.
const REST: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(1));

/// Source addresses remembered as text.
const MAX_SOURCES: usize = 10_000;

/// One thread of a datagram input. `S` is the socket, or what lends it.
pub struct Datagrams<S> {
    socket: S,
    taker: Taker,
    packets: Packets,
    rest: Duration,
    /// Texts of source addresses; nothing where all packets come from this host.
    sources: Option<HashMap<IpAddr, String>>,
    drops: Drops,
}

impl<S: Deref<Target: AsRawFd>> Datagrams<S> {
    /// A thread of the input that receives from `socket`. Beyond loopback each sender answers for the names it makes.
    #[must_use]
    pub fn new(socket: S, by_sender: bool, rollup: SharedRollup, messages: &Messages) -> Self {
        let (input, counters) = (messages.input(), messages.counters());
        let drops = Drops::new(socket.as_raw_fd(), input.name(), counters.clone());
        let micros = receive_buffer(socket.as_raw_fd()) / BUFFER_PER_MICRO;
        let rest = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).clamp(REST.0, REST.1);
        Self {
            socket,
            taker: Taker::new(input, rollup, messages.for_thread(), counters.clone()),
            packets: Packets::new(),
            rest,
            sources: by_sender.then(HashMap::new),
            drops,
        }
    }

    /// Receives until told to stop, and then what the kernel holds already.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            match self.receive() {
                (0, _) => self.wait(&waiter),
                (_, false) => thread::sleep(self.rest),
                (_, true) => {}
            }
        }
        drain(|| self.receive().0 > 0);
        self.drops.tell(self.socket.as_raw_fd());
    }

    /// Waits for a packet. What the kernel has dropped is told soon, also when no packet comes after.
    fn wait(&mut self, waiter: &Waiter) {
        let due = self.drops.due();
        if waiter.descriptor(&*self.socket, due) {
            thread::sleep(self.rest);
        } else if due.is_some() {
            self.drops.tell(self.socket.as_raw_fd());
        }
    }

    /// Takes what has come; how many packets it was, and whether there may be more.
    fn receive(&mut self) -> (usize, bool) {
        let Ok((taken, may_be_more)) = self.packets.receive(self.socket.as_raw_fd()) else {
            return (0, false);
        };
        if taken > 0 {
            self.drops.received(self.socket.as_raw_fd());
        }
        let Self { packets, taker, sources, .. } = self;
        if let Some(sources) = sources {
            remember(packets, sources);
        }
        for _cut in packets.iter().filter(|packet| packet.is_cut) {
            taker.refuse("too_long");
        }
        let named = |source: Option<IpAddr>| sources.as_ref()?.get(&source?).map(String::as_str);
        taker.take(packets.iter().map(|packet| {
            // The last line of a packet that was cut is a part of one.
            let end = if packet.is_cut {
                memchr::memrchr(b'\n', packet.bytes).unwrap_or(0)
            } else {
                packet.bytes.len()
            };
            (packet.bytes.get(..end).unwrap_or_default(), named(packet.source))
        }));
        (taken, may_be_more)
    }
}

/// Remembers the text of each address that sent something.
fn remember(packets: &Packets, sources: &mut HashMap<IpAddr, String>) {
    if sources.len() > MAX_SOURCES {
        sources.clear();
    }
    for source in packets.iter().filter_map(|packet| packet.source) {
        sources.entry(source).or_insert_with(|| format!("statsd {source}"));
    }
}
