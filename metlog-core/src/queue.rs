//! Bounded hand-off from application threads to the worker.
//!
//! Every thread has a buffer of its own and appends encoded records to it; the worker takes whole buffers. The buffer's
//! mutex is shared by exactly two threads, held for the time of one encode or one swap of a `Vec`, and never while code
//! of the application runs. Order is kept per thread. Of the prototypes tried this one cost the least CPU for the whole
//! process (412 ns a message, against 437 for byte rings, 428 for pooled buffers, 492 for a shared array queue).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    thread::Thread,
    time::Duration,
};

use once_cell::sync::OnceCell;

use crate::{
    error::Error,
    stats::{ByReason, Reason},
};

/// All threads together keep at most this share of the bound as capacity for reuse; what grew beyond it in a burst is
/// given back. Growing anew costs a page fault each 4 KiB, 30 ns a message in a burst.
const KEPT_SHARE: usize = 4;

/// What the worker is doing, as callers see it: whether an append has to wake it.
mod sleep {
    /// Draining: it will look again by itself.
    pub(super) const AWAKE: u8 = 0;
    /// Gathering a batch for a moment: woken only when the hand-off fills.
    pub(super) const NAP: u8 = 1;
    /// Waiting for the next message, however long.
    pub(super) const IDLE: u8 = 2;
}

/// One thread's side of the hand-off.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Mutex<Local>);

#[derive(Debug, Default)]
struct Local {
    records: Vec<u8>,
    books: Books,
}

/// What callers have done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Books {
    pub(crate) attempted: u64,
    pub(crate) refused: ByReason,
}

impl Books {
    fn merge(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.refused.merge(&other.refused);
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.attempted - self.refused.total()
    }
}

/// The hand-off of one channel in one process.
#[derive(Debug)]
pub struct Queue {
    limit_bytes: usize,
    waiting_bytes: AtomicUsize,
    /// Messages refused by their severity alone, counted before a thread's buffer is even looked for.
    filtered: Arc<AtomicU64>,
    closed: AtomicBool,
    sleep: AtomicU8,
    worker: OnceCell<Thread>,
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    buffers: Vec<Arc<Buffer>>,
    /// The books of threads that have ended.
    ended: Books,
}

/// A poisoned lock only says that a thread panicked; what it guards here is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// A hand-off that holds at most `limit_bytes` of encoded messages; `filtered` is counted in its books.
    #[must_use]
    pub fn new(limit_bytes: usize, filtered: Arc<AtomicU64>) -> Self {
        Self {
            limit_bytes,
            waiting_bytes: AtomicUsize::new(0),
            filtered,
            closed: AtomicBool::new(false),
            sleep: AtomicU8::new(sleep::AWAKE),
            worker: OnceCell::new(),
            threads: Mutex::default(),
        }
    }

    /// Appends what `encode` writes to a thread's buffer, or counts why not. Never waits.
    pub(crate) fn push(
        &self,
        buffer: &Buffer,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Reason> {
        let mut local = lock(&buffer.0);
        local.books.attempted += 1;
        match self.admit().and_then(|()| self.append(&mut local, encode)) {
            Ok(waiting) => {
                drop(local);
                self.after_append(waiting);
                Ok(())
            }
            Err(reason) => {
                local.books.refused.add(reason, 1);
                Err(reason)
            }
        }
    }

    /// As [`Queue::push`], even when the hand-off is closed or full: for the worker's own last messages.
    pub(crate) fn push_last(
        &self,
        buffer: &Buffer,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Reason> {
        let mut local = lock(&buffer.0);
        local.books.attempted += 1;
        self.append(&mut local, encode).map(drop).inspect_err(|reason| local.books.refused.add(*reason, 1))
    }

    /// Counts a message that was refused before it came here.
    pub(crate) fn refuse(&self, buffer: &Buffer, reason: Reason) {
        let books = &mut lock(&buffer.0).books;
        books.attempted += 1;
        books.refused.add(reason, 1);
    }

    /// Tested before anything is built; the bound may be passed by one message per thread.
    pub(crate) fn admit(&self) -> Result<(), Reason> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Reason::Closed);
        }
        if self.waiting_bytes.load(Ordering::Relaxed) >= self.limit_bytes {
            return Err(Reason::Full);
        }
        Ok(())
    }

    /// Gives back how many bytes wait in all.
    fn append(
        &self,
        local: &mut Local,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<usize, Reason> {
        let before = local.records.len();
        encode(&mut local.records).map_err(|_| Reason::TooBig)?;
        // Under the buffer's lock, so that the worker cannot release what was not added yet.
        let added = local.records.len() - before;
        Ok(self.waiting_bytes.fetch_add(added, Ordering::Relaxed) + added)
    }

    /// Wakes the worker when it would not look by itself. A worker that goes to rest says so before it locks each buffer
    /// for a last look: either it finds the record, or this thread, which took the lock after it, finds it resting.
    fn after_append(&self, waiting: usize) {
        match self.sleep.load(Ordering::Relaxed) {
            sleep::AWAKE => {}
            sleep::NAP if waiting <= self.limit_bytes / 4 => {}
            _ => self.wake(),
        }
    }

    /// A buffer for the calling thread.
    pub(crate) fn register(&self) -> Arc<Buffer> {
        let buffer = Arc::<Buffer>::default();
        lock(&self.threads).buffers.push(Arc::clone(&buffer));
        buffer
    }

    /// Takes every thread's records, a buffer at a time, in the order each thread wrote them. `spare` is swapped in.
    pub(crate) fn drain(&self, spare: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
        let buffers: Vec<Arc<Buffer>> = {
            let mut threads = lock(&self.threads);
            threads.retire();
            threads.buffers.clone()
        };
        let kept = self.limit_bytes / KEPT_SHARE / buffers.len().max(1);
        for buffer in buffers {
            {
                let mut local = lock(&buffer.0);
                if local.records.is_empty() {
                    continue;
                }
                std::mem::swap(&mut local.records, spare);
            }
            take(spare);
            spare.clear();
            if spare.capacity() > kept {
                *spare = Vec::new();
            }
        }
    }

    /// Gives back the room of `bytes` that have left for good.
    pub(crate) fn release(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What callers have done so far, all threads together.
    pub(crate) fn books(&self) -> Books {
        let threads = lock(&self.threads);
        let mut books = threads.ended;
        threads.buffers.iter().for_each(|buffer| books.merge(&lock(&buffer.0).books));
        let filtered = self.filtered.load(Ordering::Relaxed);
        books.attempted += filtered;
        books.refused.add(Reason::Filtered, filtered);
        books
    }

    /// From now on every call is refused.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Makes the calling thread the one that [`Queue::wake`] wakes.
    pub(crate) fn attach_worker(&self) {
        let _only_once = self.worker.set(std::thread::current());
    }

    /// Wakes the worker, wherever it sleeps.
    pub(crate) fn wake(&self) {
        self.sleep.store(sleep::AWAKE, Ordering::Relaxed);
        if let Some(worker) = self.worker.get() {
            worker.unpark();
        }
    }

    /// Sleeps for `time` while a batch gathers, or until woken.
    pub(crate) fn nap(&self, time: Duration) {
        self.wait(sleep::NAP, Some(time));
    }

    /// Sleeps until the next message, or at most `time`.
    pub(crate) fn idle(&self, time: Option<Duration>) {
        self.wait(sleep::IDLE, time);
    }

    fn wait(&self, state: u8, time: Option<Duration>) {
        self.sleep.store(state, Ordering::Relaxed);
        if state == sleep::NAP || (self.is_empty() && !self.is_closed()) {
            time.map_or_else(std::thread::park, std::thread::park_timeout);
        }
        self.sleep.store(sleep::AWAKE, Ordering::Relaxed);
    }

    /// True when no thread has left anything; takes every buffer's lock, see [`Queue::after_append`].
    fn is_empty(&self) -> bool {
        lock(&self.threads).buffers.iter().all(|buffer| lock(&buffer.0).records.is_empty())
    }
}

impl Threads {
    /// Lets go of the empty buffers of threads that have ended, and keeps their books.
    fn retire(&mut self) {
        let ended = &mut self.ended;
        self.buffers.retain(|buffer| {
            let local = lock(&buffer.0);
            let alive = Arc::strong_count(buffer) > 1 || !local.records.is_empty();
            if !alive {
                ended.merge(&local.books);
            }
            alive
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(bytes: &[u8]) -> impl FnOnce(&mut Vec<u8>) -> Result<(), Error> {
        |out| {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }

    /// A hand-off and the calling thread's buffer in it.
    fn queue(limit_bytes: usize) -> (Queue, Arc<Buffer>) {
        let queue = Queue::new(limit_bytes, Arc::default());
        let buffer = queue.register();
        (queue, buffer)
    }

    fn drained(queue: &Queue) -> Vec<Vec<u8>> {
        let (mut spare, mut taken) = (Vec::new(), Vec::new());
        queue.drain(&mut spare, |bytes| taken.push(bytes.to_vec()));
        taken
    }

    #[test]
    fn full_queue_refuses_and_counts() {
        let (queue, mine) = queue(8);
        assert_eq!(queue.push(&mine, write(b"12345678")), Ok(()));
        assert_eq!(queue.push(&mine, write(b"9")), Err(Reason::Full));
        let books = queue.books();
        assert_eq!((books.attempted, books.accepted(), books.refused.get(Reason::Full)), (2, 1, 1));
        assert_eq!(drained(&queue), [b"12345678"]);
        queue.release(8);
        assert_eq!(queue.push(&mine, write(b"9")), Ok(()));
    }

    #[test]
    fn closed_queue_refuses_and_keeps_what_it_has() {
        let (queue, mine) = queue(8);
        queue.push(&mine, write(b"a")).unwrap();
        queue.close();
        assert_eq!(queue.push(&mine, write(b"b")), Err(Reason::Closed));
        assert_eq!(drained(&queue), [b"a"]);
    }

    #[test]
    fn a_thread_that_ended_leaves_its_records_and_its_books() {
        let queue = Arc::new(Queue::new(1024, Arc::default()));
        for _ in 0..3 {
            let theirs = Arc::clone(&queue);
            std::thread::spawn(move || theirs.push(&theirs.register(), write(b"x")).unwrap()).join().unwrap();
        }
        assert_eq!(drained(&queue).len(), 3);
        assert_eq!(drained(&queue).len(), 0);
        assert_eq!(lock(&queue.threads).buffers.len(), 0, "buffers of ended threads are given back");
        assert_eq!(queue.books().accepted(), 3);
    }

    #[test]
    fn order_is_kept_per_thread() {
        let queue = Arc::new(Queue::new(1 << 20, Arc::default()));
        let threads: Vec<_> = (0..4_u8)
            .map(|thread| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || {
                    let mine = queue.register();
                    (0..200_u8).for_each(|n| queue.push(&mine, write(&[thread, n])).unwrap());
                })
            })
            .collect();
        let mut next = [0_u8; 4];
        let mut spare = Vec::new();
        let mut check = || {
            queue.drain(&mut spare, |bytes| {
                for pair in bytes.chunks(2) {
                    let expected = &mut next[usize::from(pair[0])];
                    assert_eq!(pair[1], *expected);
                    *expected += 1;
                }
            });
        };
        while !threads.iter().all(std::thread::JoinHandle::is_finished) {
            check();
        }
        check();
        assert_eq!(next, [200; 4]);
    }
}
