//! Who may in: the thread `zap` answers libzmq's question for each new connection (ZeroMQ RFC 27) from the list of allowed
//! clients, and hears of handshakes that came to nothing before there was a key.

use std::{
    collections::HashSet,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use metlog_core::{Error, ErrorKind};
use tracing::{error, info, warn};

use super::{AllowedClients, PublicKey};
use crate::{counters::Counters, quiet::Quiet};

/// Where libzmq asks.
const ZAP_ENDPOINT: &str = "inproc://zeromq.zap.01";

/// Where a socket tells of its handshakes.
const EVENTS_ENDPOINT: &str = "inproc://metlog.handshakes";

/// Refused keys are counted one by one up to so many, then together: anybody can make keys.
const COUNTED_KEYS: usize = 100;

/// The label of the keys beyond that.
const OTHER_KEYS: &str = "other";

/// The thread behind the listening socket of a context.
pub struct Gate {
    context: zmq::Context,
    counters: Arc<Mutex<Counters>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// Answers for `socket`, of `context`, which is bound afterwards: nobody is let in unasked.
    ///
    /// # Errors
    /// When ZeroMQ or the system has no room for it.
    pub fn open(
        context: &zmq::Context,
        socket: &zmq::Socket,
        allowed: AllowedClients,
    ) -> Result<Self, Error> {
        let sockets = || {
            let questions = context.socket(zmq::REP)?;
            questions.bind(ZAP_ENDPOINT)?;
            socket.monitor(EVENTS_ENDPOINT, i32::from(FAILED))?;
            let events = context.socket(zmq::PAIR)?;
            events.connect(EVENTS_ENDPOINT)?;
            Ok((questions, events))
        };
        let failed = |why: String| Error::new(ErrorKind::Io, format!("cannot watch who connects: {why}"));
        let (questions, events) = sockets().map_err(|source: zmq::Error| failed(source.to_string()))?;
        let counters = Arc::new(Mutex::new(Counters::default()));
        let mut keeper =
            Keeper { allowed, counters: counters.clone(), refused: HashSet::new(), quiet: Quiet::default() };
        let thread = thread::Builder::new()
            .name("zap".to_owned())
            .spawn(move || {
                // Without this thread libzmq would let everybody in. A question that it broke on stays unanswered.
                while panic::catch_unwind(AssertUnwindSafe(|| keeper.run(&questions, &events))).is_err() {
                    error!("who may connect could not be decided: nobody new is let in until the next start");
                }
            })
            .map_err(|source| failed(source.to_string()))?;
        Ok(Self { context: context.clone(), counters, thread: Some(thread) })
    }

    /// Where refusals are counted from now on.
    pub fn count_in(&self, counters: &Counters) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = counters.clone();
    }
}

impl Drop for Gate {
    /// After the socket: the end of the context ends the thread.
    fn drop(&mut self) {
        let _no_more_sockets = self.context.destroy();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// What a peer does that speaks no CURVE, or speaks it to another key.
const FAILED: u16 = 0x0800 | 0x2000;

struct Keeper {
    allowed: AllowedClients,
    counters: Arc<Mutex<Counters>>,
    /// Keys that have a counter of their own.
    refused: HashSet<PublicKey>,
    quiet: Quiet,
}

impl Keeper {
    /// Until the context ends.
    fn run(&mut self, questions: &zmq::Socket, events: &zmq::Socket) {
        loop {
            let mut items = [questions.as_poll_item(zmq::POLLIN), events.as_poll_item(zmq::POLLIN)];
            match zmq::poll(&mut items, -1) {
                Ok(_) | Err(zmq::Error::EINTR) => {}
                Err(_) => return,
            }
            while let Ok(question) = questions.recv_multipart(zmq::DONTWAIT) {
                let _unless_the_context_ends = questions.send_multipart(self.answer(&question), 0);
            }
            while let Ok(event) = events.recv_multipart(zmq::DONTWAIT) {
                self.hear(&event);
            }
        }
    }

    /// The answer to a question of RFC 27: version, request, domain, address, identity, mechanism, credentials.
    fn answer(&mut self, question: &[Vec<u8>]) -> [Vec<u8>; 6] {
        let part = |place: usize| question.get(place).cloned().unwrap_or_default();
        let key = PublicKey::from_bytes(&part(6)).filter(|_| part(5) == b"CURVE");
        let (code, text, name) = match key.map(|key| (key, self.allowed.name(&key).map(str::to_owned))) {
            Some((key, Some(name))) => {
                info!(client = name, %key, "client let in");
                ("200", "OK", name)
            }
            Some((key, None)) => {
                self.refuse(key, &String::from_utf8_lossy(&part(3)));
                ("400", "this key is not in allowed_clients", String::new())
            }
            None => ("400", "expected CURVE", String::new()),
        };
        [part(0), part(1), code.into(), text.into(), name.into(), Vec::new()]
    }

    fn refuse(&mut self, key: PublicKey, address: &str) {
        let is_counted =
            self.refused.contains(&key) || self.refused.len() < COUNTED_KEYS && self.refused.insert(key);
        let label = if is_counted { key.to_string() } else { OTHER_KEYS.to_owned() };
        self.count(&[("kind", "key"), ("key", &label)]);
        self.quiet.say("key", || warn!("client key {key} of {address} is not in allowed_clients: refused"));
    }

    fn hear(&mut self, event: &[Vec<u8>]) {
        let address = event.get(1).map(|address| String::from_utf8_lossy(address).into_owned());
        self.count(&[("kind", "handshake"), ("key", "")]);
        self.quiet.say("handshake", || {
            warn!(
                address = address.unwrap_or_default(),
                "a peer's handshake failed: it uses no CURVE, or has another key of ours among its server_keys"
            );
        });
    }

    fn count(&self, labels: &[(&'static str, &str)]) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).add("curve_refusals", labels, 1);
    }
}
