//! Messages of the original clients that publish: the input `sub` and its handshake.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as it does")]

use std::{collections::BTreeSet, time::Duration};

use metlog_pipeline::audit::Verdict;
use metlog_tests::{Daemon, Setup, System, number, reload, wait_until};

/// A publisher, and its context, which ends after it.
struct Publisher {
    socket: zmq::Socket,
    context: zmq::Context,
}

impl Publisher {
    fn new(open: impl FnOnce(&zmq::Socket)) -> Self {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::XPUB).unwrap();
        socket.set_rcvtimeo(20_000).unwrap();
        open(&socket);
        Self { socket, context }
    }

    /// Waits until somebody subscribes: what is published before is lost.
    fn heard(self) -> Self {
        assert_eq!(self.socket.recv_bytes(0).unwrap().first(), Some(&1));
        self
    }

    fn publish(&self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.socket.send(&message(n), 0).unwrap();
        }
    }
}

fn message(n: u64) -> String {
    format!("{{\"type\":\"published\",\"fields\":{{\"n\":{n}}}}}\n")
}

fn ask(system: &System) {
    let context = zmq::Context::new();
    let question = context.socket(zmq::REQ).unwrap();
    question.set_linger(0).unwrap();
    question.set_rcvtimeo(20_000).unwrap();
    question.connect(&system.sidecar.listening("sub_handshake")).unwrap();
    question.send("", 0).unwrap();
    assert_eq!(question.recv_multipart(0).unwrap(), [Vec::<u8>::new()]);
}

fn malformed(daemon: &Daemon) -> u64 {
    daemon.counter("metlog_input_malformed_total{input=\"sub\",reason=\"malformed\"}")
}

fn arrived(system: &System, end: u64) {
    let messages = system.wait_for("published", usize::try_from(end).unwrap());
    let numbers: BTreeSet<u64> = messages.iter().map(|message| number(message, "/fields/n")).collect();
    assert_eq!((messages.len(), numbers.len()), (numbers.len(), usize::try_from(end).unwrap()));
}

#[test]
fn publishers_that_connect_and_those_that_bind_are_heard_over_a_reload() {
    let binding = Publisher::new(|socket| socket.bind("tcp://127.0.0.1:*").unwrap());
    let endpoint = binding.socket.get_last_endpoint().unwrap().unwrap();
    let system = System::start(Setup {
        sidecar: &format!(
            "[input.sub]\nbind = [\"tcp://127.0.0.1:*\"]\nconnect = [\"{endpoint}\"]\n\
             handshake = \"tcp://127.0.0.1:*\"\n"
        ),
        ..Setup::default()
    });
    let address = system.sidecar.listening("sub");
    let connecting = Publisher::new(|socket| socket.connect(&address).unwrap()).heard();
    let binding = binding.heard();
    ask(&system);
    connecting.publish(0..100);
    binding.publish(100..200);
    arrived(&system, 200);

    // What is published while it reloads waits in the socket, and nobody has to subscribe anew.
    let sender = std::thread::spawn(move || {
        for n in 200..700 {
            connecting.publish(n..n + 1);
            std::thread::sleep(Duration::from_millis(1));
        }
        connecting
    });
    reload(&system.sidecar);
    let connecting = sender.join().unwrap();
    ask(&system);
    binding.publish(700..800);
    arrived(&system, 800);
    wait_until("a balance", || system.grater.audit().verdict == Verdict::Balanced);
    drop((connecting.context, binding.context));
}

#[test]
fn topics_are_no_messages_and_what_makes_no_sense_is_counted() {
    let system = System::start(Setup {
        sidecar: "[input.sub]\nbind = [\"ipc://HOME/sub.sock\"]\ntopics = [\"metlog\", \"{\"]\n",
        ..Setup::default()
    });
    let endpoint = format!("ipc://{}/sub.sock", system.home().display());
    let publisher = Publisher::new(|socket| socket.connect(&endpoint).unwrap()).heard().heard();
    let send = |frames: &[&str]| publisher.socket.send_multipart(frames, 0).unwrap();
    send(&["metlog.app", &message(0)]);
    send(&["other", &message(99)]);
    send(&[&message(1), &message(2)]);
    send(&["{no message"]);
    send(&["{\"type\":3}", "nonsense"]);
    send(&["metlog", "\u{0}\u{1}"]);
    publisher.publish(3..4);
    arrived(&system, 4);
    assert_eq!(malformed(&system.sidecar), 4);
    wait_until("a balance", || system.grater.audit().verdict == Verdict::Balanced);
}
