//! statsd datagrams: parsed and summed in place, without going through the spool.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use metlog_pipeline::{counters::Counters, quiet::Quiet, stop::Stop};
use tracing::warn;

use super::{MAX_DATAGRAM, bind_udp};
use crate::{rollup::SharedRollup, statsd};

/// The input `statsd_udp`.
pub struct StatsdUdpInput {
    socket: UdpSocket,
    rollup: SharedRollup,
    counters: Counters,
    quiet: Quiet,
}

impl StatsdUdpInput {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is in use.
    pub fn bind(address: SocketAddr, rollup: SharedRollup, counters: Counters) -> io::Result<Self> {
        let socket = bind_udp(address, "input.statsd_udp")?;
        Ok(Self { socket, rollup, counters, quiet: Quiet::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Receives until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        let mut packet = vec![0; MAX_DATAGRAM];
        let mut series = String::new();
        while !stop.is_set() {
            if let Ok(length) = self.socket.recv(&mut packet) {
                self.take(packet.get(..length).unwrap_or_default(), &mut series);
            }
        }
    }

    fn take(&mut self, packet: &[u8], series: &mut String) {
        let mut rollup = self.rollup.lock();
        for line in statsd::lines(packet) {
            let refused = match line {
                Ok(metric) => rollup.add_statsd(metric.series(series), metric.sample),
                Err(malformed) => {
                    let reason = malformed.reason();
                    rollup.refuse_statsd(reason);
                    self.quiet.say(reason, || warn!(reason, "line on input.statsd_udp dropped: {malformed}"));
                    Some(reason)
                }
            };
            if let Some(reason) = refused {
                self.counters.add("input_malformed", &[("input", "statsd_udp"), ("reason", reason)], 1);
            }
        }
    }
}
