//! Forwards the spool to the next hop, in order, and moves its cursor as the next hop acknowledges.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    time::{Duration, Instant},
};

use metlog_core::{
    Error, ErrorKind,
    link::{Frame, MAX_FRAME_BYTES, PACKED_VERSION, SenderId, VERSIONS, Window, agree},
    wire::batch::{Batch, Fate},
};
use tracing::{info, warn};

use super::{
    ForwardConfig,
    packing::{self, Packer},
};
use crate::{
    counters::Counters,
    cursor::{Cursor, SharedOutcomes},
    curve::{Handshake, PublicKey},
    ledger::Outcomes,
    quiet::Quiet,
    spool::{Reader, Record, Spool},
    stop::Stop,
    waiter::Waiter,
    watchdog::Place,
};

/// How long a hello waits for its welcome, and a silent peer is believed in, before the next connection is tried.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a link says something while an answer is awaited.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How often it does when nothing is: each ping wakes two daemons and their I/O threads, and a peer that has gone is noticed
/// soon enough when there is something to send.
const IDLE_PING_INTERVAL: Duration = Duration::from_secs(10);

/// A peer that cannot be reached is tried again after a tenth of a second, then less and less often, but as often as this.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// One step of the loop while acks are awaited.
const STEP: Duration = Duration::from_millis(20);

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 * 1024;

/// Says what becomes of a message, of a batch and under a number, that is about to be forwarded.
pub type Verdict = Box<dyn FnMut(&Batch<'_>, u64, metlog_core::wire::record::Record<'_>) -> Fate + Send>;

/// What a receiver has agreed to.
pub(super) struct Welcome {
    pub(super) version: u64,
    /// The highest number it has taken.
    pub(super) accepted: u64,
    /// Bytes that may be unacknowledged.
    pub(super) credit: u64,
}

/// The consumer `forward` of a spool.
pub struct LinkSender {
    config: ForwardConfig,
    spool: Spool,
    cursor: Cursor<()>,
    verdict: Verdict,
    context: zmq::Context,
    counters: Counters,
    quiet: Quiet,
    attempts: usize,
}

/// A connection that has been welcomed.
struct Connection<'a> {
    socket: &'a zmq::Socket,
    window: Window,
    reader: Reader,
    /// Read from the spool, not sent yet.
    ready: VecDeque<Record>,
    /// Sent, not acknowledged: ordinal and what its messages will have become.
    unacknowledged: VecDeque<(u64, Outcomes)>,
    previous: u64,
    /// Where batches are compressed.
    packer: Option<Packer>,
    heard: Instant,
    asked: Instant,
    /// Since when an answer is awaited.
    awaited: Option<Instant>,
}

impl LinkSender {
    /// Opens the consumer `forward`.
    ///
    /// # Errors
    /// When its checkpoint cannot be read.
    pub fn open(
        config: ForwardConfig,
        spool: &Spool,
        data_dir: &Path,
        verdict: Verdict,
        counters: Counters,
    ) -> io::Result<Self> {
        let cursor = Cursor::open(spool, data_dir, "forward")?;
        let context = zmq::Context::new();
        let spool = spool.clone();
        Ok(Self { config, spool, cursor, verdict, context, counters, quiet: Quiet::default(), attempts: 0 })
    }

    /// What has become of the messages, for the audit.
    #[must_use]
    pub fn outcomes(&self) -> SharedOutcomes {
        self.cursor.outcomes()
    }

    /// How far it has come, for the watchdog.
    #[must_use]
    pub fn place(&self) -> Place {
        self.cursor.place()
    }

    /// Forwards until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        self.spool.wake_readers_on(stop);
        while !stop.is_set() {
            if let Err(error) = self.connection(stop, &waiter) {
                self.counters.add("link_reconnects", &[], 1);
                self.quiet.say("link", || warn!(%error, "link down, trying again"));
                stop.wait(self.pause());
            }
        }
        self.save();
    }

    /// Grows from 50 ms to 2 s with the attempts that failed in a row.
    fn pause(&self) -> Duration {
        let doublings = u32::try_from(self.attempts).unwrap_or(u32::MAX).min(6);
        Duration::from_millis(50 << doublings).min(Duration::from_secs(2))
    }

    /// One connection, from hello to its end. A reconnect is a new socket: nothing of the old one is trusted.
    fn connection(&mut self, stop: &Stop, waiter: &Waiter) -> Result<(), Error> {
        let endpoint = self.config.endpoints.get(self.attempts % self.config.endpoints.len().max(1)).cloned();
        let endpoint = endpoint.ok_or_else(|| Error::new(ErrorKind::Config, "forward.endpoints is empty"))?;
        self.attempts += 1;
        let (socket, handshake, key) = self.open_socket(&endpoint)?;
        let welcome = greet(&socket, self.spool.id(), waiter).map_err(|source| {
            let why = handshake.failure(key).unwrap_or_else(|| source.to_string());
            Error::new(source.kind(), format!("no welcome from {endpoint}: {why}"))
        })?;
        info!(%endpoint, accepted = welcome.accepted, "link up");
        self.skip_accepted(welcome.accepted);
        let packs = self.config.compression.is_for(&endpoint) && welcome.version >= PACKED_VERSION;
        // Without memory for it batches go as they are.
        let packer = packs.then(Packer::new).and_then(Result::ok);
        let reader = self.cursor.reader().until(stop);
        let mut connection = Connection::new(&socket, reader, &welcome, packer);
        while !stop.is_set() {
            self.step(&mut connection)?;
        }
        Ok(())
    }

    /// A socket that connects, what hears how that goes, and our key where it has one.
    fn open_socket(&self, endpoint: &str) -> Result<(zmq::Socket, Handshake, Option<PublicKey>), Error> {
        let open = || {
            let socket = self.context.socket(zmq::DEALER)?;
            socket.set_linger(0)?;
            socket.set_reconnect_ivl_max(i32::try_from(RECONNECT_MAX.as_millis()).unwrap_or(i32::MAX))?;
            socket.set_maxmsgsize(i64::try_from(MAX_FRAME_BYTES).unwrap_or(i64::MAX))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| failed(endpoint, source))?;
        let encrypted = self.config.server_key(endpoint);
        let keys = encrypted.map(|(curve, server)| curve.apply(&socket, server)).transpose()?;
        let handshake = Handshake::watch(&self.context, &socket, self.attempts)?;
        socket.connect(endpoint).map_err(|source| failed(endpoint, source))?;
        Ok((socket, handshake, keys.map(|keys| keys.public)))
    }

    /// The receiver has records whose acks never reached us: they count as forwarded.
    fn skip_accepted(&mut self, accepted: u64) {
        if accepted > self.spool.appended() {
            tracing::error!(
                accepted,
                "the next hop has more than this spool ever held: was an old copy put back?"
            );
        }
        let mut reader = self.cursor.reader();
        while self.cursor.through() < accepted.min(self.spool.synced()) {
            let records = reader.next(READ_BYTES, STEP);
            let Some(last) = records.last().map(|record| record.ordinal) else { break };
            for record in records.iter().filter(|record| record.ordinal <= accepted) {
                let outcomes = self.thinned(record).map(|(_, outcomes)| outcomes).unwrap_or_default();
                self.cursor.advance(record.ordinal, &outcomes);
            }
            if last >= accepted {
                break;
            }
        }
        self.save();
    }

    /// The frame to send for a record, if it is another than the record's own, and what its messages become with it;
    /// nothing for a record that is no batch.
    fn thinned(&mut self, record: &Record) -> Option<(Option<Vec<u8>>, Outcomes)> {
        let mut outcomes = Outcomes::default();
        let batch = Batch::parse(&record.frame).ok()?;
        let producer = batch.header.producer;
        let verdict = &mut self.verdict;
        let mut taken_out = 0;
        let thinned = batch.rework(|sequence, message| {
            let fate = verdict(&batch, sequence, *message);
            let Fate::Removed(reason) = &fate else { return fate };
            outcomes.add(producer, reason, 1);
            taken_out += 1;
            fate
        });
        outcomes.add(producer, "forwarded", batch.header.count() - taken_out);
        Some((thinned, outcomes))
    }

    fn step(&mut self, connection: &mut Connection<'_>) -> Result<(), Error> {
        let sent = self.send_ready(connection)?;
        let wait = if sent { Duration::ZERO } else { connection.wait() };
        while connection.socket.poll(zmq::POLLIN, millis(wait)).unwrap_or(0) > 0 {
            let bytes =
                connection.socket.recv_bytes(zmq::DONTWAIT).map_err(|source| failed("the peer", source))?;
            self.hear(connection, &bytes)?;
            if connection.socket.get_events().is_ok_and(|events| !events.contains(zmq::POLLIN)) {
                break;
            }
        }
        if self.cursor.is_due() || (self.cursor.is_ahead() && connection.window.is_empty()) {
            self.save();
        }
        connection.keep_alive()
    }

    /// Sends what the window allows; true when there may be more at once.
    fn send_ready(&mut self, connection: &mut Connection<'_>) -> Result<bool, Error> {
        if !connection.window.is_open() {
            return Ok(false);
        }
        if connection.ready.is_empty() {
            // While acks are awaited they are what to wait for; otherwise the spool is.
            let wait = if connection.window.is_empty() { connection.until_ping() } else { Duration::ZERO };
            connection.ready.extend(connection.reader.next(READ_BYTES, wait));
        }
        let Some(record) = connection.ready.front() else { return Ok(false) };
        let Some((thinned, outcomes)) = self.thinned(record) else {
            // What is no batch was never counted as received, and the next hop would refuse it for ever.
            self.counters.add("link_skipped_records", &[], 1);
            connection.ready.pop_front();
            return Ok(true);
        };
        let batch = thinned.as_deref().unwrap_or(&record.frame);
        let packed = connection.packer.as_mut().and_then(|packer| packer.pack(batch));
        let batch_bytes = batch.len();
        let frame = packing::frame(record.ordinal, connection.previous, batch, packed.as_deref());
        let bytes = frame.len();
        match connection.socket.send(frame, zmq::DONTWAIT) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => return Ok(false),
            Err(source) => return Err(failed("the peer", source)),
        }
        let ordinal = record.ordinal;
        connection.window.sent(ordinal, bytes);
        connection.awaited.get_or_insert_with(Instant::now);
        connection.unacknowledged.push_back((ordinal, outcomes));
        connection.previous = ordinal;
        connection.ready.pop_front();
        self.counters.add("link_sent_batches", &[], 1);
        self.counters.add("link_batch_bytes", &[], u64::try_from(batch_bytes).unwrap_or(u64::MAX));
        self.counters.add("link_sent_bytes", &[], u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(true)
    }

    fn hear(&mut self, connection: &mut Connection<'_>, bytes: &[u8]) -> Result<(), Error> {
        connection.heard = Instant::now();
        match Frame::decode(bytes)? {
            Frame::Ack { sequence } => {
                connection.window.ack(sequence)?;
                // Only progress ends a row of failures: a welcome alone may be followed by a refusal each time.
                self.attempts = 0;
                while let Some((ordinal, outcomes)) = connection.unacknowledged.front() {
                    if *ordinal > sequence {
                        break;
                    }
                    self.cursor.advance(*ordinal, outcomes);
                    connection.unacknowledged.pop_front();
                }
            }
            Frame::Credit { bytes } => connection.window.set_credit(bytes),
            Frame::Pong => {}
            Frame::Refusal { kind, message } => {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!("the next hop refused ({kind}): {message}"),
                ));
            }
            other => return Err(Error::new(ErrorKind::Malformed, format!("unexpected frame {other:?}"))),
        }
        connection.awaited = (!connection.window.is_empty()).then_some(connection.heard);
        Ok(())
    }

    fn save(&mut self) {
        if let Err(error) = self.cursor.save() {
            self.quiet.say("save", || tracing::error!(%error, "forward cursor not saved"));
        }
    }
}

impl<'a> Connection<'a> {
    fn new(socket: &'a zmq::Socket, reader: Reader, welcome: &Welcome, packer: Option<Packer>) -> Self {
        let mut window = Window::default();
        window.welcome(welcome.accepted, welcome.credit);
        let now = Instant::now();
        Self {
            socket,
            window,
            reader,
            ready: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            previous: welcome.accepted,
            packer,
            heard: now,
            asked: now,
            awaited: None,
        }
    }

    /// How long the socket is waited for when nothing could be sent.
    fn wait(&self) -> Duration {
        if self.window.is_empty() && self.window.is_open() { Duration::ZERO } else { STEP }
    }

    /// How long until a quiet peer is asked whether it is there.
    fn until_ping(&self) -> Duration {
        let interval = if self.awaited.is_some() { PING_INTERVAL } else { IDLE_PING_INTERVAL };
        interval.saturating_sub(self.heard.elapsed().min(self.asked.elapsed()))
    }

    /// Asks a quiet peer whether it is there, and gives a silent one up.
    fn keep_alive(&mut self) -> Result<(), Error> {
        if self.awaited.is_some_and(|since| since.elapsed() > PATIENCE) {
            return Err(Error::new(ErrorKind::Io, format!("nothing heard for {} s", PATIENCE.as_secs())));
        }
        if self.until_ping().is_zero() {
            self.asked = Instant::now();
            self.awaited.get_or_insert(self.asked);
            let _lost_when_the_peer_is = self.socket.send(Frame::Ping.encode(), zmq::DONTWAIT);
        }
        Ok(())
    }
}

/// Says hello and waits for the welcome.
pub(super) fn greet(socket: &zmq::Socket, sender: SenderId, waiter: &Waiter) -> Result<Welcome, Error> {
    let hello = Frame::Hello { versions: VERSIONS, sender }.encode();
    socket.send(hello, 0).map_err(|source| failed("the peer", source))?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !waiter.is_stopped() {
        if !waiter.socket(socket, Some(deadline.saturating_duration_since(Instant::now()))) {
            continue;
        }
        let bytes = socket.recv_bytes(zmq::DONTWAIT).map_err(|source| failed("the peer", source))?;
        return match Frame::decode(&bytes)? {
            Frame::Welcome { version, accepted, credit } => {
                agree((version, version)).map(|version| Welcome { version, accepted, credit })
            }
            Frame::Refusal { kind, message } => {
                Err(Error::new(ErrorKind::Malformed, format!("refused ({kind}): {message}")))
            }
            other => Err(Error::new(ErrorKind::Malformed, format!("unexpected frame {other:?}"))),
        };
    }
    Err(Error::new(ErrorKind::Io, format!("nothing heard in {} s; is it running?", PATIENCE.as_secs())))
}

pub(super) fn failed(endpoint: &str, source: zmq::Error) -> Error {
    Error::new(ErrorKind::Io, format!("link to {endpoint}: {source}")).with_source(source)
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
