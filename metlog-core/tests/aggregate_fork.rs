//! Aggregation and fork: a child starts from zero and never gives what its parent counted, nor the other way round.
//!
//! `main` is C's for the reason given in the test `fork`: a child has to be able to start a thread.
#![no_main]
#![expect(unsafe_code, reason = "fork, waitpid and _exit; a name for `main` that nothing else has")]
#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a test whose runner is its own: clippy does not know it for one"
)]

use std::{
    ffi::c_int,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use metlog_core::aggregate::{Aggregate, Aggregates};

/// Forks while others count, each time at another moment.
const ROUNDS: usize = 50;

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    // A panic must not cross into C.
    c_int::from(std::panic::catch_unwind(run).is_err())
}

/// What one flush gives, as name and count.
fn flushed(aggregates: &Aggregates) -> Vec<String> {
    let mut all = Vec::new();
    aggregates.flush(&mut |sum| {
        all.push(match sum {
            Aggregate::Counter { name, sum } => format!("{name} {sum}"),
            Aggregate::Gauge { name, value } => format!("{name} {value}"),
            Aggregate::Timer { name, sketch } => format!("{name} {}", sketch.count()),
        });
        true
    });
    all.sort_unstable();
    all
}

fn run() {
    let aggregates = Aggregates::new(1_000, || {});
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            // What is under way in the parent when it forks.
            scope.spawn(|| {
                let names: Vec<_> = (0..50).map(|n| format!("other {n}")).collect();
                for name in names.iter().cycle() {
                    aggregates.incr(name, 1);
                    aggregates.record_millis(name, 1.0);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                aggregates.flush(&mut |_| false);
            }
        });
        // Also when a round fails: the scope waits for its threads.
        let _at_the_end = Stop(&stop);
        (0..ROUNDS).for_each(|_| one_round(&aggregates));
    });
    let own: Vec<_> = flushed(&aggregates).into_iter().filter(|line| line.starts_with("own")).collect();
    assert_eq!(
        own,
        [format!("own counter {ROUNDS}"), "own gauge 7".to_owned(), format!("own timer {ROUNDS}")]
    );
    println!("test a_forked_child_starts_from_zero ... ok");
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn one_round(aggregates: &Aggregates) {
    let (counter, gauge) = (aggregates.counter("own counter"), aggregates.gauge("own gauge"));
    counter.incr();
    gauge.set(7.0);
    aggregates.record_millis("own timer", 1.0);
    // SAFETY: the child calls what a forked child of an application may call, and `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            let ok = std::panic::catch_unwind(AssertUnwindSafe(|| in_child(aggregates))).is_ok();
            // SAFETY: ends the process without the hooks that belong to the parent.
            unsafe { libc::_exit(c_int::from(!ok)) }
        }
        child => assert_eq!(wait(child), 0, "the child failed"),
    }
}

fn in_child(aggregates: &Aggregates) {
    assert_eq!(flushed(aggregates), [""; 0], "nothing of the parent's");
    aggregates.counter("own counter").add(5);
    aggregates.gauge("own gauge").add(1.0);
    let theirs = aggregates.clone();
    let other = thread::spawn(move || {
        theirs.incr("own counter", 10);
        theirs.incr("new", 1);
        theirs.record_millis("own timer", 1.0);
    });
    assert!(other.join().is_ok());
    aggregates.incr("own counter", 100);
    assert_eq!(flushed(aggregates), ["new 1", "own counter 115", "own gauge 1", "own timer 1"]);
}

/// The exit status of `child`; one that hangs is killed.
fn wait(child: libc::pid_t) -> c_int {
    for _ in 0..2_000 {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        if unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child {
            return status;
        }
        thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: our own child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    panic!("the child hangs");
}
