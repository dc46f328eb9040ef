//! Batches of our own clients over ZeroMQ PULL. Nothing is acknowledged: what the spool has no room for is dropped, and
//! the spool records which.

use metlog_core::{Error, wire::batch::MAX_BATCH_BYTES};
use metlog_pipeline::{
    counters::Counters,
    endpoint,
    intake::{Intake, Refused},
    quiet::Quiet,
    stop::Stop,
};
use tracing::{error, warn};

use super::WAIT;

/// Frames that may lie in the socket before the clients are held back.
const HIGH_WATER_MARK: i32 = 1_000;

/// The input `push`.
pub struct PushInput {
    socket: zmq::Socket,
    intake: Intake,
    counters: Counters,
    quiet: Quiet,
}

impl PushInput {
    /// Binds the endpoints.
    ///
    /// # Errors
    /// When one cannot be bound; the message names it.
    pub fn bind(endpoints: &[String], intake: Intake, counters: Counters) -> Result<Self, Error> {
        let socket = endpoint::bind(zmq::PULL, endpoints, |socket| {
            socket.set_rcvhwm(HIGH_WATER_MARK)?;
            socket.set_rcvtimeo(i32::try_from(WAIT.as_millis()).unwrap_or(i32::MAX))?;
            socket.set_maxmsgsize(i64::try_from(MAX_BATCH_BYTES).unwrap_or(i64::MAX))
        })?;
        Ok(Self { socket, intake, counters, quiet: Quiet::default() })
    }

    /// Where it listens, with the port the system chose.
    ///
    /// # Errors
    /// When ZeroMQ does not say.
    pub fn endpoint(&self) -> Result<String, Error> {
        endpoint::last(&self.socket)
    }

    /// Receives until told to stop, and then what lies in the socket already.
    pub fn run(&mut self, stop: &Stop) {
        let mut message = zmq::Message::new();
        while !stop.is_set() {
            if self.socket.recv(&mut message, 0).is_ok() {
                self.take(&message);
            }
        }
        while self.socket.recv(&mut message, zmq::DONTWAIT).is_ok() {
            self.take(&message);
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
