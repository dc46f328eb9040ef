//! One thread's way into the hand-off: the thread writes, the worker reads.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    chain,
    gate::{Entrance, Gate, Refusal},
};
use crate::stats::{ByReason, Reason};

/// What the first chunk of a lane holds: most threads say little.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;

/// Capacity of the space to encode in: it holds a usual message, so that the encoder finds room at once.
const SCRATCH_BYTES: usize = 1024;

/// More than this is not kept between calls.
const KEPT_SCRATCH_BYTES: usize = 16 * 1024;

/// What both sides of a lane share.
pub(super) struct Lane {
    pub(super) entrance: Entrance,
    /// The thread writes no more.
    ended: AtomicBool,
    /// Messages taken. Only the thread itself counts, so a load and a store are enough.
    accepted: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    /// Locked by the worker, while it reads.
    pub(super) reader: Mutex<chain::Reader>,
}

/// The thread's side of a lane. It may move to another thread, but not be used by two.
pub(crate) struct Writer {
    pub(super) lane: Arc<Lane>,
    pub(super) chain: chain::Writer,
    /// Where a record is encoded before its length is known.
    scratch: RefCell<Vec<u8>>,
}

/// What callers have done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Books {
    pub(crate) accepted: u64,
    pub(crate) refused: ByReason,
}

impl Books {
    pub(crate) fn attempted(&self) -> u64 {
        self.accepted + self.refused.total()
    }

    fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused.merge(&other.refused);
    }
}

/// One more, by the only thread that counts here.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl Lane {
    /// A lane of the calling thread.
    pub(super) fn open() -> (Arc<Self>, Writer) {
        let (writer, reader) = chain::chain(FIRST_CHUNK_BYTES);
        let lane = Arc::new(Self {
            entrance: Entrance::new(),
            ended: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            refused: Default::default(),
            reader: Mutex::new(reader),
        });
        let writer = Writer {
            lane: Arc::clone(&lane),
            chain: writer,
            scratch: RefCell::new(Vec::with_capacity(SCRATCH_BYTES)),
        };
        (lane, writer)
    }

    pub(super) fn books(&self) -> Books {
        let mut books =
            Books { accepted: self.accepted.load(Ordering::Relaxed), refused: ByReason::default() };
        for (reason, count) in Reason::ALL.into_iter().zip(&self.refused) {
            books.refused.add(reason, count.load(Ordering::Relaxed));
        }
        books
    }

    /// True when the thread has left nothing, nor is about to. False while somebody reads it: nobody waits for that.
    pub(super) fn is_empty(&self, gate: &Gate) -> bool {
        !gate.visit(&self.entrance) && self.reader.try_lock().is_ok_and(|reader| reader.is_empty())
    }
}

impl Writer {
    /// Counts a message before it is appended, so that no reader of the record finds it uncounted.
    pub(super) fn accept(&self) {
        add_one(&self.lane.accepted);
    }

    /// Counts a message that is not appended.
    pub(crate) fn refuse(&self, reason: Reason) {
        if let Some(counter) = self.lane.refused.get(reason as usize) {
            add_one(counter);
        }
    }

    /// Runs `work` with an empty space to encode in; a call within a call gets one of its own.
    pub(super) fn with_scratch<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let Ok(mut scratch) = self.scratch.try_borrow_mut() else { return work(&mut Vec::new()) };
        scratch.clear();
        let done = work(&mut scratch);
        if scratch.capacity() > KEPT_SCRATCH_BYTES {
            scratch.clear();
            scratch.shrink_to(SCRATCH_BYTES);
        }
        done
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lane.ended.store(true, Ordering::Release);
    }
}

/// Every lane that may hold something, and the books of those that are gone.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) open: Vec<Arc<Lane>>,
    ended: Books,
    /// With so many lanes those of threads that have ended are looked for.
    retire_at: usize,
}

/// The least [`Lanes::retire_at`].
const FEW_LANES: usize = 64;

impl Lanes {
    /// Adds a lane. A worker that rests, or is not there, retires none, however many threads come and go.
    pub(super) fn add(&mut self, lane: Arc<Lane>, gate: &Gate) {
        if self.open.len() >= self.retire_at.max(FEW_LANES) {
            self.retire(gate);
            self.retire_at = self.open.len() * 2;
        }
        self.open.push(lane);
    }

    /// Lets go of the empty lanes of threads that have ended, and keeps their books.
    pub(super) fn retire(&mut self, gate: &Gate) {
        let ended = &mut self.ended;
        self.open.retain(|lane| {
            let gone = lane.ended.load(Ordering::Acquire) && lane.is_empty(gate);
            if gone {
                ended.merge(&lane.books());
            }
            !gone
        });
    }

    /// All threads together.
    pub(super) fn books(&self) -> Books {
        let mut books = self.ended;
        self.open.iter().for_each(|lane| books.merge(&lane.books()));
        books
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Self::Closed,
            Refusal::Full => Self::Full,
        }
    }
}
