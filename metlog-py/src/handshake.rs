//! Single messages by PUB, and by REQ the question whether anybody hears them: what the original family's routers know.
//!
//! A REQ socket sends one empty frame, and any reply in time says yes. Until the first answer, or its absence, messages
//! wait in the hand-off; while the answer is no they go to Python's standard error instead. All of this happens on the
//! worker's thread: no call of the application waits for it.

use std::time::{Duration, Instant};

use metlog_core::{
    Error, ErrorKind,
    sender::{Delivery, Outgoing, Sender, Target, zmq::Publish},
    stats::Reason,
    wire::{batch::Batch, json},
};
use pyo3::prelude::*;

/// A publisher and whom it asks.
#[derive(Clone)]
pub(crate) struct Handshake {
    /// Where the REP sockets of receivers are.
    pub(crate) asked: Vec<String>,
    pub(crate) publish: Publish,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// How long an answer holds.
    pub(crate) livecheck: Duration,
}

impl Target for Handshake {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        // The publisher first: what it connects to had better be there when the answer comes.
        let publisher = self.publish.connect()?;
        let question = Question::ask(self)?;
        Ok(Box::new(Asking {
            publisher,
            question: Some(question),
            heard: None,
            answered: Instant::now(),
            settings: self.clone(),
        }))
    }
}

/// A question that is open. The socket goes first: a context cannot end while it has one.
struct Question {
    socket: zmq::Socket,
    _context: zmq::Context,
    until: Instant,
}

impl Question {
    fn ask(settings: &Handshake) -> Result<Self, Error> {
        let context = zmq::Context::new();
        let ask = || {
            let socket = context.socket(zmq::REQ)?;
            socket.set_linger(0)?;
            for endpoint in &settings.asked {
                socket.connect(endpoint)?;
            }
            socket.send("", zmq::DONTWAIT)?;
            Ok(socket)
        };
        let socket = ask().map_err(|source: zmq::Error| {
            let endpoints = settings.asked.join(", ");
            Error::new(ErrorKind::Io, format!("ZeroMQ cannot ask {endpoints:?}: {source}"))
                .with_source(source)
        })?;
        Ok(Self { socket, _context: context, until: Instant::now() + settings.timeout })
    }

    /// The answer, once there is one or it is too late for one.
    fn answer(&self) -> Option<bool> {
        let replied = self.socket.recv_bytes(zmq::DONTWAIT).is_ok();
        (replied || self.until <= Instant::now()).then_some(replied)
    }
}

struct Asking {
    publisher: Box<dyn Sender>,
    question: Option<Question>,
    /// The last answer.
    heard: Option<bool>,
    /// When it came.
    answered: Instant,
    settings: Handshake,
}

impl Asking {
    fn look(&mut self) {
        if let Some(question) = &self.question {
            if let Some(heard) = question.answer() {
                (self.question, self.heard, self.answered) = (None, Some(heard), Instant::now());
            }
        } else if self.answered.elapsed() >= self.settings.livecheck {
            // It could be asked before, with the same endpoints: what fails now (no file descriptor) may pass.
            self.question = Question::ask(&self.settings).ok();
        }
    }
}

impl Sender for Asking {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        self.look();
        match self.heard {
            None => Ok(Delivery::Busy),
            Some(true) => self.publisher.send(batch),
            Some(false) => show(batch),
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let Some(question) = &self.question else { return self.publisher.wait(timeout) };
        let left = question.until.saturating_duration_since(Instant::now()).min(timeout);
        let millis = i64::try_from(left.as_millis()).unwrap_or(i64::MAX).saturating_add(1);
        // Answered, timed out or interrupted: the next send tells.
        let _looked_at_again = question.socket.poll(zmq::POLLIN, millis);
    }

    fn close(self: Box<Self>, timeout: Duration) -> u64 {
        self.publisher.close(timeout)
    }
}

/// Writes what nobody would hear to Python's standard error, a line each, and counts it as dropped.
fn show(batch: &Outgoing) -> Result<Delivery, Error> {
    let mut lines = String::new();
    for message in Batch::parse(batch)?.messages().filter_map(|(_, message)| message.ok()) {
        lines.push_str(&json::to_json(&message));
        lines.push('\n');
    }
    if !lines.is_empty() {
        // Without an interpreter, at the very end, there is no standard error of Python's.
        let _written = Python::try_attach(|py| write(py, &lines));
    }
    Ok(Delivery::Taken { dropped: batch.messages(), reason: Reason::Send })
}

fn write(py: Python<'_>, lines: &str) -> PyResult<()> {
    py.import("sys")?.getattr("stderr")?.call_method1("write", (lines,)).map(drop)
}
