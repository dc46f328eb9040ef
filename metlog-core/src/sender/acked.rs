//! Acknowledged delivery: batches go over the link (DEALER to ROUTER) and are kept in memory until the sidecar says that
//! its spool has them on disk. A sidecar may be killed and started again without a loss.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Delivery, Outgoing, Pending, Sender, Target,
    zmq::{failed, owned},
};
use crate::{
    error::{Error, ErrorKind},
    link::{Frame, MAX_FRAME_BYTES, SenderId, VERSIONS, Window, agree},
    stats::complain,
    wire::batch::ProducerId,
    worker::LONGEST_CLOSE,
};

/// How long a hello waits for its welcome, and a silent peer is believed in, before the next connection is tried.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a link with something unacknowledged asks whether the peer is there.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Batches that may lie in the socket's buffer, as copies beside those that are kept; both count against `queue_bytes`.
const HIGH_WATER_MARK: i32 = 8;

/// Between two connections that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// The sidecar's ROUTER sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// `ipc://` or `tcp://` addresses to connect to: the first, and the others in turn when it does not answer.
    pub endpoints: Vec<String>,
}

impl Target for Acked {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        if self.endpoints.is_empty() {
            return Err(Error::config("endpoints is empty, expected the sidecar's link endpoint"));
        }
        // The identity of this link for the life of the process; a forked child connects anew and gets its own.
        let sender = SenderId { id: ProducerId::random()?.0, incarnation: 0 };
        Ok(Box::new(AckedSender {
            endpoints: self.endpoints.clone(),
            sender,
            context: zmq::Context::new(),
            socket: None,
            welcomed: false,
            window: Window::default(),
            kept: VecDeque::new(),
            pending: Pending::default(),
            next: 1,
            previous: 0,
            unsent: 0,
            attempts: 0,
            heard: Instant::now(),
            asked: Instant::now(),
        }))
    }
}

/// A batch that is not acknowledged yet.
struct Kept {
    sequence: u64,
    batch: Outgoing,
}

struct AckedSender {
    endpoints: Vec<String>,
    sender: SenderId,
    context: zmq::Context,
    socket: Option<zmq::Socket>,
    welcomed: bool,
    window: Window,
    /// In order; the last `unsent` of them have not been handed to the present socket.
    kept: VecDeque<Kept>,
    /// All of them together.
    pending: Pending,
    next: u64,
    /// The number of the batch before the next one on this connection.
    previous: u64,
    unsent: usize,
    attempts: usize,
    heard: Instant,
    asked: Instant,
}

impl Sender for AckedSender {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        self.tend();
        // What waits for the peer waits in the hand-off, where it needs no headers and callers wake nobody.
        if self.unsent > 0 {
            return Ok(Delivery::Busy);
        }
        self.kept.push_back(Kept { sequence: self.next, batch: batch.clone() });
        self.pending.messages += batch.messages();
        self.pending.bytes += batch.len();
        self.next += 1;
        self.unsent += 1;
        self.send_kept();
        Ok(Delivery::ALL)
    }

    fn wait(&mut self, timeout: Duration) {
        match &self.socket {
            Some(socket) => {
                let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
                let blocked = self.welcomed && self.unsent > 0 && self.window.is_open();
                let events = if blocked { zmq::POLLIN | zmq::POLLOUT } else { zmq::POLLIN };
                // Ready, timed out or interrupted: the next look tells.
                let _looked_again = socket.poll(events, millis);
            }
            None => std::thread::sleep(timeout.min(PAUSE)),
        }
    }

    /// Reads what the peer has said, connects again when it has gone, and sends what it lacks.
    fn tend(&mut self) -> bool {
        if let Err(error) = self.step() {
            complain("link", &format!("link to the sidecar is down, trying again: {error}"));
            self.disconnect();
        }
        !self.kept.is_empty()
    }

    fn pending(&self) -> Pending {
        self.pending
    }

    fn close(mut self: Box<Self>, timeout: Duration) -> u64 {
        let deadline = Instant::now() + timeout.min(LONGEST_CLOSE);
        while self.tend() && Instant::now() < deadline {
            self.wait(deadline.saturating_duration_since(Instant::now()).min(PAUSE));
        }
        self.pending.messages
    }
}

impl AckedSender {
    fn step(&mut self) -> Result<(), Error> {
        if self.socket.is_none() {
            if self.attempts > 0 && self.asked.elapsed() < PAUSE {
                return Ok(());
            }
            self.greet()?;
        }
        while let Some(bytes) = self.receive()? {
            self.hear(&bytes)?;
        }
        self.send_kept();
        self.keep_alive()
    }

    /// A new socket, and the first word on it. Nothing of the old one is trusted.
    fn greet(&mut self) -> Result<(), Error> {
        self.asked = Instant::now();
        self.heard = self.asked;
        let endpoint = self.endpoints.get(self.attempts % self.endpoints.len()).cloned().unwrap_or_default();
        self.attempts += 1;
        let open = || {
            let socket = self.context.socket(zmq::DEALER)?;
            socket.set_linger(0)?;
            socket.set_sndhwm(HIGH_WATER_MARK)?;
            socket.set_maxmsgsize(i64::try_from(MAX_FRAME_BYTES).unwrap_or(i64::MAX))?;
            socket.connect(&endpoint)?;
            socket.send(Frame::Hello { versions: VERSIONS, sender: self.sender }.encode(), zmq::DONTWAIT)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| failed(&format!("connect to {endpoint:?}"), source))?;
        self.socket = Some(socket);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.socket = None;
        self.welcomed = false;
        self.unsent = self.kept.len();
    }

    fn receive(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(socket) = &self.socket else { return Ok(None) };
        match socket.recv_bytes(zmq::DONTWAIT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => Ok(None),
            Err(source) => Err(failed("receive", source)),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.heard = Instant::now();
        match Frame::decode(bytes)? {
            Frame::Welcome { version, accepted, credit } => {
                agree((version, version))?;
                self.window.welcome(accepted, credit);
                self.forget(accepted);
                self.previous = accepted;
                self.welcomed = true;
                self.unsent = self.kept.len();
                self.attempts = 0;
            }
            Frame::Ack { sequence } => {
                self.window.ack(sequence)?;
                self.forget(sequence);
            }
            Frame::Credit { bytes } => self.window.set_credit(bytes),
            Frame::Pong => {}
            Frame::Refusal { kind, message } => {
                return Err(Error::new(ErrorKind::Io, format!("the sidecar refused ({kind}): {message}")));
            }
            other => return Err(Error::malformed(format!("unexpected frame {other:?}"))),
        }
        Ok(())
    }

    /// The receiver has everything up to `sequence` on disk.
    fn forget(&mut self, sequence: u64) {
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.sequence <= sequence) {
            self.pending.messages -= kept.batch.messages();
            self.pending.bytes -= kept.batch.len();
        }
        self.unsent = self.unsent.min(self.kept.len());
    }

    /// Hands what the window allows to the socket.
    fn send_kept(&mut self) {
        let Some(socket) = self.socket.as_mut().filter(|_| self.welcomed) else { return };
        while self.unsent > 0 && self.window.is_open() {
            let index = self.kept.len() - self.unsent;
            let Some(kept) = self.kept.get(index) else { return };
            let Kept { sequence, batch, .. } = kept;
            let frame = Frame::Batch { sequence: *sequence, previous: self.previous, batch }.encode();
            let bytes = frame.len();
            if owned::send(socket, batch.copied(frame)).is_err() {
                return;
            }
            self.window.sent(*sequence, bytes);
            self.previous = *sequence;
            self.unsent -= 1;
        }
    }

    /// Asks a quiet peer that owes an answer whether it is there, and gives a silent one up.
    fn keep_alive(&mut self) -> Result<(), Error> {
        let owed = !self.welcomed || !self.kept.is_empty();
        if !owed {
            self.heard = Instant::now();
            return Ok(());
        }
        if self.heard.elapsed() > PATIENCE {
            return Err(Error::new(
                ErrorKind::Io,
                format!("nothing heard for {} s; is it running?", PATIENCE.as_secs()),
            ));
        }
        if self.welcomed && self.heard.elapsed().min(self.asked.elapsed()) > PING_INTERVAL {
            self.asked = Instant::now();
            let ping = Frame::Ping.encode();
            let _lost_when_the_peer_is = self.socket.as_ref().map(|socket| socket.send(ping, zmq::DONTWAIT));
        }
        Ok(())
    }
}
