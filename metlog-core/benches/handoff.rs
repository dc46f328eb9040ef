//! The hand-off: the candidates under the same message of some 200 bytes, encoded straight into them, and the same worker,
//! which frames batches of 64 KiB.
//!
//! For one thread and for four: what a call costs its thread in bursts that fit, what a message costs the whole process
//! when the threads call as fast as they can, and what a call costs that finds the hand-off full. Then the memory each
//! keeps when all has left.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

#[path = "support/handoff/mod.rs"]
mod candidates;
mod support;

use std::{
    hint::black_box,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use candidates::{
    HandOff, chunks::Chunks, ours::Ours, pooled::Pooled, rings::Rings, slots::Slots, stolen::Stolen,
};
use cpu_time::ThreadTime;
use support::{Measure, in_this_process, measure, on_this_thread, per_operation, run};

/// Messages of one burst, by all threads together: what any candidate holds.
const BURST: u32 = 4_000;

/// Bursts of one round, so that all but the first find what the candidate keeps.
const BURSTS: u32 = 10;

/// Messages of one round at full speed, by all threads together.
const FLOOD: u32 = 400_000;

/// How long the worker sleeps when it finds nothing, and a caller that finds the hand-off full.
const NAP: Duration = Duration::from_millis(1);

const BATCH_BYTES: usize = 64 * 1024;

/// What the worker does with what it takes.
#[derive(Default)]
struct Framing {
    body: Vec<u8>,
}

impl Framing {
    fn take(&mut self, records: &[u8]) {
        for piece in records.chunks(BATCH_BYTES) {
            if self.body.len() + piece.len() > BATCH_BYTES {
                black_box(self.body.to_vec());
                self.body.clear();
            }
            self.body.extend_from_slice(piece);
        }
    }
}

/// How many bytes went in and came out.
#[derive(Default)]
struct Passed {
    pushed: AtomicUsize,
    taken: AtomicUsize,
    ended: AtomicBool,
}

impl Passed {
    /// Waits until the worker has taken all but what threads may keep for themselves.
    fn settle(&self) {
        while self.taken.load(Ordering::Acquire) + BATCH_BYTES * 2 < self.pushed.load(Ordering::Acquire) {
            thread::sleep(NAP);
        }
    }
}

/// Drains as the client's worker does: naps when it has moved less than a batch.
fn work<H: HandOff>(hand_off: &H, passed: &Passed) {
    let mut framing = Framing::default();
    loop {
        // Read first: what was pushed before is found.
        let last = passed.ended.load(Ordering::Acquire);
        let mut moved = 0;
        hand_off.drain(&mut |records| {
            moved += records.len();
            framing.take(records);
        });
        passed.taken.fetch_add(moved, Ordering::Release);
        if last {
            return;
        }
        if moved < BATCH_BYTES {
            thread::sleep(NAP);
        }
    }
}

/// Runs `call` on `threads` threads while a worker drains; gives back what each thread has said.
fn beside_a_worker<H: HandOff, T: Send>(
    hand_off: &H,
    threads: u32,
    call: impl Fn(&mut H::Seat, &Passed) -> T + Sync,
) -> Vec<T> {
    let passed = Passed::default();
    thread::scope(|scope| {
        scope.spawn(|| work(hand_off, &passed));
        let call = || call(&mut hand_off.seat(), &passed);
        let callers: Vec<_> = (0..threads).map(|_| scope.spawn(call)).collect();
        let said = callers.into_iter().flat_map(thread::ScopedJoinHandle::join).collect();
        passed.ended.store(true, Ordering::Release);
        said
    })
}

/// CPU time of the calling threads, a message, in bursts with time between them for the worker.
fn bursts<H: HandOff>(threads: u32) -> f64 {
    let hand_off = H::default();
    let count = BURST / threads;
    let times = beside_a_worker(&hand_off, threads, |seat, passed| {
        let mut time = Duration::ZERO;
        for _ in 0..BURSTS {
            let start = ThreadTime::now();
            let accepted = (0..count).filter(|_| hand_off.push(seat)).count();
            time += start.elapsed();
            assert_eq!(accepted, count as usize, "a burst fits");
            passed.pushed.fetch_add(accepted * candidates::message_bytes(), Ordering::Release);
            passed.settle();
        }
        time
    });
    per_operation(times.iter().sum(), count * threads * BURSTS)
}

/// CPU time of the process, a message, at full speed; who finds the hand-off full tries again after a nap.
fn flood<H: HandOff>(threads: u32) -> f64 {
    let hand_off = H::default();
    in_this_process(FLOOD, || {
        beside_a_worker(&hand_off, threads, |seat, _| {
            for _ in 0..FLOOD / threads {
                while !hand_off.push(seat) {
                    thread::sleep(NAP);
                }
            }
        });
    })
}

/// CPU time of a call that finds the hand-off full.
fn refused<H: HandOff>() -> f64 {
    let hand_off = H::default();
    let mut seat = hand_off.seat();
    while hand_off.push(&mut seat) {}
    on_this_thread(FLOOD, || {
        (0..FLOOD).for_each(|_| {
            black_box(hand_off.push(&mut seat));
        });
    })
}

/// Bytes held for messages when four threads that had filled it are silent again.
fn kept<H: HandOff>() -> usize {
    let hand_off = H::default();
    let mut seats: Vec<_> = (0..4).map(|_| hand_off.seat()).collect();
    for _ in 0..3 {
        while seats.iter_mut().all(|seat| hand_off.push(seat)) {}
        hand_off.drain(&mut |records| {
            black_box(records);
        });
    }
    hand_off.capacity()
}

fn measures<H: HandOff + 'static>(name: &str) -> Vec<Measure<'static>> {
    let mut measures = Vec::new();
    for threads in [1, 4] {
        measures.push(measure(format!("{name}: caller, {threads} at once"), move || bursts::<H>(threads)));
        measures.push(measure(format!("{name}: process, {threads} at once"), move || flood::<H>(threads)));
    }
    measures.push(measure(format!("{name}: refused when full"), refused::<H>));
    measures
}

fn main() -> ExitCode {
    let mut buffer = Vec::with_capacity(candidates::LONGEST);
    let mut all = vec![measure("rmp encode into a kept buffer", move || {
        on_this_thread(FLOOD, || {
            for _ in 0..FLOOD {
                buffer.clear();
                let _infallible = candidates::encode(black_box(&mut buffer));
            }
        })
    })];
    all.extend(measures::<Rings>("byte rings"));
    all.extend(measures::<Pooled>("pooled buffers"));
    all.extend(measures::<Slots>("shared slots"));
    all.extend(measures::<Stolen>("stolen buffers"));
    all.extend(measures::<Chunks<1>>("stolen chunks"));
    all.extend(measures::<Chunks<4096>>("stolen chunks, counted in steps"));
    all.extend(measures::<Ours>("chains of chunks, the client's own"));
    let medians = run(all);
    println!();
    for (name, bytes) in [
        ("byte rings", kept::<Rings>()),
        ("pooled buffers", kept::<Pooled>()),
        ("shared slots", kept::<Slots>()),
        ("stolen buffers", kept::<Stolen>()),
        ("stolen chunks", kept::<Chunks<1>>()),
        ("stolen chunks, counted in steps", kept::<Chunks<4096>>()),
        ("chains of chunks, the client's own", kept::<Ours>()),
    ] {
        println!("{name:<58} {:>9} KiB kept after four threads had filled it", bytes / 1024);
    }
    medians.exit_code()
}
