//! Tests of aggregation: nothing is lost and nothing is sent twice, whatever threads and flushes do.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{registry::MAX_NAME_BYTES, *};
use crate::client::Count;

fn aggregates() -> Aggregates {
    Aggregates::new(100, || {})
}

/// What one flush gives, as type, name and payload; timers as their count and sum.
fn flushed(aggregates: &Aggregates) -> Vec<String> {
    let mut all = Vec::new();
    aggregates.flush(&mut |sum| {
        all.push(match sum {
            Aggregate::Counter { name, .. } | Aggregate::Gauge { name, .. } => {
                format!("{} {name} {}", sum.kind(), sum.payload())
            }
            Aggregate::Timer { name, sketch } => {
                format!("{} {name} {} {}", sum.kind(), sketch.count(), sketch.sum())
            }
        });
        true
    });
    all.sort_unstable();
    all
}

#[test]
fn each_kind_leaves_as_its_message_and_what_did_not_move_stays() {
    let aggregates = aggregates();
    aggregates.incr("hits", 2);
    aggregates.counter("hits").incr();
    aggregates.incr_count("bytes", Count::Float(0.5));
    aggregates.incr_count("bytes", Count::Int(2));
    aggregates.set("temp", 20.0);
    aggregates.gauge("temp").add(1.5);
    aggregates.record("query", Duration::from_millis(3));
    aggregates.timer("query").record_millis(1.5);
    let expected = ["counter bytes 2.5", "counter hits 3", "gauge temp 21.5", "timer_sketch query 2 4.5"];
    assert_eq!(flushed(&aggregates), expected);
    assert_eq!(flushed(&aggregates), [""; 0]);
    aggregates.incr("hits", -1);
    aggregates.set("temp", 21.5);
    assert_eq!(flushed(&aggregates), ["counter hits -1", "gauge temp 21.5"]);
}

/// A thread remembers where its last name lay.
#[test]
fn a_name_in_the_place_of_another_is_not_taken_for_it() {
    let aggregates = aggregates();
    let mut name = String::with_capacity(8);
    for text in ["first", "other", "first", "firs", "first", "other"] {
        name.clear();
        name.push_str(text);
        aggregates.incr(&name, 1);
        aggregates.incr(&name, 1);
    }
    assert_eq!(flushed(&aggregates), ["counter firs 2", "counter first 6", "counter other 4"]);
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let aggregates = aggregates();
    for odd in [f64::NAN, f64::INFINITY] {
        aggregates.incr_count("c", Count::Float(odd));
        aggregates.set("g", odd);
        aggregates.gauge("g").add(odd);
        aggregates.record_millis("t", odd);
    }
    assert_eq!(flushed(&aggregates), [""; 0]);
}

#[test]
fn what_a_flush_cannot_give_away_stays_for_the_next_one() {
    let aggregates = aggregates();
    for _ in 0..2 {
        aggregates.incr("c", 1);
        aggregates.set("g", 7.0);
        aggregates.record_millis("t", 2.0);
        aggregates.flush(&mut |_| false);
    }
    assert_eq!(flushed(&aggregates), ["counter c 2", "gauge g 7.0", "timer_sketch t 2 4"]);
    assert_eq!(flushed(&aggregates), [""; 0]);
}

/// Threads add by handle and by name while another one flushes as fast as it can.
#[test]
fn sums_over_threads_are_what_was_added_while_flushes_go_on() {
    const THREADS: usize = 8;
    const CALLS: u32 = 20_000;
    let aggregates = aggregates();
    let (mut counted, mut measured, mut total) = (0, 0, 0.0);
    let mut add = |sum: &Aggregate<'_>| {
        match sum {
            Aggregate::Counter { sum: Count::Int(sum), .. } => counted += sum,
            Aggregate::Timer { sketch, .. } => {
                let buckets: u64 = sketch.points().map(|(_, count)| count).sum();
                assert_eq!(sketch.count(), buckets);
                assert!(sketch.min() >= 1.0 && sketch.max() <= 4.0);
                let mean = sketch.sum() / sketch.count() as f64;
                assert!(sketch.min() <= mean && mean <= sketch.max());
                measured += sketch.count();
                total += sketch.sum();
            }
            _ => panic!("{sum:?}"),
        }
        true
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let (counter, timer) = (aggregates.counter("c"), aggregates.timer("t"));
                    for call in 0..CALLS {
                        counter.incr();
                        aggregates.incr("c", 2);
                        timer.record_millis(f64::from(1 + call % 4));
                    }
                })
            })
            .collect();
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            aggregates.flush(&mut add);
        }
    });
    aggregates.flush(&mut add);
    let calls = THREADS as u64 * u64::from(CALLS);
    assert_eq!((u64::try_from(counted).unwrap(), measured, total), (3 * calls, calls, 2.5 * calls as f64));
}

#[test]
fn a_thread_that_ended_leaves_its_count_and_its_cells() {
    let aggregates = aggregates();
    let highest = AtomicUsize::new(0);
    for _ in 0..200 {
        thread::scope(|scope| {
            scope.spawn(|| {
                aggregates.incr("c", 1);
                aggregates.record_millis("t", 1.0);
                highest.fetch_max(threads::here().unwrap(), Ordering::Relaxed);
            });
        });
    }
    assert_eq!(flushed(&aggregates), ["counter c 200", "timer_sketch t 200 200"]);
    // Other tests have threads of their own, but not as many.
    assert!(highest.into_inner() < 150, "numbers of ended threads are given out again");
}

#[test]
fn destructors_of_a_thread_count_too() {
    struct Last(Aggregates, Counter);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.incr("by name", 1);
            self.1.incr();
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });
    let aggregates = aggregates();
    for counts_first in [true, false] {
        let ours = aggregates.clone();
        let run = move || {
            let last = Last(ours.clone(), ours.counter("by handle"));
            if counts_first {
                ours.incr("by name", 1);
            }
            LAST.set(Some(last));
            ours.incr("by name", 1);
        };
        thread::spawn(run).join().unwrap();
    }
    assert_eq!(flushed(&aggregates), ["counter by handle 2", "counter by name 5"]);
}

#[test]
fn the_last_of_all_threads_sets_a_gauge() {
    let aggregates = aggregates();
    let gauge = aggregates.gauge("g");
    for value in [3.0, 9.0, 4.0] {
        let gauge = gauge.clone();
        thread::spawn(move || gauge.set(value)).join().unwrap();
    }
    assert_eq!(flushed(&aggregates), ["gauge g 4.0"]);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                (0..1_000).for_each(|_| gauge.add(1.0));
            });
        }
    });
    assert_eq!(flushed(&aggregates), ["gauge g 4004.0"]);
}

#[test]
fn names_beyond_the_bound_go_to_the_overflow_and_are_counted() {
    let aggregates = Aggregates::new(3, || {});
    aggregates.incr("a", 1);
    aggregates.set("g", 1.0);
    aggregates.record_millis("t", 1.0);
    for n in 0..10 {
        aggregates.incr(&format!("more {n}"), 5);
        aggregates.timer(&format!("more {n}")).record_millis(2.0);
    }
    let _elapsed = aggregates.start("more").stop();
    aggregates.incr("a", 1);
    let mut sums = flushed(&aggregates);
    let overflowed = sums.pop().unwrap();
    assert!(overflowed.starts_with("timer_sketch t 1 1"), "{overflowed}");
    let overflowed = sums.pop().unwrap();
    assert!(overflowed.starts_with("timer_sketch metlog.overflow 11 20"), "{overflowed}");
    let expected =
        ["counter a 2", "counter metlog.overflow 50", "counter metlog.overflow.calls 21", "gauge g 1.0"];
    assert_eq!(sums, expected);
    assert_eq!(aggregates.overflowed(), 21);
    assert_eq!(aggregates.names(), 3 + 3, "the overflow has a counter, a timer, and the counter of calls");
}

/// 50 names of 1 MiB kept 161 MB.
#[test]
fn names_that_are_too_long_go_to_the_overflow_and_are_counted() {
    let aggregates = aggregates();
    let (long, longer) = ("n".repeat(MAX_NAME_BYTES), "n".repeat(MAX_NAME_BYTES + 1));
    aggregates.incr(&long, 1);
    aggregates.incr(&longer, 2);
    aggregates.counter(&longer).add(3);
    aggregates.set(&longer, 4.0);
    let expected = [
        "counter metlog.overflow 5",
        "counter metlog.overflow.calls 3",
        &format!("counter {long} 1"),
        "gauge metlog.overflow 4.0",
    ];
    assert_eq!(flushed(&aggregates), expected);
}

#[test]
fn clients_do_not_share_names() {
    let (one, other) = (aggregates(), aggregates());
    one.incr("c", 1);
    other.incr("c", 2);
    one.incr("c", 10);
    assert_eq!(flushed(&one), ["counter c 11"]);
    assert_eq!(flushed(&other), ["counter c 2"]);
}

#[test]
fn a_handle_outlives_its_client() {
    let aggregates = aggregates();
    let (used, unused, gauge) =
        (aggregates.counter("used"), aggregates.counter("unused"), aggregates.gauge("g"));
    used.incr();
    drop(aggregates);
    used.incr();
    unused.incr();
    gauge.set(1.0);
}

#[test]
fn a_measurement_ends_with_its_guard_unless_cancelled() {
    let aggregates = aggregates();
    let timer = aggregates.timer("t");
    drop(timer.start());
    assert!(timer.start().stop() < Duration::from_secs(60));
    aggregates.start("t").cancel();
    let theirs = aggregates.clone();
    let panicked = thread::spawn(move || {
        let _running = theirs.start("t");
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.join().is_err());
    assert!(flushed(&aggregates)[0].starts_with("timer_sketch t 3 "));
}

#[test]
fn the_owner_hears_of_the_first_use_once() {
    let heard = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&heard);
    let aggregates = Aggregates::new(10, move || {
        theirs.fetch_add(1, Ordering::Relaxed);
    });
    let counter = aggregates.counter("a");
    assert_eq!((heard.load(Ordering::Relaxed), aggregates.is_used()), (0, false));
    counter.incr();
    aggregates.set("b", 1.0);
    assert_eq!((heard.load(Ordering::Relaxed), aggregates.is_used()), (1, true));
}

/// More threads at once than lie near.
#[test]
fn many_threads_at_once_all_count() {
    let aggregates = aggregates();
    let (start, all_in) = (Barrier::new(50), AtomicBool::new(true));
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                aggregates.incr("c", 1);
                start.wait();
                aggregates.incr("c", 1);
                all_in.fetch_and(threads::here().is_some(), Ordering::Relaxed);
            });
        }
    });
    assert!(all_in.into_inner());
    assert_eq!(flushed(&aggregates), ["counter c 100"]);
}
