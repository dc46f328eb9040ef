//! Acknowledged delivery: what counts as sent, what a flush waits for, and what a sidecar that goes away costs.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use metlog_core::{
    Client, Options,
    config::Settings,
    link::{Frame, VERSIONS},
    sender::acked::Acked,
    wire::batch::Batch,
};

/// Generous: what is waited for comes in milliseconds unless it never comes.
const SOON: Duration = Duration::from_secs(20);

/// A ROUTER socket as the sidecar has one, which acknowledges when it is told to.
struct Sidecar {
    socket: zmq::Socket,
    _context: zmq::Context,
    peer: Vec<u8>,
    /// The last batch it has, and the messages of all of them.
    accepted: u64,
    messages: u64,
}

impl Sidecar {
    fn bind(endpoint: &str) -> Self {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::ROUTER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(5).unwrap();
        socket.bind(endpoint).unwrap();
        Self { socket, _context: context, peer: Vec::new(), accepted: 0, messages: 0 }
    }

    fn endpoint(&self) -> String {
        self.socket.get_last_endpoint().unwrap().unwrap()
    }

    /// Takes a frame, if one comes; true for a batch.
    fn step(&mut self) -> bool {
        let Ok(peer) = self.socket.recv_bytes(0) else { return false };
        let frame = self.socket.recv_bytes(0).unwrap();
        self.peer = peer;
        match Frame::decode(&frame).unwrap() {
            Frame::Hello { .. } => {
                let (version, accepted) = (VERSIONS.1, self.accepted);
                self.say(&Frame::Welcome { version, accepted, credit: 1 << 20 });
            }
            Frame::Batch { sequence, batch, .. } if sequence > self.accepted => {
                self.accepted = sequence;
                self.messages += Batch::parse(batch).unwrap().header.count();
                return true;
            }
            _ => {}
        }
        false
    }

    fn take(&mut self, messages: u64) {
        until("all messages received", || {
            self.step();
            self.messages >= messages
        });
    }

    fn say(&self, frame: &Frame<'_>) {
        self.socket.send_multipart([self.peer.clone(), frame.encode()], 0).unwrap();
    }

    fn acknowledge(&self) {
        self.say(&Frame::Ack { sequence: self.accepted });
    }

    /// Acknowledges each batch so long after it came, until the stop is set.
    fn serve(mut self, delay: Duration, stop: &Arc<AtomicBool>) -> JoinHandle<Self> {
        let stop = Arc::clone(stop);
        std::thread::spawn(move || {
            let mut owed = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) || !owed.is_empty() {
                if self.step() {
                    owed.push_back((self.accepted, Instant::now() + delay));
                }
                while let Some((sequence, _)) = owed.pop_front_if(|(_, due)| *due <= Instant::now()) {
                    self.say(&Frame::Ack { sequence });
                }
            }
            self
        })
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        std::thread::yield_now();
    }
}

fn client(endpoint: String, settings: Settings) -> Client {
    Client::builder().sender(Acked { endpoints: vec![endpoint] }).settings(settings).build()
}

fn send(client: &Client, count: usize) {
    (0..count).for_each(|_| client.metlog("test", Options::default()));
}

/// Such a batch used to count as sent.
#[test]
fn what_is_not_acknowledged_waits_and_is_sent_when_it_is() {
    let mut sidecar = Sidecar::bind("tcp://127.0.0.1:*");
    let client = client(sidecar.endpoint(), Settings::default());
    send(&client, 10);
    sidecar.take(10);
    assert!(!client.flush(Duration::from_millis(100)), "nothing is safe yet");
    assert_eq!((client.stats().sent, client.stats().waiting), (0, 10));
    sidecar.acknowledge();
    assert!(client.flush(SOON));
    assert_eq!((client.stats().sent, client.stats().waiting), (10, 0));
    send(&client, 5);
    sidecar.take(15);
    assert_eq!((client.stats().sent, client.stats().waiting), (10, 5));
    let report = client.close(Duration::from_millis(100));
    assert_eq!((report.sent, report.waiting, report.dropped), (10, 0, 5), "never acknowledged");
}

/// The worker used to sleep `batch_age` before it looked for the ack.
#[test]
fn a_flush_ends_with_the_ack() {
    let (sidecar, stop) = (Sidecar::bind("tcp://127.0.0.1:*"), Arc::default());
    let settings = Settings { batch_age: Duration::from_secs(2), ..Settings::default() };
    let client = client(sidecar.endpoint(), settings);
    let serving = sidecar.serve(Duration::ZERO, &stop);
    send(&client, 1);
    assert!(client.flush(SOON));
    let start = Instant::now();
    for _ in 0..5 {
        send(&client, 1);
        assert!(client.flush(SOON));
    }
    assert!(start.elapsed() < Duration::from_secs(1), "five flushes took {:?}", start.elapsed());
    client.close(SOON);
    stop.store(true, Ordering::Relaxed);
    assert_eq!(serving.join().unwrap().messages, 6);
}

/// It used to wait until nothing at all was unacknowledged, which under load is never.
#[test]
fn a_flush_ends_while_others_go_on_sending() {
    let (sidecar, stop) = (Sidecar::bind("tcp://127.0.0.1:*"), Arc::default());
    let settings = Settings { batch_age: Duration::from_millis(1), ..Settings::default() };
    let client = client(sidecar.endpoint(), settings);
    let serving = sidecar.serve(Duration::from_millis(50), &stop);
    let sending = {
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                send(&client, 1);
                std::thread::sleep(Duration::from_micros(200));
            }
        })
    };
    until("the stream to flow", || client.stats().accepted > 100);
    let flushed = (0..3).all(|_| {
        let accepted = client.stats().accepted;
        client.flush(SOON / 4) && client.stats().sent >= accepted
    });
    stop.store(true, Ordering::Relaxed);
    sending.join().unwrap();
    assert!(flushed, "{:?}", client.stats());
    // The sidecar ends with the sending, so that what came last may be unacknowledged.
    client.close(Duration::from_millis(500));
    serving.join().unwrap();
}

/// From the flush on they used to leave with every round of the worker, also after it had timed out.
#[test]
fn sums_leave_once_with_a_flush_however_long_it_waits() {
    let mut sidecar = Sidecar::bind("tcp://127.0.0.1:*");
    let settings = Settings { aggregate_interval: SOON, ..Settings::default() };
    let client = client(sidecar.endpoint(), settings);
    let counter = client.counter("clicks");
    counter.incr();
    let flushing = {
        let client = client.clone();
        std::thread::spawn(move || client.flush(Duration::from_millis(200)))
    };
    sidecar.take(1);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(400) {
        counter.incr();
        sidecar.step();
    }
    assert!(!flushing.join().unwrap(), "nothing is acknowledged");
    assert_eq!(sidecar.messages, 1, "the sum that left with the flush");
    client.close(Duration::from_millis(100));
    sidecar.take(2);
}

/// Small batches used to pile up in the sender, each with a header, at the pace of the calls.
#[test]
fn without_a_sidecar_messages_stay_in_the_hand_off_and_leave_in_few_batches() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}/link.sock", folder.path().display());
    let settings = Settings { batch_age: Duration::from_millis(1), ..Settings::default() };
    let client = client(endpoint.clone(), settings);
    for _ in 0..100 {
        send(&client, 1);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(!client.flush(Duration::from_millis(50)), "nobody is there");
    assert_eq!((client.stats().sent, client.stats().waiting), (0, 100));
    let mut sidecar = Sidecar::bind(&endpoint);
    sidecar.take(100);
    assert!(sidecar.accepted <= 5, "{} batches", sidecar.accepted);
    sidecar.acknowledge();
    assert!(client.flush(SOON));
    assert_eq!(client.close(Duration::from_millis(100)).sent, 100);
}
