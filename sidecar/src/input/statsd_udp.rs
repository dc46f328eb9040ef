//! statsd datagrams: parsed and summed in place, without going through the spool.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use metlog_pipeline::{counters::Counters, quiet::Quiet, stop::Stop};
use tracing::warn;

use super::{DRAIN_WAIT, MAX_DATAGRAM, bind_udp, drain};
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

    /// Receives until told to stop, and then what the kernel holds already.
    pub fn run(&mut self, stop: &Stop) {
        let mut packet = vec![0; MAX_DATAGRAM];
        let mut series = String::new();
        while !stop.is_set() {
            self.receive(&mut packet, &mut series);
        }
        let _drains_slower_otherwise = self.socket.set_read_timeout(Some(DRAIN_WAIT));
        drain(|| self.receive(&mut packet, &mut series));
    }

    /// Takes the next packet; false when none came.
    fn receive(&mut self, packet: &mut [u8], series: &mut String) -> bool {
        let Ok(length) = self.socket.recv(packet) else { return false };
        self.take(packet.get(..length).unwrap_or_default(), series);
        true
    }

    fn take(&mut self, packet: &[u8], series: &mut String) {
        let mut rollup = self.rollup.lock();
        for line in statsd::lines(packet) {
            let refused = match line {
                Ok(statsd::Item::Metric(metric)) => rollup.add_statsd(metric.series(series), metric.sample),
                Ok(_) => None,
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
