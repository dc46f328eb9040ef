//! How long single calls take, the longest among them: a call at a full hand-off, and a call each 10 ms while the worker
//! sleeps, against a control loop that only reads the clock and copies 200 bytes.
//!
//! What the machine does to any loop (interrupts, the scheduler) it does to the control as well; what is ours is the
//! difference. The median of the rounds counts, for each figure.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{cell::RefCell, hint::black_box, process::ExitCode, time::Duration};

use metlog_core::{Client, sender::zmq::Push};

mod support;

use support::{message::send, per_operation};

/// Calls of one round at a full hand-off.
const CALLS: u32 = 10_000_000;

/// Calls of one round with a pause before each.
const SELDOM: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// A figure may exceed the control's by this share: two runs of the control itself differ by as much.
const TOLERANCE: f64 = 1.25;

/// The 99.9th percentile and the longest of a round, in nanoseconds.
#[derive(Clone, Copy)]
struct Tail {
    p999: f64,
    worst: f64,
}

/// Measures every single run of `work`.
fn tail(count: u32, pause: Option<Duration>, work: impl Fn()) -> Tail {
    let clock = quanta::Clock::new();
    let mut times = Vec::with_capacity(count as usize);
    for _ in 0..count {
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
        let start = clock.raw();
        work();
        times.push(clock.delta(start, clock.raw()));
    }
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(f64::NAN, |time| per_operation(*time, 1));
    Tail { p999: at(times.len() - 1 - times.len() / 1_000), worst: at(times.len() - 1) }
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

/// Medians over the rounds of the control and of `ours`, which take turns.
fn compare(name: &str, count: u32, pause: Option<Duration>, ours: impl Fn()) -> bool {
    let (mut controls, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..support::ROUNDS {
        controls.push(tail(count, pause, control));
        calls.push(tail(count, pause, &ours));
    }
    let figures = [("p99.9", (|tail: &Tail| tail.p999) as fn(&Tail) -> f64), ("worst", |tail| tail.worst)];
    let mut kept = true;
    for (figure, of) in figures {
        let (control, call) = (median(controls.iter().map(of)), median(calls.iter().map(of)));
        let ok = call <= control * TOLERANCE;
        kept &= ok;
        let verdict = if ok { "ok" } else { "MISSED" };
        println!(
            "{verdict:<7} {name}, {figure}: {call:.0} ns, control {control:.0} ns, {:.2} x",
            call / control
        );
    }
    kept
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> ExitCode {
    let dead = Push { endpoints: vec!["ipc:///nonexistent/metlog.sock".to_owned()] };
    let full = Client::builder().logger("syncstorage").sender(dead.clone()).build();
    while full.stats().refused.total() < 1_000 {
        send(&full);
    }
    let at_full = compare("refused by a full hand-off", CALLS, None, || send(&full));
    let sleepy = Client::builder().logger("syncstorage").sender(dead).build();
    send(&sleepy);
    let seldom = compare("100 calls a second", SELDOM, Some(PAUSE), || send(&sleepy));
    for client in [full, sleepy] {
        client.close(Duration::from_millis(10));
    }
    if at_full && seldom { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
