//! Batches of our own clients over ZeroMQ PULL. Nothing is acknowledged: what the spool has no room for is dropped, and
//! the spool records which.

use metlog_core::{Error, wire::batch::MAX_BATCH_BYTES};
use metlog_pipeline::{
    counters::Counters,
    endpoint::{self, Bound},
    intake::{Intake, Refused},
    quiet::Quiet,
    sockets::{Lent, Sockets},
    stop::Stop,
    waiter::Waiter,
};
use tracing::{error, warn};

use super::{WAIT, drain};

/// Frames of each client that may lie in the socket before it is held back: four mebibytes of full batches. A socket that
/// stands at its mark loses what a client sent last before it closed, so it is not smaller.
const HIGH_WATER_MARK: i32 = 64;

/// The input `push`.
pub struct PushInput {
    socket: Lent<Bound>,
    endpoints: Vec<String>,
    intake: Intake,
    counters: Counters,
    quiet: Quiet,
}

impl PushInput {
    /// Binds the endpoints.
    ///
    /// # Errors
    /// When one cannot be bound; the message names it.
    pub fn bind(
        endpoints: &[String],
        sockets: &Sockets,
        intake: Intake,
        counters: Counters,
    ) -> Result<Self, Error> {
        let socket = endpoint::bind(sockets, zmq::PULL, endpoints, None, |socket| {
            socket.set_rcvhwm(HIGH_WATER_MARK)?;
            socket.set_rcvtimeo(i32::try_from(WAIT.as_millis()).unwrap_or(i32::MAX))?;
            socket.set_maxmsgsize(i64::try_from(MAX_BATCH_BYTES).unwrap_or(i64::MAX))
        })?;
        Ok(Self { socket, endpoints: endpoints.to_vec(), intake, counters, quiet: Quiet::default() })
    }

    /// Where it listens, with the port the system chose.
    ///
    /// # Errors
    /// When ZeroMQ does not say.
    pub fn endpoint(&self) -> Result<String, Error> {
        endpoint::last(&self.socket)
    }

    /// Receives until told to stop, and then what has been sent already.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            if !self.receive(zmq::DONTWAIT) {
                waiter.socket(&self.socket, None);
            }
        }
        if stop.is_pause() {
            return;
        }
        // Unbinding cuts connections off: what the kernel holds of them is read before, what ZeroMQ has read after.
        drain(|| self.receive(zmq::DONTWAIT));
        self.unbind();
        drain(|| self.receive(0));
    }

    /// Takes the next frame; false when none came.
    fn receive(&mut self, flags: i32) -> bool {
        let Ok(frame) = self.socket.recv_msg(flags) else { return false };
        self.take(&frame);
        true
    }

    /// Nothing more comes in. An endpoint whose port the system chose goes by the name that ZeroMQ has for it.
    fn unbind(&self) {
        let last = self.endpoint().ok();
        for endpoint in self.endpoints.iter().chain(&last) {
            let _not_under_this_name = self.socket.unbind(endpoint);
        }
    }

    fn take(&mut self, frame: &[u8]) {
        match self.intake.take(frame) {
            Ok(_) => self.counters.add("received_batches", &[("input", "push")], 1),
            Err(Refused::Batch(error)) => {
                let reason = error.kind().as_str();
                self.counters.add("input_malformed", &[("input", "push"), ("reason", reason)], 1);
                self.quiet.say(reason, || warn!(%error, "frame on input.push dropped"));
            }
            Err(error) => {
                self.counters.add("input_refused", &[("input", "push")], 1);
                self.quiet.say("refused", || error!(%error, "messages on input.push dropped"));
            }
        }
    }
}
