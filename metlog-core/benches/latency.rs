//! How long single calls take, the longest among them: at a full hand-off against a control loop that only reads the clock
//! and copies 200 bytes, and each 10 ms while the worker sleeps, against the same loop and the peers.
//!
//! What the machine does to any loop (interrupts, the scheduler) it does to the control as well; what is ours is the
//! difference. A call each 10 ms finds the processor's caches cold: it costs what it touches, code and all.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod support;

use std::{cell::RefCell, hint::black_box, io, process::ExitCode, time::Duration};

use metlog_core::{Client, Error, sender, sender::zmq::Push};
use slog::Drain;
use support::{message::send, per_operation};

/// Calls of one round at a full hand-off.
const CALLS: u32 = 10_000_000;

/// Calls of one round with a pause before each: one in a thousand is to be seen.
const SELDOM: u32 = 1_000;

/// Before each of two that take turns: each of them is called a hundred times a second.
const PAUSE: Duration = Duration::from_millis(5);

/// Calls of the peers, of which the middle is of interest.
const SELDOM_BY_PEERS: u32 = 200;

/// A figure may exceed the control's by this share: two runs of the control itself differ by as much.
const TOLERANCE: f64 = 1.25;

/// How long each run of each of `works` takes, in order of length. They take turns call by call, so that what the machine
/// does for a while it does to all.
fn times<const N: usize>(count: u32, pause: Option<Duration>, works: [&dyn Fn(); N]) -> [Vec<Duration>; N] {
    let clock = quanta::Clock::new();
    let mut times = works.map(|_| Vec::with_capacity(count as usize));
    for _ in 0..count {
        for (times, work) in times.iter_mut().zip(works) {
            if let Some(pause) = pause {
                std::thread::sleep(pause);
            }
            let start = clock.raw();
            work();
            times.push(clock.delta(start, clock.raw()));
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    times
}

/// The time that so many of a thousand runs do not exceed, in nanoseconds.
fn of_a_thousand(times: &[Duration], share: usize) -> f64 {
    let place = (times.len() - 1) * share / 1_000;
    times.get(place).map_or(f64::NAN, |time| per_operation(*time, 1))
}

/// The same as the median of all rounds.
fn median_of(rounds: &[Vec<Duration>], share: usize) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(|times| of_a_thousand(times, share)).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

thread_local! {
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn control() {
    KEPT.with_borrow_mut(|kept| {
        kept.clear();
        black_box(quanta::Instant::now());
        kept.extend_from_slice(black_box(&[7; 200]));
        black_box(kept.len());
    });
}

/// Prints a figure beside the control's, and whether it keeps the bar.
fn verdict(name: &str, figure: f64, control: f64) -> bool {
    let ok = figure <= control * TOLERANCE;
    let word = if ok { "ok" } else { "MISSED" };
    println!("{word:<7} {name}: {figure:.0} ns, control {control:.0} ns, {:.2} x", figure / control);
    ok
}

/// Ten million calls a round, taking turns with the control; medians of the rounds.
fn at_a_full_hand_off() -> bool {
    let nobody = Push { endpoints: vec!["ipc:///nonexistent/metlog.sock".to_owned()] };
    let client = Client::builder().logger("syncstorage").sender(nobody).build();
    while client.stats().refused.total() < 1_000 {
        send(&client);
    }
    let (mut controls, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..support::ROUNDS {
        controls.extend(times(CALLS, None, [&control]));
        calls.extend(times(CALLS, None, [&|| send(&client)]));
    }
    client.close(Duration::from_millis(10));
    let both = |share| [&calls, &controls].map(|rounds| median_of(rounds, share));
    let ([p999, control_p999], [worst, control_worst]) = (both(999), both(1_000));
    verdict("refused by a full hand-off, p99.9", p999, control_p999)
        & verdict("refused by a full hand-off, worst", worst, control_worst)
}

/// A sender that takes everything.
struct Sink;

impl sender::Target for Sink {
    fn connect(&self) -> Result<Box<dyn sender::Sender>, Error> {
        Ok(Box::new(Self))
    }
}

impl sender::Sender for Sink {
    fn send(&mut self, batch: &sender::Outgoing) -> Result<sender::Delivery, Error> {
        black_box(&**batch);
        Ok(sender::Delivery::ALL)
    }
}

/// A call each 10 ms, ours and the control's in turn, then those of the peers.
fn seldom() -> bool {
    let client = Client::builder().logger("syncstorage").sender(Sink).build();
    let ours = || send(&client);
    // What a thread keeps for later has its size.
    times(3_000, None, [&control, &ours]);
    let (mut controls, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..support::ROUNDS {
        let [control, ours] = times(SELDOM, Some(PAUSE), [&control, &ours]);
        controls.push(control);
        calls.push(ours);
    }
    client.close(Duration::from_millis(10));
    show("control", &controls);
    show("metlog", &calls);
    show_peers();
    verdict("100 calls a second, p99.9", median_of(&calls, 999), median_of(&controls, 999))
}

fn show(name: &str, rounds: &[Vec<Duration>]) {
    let [middle, p999, worst] = [500, 999, 1_000].map(|share| median_of(rounds, share));
    println!("{name:<31} each 10 ms: median {middle:>6.0}, p99.9 {p999:>6.0}, worst {worst:>6.0} ns");
}

fn show_peers() {
    let (writer, _guard) = tracing_appender::non_blocking(io::sink());
    let tracing = tracing::Dispatch::new(tracing_subscriber::fmt().json().with_writer(writer).finish());
    let drain = slog_async::Async::new(slog_json::Json::default(io::sink()).ignore_res()).build().fuse();
    let slog = slog::Logger::root(drain, slog::o!("logger" => "syncstorage"));
    let traced = || {
        tracing::info!(userid = 25, req_time = 4, path = "/1.1/bookmarks", "this is the payload!");
    };
    let by_tracing = || tracing::dispatcher::with_default(&tracing, traced);
    let by_slog = || {
        slog::info!(slog, "this is the payload!"; "type" => "services", "userid" => 25, "req_time" => 4, "path" => "/1.1/bookmarks");
    };
    times(3_000, None, [&by_tracing, &by_slog]);
    let [by_tracing, by_slog] = times(SELDOM_BY_PEERS, Some(PAUSE), [&by_tracing, &by_slog]);
    show("tracing JSON, tracing-appender", &[by_tracing]);
    show("slog-async JSON", &[by_slog]);
}

fn main() -> ExitCode {
    if at_a_full_hand_off() & seldom() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
