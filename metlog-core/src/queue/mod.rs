//! Bounded hand-off from application threads to the worker.
//!
//! Every thread has chunks of its own ([`buffer`]) and appends encoded records to them; the worker takes whole chunks. The
//! mutex around them is shared by exactly two threads, held for the time of one encode or one swap of a `Vec`, and never
//! while code of the application runs. Order is kept per thread.
//!
//! The bound counts a record from the call until its batch has left the process: in a chunk, in the worker, in the
//! socket's buffer or unacknowledged ([`Room`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    thread::Thread,
    time::Duration,
};

use once_cell::sync::OnceCell;

mod buffer;

use buffer::Local;
pub(crate) use buffer::{Books, Buffer};

use crate::{error::Error, stats::Reason};

/// All threads together keep at most this share of the bound in chunks for reuse; what grew beyond it in a burst is
/// given back. Growing anew costs a page fault each 4 KiB, 30 ns a message in a burst.
const KEPT_SHARE: usize = 4;

/// With less than this share of the bound left nothing more is built: a record that finds no room after it was encoded
/// costs more than one that is taken, and a hand-off that nobody empties would let every call try.
const LAST_SHARE: usize = 64;

/// What the worker is doing, as callers see it: whether an append has to wake it.
mod sleep {
    /// Draining: it will look again by itself.
    pub(super) const AWAKE: u8 = 0;
    /// Gathering a batch for a moment: woken only when the hand-off fills.
    pub(super) const NAP: u8 = 1;
    /// Waiting for the next message, however long.
    pub(super) const IDLE: u8 = 2;
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
        let mut local = buffer.lock();
        local.books.attempted += 1;
        match self.admit().and_then(|()| self.append(&mut local, self.limit_bytes, encode)) {
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
        let mut local = buffer.lock();
        local.books.attempted += 1;
        self.append(&mut local, usize::MAX, encode)
            .map(drop)
            .inspect_err(|reason| local.books.refused.add(*reason, 1))
    }

    /// Counts a message that was refused before it came here.
    pub(crate) fn refuse(&self, buffer: &Buffer, reason: Reason) {
        let books = &mut buffer.lock().books;
        books.attempted += 1;
        books.refused.add(reason, 1);
    }

    /// Tested before anything is built.
    pub(crate) fn admit(&self) -> Result<(), Reason> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Reason::Closed);
        }
        if self.waiting_bytes.load(Ordering::Relaxed) >= self.limit_bytes - self.limit_bytes / LAST_SHARE {
            return Err(Reason::Full);
        }
        Ok(())
    }

    /// Gives back how many bytes wait in all. A record that passes `limit` is taken back, unless it is alone: one message
    /// larger than the bound gets through an empty hand-off.
    fn append(
        &self,
        local: &mut Local,
        limit: usize,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<usize, Reason> {
        let before = local.records.len();
        encode(&mut local.records).map_err(|_| Reason::TooBig)?;
        // Under the buffer's lock, so that the worker cannot release what was not added yet.
        let added = local.records.len() - before;
        let others = self.waiting_bytes.fetch_add(added, Ordering::Relaxed);
        if others > 0 && others + added > limit {
            self.release(added);
            local.take_back(before);
            return Err(Reason::Full);
        }
        local.turn();
        Ok(others + added)
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

    /// Takes every thread's records, a chunk at a time, in the order each thread wrote them. `chunks` is empty, and kept
    /// for its capacity.
    pub(crate) fn drain(&self, chunks: &mut Vec<Vec<u8>>, mut take: impl FnMut(&[u8])) {
        let buffers: Vec<Arc<Buffer>> = {
            let mut threads = lock(&self.threads);
            threads.retire();
            threads.buffers.clone()
        };
        let kept = self.limit_bytes / KEPT_SHARE / buffers.len().max(1);
        buffers.iter().for_each(|buffer| buffer.drain(chunks, kept, &mut take));
    }

    /// Gives back the room of `bytes` that have left for good.
    fn release(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What callers have done so far, all threads together.
    pub(crate) fn books(&self) -> Books {
        let threads = lock(&self.threads);
        let mut books = threads.ended;
        threads.buffers.iter().for_each(|buffer| books.merge(&buffer.lock().books));
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
        lock(&self.threads).buffers.iter().all(|buffer| buffer.lock().is_empty())
    }
}

/// The room that a batch takes of the bound until whoever holds the batch lets go of it: the worker, a socket, a window of
/// what is unacknowledged.
#[derive(Debug)]
pub(crate) struct Room {
    queue: Arc<Queue>,
    bytes: usize,
}

impl Room {
    /// The room of records that came from the hand-off, `records` bytes of them, grown to that of their frame.
    pub(crate) fn of_frame(queue: &Arc<Queue>, frame: usize, records: usize) -> Self {
        queue.waiting_bytes.fetch_add(frame - records, Ordering::Relaxed);
        Self { queue: Arc::clone(queue), bytes: frame }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue.release(self.bytes);
    }
}

impl Threads {
    /// Lets go of the empty buffers of threads that have ended, and keeps their books.
    fn retire(&mut self) {
        let ended = &mut self.ended;
        self.buffers.retain(|buffer| {
            let local = buffer.lock();
            let alive = Arc::strong_count(buffer) > 1 || !local.is_empty();
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
    fn a_record_that_would_pass_the_bound_is_taken_back_unless_it_is_alone() {
        let (queue, mine) = queue(10_000);
        let large = vec![7; 20_000];
        assert_eq!(queue.push(&mine, write(&large)), Ok(()), "alone");
        assert_eq!(drained(&queue), std::slice::from_ref(&large));
        queue.release(large.len());
        queue.push(&mine, write(b"first")).unwrap();
        assert_eq!(queue.push(&mine, write(&large)), Err(Reason::Full));
        queue.push(&mine, write(b"second")).unwrap();
        assert_eq!(drained(&queue), [b"firstsecond"]);
        assert_eq!(queue.waiting_bytes.load(Ordering::Relaxed), "firstsecond".len());
    }

    /// Each thread's check used to come before its message was built: the bound was passed by one message per thread.
    #[test]
    fn many_threads_with_large_messages_keep_to_the_bound() {
        let limit = 1 << 20;
        let queue = Queue::new(limit, Arc::default());
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let mine = queue.register();
                    let _some_are_refused: Vec<_> =
                        (0..20).map(|_| queue.push(&mine, write(&[0; 100_000]))).collect();
                });
            }
        });
        let held: usize = drained(&queue).iter().map(Vec::len).sum();
        assert!(held <= limit && held >= limit / 2, "{held} bytes");
        assert_eq!(queue.books().accepted(), u64::try_from(held / 100_000).unwrap());
    }

    #[test]
    fn a_backlog_is_taken_in_chunks_and_their_memory_is_kept_for_reuse_up_to_a_share() {
        let limit = 1 << 20;
        let (queue, mine) = queue(limit);
        (0..9_000).for_each(|_| queue.push(&mine, write(&[1; 100])).unwrap());
        let chunks = drained(&queue);
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 900_000);
        assert!(chunks.len() > 10, "{} chunks", chunks.len());
        let kept = mine.lock().free_bytes();
        assert!(kept > 0 && kept <= limit / KEPT_SHARE, "{kept} bytes");
    }

    #[test]
    fn a_batch_gives_its_room_back_when_the_last_holder_lets_go() {
        let (queue, mine) = queue(100);
        let queue = Arc::new(queue);
        queue.push(&mine, write(&[0; 100])).unwrap();
        drained(&queue);
        let room = Room::of_frame(&queue, 130, 100);
        assert_eq!(queue.push(&mine, write(b"x")), Err(Reason::Full));
        drop(room);
        assert_eq!(queue.waiting_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(queue.push(&mine, write(b"x")), Ok(()));
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
