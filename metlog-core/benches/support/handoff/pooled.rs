//! Buffers of 32 KiB from a pool, handed over whole. The thread alone has its buffer, so that the worker cannot get at
//! one that is not full: a thread that falls silent keeps its last messages until it ends. What would mend that (a lock,
//! or a flag that both sides test) is not in these figures.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_queue::ArrayQueue;

use super::{HandOff, LIMIT_BYTES, LONGEST, encode};

const BUFFER_BYTES: usize = 32 * 1024;

struct Pool {
    full: ArrayQueue<Vec<u8>>,
    free: ArrayQueue<Vec<u8>>,
    made: AtomicUsize,
}

/// The pool.
pub(crate) struct Pooled(Arc<Pool>);

/// A thread's buffer, which goes with it.
pub(crate) struct Seat {
    pool: Arc<Pool>,
    buffer: Vec<u8>,
}

impl Default for Pooled {
    fn default() -> Self {
        let queue = || ArrayQueue::new(LIMIT_BYTES / BUFFER_BYTES);
        Self(Arc::new(Pool { full: queue(), free: queue(), made: AtomicUsize::new(0) }))
    }
}

impl Pool {
    /// An empty buffer, if there may be another.
    fn empty(&self) -> Option<Vec<u8>> {
        self.free.pop().or_else(|| {
            let mut made = self.made.load(Ordering::Relaxed);
            while made < LIMIT_BYTES / BUFFER_BYTES {
                match self.made.compare_exchange_weak(made, made + 1, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return Some(Vec::with_capacity(BUFFER_BYTES)),
                    Err(now) => made = now,
                }
            }
            None
        })
    }
}

impl HandOff for Pooled {
    type Seat = Seat;

    fn seat(&self) -> Seat {
        Seat { pool: Arc::clone(&self.0), buffer: Vec::new() }
    }

    fn push(&self, seat: &mut Seat) -> bool {
        if seat.buffer.capacity() - seat.buffer.len() < LONGEST {
            let Some(empty) = self.0.empty() else { return false };
            let full = std::mem::replace(&mut seat.buffer, empty);
            if full.capacity() > 0 {
                let _has_room_for_all = self.0.full.push(full);
            }
        }
        encode(&mut seat.buffer).is_ok()
    }

    fn drain(&self, take: &mut impl FnMut(&[u8])) {
        while let Some(mut buffer) = self.0.full.pop() {
            take(&buffer);
            buffer.clear();
            let _has_room_for_all = self.0.free.push(buffer);
        }
    }

    fn capacity(&self) -> usize {
        self.0.made.load(Ordering::Relaxed) * BUFFER_BYTES
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let last = std::mem::take(&mut self.buffer);
        if last.capacity() > 0 {
            let _has_room_for_all = self.pool.full.push(last);
        }
    }
}
