//! Frames over a connection to a peer that acknowledges nothing, such as carbon or a syslog server.
//!
//! A frame counts as sent when the kernel has taken it. What the peer had not read when its connection broke is lost to
//! it: so the last frames are kept and sent again over the next connection. They may arrive twice, none is missing.
//! Where that would be worse than a loss (statsd's counters), nothing is kept. A connection that the peer closed after
//! it had read everything needs no repeat.
//!
//! A peer that is slow is waited for: the connection stays, and the frame that is half written is finished first.

use std::{
    collections::VecDeque,
    io::{self, Write},
    time::{Duration, Instant},
};

use metlog_pipeline::quiet::Quiet;
use tracing::{info, warn};

use super::{
    OutputError,
    connection::{Connection, Peer, State, is_would_block},
    frames::{Frames, Unsent},
};

/// More than the receive buffer that Linux gives a TCP socket at most (`net.ipv4.tcp_rmem`, 6 MiB) and our own send
/// buffer at most (`net.ipv4.tcp_wmem`, 4 MiB): what lies in neither has been read.
pub(super) const BOTH_SOCKET_BUFFERS: usize = 10 * 1024 * 1024;

/// Longer than an answer takes: when the peer's close is seen so long after the last write, no reset will follow it.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// The sender's end.
#[derive(Debug)]
pub(super) struct Stream {
    peer: Peer,
    timeout: Duration,
    connection: Option<Connection>,
    written_at: Option<Instant>,
    /// Bytes of whole frames kept to be sent again.
    keep_bytes: usize,
    recent: VecDeque<Vec<u8>>,
    recent_bytes: usize,
    /// What has to go before anything else; of the first, so much has gone already.
    backlog: VecDeque<Vec<u8>>,
    backlog_written: usize,
    quiet: Quiet,
}

impl Stream {
    /// Connects when there is something to send. `keep_bytes` of what was sent last are sent again after a break.
    pub(super) fn new(peer: Peer, timeout: Duration, keep_bytes: usize) -> Self {
        Self {
            peer,
            timeout,
            connection: None,
            written_at: None,
            keep_bytes,
            recent: VecDeque::new(),
            recent_bytes: 0,
            backlog: VecDeque::new(),
            backlog_written: 0,
            quiet: Quiet::default(),
        }
    }

    /// Sends all frames, within the timeout as a whole.
    pub(super) fn send(&mut self, frames: &Frames) -> Result<(), Unsent> {
        if frames.is_empty() && self.backlog.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        self.look();
        self.connect()?;
        self.clear_backlog(deadline)?;
        match self.write(frames.bytes(), deadline) {
            Ok(()) => {
                self.remember(frames.bytes().to_vec());
                Ok(())
            }
            Err((written, error)) => Err(self.interrupt(frames, written, error)),
        }
    }

    /// Sends what has to go again; an error while there is some.
    pub(super) fn finish(&mut self) -> Result<(), OutputError> {
        self.look();
        if self.backlog.is_empty() {
            return Ok(());
        }
        self.connect()?;
        self.clear_backlog(Instant::now() + self.timeout)
    }

    /// Forgets what has to be sent again: the caller begins at an earlier place.
    pub(super) fn reset(&mut self) {
        self.connection = None;
        self.recent.clear();
        self.backlog.clear();
        (self.recent_bytes, self.backlog_written) = (0, 0);
    }

    /// Whether the peer takes connections.
    pub(super) fn probe(&self) -> Result<String, OutputError> {
        self.peer.probe(self.timeout)
    }

    /// Lets go of a connection that ended; what a broken one left unread comes first on the next.
    fn look(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        match connection.state() {
            State::Open => return,
            State::Closed if self.written_at.is_none_or(|written| written.elapsed() > ROUND_TRIP) => {
                let peer = self.peer.name();
                self.quiet
                    .say("closed", || info!(peer, "the peer has closed the connection, connecting again"));
                self.recent.clear();
                self.recent_bytes = 0;
            }
            // What was written just before may have met a peer that was gone.
            State::Closed | State::Broken => self.repeat_recent(),
        }
        self.backlog_written = 0;
        self.connection = None;
    }

    fn connect(&mut self) -> Result<(), OutputError> {
        if self.connection.is_none() {
            self.connection = Some(self.peer.connect(self.timeout)?);
        }
        Ok(())
    }

    /// Puts what the peer may not have read before what is to be sent.
    fn repeat_recent(&mut self) {
        let (peer, bytes) = (self.peer.name(), self.recent_bytes);
        self.quiet.say("broken", || warn!(peer, bytes, "connection broke: the last bytes are sent again"));
        while let Some(last) = self.recent.pop_back() {
            self.backlog.push_front(last);
        }
        self.recent_bytes = 0;
    }

    fn clear_backlog(&mut self, deadline: Instant) -> Result<(), OutputError> {
        while let Some(first) = self.backlog.pop_front() {
            let rest = first.get(self.backlog_written..).unwrap_or_default();
            let written = self.write(rest, deadline);
            match written {
                Ok(()) => {
                    self.backlog_written = 0;
                    self.remember(first);
                }
                Err((written, error)) => {
                    self.backlog_written += written;
                    self.backlog.push_front(first);
                    return Err(self.give_up(error));
                }
            }
        }
        Ok(())
    }

    /// A write of frames stopped: a slow peer gets the rest later, a broken connection all of it again.
    fn interrupt(&mut self, frames: &Frames, written: usize, error: io::Error) -> Unsent {
        let (whole, end, next) = frames.split(written);
        let part = |range: std::ops::Range<usize>| frames.bytes().get(range).unwrap_or_default().to_vec();
        if !is_would_block(&error) {
            let sent = if self.keep_bytes == 0 { whole } else { 0 };
            return Unsent { frames: sent, error: self.give_up(error) };
        }
        self.remember(part(0..end));
        let begun = written > end;
        if begun {
            self.backlog.push_back(part(end..next));
            self.backlog_written = written - end;
        }
        Unsent { frames: whole + usize::from(begun), error: self.give_up(error) }
    }

    /// The error to tell; the connection goes unless it is only slow.
    fn give_up(&mut self, error: io::Error) -> OutputError {
        if is_would_block(&error) {
            let text = format!("not all was taken within {:?}; see timeout", self.timeout);
            let slow = io::Error::new(io::ErrorKind::TimedOut, text);
            return OutputError::network("write to", &self.peer.name())(slow);
        }
        self.repeat_recent();
        self.backlog_written = 0;
        self.connection = None;
        OutputError::network("write to", &self.peer.name())(error)
    }

    fn remember(&mut self, bytes: Vec<u8>) {
        if self.keep_bytes == 0 || bytes.is_empty() {
            return;
        }
        self.recent_bytes += bytes.len();
        self.recent.push_back(bytes);
        while let Some(first) = self.recent.front() {
            let left = self.recent_bytes - first.len();
            if left < self.keep_bytes {
                break;
            }
            self.recent_bytes = left;
            self.recent.pop_front();
        }
    }

    /// Writes all of `bytes`; gives back how many the kernel took when it did not take all.
    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), (usize, io::Error)> {
        let Some(connection) = &mut self.connection else {
            return Err((0, io::ErrorKind::NotConnected.into()));
        };
        self.written_at = Some(Instant::now());
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match write_some(connection, rest, deadline) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        connection.flush().map_err(|error| (written, error))
    }
}

fn write_some(connection: &mut Connection, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    connection.set_write_timeout(left)?;
    connection.write(bytes)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
