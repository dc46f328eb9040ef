//! Fork and exit: every process sends under its own name, and nobody's end loses the tail.
//!
//! Each scenario runs in a process of its own: this program again, with the scenario's name in the environment. The
//! program that started it holds the receiver's socket, so that no forked child inherits a socket of the receiver.
//!
//! `main` is C's, as in a Python or Node process. Rust's own sets up a report of stack overflows, for which std takes a
//! lock wherever a thread starts or ends; a child forked at that moment hangs in std when it starts a thread or exits,
//! whatever the code around it does (seen here with Rust 1.95, once in ten runs).
#![no_main]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test whose runner is its own: clippy does not know it for one"
)]

mod children;
mod receiver;
mod scenarios;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::c_int,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use metlog_core::wire::batch::{Batch, Header, ProducerId};
use receiver::{Next, Receiver};
use scenarios::{SCENARIOS, Scenario};

/// Names the scenario in the environment of its process.
const SCENARIO: &str = "METLOG_TEST_SCENARIO";

/// Names the folder of the receiver's socket.
const FOLDER: &str = "METLOG_TEST_FOLDER";

/// How long a scenario may take; they take less than a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);

#[expect(unsafe_code, reason = "no other function of this program has that name")]
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    // A panic must not cross into C.
    c_int::from(std::panic::catch_unwind(run).is_err())
}

fn run() {
    if let Ok(name) = std::env::var(SCENARIO) {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a known scenario");
        return (scenario.run)();
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|part| name.contains(part.as_str()));
    for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name)) {
        prove(scenario);
        println!("test {} ... ok", scenario.name);
    }
}

fn prove(scenario: &Scenario) {
    let folder = tempfile::tempdir().unwrap();
    let mut app = Command::new(std::env::current_exe().unwrap())
        .env(SCENARIO, scenario.name)
        .env(FOLDER, folder.path())
        .spawn()
        .unwrap();
    let received = receive(scenario, folder.path(), &mut app);
    received.check(scenario);
}

/// Takes what arrives until the application has ended and all that is expected is here.
fn receive(scenario: &Scenario, folder: &Path, app: &mut Child) -> Received {
    let start = Instant::now();
    let mut receiver = if scenario.is_acked() { Receiver::router() } else { Receiver::pull() };
    let mut received = Received::default();
    let mut is_bound = false;
    let mut ended = None;
    loop {
        if !is_bound && (!scenario.receiver_is_late() || scenarios::receiver_is_wanted(folder)) {
            receiver.bind(&scenarios::endpoint(folder));
            is_bound = true;
        }
        ended = ended.or_else(|| app.try_wait().unwrap());
        match receiver.next() {
            Next::Batch(frame) => received.take(&frame),
            Next::Nothing if ended.is_some() && received.is_complete(scenario) => break,
            Next::Nothing | Next::Other => {}
        }
        if start.elapsed() > DEADLINE {
            app.kill().unwrap();
            panic!("{}: timed out, ended {ended:?}, received {:?}", scenario.name, received.by_kind);
        }
    }
    let status = ended.unwrap();
    assert!(status.success(), "{}: {status}", scenario.name);
    received
}

/// What the receiver has got.
#[derive(Debug, Default)]
struct Received {
    headers: BTreeMap<ProducerId, Vec<Header>>,
    /// Messages by type.
    by_kind: BTreeMap<String, u64>,
    /// The types each producer has sent.
    kinds: BTreeMap<ProducerId, BTreeSet<String>>,
}

impl Received {
    fn take(&mut self, frame: &[u8]) {
        let batch = Batch::parse(frame).unwrap();
        for (_, message) in batch.messages() {
            let message = message.unwrap();
            assert_eq!(message.pid, batch.header.pid, "a message speaks for its own process");
            *self.by_kind.entry(message.kind.clone()).or_default() += 1;
            self.kinds.entry(batch.header.producer).or_default().insert(message.kind);
        }
        self.headers.entry(batch.header.producer).or_default().push(batch.header);
    }

    fn is_complete(&self, scenario: &Scenario) -> bool {
        let has_all =
            |(kind, count): &(&str, u64)| self.by_kind.get(*kind).is_some_and(|found| found >= count);
        let closed = self.headers.values().filter(|headers| headers.iter().any(|header| header.last)).count();
        scenario.messages.iter().all(has_all) && closed >= scenario.producers
    }

    fn check(&self, scenario: &Scenario) {
        let name = scenario.name;
        let found: Vec<_> = self.by_kind.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(found, scenario.messages, "{name}: every message once");
        assert_eq!(self.headers.len(), scenario.producers, "{name}: producers");
        let pids: BTreeSet<_> = self.headers.values().map(|headers| headers[0].pid).collect();
        assert_eq!(pids.len(), scenario.producers, "{name}: each in a process of its own");
        for (producer, headers) in &self.headers {
            let mut next = 0;
            for header in headers {
                assert_eq!(header.first_sequence, next, "{name}: sequences of {producer} are contiguous");
                next = header.end();
            }
            let last = headers.last().unwrap();
            let refused: u64 = last.refused.values().sum();
            assert!(last.last, "{name}: {producer} closed in good order");
            assert_eq!(last.attempted - refused, next, "{name}: the totals of {producer} are its own");
            assert!(
                self.kinds.get(producer).is_none_or(|kinds| kinds.len() == 1),
                "{name}: {:?}",
                self.kinds
            );
        }
    }
}
