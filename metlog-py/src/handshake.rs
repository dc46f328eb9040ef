//! Single messages by PUB, and by REQ the question whether anybody hears them: what the original family's routers know.
//!
//! A REQ socket sends one empty frame, and any reply in time says yes. Until the first answer, or its absence, messages
//! wait in the hand-off; while the answer is no they go to Python's standard error instead. All of this happens on the
//! worker's thread: no call of the application waits for it.
//!
//! The publisher is an XPUB socket, which is told of subscriptions: an answer may overtake the subscription it speaks of,
//! and what is published between the two is lost.

use std::time::{Duration, Instant};

use metlog_core::{
    Error, ErrorKind,
    sender::{Delivery, Outgoing, Sender, Target, each_json},
    stats::Reason,
};
use pyo3::prelude::*;

/// Whom to publish to, and whom to ask.
#[derive(Clone)]
pub(crate) struct Handshake {
    /// Where the REP sockets of receivers are.
    pub(crate) asked: Vec<String>,
    /// Where their SUB sockets are.
    pub(crate) endpoints: Vec<String>,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// How long an answer holds.
    pub(crate) livecheck: Duration,
}

impl Target for Handshake {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(Asking {
            publisher: Socket::connected(zmq::XPUB, &self.endpoints)?,
            question: Some(Question::ask(self)?),
            subscribed: false,
            heard: None,
            answered: Instant::now(),
            settings: self.clone(),
        }))
    }
}

/// A socket with its context. The socket goes first: a context cannot end while it has one.
struct Socket {
    socket: zmq::Socket,
    _context: zmq::Context,
}

impl Socket {
    fn connected(kind: zmq::SocketType, endpoints: &[String]) -> Result<Self, Error> {
        let context = zmq::Context::new();
        let socket = context.socket(kind).map_err(|source| failed("open a socket", source))?;
        socket.set_linger(0).map_err(|source| failed("set up a socket", source))?;
        for endpoint in endpoints {
            let connected = socket.connect(endpoint);
            connected.map_err(|source| failed(&format!("connect to endpoint {endpoint:?}"), source))?;
        }
        Ok(Self { socket, _context: context })
    }

    fn received(&self) -> Option<Vec<u8>> {
        self.socket.recv_bytes(zmq::DONTWAIT).ok()
    }
}

fn failed(what: &str, source: zmq::Error) -> Error {
    Error::new(ErrorKind::Io, format!("ZeroMQ cannot {what}: {source}")).with_source(source)
}

/// A question that is open.
struct Question {
    asked: Socket,
    until: Instant,
    replied: bool,
}

impl Question {
    fn ask(settings: &Handshake) -> Result<Self, Error> {
        let asked = Socket::connected(zmq::REQ, &settings.asked)?;
        asked.socket.send("", zmq::DONTWAIT).map_err(|source| failed("ask for receivers", source))?;
        Ok(Self { asked, until: Instant::now() + settings.timeout, replied: false })
    }
}

struct Asking {
    publisher: Socket,
    subscribed: bool,
    question: Option<Question>,
    /// The last answer.
    heard: Option<bool>,
    /// When it came.
    answered: Instant,
    settings: Handshake,
}

impl Asking {
    fn look(&mut self) {
        while let Some(frame) = self.publisher.received() {
            self.subscribed = frame.first() == Some(&1);
        }
        if let Some(question) = &mut self.question {
            question.replied |= question.asked.received().is_some();
            // A reply without a subscription counts too, in the end: the oldest receivers filter by themselves.
            if (question.replied && self.subscribed) || question.until <= Instant::now() {
                (self.heard, self.answered) = (Some(question.replied), Instant::now());
                self.question = None;
            }
        } else if self.answered.elapsed() >= self.settings.livecheck {
            // It could be asked before, with the same endpoints: what fails now (no file descriptor) may pass.
            self.question = Question::ask(&self.settings).ok();
        }
    }

    fn publish(&self, batch: &Outgoing) -> Result<Delivery, Error> {
        each_json(batch, |json| {
            self.publisher.socket.send(json.as_str(), zmq::DONTWAIT).map_err(|_| Reason::Send)
        })
    }
}

impl Sender for Asking {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        self.look();
        match self.heard {
            None => Ok(Delivery::Busy),
            Some(true) => self.publish(batch),
            Some(false) => show(batch),
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let Some(question) = &self.question else { return };
        let left = question.until.saturating_duration_since(Instant::now()).min(timeout);
        let millis = i64::try_from(left.as_millis()).unwrap_or(i64::MAX).saturating_add(1);
        // A socket that has spoken has nothing more to say for now.
        let socket = if question.replied { &self.publisher.socket } else { &question.asked.socket };
        // Answered, timed out or interrupted: the next send tells.
        let _looked_at_again = socket.poll(zmq::POLLIN, millis);
    }

    fn close(self: Box<Self>, timeout: Duration) -> u64 {
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let _ends_at_once_if_not = self.publisher.socket.set_linger(millis);
        0
    }
}

/// Writes what nobody would hear to Python's standard error, a line each, and counts it as dropped.
fn show(batch: &Outgoing) -> Result<Delivery, Error> {
    let mut lines = String::new();
    each_json(batch, |json| {
        lines.push_str(&json);
        lines.push('\n');
        Ok(())
    })?;
    if !lines.is_empty() {
        // Without an interpreter, at the very end, there is no standard error of Python's.
        let _written = Python::try_attach(|py| write(py, &lines));
    }
    Ok(Delivery::Taken { dropped: batch.messages(), reason: Reason::Send })
}

fn write(py: Python<'_>, lines: &str) -> PyResult<()> {
    py.import("sys")?.getattr("stderr")?.call_method1("write", (lines,)).map(drop)
}
