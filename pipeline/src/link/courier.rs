//! Brings batches that somebody holds in his hand over a link: for tools, which have no spool of their own to send from.
//!
//! Each courier is a sender of its own, with numbers from 1 on. What it was told to send is safe when it has been
//! acknowledged; a connection that breaks ends it, and the caller says how much had arrived.

use std::time::{Duration, Instant};

use metlog_core::{
    Error, ErrorKind,
    link::{Frame, MAX_FRAME_BYTES, SenderId, Window},
};

use super::sender::{failed, greet, millis};
use crate::{stop::Stop, waiter::Waiter};

/// How long the receiver may let it wait, for credit or an ack, before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One look at the socket.
const STEP: Duration = Duration::from_millis(20);

/// How often a receiver that withholds credit is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A connection to a receiver.
pub struct Courier {
    socket: zmq::Socket,
    window: Window,
    sent: u64,
}

impl Courier {
    /// Connects and waits for the welcome.
    ///
    /// # Errors
    /// When the endpoint is none, or nobody answers there.
    pub fn connect(endpoint: &str) -> Result<Self, Error> {
        let open = || {
            let socket = zmq::Context::new().socket(zmq::DEALER)?;
            socket.set_linger(0)?;
            socket.set_maxmsgsize(size_limit(MAX_FRAME_BYTES))?;
            socket.connect(endpoint)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| failed(endpoint, source))?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|source| {
            Error::new(ErrorKind::Io, format!("no random bytes for a sender id: {source}"))
        })?;
        let sender = SenderId { id, incarnation: 0 };
        let welcome = greet(&socket, sender, &Waiter::new(&Stop::default()))
            .map_err(|source| Error::new(source.kind(), format!("no welcome from {endpoint}: {source}")))?;
        let mut window = Window::default();
        window.welcome(welcome.accepted, welcome.credit);
        Ok(Self { socket, window, sent: 0 })
    }

    /// Sends a batch, once the receiver has room for it.
    ///
    /// # Errors
    /// When the receiver refuses, or lets it wait too long.
    pub fn send(&mut self, batch: &[u8]) -> Result<(), Error> {
        self.wait_for(Window::is_open)?;
        let frame = Frame::Batch { sequence: self.sent + 1, previous: self.sent, batch }.encode();
        let bytes = frame.len();
        self.socket.send(frame, 0).map_err(|source| failed("the receiver", source))?;
        self.sent += 1;
        self.window.sent(self.sent, bytes);
        Ok(())
    }

    /// Waits until everything is on the receiver's disk.
    ///
    /// # Errors
    /// When the receiver refuses, or lets it wait too long.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.wait_for(Window::is_empty)
    }

    /// How many batches are on the receiver's disk.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.window.acknowledged()
    }

    /// Hears what the receiver says until `enough`; progress of any kind is worth another wait.
    fn wait_for(&mut self, enough: impl Fn(&Window) -> bool) -> Result<(), Error> {
        let (mut progress, mut asked) = (Instant::now(), Instant::now());
        while !enough(&self.window) {
            if self.socket.poll(zmq::POLLIN, millis(STEP)).unwrap_or(0) > 0 {
                let bytes =
                    self.socket.recv_bytes(zmq::DONTWAIT).map_err(|source| failed("the receiver", source))?;
                if self.hear(&bytes)? {
                    progress = Instant::now();
                }
            }
            if progress.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(Error::new(
                    ErrorKind::Io,
                    format!("the receiver has taken nothing for {seconds} s; is its spool full?"),
                ));
            }
            if asked.elapsed() > PING_INTERVAL {
                asked = Instant::now();
                let _lost_when_the_peer_is = self.socket.send(Frame::Ping.encode(), zmq::DONTWAIT);
            }
        }
        Ok(())
    }

    /// True when it was an ack of something new, or credit.
    fn hear(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        match Frame::decode(bytes)? {
            Frame::Ack { sequence } => self.window.ack(sequence),
            Frame::Credit { bytes } => {
                self.window.set_credit(bytes);
                Ok(bytes > 0)
            }
            Frame::Pong => Ok(false),
            Frame::Refusal { kind, message } => {
                Err(Error::new(ErrorKind::Malformed, format!("the receiver refused ({kind}): {message}")))
            }
            other => Err(Error::new(ErrorKind::Malformed, format!("unexpected frame {other:?}"))),
        }
    }
}

/// A bound of bytes as ZeroMQ takes it.
fn size_limit(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
