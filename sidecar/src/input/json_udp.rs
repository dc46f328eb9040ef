//! JSON datagrams of the original clients, one message each. They have no origin: this input gives them one.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use metlog_core::{
    Message,
    wire::{
        batch::{Builder, Role},
        json,
    },
};
use metlog_pipeline::{
    counters::Counters,
    intake::Intake,
    producer::OwnProducer,
    quiet::Quiet,
    sockets::{Lent, Sockets},
    stop::Stop,
    waiter::Waiter,
};
use tracing::{error, warn};

use super::{MAX_DATAGRAM, bind_udp, drain};

/// A batch goes into the spool when it is so large or so old.
const BATCH_BYTES: usize = 64 * 1024;

/// See [`BATCH_BYTES`].
const BATCH_AGE: Duration = Duration::from_millis(20);

/// The input `json_udp`.
pub struct JsonUdpInput {
    socket: Lent<UdpSocket>,
    intake: Intake,
    producer: OwnProducer,
    counters: Counters,
    quiet: Quiet,
}

impl JsonUdpInput {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is in use.
    pub fn bind(
        address: SocketAddr,
        sockets: &Sockets,
        intake: Intake,
        counters: Counters,
    ) -> io::Result<Self> {
        let key = [address.to_string()];
        let socket = sockets.take("json_udp", &key, || bind_udp(address, "input.json_udp"))?;
        let producer = OwnProducer::new(&intake, "metlog.input.json_udp", Role::Input);
        Ok(Self { socket, intake, producer, counters, quiet: Quiet::default() })
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
        let mut datagram = vec![0; MAX_DATAGRAM];
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            if waiter.descriptor(&*self.socket, None) {
                self.take_batch(&mut datagram);
            }
        }
        drain(|| self.take_batch(&mut datagram));
    }

    /// Stores what comes now; false when nothing has come. What comes after the first datagram is waited for as long as a
    /// batch may grow old.
    fn take_batch(&mut self, datagram: &mut [u8]) -> bool {
        let Some(length) = self.receive(datagram) else { return false };
        let mut batch = self.producer.batch();
        self.add(&mut batch, datagram.get(..length).unwrap_or_default());
        let deadline = Instant::now() + BATCH_AGE;
        while batch.body_bytes() < BATCH_BYTES && Instant::now() < deadline {
            match self.receive(datagram) {
                Some(length) => self.add(&mut batch, datagram.get(..length).unwrap_or_default()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        self.store(batch);
        true
    }

    fn receive(&self, datagram: &mut [u8]) -> Option<usize> {
        self.socket.recv(datagram).ok()
    }

    fn add(&mut self, batch: &mut Builder, datagram: &[u8]) {
        match json::from_json(datagram) {
            Ok(read) => {
                self.counters.add("received_messages", &[("input", "json_udp")], 1);
                self.counters.add("input_misfits", &[("input", "json_udp")], read.misfits.into());
                // What is too big is counted in the batch itself.
                let _counted = batch.push(&self.with_sender(read.message));
            }
            Err(error) => {
                batch.remove("dropped:malformed", 1);
                let reason = error.kind().as_str();
                self.counters.add("input_malformed", &[("input", "json_udp"), ("reason", reason)], 1);
                self.quiet.say("malformed", || warn!(%error, "datagram on input.json_udp dropped"));
            }
        }
    }

    /// A message that does not say where it comes from came from this host.
    fn with_sender(&self, mut message: Message) -> Message {
        if message.hostname.is_empty() {
            self.producer.identity().hostname.clone_into(&mut message.hostname);
        }
        message
    }

    fn store(&mut self, batch: Builder) {
        let frame = self.producer.finish(batch);
        if let Err(error) = self.intake.take(&frame) {
            self.counters.add("input_refused", &[("input", "json_udp")], 1);
            self.quiet.say("refused", || error!(%error, "messages on input.json_udp dropped"));
        }
    }
}
