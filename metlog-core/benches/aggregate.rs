//! What a counter, a gauge and a timer cost when the client aggregates, beside the floors and the nearest peer.
//!
//! `cargo bench -p metlog-core --bench aggregate` prints nanoseconds of CPU time per call, medians of 7 rounds in
//! which all measurements take turns, and whether each bar is met. It ends with 1 when one is not.
#![expect(clippy::print_stdout, reason = "a report")]

use std::{
    cell::RefCell,
    collections::HashMap,
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cpu_time::ThreadTime;
use metlog_core::{aggregate::Aggregates, sketch::Sketch};

const ROUNDS: usize = 7;
const CALLS: u32 = 2_000_000;
const NAME: &str = "sync.auth.ok";

thread_local! {
    static CELL: AtomicU64 = const { AtomicU64::new(0) };
    static MAP: RefCell<HashMap<String, u64, foldhash::fast::RandomState>> = RefCell::default();
}

/// A measurement, with what it is held against.
struct Case<'a> {
    name: &'static str,
    work: Box<dyn Fn() + 'a>,
    /// The largest share of another's time, and nanoseconds on top.
    bars: &'static [(&'static str, f64, f64)],
}

fn main() -> ExitCode {
    // As in an application: others add, and the worker reads, while we measure.
    let aggregates = Aggregates::new(10_000, || {});
    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let (aggregates, stop) = (aggregates.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                aggregates.flush(&mut |sum| !black_box(sum.payload()).contains('x'));
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    };
    let counter =
        prometheus::IntCounter::new("sync_auth_ok", "as ours").unwrap_or_else(|_| std::process::abort());
    let clock = quanta::Clock::new();
    // The first timer sets off a thread that learns the speed of the processor's counter.
    drop(aggregates.start(NAME));
    std::thread::sleep(Duration::from_millis(300));
    let cases = cases(&aggregates, &counter, &clock);
    let times = measure(&cases);
    let ok = report(&cases, &times);
    stop.store(true, Ordering::Relaxed);
    let joined = worker.join().is_ok();
    if ok && joined { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs `call` a great many times inside one virtual call.
fn many<'a>(call: impl Fn() + 'a) -> Box<dyn Fn() + 'a> {
    Box::new(move || (0..CALLS).for_each(|_| call()))
}

/// The same with names that take turns, as they do in an application.
fn many_names<'a>(call: impl Fn(&str) + 'a) -> Box<dyn Fn() + 'a> {
    let names = names();
    Box::new(move || names.iter().cycle().zip(0..CALLS).for_each(|(name, _)| call(black_box(name))))
}

fn names() -> Vec<String> {
    (0..32).map(|n| format!("sync.storage.request.{n}")).collect()
}

const FLOOR: &str = "thread-local load + store";
const INT_COUNTER: &str = "prometheus IntCounter";
const OWN_MAP: &str = "own map by name, foldhash";
const OWN_MAP_ONE: &str = "own map by one constant name";
const CLOCKS: &str = "two quanta readings";

fn floors<'a>(counter: &'a prometheus::IntCounter, clock: &'a quanta::Clock) -> Vec<Case<'a>> {
    MAP.with_borrow_mut(|map| {
        let more = (0..100).map(|n| format!("sync.request.{n}")).chain([NAME.to_owned()]);
        map.extend(more.chain(names()).map(|name| (name, 0)));
    });
    let cell =
        || CELL.with(|cell| cell.store(cell.load(Ordering::Relaxed) + black_box(1), Ordering::Relaxed));
    let map = |name: &str| {
        MAP.with_borrow_mut(|map| {
            if let Some(count) = map.get_mut(name) {
                *count += black_box(1);
            }
        });
    };
    let clocks = move || {
        black_box(clock.raw());
        black_box(clock.raw());
    };
    let floor = |name, work| Case { name, work, bars: &[] };
    vec![
        floor(FLOOR, many(cell)),
        floor(INT_COUNTER, many(move || counter.inc_by(black_box(1)))),
        floor(OWN_MAP, many_names(map)),
        floor(OWN_MAP_ONE, many(move || map(black_box(NAME)))),
        floor(CLOCKS, many(clocks)),
    ]
}

fn cases<'a>(
    aggregates: &'a Aggregates,
    int_counter: &'a prometheus::IntCounter,
    clock: &'a quanta::Clock,
) -> Vec<Case<'a>> {
    (0..100).for_each(|n| aggregates.incr(&format!("sync.request.{n}"), 1));
    let (counter, gauge, timer) = (aggregates.counter(NAME), aggregates.gauge(NAME), aggregates.timer(NAME));
    let recorded = timer.clone();
    let sketch = RefCell::new(Sketch::default());
    let mut cases = floors(int_counter, clock);
    cases.extend([
        Case {
            name: "counter by handle",
            work: many(move || counter.add(black_box(1))),
            bars: &[(FLOOR, 3.0, 0.0), (INT_COUNTER, 1.0, 0.0)],
        },
        Case {
            name: "counter by name",
            work: many_names(|name| aggregates.incr(name, black_box(1))),
            bars: &[(OWN_MAP, 1.5, 0.0)],
        },
        Case {
            name: "counter by one constant name",
            work: many(|| aggregates.incr(black_box(NAME), black_box(1))),
            bars: &[(OWN_MAP_ONE, 1.5, 0.0)],
        },
        Case {
            name: "timer start + stop by handle",
            work: many(move || {
                black_box(timer.start().stop());
            }),
            bars: &[(CLOCKS, 1.5, 20.0)],
        },
        Case {
            name: "timer record by handle",
            work: many(move || recorded.record_millis(black_box(3.7))),
            bars: &[],
        },
        Case {
            name: "sketch add alone",
            work: many(move || {
                sketch.borrow_mut().add(black_box(3.7));
            }),
            bars: &[],
        },
        Case { name: "gauge by handle", work: many(move || gauge.set(black_box(2.5))), bars: &[] },
    ]);
    cases
}

/// The medians, in the order of the cases.
fn measure(cases: &[Case<'_>]) -> Vec<f64> {
    let mut rounds = vec![Vec::new(); cases.len()];
    for round in 0..=ROUNDS {
        for (case, times) in cases.iter().zip(&mut rounds) {
            let started = ThreadTime::now();
            (case.work)();
            // The first round only warms up.
            if round > 0 {
                times.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
            }
        }
    }
    rounds
        .iter_mut()
        .map(|times| {
            times.sort_unstable_by(f64::total_cmp);
            times.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
        })
        .collect()
}

fn report(cases: &[Case<'_>], times: &[f64]) -> bool {
    let time_of = |name: &str| {
        cases.iter().zip(times).find(|(case, _)| case.name == name).map_or(f64::NAN, |(_, t)| *t)
    };
    let mut all_met = true;
    println!("{:<30} {:>8}  bar", "", "ns");
    for (case, time) in cases.iter().zip(times) {
        let bars = case.bars.iter().map(|(other, share, more)| {
            let bar = share * time_of(other) + more;
            let met = *time <= bar;
            all_met &= met;
            format!(
                "{share} x {other} + {more} = {bar:.1}: {} ({:.2} x)",
                if met { "ok" } else { "MISSED" },
                time / time_of(other)
            )
        });
        println!("{:<30} {time:>8.2}  {}", case.name, bars.collect::<Vec<_>>().join("; "));
    }
    all_met
}
