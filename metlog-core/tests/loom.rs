//! Every order in which a writer and the worker can meet in the hand-off, tried by loom on the very source of it.
//!
//! Loom knows what the memory model allows, not only what this processor does; in place of the bytes stands a memory that
//! reports two threads at one byte.
#![expect(unsafe_code, clippy::indexing_slicing, reason = "a model of the memory, and helpers of tests")]

#[path = "../src/queue/chain.rs"]
mod chain;
#[expect(dead_code, reason = "the models use what writers and the worker meet at")]
#[path = "../src/queue/gate.rs"]
mod gate;

mod sync {
    use std::ops::Range;

    pub(super) use loom::sync::{
        Arc,
        atomic::{AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    };

    pub(super) struct Memory(Vec<loom::cell::UnsafeCell<u8>>);

    impl Memory {
        pub(super) fn new(capacity: usize) -> Self {
            Self((0..capacity).map(|_| loom::cell::UnsafeCell::new(0)).collect())
        }

        pub(super) fn capacity(&self) -> usize {
            self.0.len()
        }

        pub(super) unsafe fn write(&self, at: usize, bytes: &[u8]) {
            for (cell, byte) in self.0[at..].iter().zip(bytes) {
                // SAFETY: loom stops the test where another thread is at this byte.
                cell.with_mut(|place| unsafe { *place = *byte });
            }
        }

        pub(super) unsafe fn with<T>(&self, range: Range<usize>, take: impl FnOnce(&[u8]) -> T) -> T {
            // SAFETY: as above.
            let read = |cell: &loom::cell::UnsafeCell<u8>| cell.with(|place| unsafe { *place });
            let bytes: Vec<u8> = self.0[range].iter().map(read).collect();
            take(&bytes)
        }
    }
}

use gate::{Entrance, Gate, Refusal, state};
use loom::thread;
use sync::Arc;

/// Chunks that hold two records of the models.
const CHUNK: usize = 4;

/// What the reader finds; gives back how many records it was told of.
fn read(reader: &mut chain::Reader, kept: usize, found: &mut Vec<u8>) -> u64 {
    let mut told = 0;
    reader.read(kept, |bytes, count| {
        found.extend_from_slice(bytes);
        told += count;
    });
    told
}

#[test]
fn a_reader_finds_whole_records_in_order_and_chunks_are_used_again() {
    loom::model(|| {
        let (writer, mut reader) = chain::chain(CHUNK);
        let thread = thread::spawn(move || {
            for record in [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]] {
                writer.append(&record, CHUNK);
            }
        });
        let mut found = Vec::new();
        let told = read(&mut reader, CHUNK, &mut found);
        assert_eq!(found.len() as u64, told * 2, "a record is seen whole or not at all");
        read(&mut reader, CHUNK, &mut found);
        thread.join().unwrap();
        read(&mut reader, CHUNK, &mut found);
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert!(reader.is_empty() && reader.free_bytes() <= CHUNK);
    });
}

#[test]
fn either_end_may_go_first() {
    loom::model(|| {
        let (writer, mut reader) = chain::chain(CHUNK);
        let thread = thread::spawn(move || {
            writer.append(&[1, 2, 3, 4], CHUNK);
            writer.append(&[5, 6, 7, 8, 9, 10], CHUNK);
        });
        read(&mut reader, 0, &mut Vec::new());
        drop(reader);
        thread.join().unwrap();
    });
}

/// A writer at its entrance, a worker, and the gate between them.
struct Meeting {
    gate: Gate,
    entrance: Entrance,
}

fn meeting(limit_bytes: usize) -> Arc<Meeting> {
    let gate = Gate::new(limit_bytes);
    gate.share(1);
    Arc::new(Meeting { gate, entrance: Entrance::new() })
}

#[test]
fn a_worker_that_goes_to_rest_sees_the_record_or_is_woken() {
    loom::model(|| {
        let (writer, mut reader) = chain::chain(CHUNK);
        let meeting = meeting(100);
        let theirs = Arc::clone(&meeting);
        let thread = thread::spawn(move || {
            theirs.gate.enter(&theirs.entrance, 2, || writer.append(&[1, 2], CHUNK)).unwrap()
        });
        meeting.gate.set_worker(state::IDLE);
        let rests = !meeting.gate.visit(&meeting.entrance) && reader.is_empty();
        let woken = thread.join().unwrap();
        assert!(!rests || woken, "the worker rests and nobody wakes it");
        let mut found = Vec::new();
        read(&mut reader, 0, &mut found);
        assert_eq!(found, [1, 2]);
    });
}

#[test]
fn a_worker_that_ends_has_taken_every_record_that_was_not_refused() {
    loom::model(|| {
        let (writer, mut reader) = chain::chain(CHUNK);
        let meeting = meeting(100);
        let theirs = Arc::clone(&meeting);
        let thread = thread::spawn(move || {
            theirs.gate.enter(&theirs.entrance, 2, || writer.append(&[1, 2], CHUNK)).is_ok()
        });
        meeting.gate.close();
        assert!(meeting.gate.is_closed());
        let mut writing = meeting.gate.visit(&meeting.entrance);
        while writing {
            thread::yield_now();
            writing = meeting.entrance.is_writing();
        }
        let mut found = Vec::new();
        read(&mut reader, 0, &mut found);
        let taken = thread.join().unwrap();
        assert_eq!(taken, !found.is_empty());
    });
}

#[test]
fn two_writers_do_not_pass_the_bound_together() {
    loom::model(|| {
        let meeting = meeting(10);
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let meeting = Arc::clone(&meeting);
                thread::spawn(move || {
                    let entrance = Entrance::new();
                    let entered = meeting.gate.enter(&entrance, 6, || ());
                    meeting.gate.visit(&entrance);
                    entered
                })
            })
            .collect();
        let entered: Vec<_> = writers.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(entered.contains(&Err(Refusal::Full)));
        let taken = entered.iter().filter(|entered| entered.is_ok()).count();
        assert_eq!(meeting.gate.taken_bytes(), isize::try_from(taken * 6).unwrap());
    });
}

#[test]
fn room_that_the_worker_takes_back_while_it_is_used_is_counted_once() {
    loom::model(|| {
        let meeting = meeting(1_000);
        let theirs = Arc::clone(&meeting);
        let thread = thread::spawn(move || {
            for _ in 0..2 {
                theirs.gate.enter(&theirs.entrance, 10, || ()).unwrap();
            }
        });
        meeting.gate.visit(&meeting.entrance);
        thread.join().unwrap();
        meeting.gate.visit(&meeting.entrance);
        assert_eq!(meeting.gate.taken_bytes(), 20);
    });
}
