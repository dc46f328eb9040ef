//! The scenarios, each in a process of its own.

use std::{
    fs,
    time::{Duration, Instant},
};

use cpu_time::ProcessTime;
use metlog_core::{
    Client, Options,
    config::Settings,
    fields,
    link::{Frame, VERSIONS},
    sender::{acked::Acked, zmq::Push},
    stats::Reason,
};

use crate::seal;

/// A name, what it does, and whether the kernel has to end it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    pub(crate) is_killed: bool,
}

const fn lives(name: &'static str, run: fn()) -> Scenario {
    Scenario { name, run, is_killed: false }
}

pub(crate) const ALL: [Scenario; 14] = [
    lives("a_client_that_is_never_used_has_no_thread_and_no_socket", never_used),
    lives("calls_to_a_full_hand_off_keep_memory_within_the_bound", full_memory),
    lives("acked_delivery_without_a_sidecar_keeps_memory_within_the_bound", acked_full_memory),
    lives("a_sidecar_that_never_acknowledges_keeps_memory_within_the_bound", unacknowledged_memory),
    lives("acked_delivery_without_a_sidecar_takes_hardly_any_time", acked_time),
    lives("large_messages_of_many_threads_keep_memory_within_the_bound", large_messages),
    // Else the others would prove nothing.
    Scenario { name: "a_sealed_thread_that_makes_a_system_call_dies", run: look_around, is_killed: true },
    lives("a_steady_stream_of_calls_makes_no_system_call", steady),
    lives("a_hundred_calls_a_second_make_no_system_call", seldom),
    lives("calls_to_a_full_hand_off_make_no_system_call", refused),
    lives("acked_calls_without_a_sidecar_make_no_system_call", acked_seldom),
    lives("calls_while_much_is_unacknowledged_make_no_system_call", much_unacknowledged),
    lives("calls_while_some_is_unacknowledged_make_no_system_call", some_unacknowledged),
    lives("aggregated_calls_make_no_system_call", aggregated),
];

/// What a client may take beyond `queue_bytes`: its threads' stacks, ZeroMQ, buffers on their way.
const OVERHEAD_BYTES: u64 = 8 * 1024 * 1024;

/// Nobody is there.
fn dead_endpoint() -> Push {
    Push { endpoints: vec![nobody()] }
}

fn nobody() -> String {
    let folder = tempfile::tempdir().unwrap();
    format!("ipc://{}/nobody.sock", folder.path().display())
}

fn acked_client(endpoint: String) -> Client {
    Client::builder().logger("app").sender(Acked { endpoints: vec![endpoint] }).build()
}

/// A receiver that takes everything, and a client that sends to it.
fn live_client(settings: Settings) -> Client {
    let context = zmq::Context::new();
    let pull = context.socket(zmq::PULL).unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = pull.get_last_endpoint().unwrap().unwrap();
    std::thread::spawn(move || while pull.recv_bytes(0).is_ok() {});
    std::mem::forget(context);
    Client::builder().logger("app").sender(Push { endpoints: vec![endpoint] }).settings(settings).build()
}

fn call(client: &Client) {
    let fields = fields(&[("userid", &25), ("req_time", &4), ("path", &"/1.1/bookmarks")]);
    client
        .metlog("services", Options { payload: Some(&"this is the payload!"), fields, ..Options::default() });
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Resident memory, now and at most, in bytes.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    (line("VmRSS:"), line("VmHWM:"))
}

fn never_used() {
    let before = (entries("/proc/self/task"), entries("/proc/self/fd"));
    let client = Client::builder().logger("app").sender(dead_endpoint()).build();
    let clone = client.clone();
    assert_eq!(clone.stats().attempted, 0);
    clone.flush(Duration::from_secs(1));
    assert_eq!((entries("/proc/self/task"), entries("/proc/self/fd")), before);
    client.close(Duration::from_secs(1));
    assert_eq!((entries("/proc/self/task"), entries("/proc/self/fd")), before);
}

fn full_memory() {
    fill(&Client::builder().logger("app").sender(dead_endpoint()).build());
}

fn acked_full_memory() {
    fill(&acked_client(nobody()));
}

fn unacknowledged_memory() {
    fill(&acked_client(silent_sidecar()));
}

/// Where a ROUTER takes every batch and acknowledges none.
fn silent_sidecar() -> String {
    let context = zmq::Context::new();
    let router = context.socket(zmq::ROUTER).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    std::thread::spawn(move || {
        while let Ok(peer) = router.recv_bytes(0) {
            let answer = match Frame::decode(&router.recv_bytes(0).unwrap()).unwrap() {
                Frame::Hello { .. } => Frame::Welcome { version: VERSIONS.1, accepted: 0, credit: u64::MAX },
                Frame::Ping => Frame::Pong,
                _ => continue,
            };
            router.send_multipart([peer, answer.encode()], 0).unwrap();
        }
    });
    std::mem::forget(context);
    endpoint
}

/// Far more than there is room for.
fn fill(client: &Client) {
    let (before, _) = memory();
    (0..10_000_000).for_each(|_| call(client));
    let (_, most) = memory();
    assert!(client.stats().refused.get(Reason::Full) > 9_000_000, "{:?}", client.stats());
    let grown = most.saturating_sub(before);
    let bound = Settings::default().queue_bytes as u64 + OVERHEAD_BYTES;
    assert!(grown <= bound, "grew by {grown} bytes, expected at most {bound}");
    client.close(Duration::from_millis(10));
}

/// Waits for a sidecar that is away, with and without calls and with a flush that waits: a share of one core.
fn acked_time() {
    let client = acked_client(nobody());
    (0..1_000).for_each(|_| call(&client));
    let phases: [(&str, &dyn Fn(Duration)); 3] = [
        ("alone", &std::thread::sleep),
        ("with a flush", &|time| assert!(!client.flush(time))),
        ("with calls", &|time| {
            (0..time.as_millis() / 5).for_each(|_| {
                call(&client);
                std::thread::sleep(Duration::from_millis(5));
            });
        }),
    ];
    for (name, phase) in phases {
        let (start, spent) = (Instant::now(), ProcessTime::now());
        phase(Duration::from_secs(2));
        let share = spent.elapsed().as_secs_f64() / start.elapsed().as_secs_f64();
        println!("{name}: {:.2} % of a core", share * 100.0);
        assert!(share < 0.05, "{name}: {share}");
    }
    assert_eq!(client.stats().sent, 0);
    client.close(Duration::from_millis(10));
}

fn large_messages() {
    let client = Client::builder().logger("app").sender(dead_endpoint()).build();
    let (before, _) = memory();
    let payload = "x".repeat(500_000);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..20 {
                    client.metlog("large", Options { payload: Some(&payload), ..Options::default() });
                }
            });
        }
    });
    let stats = client.stats();
    assert!(stats.accepted >= 7 && stats.refused.get(Reason::Full) > 600, "{stats:?}");
    let (now, _) = memory();
    let grown = now.saturating_sub(before);
    let bound = Settings::default().queue_bytes as u64 + OVERHEAD_BYTES;
    assert!(grown <= bound, "grew by {grown} bytes, expected at most {bound}");
    client.close(Duration::from_millis(10));
}

/// Runs `calls` on a sealed thread, after `warm` on the same thread, and ends the process.
fn sealed(warm: impl FnOnce() + Send, calls: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            warm();
            seal::seal();
            calls();
            seal::end()
        });
    });
}

/// Spins, which is not a system call, until `deadline`.
fn spin_until(deadline: Instant) {
    while Instant::now() < deadline {
        std::hint::spin_loop();
    }
}

/// `count` calls, one each `pause`.
fn paced(count: u32, pause: Duration, call: impl Fn()) {
    let start = Instant::now();
    for n in 0..count {
        spin_until(start + pause * n);
        call();
    }
}

/// The thread has its chunks, the clock is learnt, the worker drains: what a process reaches in its first second.
fn warm(client: &Client) {
    for _ in 0..3 {
        // More than will ever wait below, within the share that is kept for reuse.
        (0..5_000).for_each(|_| call(client));
        assert!(client.flush(Duration::from_secs(20)));
    }
    // Learning the clock takes a thread of its own up to 200 ms.
    std::thread::sleep(Duration::from_millis(500));
    call(client);
}

fn look_around() {
    sealed(|| (), || drop(fs::metadata("/")));
}

fn steady() {
    let client = live_client(Settings::default());
    sealed(|| warm(&client), || paced(20_000, Duration::from_micros(50), || call(&client)));
}

/// The worker sleeps between its looks, and a call does not wake it.
fn seldom() {
    let client = live_client(Settings::default());
    sealed(|| warm(&client), || paced(300, Duration::from_millis(10), || call(&client)));
}

/// While what was sent first waits for its ack.
fn acked_seldom() {
    let client = acked_client(nobody());
    let warmed = || {
        (0..1_000).for_each(|_| call(&client));
        // Learning the clock, and the first batch, which the sender keeps.
        std::thread::sleep(Duration::from_millis(500));
        call(&client);
        std::thread::sleep(Duration::from_millis(100));
    };
    sealed(warmed, || paced(300, Duration::from_millis(5), || call(&client)));
}

/// So much is unacknowledged that a resting worker would be woken.
fn much_unacknowledged() {
    unacknowledged(25_000);
}

/// More than the share at which a call wakes a worker that naps, and less than a quarter: each call woke it.
fn some_unacknowledged() {
    unacknowledged(3_000);
}

fn unacknowledged(count: u32) {
    let client = acked_client(silent_sidecar());
    sealed(|| warm_unacknowledged(&client, count), || paced(300, Duration::from_millis(5), || call(&client)));
}

fn warm_unacknowledged(client: &Client, count: u32) {
    (0..count).for_each(|n| {
        call(client);
        if n % 1_000 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    // Learning the clock, and room for what comes.
    std::thread::sleep(Duration::from_millis(500));
    call(client);
}

fn refused() {
    let client = Client::builder().logger("app").sender(dead_endpoint()).build();
    sealed(|| warm_refused(&client), || paced(20_000, Duration::from_micros(50), || call(&client)));
}

/// Until nothing is taken any more.
fn warm_refused(client: &Client) {
    while client.stats().refused.get(Reason::Full) < 1_000 {
        call(client);
    }
    std::thread::sleep(Duration::from_millis(500));
    call(client);
}

fn aggregated() {
    let settings = Settings { aggregate: true, ..Settings::default() };
    let client = live_client(settings);
    let (counter, timers) = (client.counter("handle"), client.clone());
    let calls = || {
        counter.incr();
        client.incr("name");
        timers.timer_send("request", Duration::from_millis(3));
    };
    let warmed = || {
        warm(&client);
        (0..1_000).for_each(|_| calls());
    };
    sealed(warmed, || paced(20_000, Duration::from_micros(50), calls));
}
