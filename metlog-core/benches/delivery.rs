//! Delivery: what a message costs the client's whole process until a receiver in another process has counted it, and how
//! many messages one client process delivers.
//!
//! The floor does what cannot be left out: rmp encode, a ring of bytes for each thread, frames of 64 KiB on the same kind
//! of socket. A client whose hand-off fills is slowed, not refused: all that is measured is delivered, and checked.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints, and needs its sockets")]

#[path = "support/receiver.rs"]
mod receiver;
#[path = "support/sidecar.rs"]
mod sidecar;
mod support;

use std::{
    fs,
    path::Path,
    process::ExitCode,
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use metlog_core::{
    Client,
    config::Settings,
    sender::{self, Target, acked::Acked, zmq::Push},
    stats::Reason,
};
use receiver::{Kind, Receiver};
use rtrb::{Consumer, Producer, RingBuffer};
use sidecar::Sidecar;
use support::{
    Measure, ROUNDS, in_this_process, measure,
    message::{encode, send},
    per_operation, run,
};

/// Messages of one round whose CPU time is measured, by all threads together.
const COUNT: u32 = 400_000;

/// Messages of one round whose rate is measured: for so long that starting the threads does not count.
const MANY: u32 = 1_600_000;

/// Messages whose way to the ack is timed, one after another.
const SINGLE: u32 = 40;

/// Messages between two looks at how much waits.
const STRIDE: u32 = 2_000;

/// More waiting messages than this slow the callers: half of what the hand-off holds, so that the worker never waits.
const WAITING: u64 = 20_000;

const NAP: Duration = Duration::from_millis(1);
const TIMEOUT: Duration = Duration::from_secs(30);
const FRAME_BYTES: usize = 64 * 1024;
const RING_BYTES: usize = 1024 * 1024;

/// Batches in the socket's buffer, as the client has it.
const HIGH_WATER_MARK: i32 = 8;

fn client(target: impl Target + 'static) -> Client {
    Client::builder().logger("syncstorage").sender(target).build()
}

/// Sends `count` messages from `threads` threads; all are accepted.
fn flood(client: &Client, count: u32, threads: u32) {
    let before = client.stats().accepted;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| send_paced(client, count / threads));
        }
    });
    loop {
        let accepted = client.stats().accepted - before;
        let missing = u64::from(count).saturating_sub(accepted);
        if missing == 0 {
            return;
        }
        send_paced(client, u32::try_from(missing).unwrap_or(count));
    }
}

/// Naps when much waits, and when calls were refused since the last look: those are made again later.
fn send_paced(client: &Client, count: u32) {
    let (mut left, mut refused) = (count, client.stats().refused.total());
    while left > 0 {
        loop {
            let stats = client.stats();
            let before = std::mem::replace(&mut refused, stats.refused.total());
            if refused == before && stats.waiting <= WAITING {
                break;
            }
            thread::sleep(NAP);
        }
        let some = left.min(STRIDE);
        (0..some).for_each(|_| send(client));
        left -= some;
    }
}

/// A socket that sends what it is given, as the floor and the ready-made frames use it.
struct Plain(zmq::Socket);

impl Plain {
    fn connect(receiver: &Receiver) -> Self {
        let socket = zmq::Context::new().socket(zmq::PUSH).expect("a socket");
        socket.set_sndhwm(HIGH_WATER_MARK).expect("a bound");
        socket.connect(&receiver.endpoint).expect("a receiver");
        Self(socket)
    }

    fn send(&self, frame: &[u8]) {
        self.0.send(frame, 0).expect("the receiver takes it");
    }

    /// The floor: `count` messages from `threads` threads.
    fn flood(&mut self, count: u32, threads: u32) {
        let (producers, consumers): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| RingBuffer::<u8>::new(RING_BYTES)).unzip();
        let ended = AtomicBool::new(false);
        let (socket, ended) = (&mut *self, &ended);
        thread::scope(|scope| {
            let worker = scope.spawn(move || socket.drain(consumers, ended));
            let callers = producers.into_iter().map(|ring| scope.spawn(move || fill(ring, count / threads)));
            callers.collect::<Vec<_>>().into_iter().for_each(|caller| caller.join().expect("a caller"));
            ended.store(true, Ordering::Release);
            worker.join().expect("the worker");
        });
    }

    /// Packs what lies in the rings into frames; every ring holds whole records.
    fn drain(&mut self, mut rings: Vec<Consumer<u8>>, ended: &AtomicBool) {
        let mut frame = Vec::with_capacity(FRAME_BYTES * 2);
        loop {
            let last = ended.load(Ordering::Acquire);
            let mut moved = 0;
            for ring in &mut rings {
                // Whole records alone, as they are all of one length.
                let bytes = ring.slots().min(FRAME_BYTES) / record_bytes() * record_bytes();
                let Ok(chunk) = ring.read_chunk(bytes) else { continue };
                let (first, second) = chunk.as_slices();
                frame.extend_from_slice(first);
                frame.extend_from_slice(second);
                chunk.commit_all();
                moved += bytes;
                if frame.len() >= FRAME_BYTES - record_bytes() {
                    self.send(&frame);
                    frame.clear();
                }
            }
            if moved == 0 && last {
                break;
            }
            if moved < FRAME_BYTES / 2 {
                thread::sleep(NAP);
            }
        }
        if !frame.is_empty() {
            self.send(&frame);
        }
    }
}

/// One record of the floor: its length, little-endian, and the message.
fn write_record(record: &mut Vec<u8>) {
    record.clear();
    record.extend_from_slice(&[0; 4]);
    encode(record).expect("memory has room");
    let length = u32::try_from(record.len() - 4).unwrap_or(0);
    if let Some(place) = record.get_mut(..4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

fn record_bytes() -> usize {
    static BYTES: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {
        let mut record = Vec::new();
        write_record(&mut record);
        record.len()
    });
    *BYTES
}

fn fill(mut ring: Producer<u8>, count: u32) {
    let mut record = Vec::with_capacity(256);
    for _ in 0..count {
        write_record(&mut record);
        while ring.push_entire_slice(&record).is_err() {
            thread::sleep(NAP);
        }
    }
}

/// A batch of the client's own bytes, as large as a batch gets, and how many messages it has.
fn ready_made() -> (Vec<u8>, u32) {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { batch_messages: u64::MAX, ..Settings::default() };
    let client = Client::builder().logger("syncstorage").sender(memory).settings(settings).build();
    (0..5_000).for_each(|_| send(&client));
    assert!(client.flush(TIMEOUT));
    client.close(TIMEOUT);
    let frame = captured.frames().into_iter().max_by_key(Vec::len).expect("a batch");
    let count = metlog_core::wire::batch::Batch::parse(&frame).expect("a batch").header.count();
    (frame, u32::try_from(count).expect("fewer"))
}

/// CPU time of this process and wall time, for a message.
fn both_times(count: u32, work: impl FnOnce()) -> (f64, f64) {
    let started = Instant::now();
    let cpu = in_this_process(count, work);
    (cpu, per_operation(started.elapsed(), count))
}

/// A client and its receiver.
struct Pair {
    client: Client,
    receiver: Receiver,
}

impl Pair {
    fn push(endpoint: &str) -> Self {
        let receiver = Receiver::start(Kind::Pull, endpoint).expect("a receiver");
        let client = client(Push { endpoints: vec![receiver.endpoint.clone()] });
        Self { client, receiver }
    }

    fn acked(endpoint: &str) -> Self {
        let receiver = Receiver::start(Kind::Router, endpoint).expect("a receiver");
        let client = client(Acked { endpoints: vec![receiver.endpoint.clone()] });
        Self { client, receiver }
    }

    fn deliver(&mut self, count: u32, threads: u32) -> (f64, f64) {
        let Self { client, receiver } = self;
        both_times(count, || {
            receiver.receives(count, || {
                flood(client, count, threads);
                assert!(client.flush(TIMEOUT), "all has left");
            });
        })
    }

    /// Wall time of one message until flush says that it is as safe as the sender makes it.
    fn single(&mut self) -> f64 {
        let Self { client, receiver } = self;
        let mut nanos = 0.0;
        receiver.receives(SINGLE, || {
            let started = Instant::now();
            for _ in 0..SINGLE {
                send(client);
                assert!(client.flush(TIMEOUT));
            }
            nanos = per_operation(started.elapsed(), SINGLE);
        });
        nanos
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let stats = self.client.stats();
        println!(
            "{} accepted, {} sent, {} dropped; {} calls were refused for a full hand-off and made again",
            stats.accepted,
            stats.sent,
            stats.dropped.total(),
            stats.refused.get(Reason::Full)
        );
        self.client.close(TIMEOUT);
    }
}

fn deliver_plain(receiver: &mut Receiver, socket: &mut Plain, count: u32, threads: u32) -> (f64, f64) {
    both_times(count, || receiver.receives(count, || socket.flood(count, threads)))
}

const FLOOR: [&str; 2] = ["floor on tcp, 1 thread: CPU", "floor on tcp, 4 threads: CPU"];
const OURS: [&str; 2] = ["metlog push on tcp, 1 thread: CPU", "metlog push on tcp, 4 threads: CPU"];
const READY_MADE: &str = "ready-made frames on ipc: wall";
const FLOOR_WALL: [&str; 2] = ["floor on ipc, 1 thread: wall", "floor on ipc, 4 threads: wall"];
const WALL: [&str; 2] = ["metlog push on ipc, 1 thread: wall", "metlog push on ipc, 4 threads: wall"];

/// Whole-process CPU on tcp.
fn on_tcp() -> Vec<Measure<'static>> {
    let mut measures = Vec::new();
    for (threads, (floor, ours)) in [1, 4].into_iter().zip(FLOOR.into_iter().zip(OURS)) {
        let mut receiver = Receiver::start(Kind::Pull, "tcp://127.0.0.1:*").expect("a receiver");
        let mut socket = Plain::connect(&receiver);
        measures.push(measure(floor, move || deliver_plain(&mut receiver, &mut socket, COUNT, threads).0));
        let mut pair = Pair::push("tcp://127.0.0.1:*");
        measures.push(measure(ours, move || pair.deliver(COUNT, threads).0));
    }
    measures
}

/// Messages a second on ipc.
fn on_ipc(folder: &str) -> Vec<Measure<'static>> {
    let mut receiver =
        Receiver::start(Kind::Pull, &format!("ipc://{folder}/ready.sock")).expect("a receiver");
    let socket = Plain::connect(&receiver);
    let (frame, each) = ready_made();
    let count = MANY / each * each;
    let mut measures = vec![measure(READY_MADE, move || {
        let started = Instant::now();
        receiver.receives(count, || (0..count / each).for_each(|_| socket.send(&frame)));
        per_operation(started.elapsed(), count)
    })];
    for (threads, (floor, name)) in [1, 4].into_iter().zip(FLOOR_WALL.into_iter().zip(WALL)) {
        let mut receiver =
            Receiver::start(Kind::Pull, &format!("ipc://{folder}/floor{threads}.sock")).expect("a receiver");
        let mut socket = Plain::connect(&receiver);
        measures.push(measure(floor, move || deliver_plain(&mut receiver, &mut socket, MANY, threads).1));
        let mut pair = Pair::push(&format!("ipc://{folder}/ours{threads}.sock"));
        measures.push(measure(name, move || pair.deliver(MANY, threads).1));
    }
    measures
}

/// Acknowledged delivery beside push, both on ipc, from one thread.
fn acked_beside_push(folder: &str) -> Vec<Measure<'static>> {
    let mut measures = Vec::new();
    for (word, pair) in [
        ("push", Pair::push(&format!("ipc://{folder}/push.sock"))),
        ("acked", Pair::acked(&format!("ipc://{folder}/acked.sock"))),
    ] {
        let pair = Rc::new(std::cell::RefCell::new(pair));
        let (cpu, wall, single) = (pair.clone(), pair.clone(), pair);
        let cpu = move || cpu.borrow_mut().deliver(COUNT, 1).0;
        let wall = move || wall.borrow_mut().deliver(COUNT, 1).1;
        let single = move || single.borrow_mut().single();
        measures.push(measure(format!("{word} on ipc: CPU"), cpu));
        measures.push(measure(format!("{word} on ipc: wall"), wall));
        measures.push(measure(format!("{word} on ipc: one message and its flush"), single));
    }
    measures
}

/// The word that makes this benchmark a client of which only the memory counts.
const MEMORY: &str = "--memory-of";

/// Before a delivery: to the sidecar itself.
const SIDECAR: &str = "sidecar-";

/// The most memory a process has used that delivered a few times [`COUNT`] messages; `word` says how.
fn memory(word: &str, folder: &str) -> String {
    let exe = std::env::current_exe().expect("a program");
    let output = std::process::Command::new(exe).args([MEMORY, word, folder]).output().expect("a client");
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

fn show_memory(word: &str, folder: &str) {
    if let Some(word) = word.strip_prefix(SIDECAR) {
        sidecar::deliver_only(word, Path::new(folder));
    } else {
        let endpoint = format!("ipc://{folder}/memory-{word}.sock");
        let mut pair = if word == "push" { Pair::push(&endpoint) } else { Pair::acked(&endpoint) };
        for _ in 0..ROUNDS {
            pair.deliver(COUNT, 1);
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}

fn main() -> ExitCode {
    if receiver::serve() {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, which, folder] = arguments.as_slice()
        && word == MEMORY
    {
        show_memory(which, folder);
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy();
    let mut measures = on_tcp();
    measures.extend(on_ipc(&path));
    measures.extend(acked_beside_push(&path));
    let sidecar = Sidecar::start(folder.path()).map(Rc::new);
    match &sidecar {
        Some(sidecar) => measures.extend(sidecar::measures(sidecar)),
        None => println!("left out, as it is not built: delivery to the sidecar (build -p metlog-sidecar)"),
    }
    let medians = run(measures);
    println!();
    let words = ["push", "acked", "sidecar-push", "sidecar-acked"];
    for word in words.into_iter().take(if sidecar.is_some() { 4 } else { 2 }) {
        println!("a process of its own, {word:<13}: {}", memory(word, &path));
    }
    for (ours, floor) in OURS.into_iter().zip(FLOOR) {
        medians.at_most(ours, 1.6, &[floor]);
    }
    for name in WALL {
        medians.as_fast(name, 0.7, READY_MADE);
    }
    medians.exit_code()
}
