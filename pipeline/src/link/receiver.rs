//! The ROUTER side of a link: takes batches into the spool and acknowledges them once they are safe.
//!
//! One thread drains the socket, appends, and acknowledges what the spool has synced since. While a sync runs the next
//! batches gather in the socket, bounded by the credit of each sender. A full spool is not read into: the senders wait.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use metlog_core::{
    Error, ErrorKind,
    link::{Frame, MAX_FRAME_BYTES, SenderId, agree},
};
use tracing::{info, warn};

use super::{CREDIT_BYTES, packing::Unpacker};
use crate::{
    config::LinkSockets,
    counters::Counters,
    endpoint::{self, Bound},
    intake::{Intake, LinkPlace, Refused, Taken},
    quiet::Quiet,
    sockets::{Lent, Sockets},
    spool::Outcome,
    stop::Stop,
    waiter::Waiter,
};

/// Frames taken from the socket before acks are looked after again.
const BURST: usize = 256;

/// How often a full spool is looked at again.
const FULL_WAIT: Duration = Duration::from_millis(100);

/// How long the socket is waited for while a sync is awaited.
const ACK_WAIT: Duration = Duration::from_millis(1);

/// A peer that says nothing for so long is forgotten; it says hello when it comes back. A quiet client speaks each 60 s.
const FORGET_AFTER: Duration = Duration::from_secs(180);

/// How often senders are told to wait while the spool is full.
const TOLD_TO_WAIT_EVERY: Duration = Duration::from_secs(1);

/// The input `link` of a daemon.
pub struct LinkReceiver {
    socket: Lent<Bound>,
    intake: Intake,
    counters: Counters,
    quiet: Quiet,
    peers: HashMap<Vec<u8>, Peer>,
    /// Peers that were refused and are ignored until their next hello.
    ignored: HashMap<Vec<u8>, Instant>,
    unpacker: Unpacker,
    /// When senders were last told to wait; nothing while they may send.
    told_to_wait: Option<Instant>,
}

/// One connection of a sender.
struct Peer {
    sender: SenderId,
    /// Taken, not acknowledged: sequence and ordinal, in order.
    unacknowledged: VecDeque<(u64, u64)>,
    heard: Instant,
}

impl LinkReceiver {
    /// Binds the endpoints.
    ///
    /// # Errors
    /// When one cannot be bound; the message names it.
    pub fn bind(
        config: &LinkSockets,
        sockets: &Sockets,
        intake: Intake,
        counters: Counters,
    ) -> Result<Self, Error> {
        let size = i64::try_from(MAX_FRAME_BYTES).unwrap_or(i64::MAX);
        let (endpoints, curve) = (&config.endpoints, config.curve.as_ref());
        let socket =
            endpoint::bind(sockets, zmq::ROUTER, endpoints, curve, |socket| socket.set_maxmsgsize(size))?;
        if let Some(gate) = socket.gate() {
            gate.count_in(&counters);
        }
        let unpacker = Unpacker::new().map_err(|source| {
            Error::new(ErrorKind::Io, format!("no memory to unpack batches in: {source}")).with_source(source)
        })?;
        Ok(Self {
            socket,
            intake,
            counters,
            quiet: Quiet::default(),
            peers: HashMap::new(),
            ignored: HashMap::new(),
            unpacker,
            told_to_wait: None,
        })
    }

    /// Where it listens, with the ports the system has chosen.
    ///
    /// # Errors
    /// When ZeroMQ does not say.
    pub fn endpoint(&self) -> Result<String, Error> {
        endpoint::last(&self.socket)
    }

    /// Receives until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            let awaited = self.peers.values().any(|peer| !peer.unacknowledged.is_empty());
            let full = self.intake.spool().is_full();
            if full {
                self.hold_on();
                stop.wait(if awaited { ACK_WAIT } else { FULL_WAIT });
            } else {
                self.go_on();
                if waiter.socket(&self.socket, self.wait(awaited)) {
                    self.drain();
                }
            }
            self.acknowledge();
            self.peers.retain(|_, peer| peer.heard.elapsed() < FORGET_AFTER);
            self.ignored.retain(|_, refused| refused.elapsed() < FORGET_AFTER);
        }
        self.finish();
    }

    /// How long a frame is waited for: until there may be a peer to forget, for ever when there is none.
    fn wait(&self, awaited: bool) -> Option<Duration> {
        if awaited {
            return Some(ACK_WAIT);
        }
        (!self.peers.is_empty() || !self.ignored.is_empty()).then_some(FORGET_AFTER)
    }

    /// A full spool is not read into, so pings are not heard: senders are told to wait, and that nobody is dead.
    fn hold_on(&mut self) {
        if self.told_to_wait.is_some_and(|told| told.elapsed() < TOLD_TO_WAIT_EVERY) {
            return;
        }
        self.told_to_wait = Some(Instant::now());
        for peer in self.peers.values_mut() {
            peer.heard = Instant::now();
        }
        self.set_credit(0);
    }

    /// The spool has room again.
    fn go_on(&mut self) {
        if self.told_to_wait.take().is_some() {
            self.set_credit(CREDIT_BYTES);
        }
    }

    fn set_credit(&self, bytes: u64) {
        for identity in self.peers.keys() {
            self.answer(identity, &Frame::Credit { bytes });
        }
    }

    /// What is in the spool is acknowledged before the end, so that no sender repeats it for nothing.
    fn finish(&mut self) {
        let spool = self.intake.spool();
        let _the_senders_repeat_it_otherwise = spool.wait_synced(spool.appended(), Duration::from_secs(2));
        self.acknowledge();
    }

    fn drain(&mut self) {
        for _ in 0..BURST {
            let Ok(parts) = self.socket.recv_multipart(zmq::DONTWAIT) else { return };
            let [identity, bytes] = parts.as_slice() else {
                self.counters.add("input_malformed", &[("input", "link")], 1);
                continue;
            };
            match self.hear(identity, bytes) {
                Err(_) if self.ignored.contains_key(identity) => {}
                Err(error) => self.refuse(identity, &error),
                Ok(()) => {}
            }
            if self.intake.spool().is_full() {
                return;
            }
        }
    }

    fn hear(&mut self, identity: &[u8], bytes: &[u8]) -> Result<(), Error> {
        match Frame::decode(bytes)? {
            Frame::Hello { versions, sender } => {
                let version = agree(versions)?;
                let accepted = self.intake.link_accepted(sender).map_err(refused)?;
                // Whatever an earlier connection of this sender still holds is refused: it is sent again on this one.
                self.peers.retain(|_, peer| peer.sender != sender);
                info!(%sender, accepted, "link sender connected");
                let peer = Peer { sender, unacknowledged: VecDeque::new(), heard: Instant::now() };
                self.peers.insert(identity.to_vec(), peer);
                self.ignored.remove(identity);
                self.answer(identity, &Frame::Welcome { version, accepted, credit: CREDIT_BYTES });
                Ok(())
            }
            Frame::Batch { sequence, previous, batch } => self.take(identity, sequence, previous, batch),
            Frame::Packed { sequence, previous, size, compressed } => {
                let batch = self.unpacker.unpack(compressed, size)?;
                self.take(identity, sequence, previous, &batch)
            }
            Frame::Ping => {
                if let Some(peer) = self.peers.get_mut(identity) {
                    peer.heard = Instant::now();
                    self.answer(identity, &Frame::Pong);
                    return Ok(());
                }
                Err(unknown_peer())
            }
            other => Err(Error::new(ErrorKind::Malformed, format!("unexpected frame {other:?}"))),
        }
    }

    fn take(&mut self, identity: &[u8], sequence: u64, previous: u64, batch: &[u8]) -> Result<(), Error> {
        // A peer that was refused, or that a restart has forgotten, is ignored until its next hello.
        let Some(peer) = self.peers.get_mut(identity) else { return Err(unknown_peer()) };
        peer.heard = Instant::now();
        let place = LinkPlace { sender: peer.sender, sequence, previous };
        match self.intake.take_linked(batch, place) {
            Ok(Taken::Appended(ordinal)) => {
                peer.unacknowledged.push_back((sequence, ordinal));
                self.counters.add("received_batches", &[("input", "link")], 1);
                Ok(())
            }
            Ok(Taken::Repeat) => {
                self.counters.add("link_repeats", &[], 1);
                if peer.unacknowledged.is_empty() {
                    self.answer(identity, &Frame::Ack { sequence });
                }
                Ok(())
            }
            // The sender says hello again later and repeats the batch: nothing is lost.
            Err(error) => Err(refused(error)),
        }
    }

    /// Acknowledges what has been synced since; a batch whose sync failed makes its sender start again.
    fn acknowledge(&mut self) {
        let spool = self.intake.spool().clone();
        let mut failed = Vec::new();
        let mut acks = Vec::new();
        for (identity, peer) in &mut self.peers {
            let mut safe = None;
            while let Some(&(sequence, ordinal)) = peer.unacknowledged.front() {
                match spool.outcome(ordinal) {
                    Outcome::Waiting => break,
                    Outcome::Synced => safe = Some(sequence),
                    Outcome::GivenUp => {
                        failed.push(identity.clone());
                        break;
                    }
                }
                peer.unacknowledged.pop_front();
            }
            acks.extend(safe.map(|sequence| (identity.clone(), sequence)));
        }
        for (identity, sequence) in acks {
            self.answer(&identity, &Frame::Ack { sequence });
        }
        for identity in failed {
            self.refuse(
                &identity,
                &Error::new(ErrorKind::Io, "the spool could not be synced; send it again"),
            );
        }
    }

    fn refuse(&mut self, identity: &[u8], error: &Error) {
        self.peers.remove(identity);
        self.ignored.insert(identity.to_vec(), Instant::now());
        self.counters.add("link_refusals", &[("kind", error.kind().as_str())], 1);
        self.quiet.say(error.kind().as_str(), || warn!(%error, "link frame refused"));
        self.answer(identity, &Frame::Refusal { kind: error.kind().as_str(), message: &error.to_string() });
    }

    fn answer(&self, identity: &[u8], frame: &Frame<'_>) {
        // A peer that has gone says hello again; nothing is owed to it until then.
        let _unless_it_has_gone = self.socket.send_multipart([identity, &frame.encode()], zmq::DONTWAIT);
    }
}

fn refused(error: Refused) -> Error {
    match error {
        Refused::Batch(error) => error,
        other => Error::new(ErrorKind::Io, other.to_string()),
    }
}

fn unknown_peer() -> Error {
    Error::new(ErrorKind::Malformed, "this sender has not said hello")
}
