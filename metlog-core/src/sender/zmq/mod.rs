//! ZeroMQ: batches by PUSH to the sidecar, single JSON messages by PUB to receivers of the original family.

use std::time::Duration;

pub(super) mod owned;

use super::{Delivery, Outgoing, Sender, Target, each_json};
use crate::{
    error::{Error, ErrorKind},
    stats::Reason,
};

/// Batches of each endpoint that may lie in the socket's buffer: they are lost when the sidecar dies, so only as many as
/// keep the I/O thread busy.
const PUSH_HIGH_WATER_MARK: i32 = 8;

/// Single messages a PUB socket buffers for a slow receiver: ZeroMQ's own default, the originals' as well.
const PUB_HIGH_WATER_MARK: i32 = 1000;

/// The sidecar's PULL sockets; batches go round them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// `ipc://` or `tcp://` addresses to connect to.
    pub endpoints: Vec<String>,
}

/// SUB sockets of original receivers; each message is one JSON frame, unheard while nobody is subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Addresses to connect to (the Python original) or to bind (the Node original).
    pub endpoints: Vec<String>,
    /// True binds the endpoints, false connects to them.
    pub bind: bool,
}

pub(super) fn failed(what: &str, source: zmq::Error) -> Error {
    Error::new(ErrorKind::Io, format!("ZeroMQ cannot {what}: {source}")).with_source(source)
}

/// A socket with its context. The worker owns both, and in a forked child nobody does: they are never touched there.
/// The socket is dropped first: a context cannot end while it has one.
struct Socket {
    socket: zmq::Socket,
    _context: zmq::Context,
}

impl Socket {
    fn open(
        kind: zmq::SocketType,
        high_water_mark: i32,
        endpoints: &[String],
        bind: bool,
    ) -> Result<Self, Error> {
        let context = zmq::Context::new();
        let open = || {
            let socket = context.socket(kind)?;
            socket.set_sndhwm(high_water_mark)?;
            socket.set_linger(0)?;
            // Without it a message for a peer that is not there is queued silently.
            socket.set_immediate(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| failed("open a socket", source))?;
        for endpoint in endpoints {
            let (verb, done) =
                if bind { ("bind", socket.bind(endpoint)) } else { ("connect to", socket.connect(endpoint)) };
            done.map_err(|source| failed(&format!("{verb} endpoint {endpoint:?}"), source))?;
        }
        Ok(Self { socket, _context: context })
    }

    /// Closes the socket and ends the context, which waits at most `timeout` for the buffer to empty.
    fn close(self, timeout: Duration) {
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let _ends_at_once_if_not = self.socket.set_linger(millis);
    }
}

impl Target for Push {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        if self.endpoints.is_empty() {
            return Err(Error::config(
                "endpoints is empty, expected the address of the sidecar's PULL socket",
            ));
        }
        Ok(Box::new(PushSender(Socket::open(zmq::PUSH, PUSH_HIGH_WATER_MARK, &self.endpoints, false)?)))
    }
}

struct PushSender(Socket);

impl Sender for PushSender {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        match owned::send(&mut self.0.socket, batch.clone()) {
            Ok(()) => Ok(Delivery::ALL),
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => Ok(Delivery::Busy),
            Err(source) => Err(failed("send a batch", source)),
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        // Ready, timed out or interrupted: the next send tells.
        let _tried_again = self.0.socket.poll(zmq::POLLOUT, millis);
    }

    fn close(self: Box<Self>, timeout: Duration) -> u64 {
        self.0.close(timeout);
        0
    }
}

impl Target for Publish {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(PublishSender(Socket::open(zmq::PUB, PUB_HIGH_WATER_MARK, &self.endpoints, self.bind)?)))
    }
}

struct PublishSender(Socket);

/// One message of a batch as JSON; the batch keeps its room until the last of its messages has left.
struct Part {
    json: String,
    _of: Outgoing,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.json.as_bytes()
    }
}

impl Sender for PublishSender {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        each_json(batch, |json| {
            let part = Part { json, _of: batch.clone() };
            owned::send(&mut self.0.socket, part).map_err(|_| Reason::Send)
        })
    }

    fn close(self: Box<Self>, timeout: Duration) -> u64 {
        self.0.close(timeout);
        0
    }
}
