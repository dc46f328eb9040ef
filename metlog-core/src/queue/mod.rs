//! Bounded hand-off from application threads to the worker, without a lock.
//!
//! Every thread has a lane of its own (`lane`), a chain of chunks (`chain`) to which it appends encoded records; the
//! worker reads them. What they share is one gate (`gate`), a few atomics that say how much waits, whether the hand-off
//! is closed and whether the worker sleeps. A call waits for nobody, also not for a worker that lost the processor in the
//! middle of something. Order is kept per thread.
//!
//! Measured beside the alternatives (`benches/handoff.rs`; ns of CPU a message of 190 bytes, caller / whole process):
//!
//! | hand-off | 1 thread | 4 threads | refused | keeps |
//! |---|---|---|---|---|
//! | ring of bytes for each thread | 60 / 78 | 76 / 89 | 5 | 1 MiB a thread, for good |
//! | pooled buffers, handed over when full | 50 / 75 | 62 / 74 | 12 | what a silent thread has written |
//! | one queue of slots for all | 90 / 161 | 110 / 262 | 3 | all of it, for good |
//! | a locked buffer for each thread, stolen | 71 / 98 | 89 / 122 | 17 | nothing |
//! | locked chunks for each thread | 74 / 94 | 94 / 129 | 17 | a share |
//! | this one | 70 / 85 | 74 / 98 | 4 | a share |
//!
//! Rings cannot grow with the one busy thread nor shrink when many end; a pooled buffer that is not full is out of the
//! worker's reach; slots cost twice as much. What is left is the chain, cheaper than locked memory, and nobody waits in it.
//!
//! The bound counts a record from the call until its batch has left the process: in a chunk, in the worker, in the
//! socket's buffer or unacknowledged (`Room`).

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::Thread,
    time::Duration,
};

use once_cell::sync::OnceCell;

mod chain;
mod gate;
mod lane;
mod sync;

use gate::{Gate, state};
pub(crate) use lane::{Books, Writer};
use lane::{Lane, Lanes};

use crate::{error::Error, stats::Reason};

/// All threads together keep at most this share of the bound in emptied chunks for reuse; what grew beyond it in a burst
/// is given back. Growing anew costs a page fault each 4 KiB, 30 ns a message in a burst.
const KEPT_SHARE: usize = 4;

/// All threads together begin chunks of at most this share of the bound, and of at most [`MAX_CHUNK_BYTES`] each: the
/// end of a chunk is not written yet and counts against nothing.
const CHUNK_SHARE: usize = 8;
const MAX_CHUNK_BYTES: usize = 32 * 1024;
const MIN_CHUNK_BYTES: usize = 1024;

/// The hand-off of one channel in one process.
pub struct Queue {
    limit_bytes: usize,
    gate: Gate,
    /// What a thread begins its next chunk with.
    chunk_bytes: AtomicUsize,
    /// Messages refused by their severity alone, counted before a thread's lane is even looked for.
    filtered: Arc<AtomicU64>,
    worker: OnceCell<Thread>,
    lanes: Mutex<Lanes>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("gate", &self.gate).finish_non_exhaustive()
    }
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
            gate: Gate::new(limit_bytes),
            chunk_bytes: AtomicUsize::new(MIN_CHUNK_BYTES),
            filtered,
            worker: OnceCell::new(),
            lanes: Mutex::default(),
        }
    }

    /// Appends what `encode` writes to a thread's lane, or counts why not. Never waits. [`Queue::admit`] is for the caller to
    /// ask before.
    pub(crate) fn push(
        &self,
        writer: &Writer,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Reason> {
        let pushed = writer.with_scratch(|record| {
            encode(record).map_err(|_| Reason::TooBig)?;
            let append = || self.append(writer, record);
            Ok(self.gate.enter(&writer.lane.entrance, record.len(), append)?)
        });
        let worker_sleeps = pushed.inspect_err(|reason| writer.refuse(*reason))?;
        if worker_sleeps {
            self.wake();
        }
        Ok(())
    }

    /// As [`Queue::push`], even when the hand-off is closed or full: for the worker's own last messages.
    pub(crate) fn push_last(
        &self,
        writer: &Writer,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Reason> {
        let pushed = writer.with_scratch(|record| {
            encode(record).map_err(|_| Reason::TooBig)?;
            self.gate.reserve(record.len());
            self.append(writer, record);
            Ok(())
        });
        pushed.inspect_err(|reason| writer.refuse(*reason))
    }

    fn append(&self, writer: &Writer, record: &[u8]) {
        writer.accept();
        writer.chain.append(record, self.chunk_bytes.load(Ordering::Relaxed));
    }

    /// Whether anything would be taken at all: asked before anything is built.
    pub(crate) fn admit(&self) -> Result<(), Reason> {
        Ok(self.gate.admit()?)
    }

    /// A lane for the calling thread.
    pub(crate) fn register(&self) -> Writer {
        let (lane, writer) = Lane::open();
        let mut lanes = lock(&self.lanes);
        lanes.add(lane, &self.gate);
        self.share_chunks(lanes.open.len());
        writer
    }

    fn share_chunks(&self, lanes: usize) {
        self.gate.share(lanes);
        let share = self.limit_bytes / CHUNK_SHARE / lanes.max(1);
        self.chunk_bytes.store(share.clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES), Ordering::Relaxed);
    }

    /// Takes every thread's records, a stretch at a time with how many it holds, in the order each thread wrote them. Once
    /// the hand-off is closed nothing comes after what this takes.
    pub(crate) fn drain(&self, mut take: impl FnMut(&[u8], u64)) {
        let closed = self.is_closed();
        let lanes: Vec<Arc<Lane>> = {
            let mut lanes = lock(&self.lanes);
            lanes.retire(&self.gate);
            self.share_chunks(lanes.open.len());
            lanes.open.clone()
        };
        // Whoever bursts gets it all: nobody but this thread gives back, so what is kept only shrinks meanwhile.
        let mut kept: usize = lanes.iter().map(|lane| lock(&lane.reader).free_bytes()).sum();
        for lane in lanes {
            let mut writing = self.gate.visit(&lane.entrance);
            while closed && writing {
                std::thread::yield_now();
                writing = lane.entrance.is_writing();
            }
            let mut reader = lock(&lane.reader);
            let of_others = kept.saturating_sub(reader.free_bytes());
            reader.read((self.limit_bytes / KEPT_SHARE).saturating_sub(of_others), &mut take);
            kept = of_others + reader.free_bytes();
        }
    }

    /// What callers have done so far, all threads together.
    pub(crate) fn books(&self) -> Books {
        let mut books = lock(&self.lanes).books();
        books.refused.add(Reason::Filtered, self.filtered.load(Ordering::Relaxed));
        books
    }

    /// From now on every call is refused.
    pub(crate) fn close(&self) {
        self.gate.close();
        self.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    /// Makes the calling thread the one that [`Queue::wake`] wakes.
    pub(crate) fn attach_worker(&self) {
        let _only_once = self.worker.set(std::thread::current());
    }

    /// Wakes the worker, wherever it sleeps.
    pub(crate) fn wake(&self) {
        self.gate.set_worker(state::AWAKE);
        if let Some(worker) = self.worker.get() {
            worker.unpark();
        }
    }

    /// Sleeps for `time` while a batch gathers, or until woken.
    pub(crate) fn nap(&self, time: Duration) {
        self.gate.set_worker(state::NAP);
        std::thread::park_timeout(time);
        self.gate.set_worker(state::AWAKE);
    }

    /// Sleeps until the next message, or at most `time`.
    pub(crate) fn idle(&self, time: Option<Duration>) {
        self.gate.set_worker(state::IDLE);
        if self.is_empty() && !self.is_closed() {
            time.map_or_else(std::thread::park, std::thread::park_timeout);
        }
        self.gate.set_worker(state::AWAKE);
    }

    /// True when no thread has left anything, nor is about to.
    fn is_empty(&self) -> bool {
        lock(&self.lanes).open.iter().all(|lane| lane.is_empty(&self.gate))
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
    /// Room for `bytes` of something that is to become a message.
    ///
    /// # Errors
    /// Why there is none.
    #[cfg(feature = "exceptions")]
    pub(crate) fn take(queue: &Arc<Queue>, bytes: usize) -> Result<Self, Reason> {
        queue.gate.try_reserve(bytes)?;
        Ok(Self { queue: Arc::clone(queue), bytes })
    }

    /// Room for `bytes` more of the same bound.
    #[cfg(feature = "zmq")]
    pub(crate) fn beside(&self, bytes: usize) -> Self {
        self.queue.gate.reserve(bytes);
        Self { queue: Arc::clone(&self.queue), bytes }
    }

    /// The room of records that came from the hand-off, `records` bytes of them, grown to that of their frame.
    pub(crate) fn of_frame(queue: &Arc<Queue>, frame: usize, records: usize) -> Self {
        queue.gate.reserve(frame - records);
        Self { queue: Arc::clone(queue), bytes: frame }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue.gate.release(self.bytes);
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

    /// A hand-off and the calling thread's lane in it.
    fn queue(limit_bytes: usize) -> (Queue, Writer) {
        let queue = Queue::new(limit_bytes, Arc::default());
        let mine = queue.register();
        (queue, mine)
    }

    fn drained(queue: &Queue) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        queue.drain(|bytes, _| taken.push(bytes.to_vec()));
        taken
    }

    #[test]
    fn full_queue_refuses_and_counts() {
        let (queue, mine) = queue(8);
        assert_eq!(queue.push(&mine, write(b"12345678")), Ok(()));
        assert_eq!(queue.push(&mine, write(b"9")), Err(Reason::Full));
        let books = queue.books();
        assert_eq!((books.attempted(), books.accepted, books.refused.get(Reason::Full)), (2, 1, 1));
        assert_eq!(drained(&queue), [b"12345678"]);
        queue.gate.release(8);
        assert_eq!(queue.push(&mine, write(b"9")), Ok(()));
    }

    #[test]
    fn a_record_that_would_pass_the_bound_is_taken_back_unless_it_is_alone() {
        let (queue, mine) = queue(10_000);
        let large = vec![7; 20_000];
        assert_eq!(queue.push(&mine, write(&large)), Ok(()), "alone");
        assert_eq!(drained(&queue), std::slice::from_ref(&large));
        queue.gate.release(large.len());
        queue.push(&mine, write(b"first")).unwrap();
        assert_eq!(queue.push(&mine, write(&large)), Err(Reason::Full));
        queue.push(&mine, write(b"second")).unwrap();
        assert_eq!(drained(&queue), [b"firstsecond"]);
        assert_eq!(queue.gate.taken_bytes(), 11);
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
        assert_eq!(queue.books().accepted, u64::try_from(held / 100_000).unwrap());
    }

    #[test]
    fn a_backlog_is_taken_in_chunks_and_their_memory_is_kept_for_reuse_up_to_a_share() {
        let limit = 1 << 20;
        let (queue, mine) = queue(limit);
        (0..9_000).for_each(|_| queue.push(&mine, write(&[1; 100])).unwrap());
        let chunks = drained(&queue);
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 900_000);
        assert!(chunks.len() > 10, "{} chunks", chunks.len());
        let kept = lock(&mine.lane.reader).free_bytes();
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
        assert_eq!(queue.gate.taken_bytes(), 0);
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
        assert_eq!(lock(&queue.lanes).open.len(), 0, "lanes of ended threads are given back");
        assert_eq!(queue.books().accepted, 3);
    }

    /// Without a worker, or with one that rests, nothing was let go of.
    #[test]
    fn lanes_of_ended_threads_do_not_pile_up_while_nobody_drains() {
        let queue = Queue::new(1024, Arc::default());
        for _ in 0..1_000 {
            queue.register().refuse(Reason::Filtered);
        }
        assert!(lock(&queue.lanes).open.len() <= 128, "{} lanes", lock(&queue.lanes).open.len());
        assert_eq!(queue.books().refused.get(Reason::Filtered), 1_000);
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
        let mut check = || {
            queue.drain(|bytes, _| {
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
