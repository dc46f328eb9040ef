//! statsd: metrics are summed in place, without going through the spool; events and service checks become messages.

mod config;
mod datagrams;
mod messages;
mod receive;
mod start;
mod streams;

pub use config::{TcpConfig, UdpConfig, UnixConfig};
pub use datagrams::Datagrams;
pub use messages::Messages;
pub use start::{Bound, Parts};
pub use streams::{Listener, Stream, Streams};

pub(super) use receive::dropped;

use metlog_pipeline::{counters::Counters, quiet::Quiet};
use tracing::warn;

use crate::{
    rollup::{SharedRollup, StatsdInput, Sums, Via},
    statsd::{self, Item, Malformed},
};

/// Takes the packets of one input, for one of its threads.
pub(super) struct Taker {
    input: StatsdInput,
    rollup: SharedRollup,
    messages: Messages,
    counters: Counters,
    quiet: Quiet,
    /// The name of a series with tags.
    series: String,
    taken: u64,
    refused: Vec<(&'static str, u64)>,
}

impl Taker {
    pub(super) fn new(
        input: StatsdInput,
        rollup: SharedRollup,
        messages: Messages,
        counters: Counters,
    ) -> Self {
        Self {
            input,
            rollup,
            messages,
            counters,
            quiet: Quiet::default(),
            series: String::new(),
            taken: 0,
            refused: Vec::new(),
        }
    }

    /// Takes packets, each with its source, under one lock.
    pub(super) fn take<'a>(&mut self, packets: impl Iterator<Item = (&'a [u8], Option<&'a str>)>) {
        let rollup = self.rollup.clone();
        let mut sums = rollup.lock();
        let own = sums.source(self.input.name());
        for (packet, source) in packets {
            let source = source.map_or(own, |source| sums.source(source));
            self.add(&mut sums, Via { input: self.input, source }, packet);
        }
        sums.count_statsd(self.input, self.taken, &self.refused);
        drop(sums);
        self.taken = 0;
        self.tell();
        self.messages.store();
    }

    fn add(&mut self, sums: &mut Sums, via: Via, packet: &[u8]) {
        for item in statsd::lines(packet) {
            match item {
                Ok(Item::Metric(metric)) => {
                    match sums.add_statsd(via, metric.series(&mut self.series), metric.sample) {
                        None => self.taken += 1,
                        Some(reason) => self.refuse(reason),
                    }
                }
                Ok(Item::Event(event)) => self.messages.event(&event),
                Ok(Item::Check(check)) => self.messages.check(&check),
                Err(malformed) => self.complain(malformed),
            }
        }
    }

    /// Counts a metric or more that were not taken.
    pub(super) fn refuse(&mut self, reason: &'static str) {
        match self.refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((reason, 1)),
        }
    }

    fn complain(&mut self, malformed: Malformed) {
        let (reason, input) = (malformed.reason(), self.input.name());
        self.refuse(reason);
        self.quiet.say(reason, || warn!(reason, "line on input.{input} dropped: {malformed}"));
    }

    fn tell(&mut self) {
        for (reason, count) in self.refused.drain(..) {
            let labels = [("input", self.input.name()), ("reason", reason)];
            self.counters.add("input_malformed", &labels, count);
        }
    }
}
