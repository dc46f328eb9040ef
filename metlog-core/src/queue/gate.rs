//! Who may append, and who has to wake the worker: one atomic operation per message, on memory that is the writer's own,
//! decides both.
//!
//! The bound is kept in steps: a writer takes room for a few kilobytes at once and uses it up by itself; the worker, when
//! it comes by, gives back what is left. So writers rarely meet at the number they share.
//!
//! A writer raises its flag, takes from its room, and only then looks whether the hand-off is closed and what the worker
//! does. The worker says what it does, takes all of the room, and only then looks at the flag and the chain. What is done
//! to the room has an order, so one of the two sees the other: no record is appended that a worker about to end or to rest
//! would miss. `tests/loom.rs` tries every order.

use super::sync::{AtomicBool, AtomicIsize, AtomicU8, AtomicUsize, Ordering};

/// With less than this share of the bound left nothing more is built: a record that finds no room after it was encoded
/// costs more than one that is taken, and a hand-off that nobody empties would let every call try.
const LAST_SHARE: usize = 64;

/// All writers together hold at most this share of the bound as room that they have not used, of at most
/// [`MAX_STEP_BYTES`] each.
const STEP_SHARE: usize = 64;
const MAX_STEP_BYTES: usize = 4096;

/// While the worker gathers a batch it is woken when more than this share of the bound waits: early enough that a burst
/// writes into chunks that are still in the processor's cache. A wake costs some microseconds, a nanosecond a message.
const WAKE_SHARE: usize = 16;

/// What the worker does, as writers see it.
pub(super) mod state {
    /// Draining: it will look again by itself.
    pub(in super::super) const AWAKE: u8 = 0;
    /// Gathering a batch for a moment: woken only when the hand-off fills.
    pub(in super::super) const NAP: u8 = 1;
    /// Waiting for the next message, however long.
    pub(in super::super) const IDLE: u8 = 2;
}

/// Why a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Closed,
    Full,
}

/// The state that all writers and the worker share.
#[derive(Debug)]
pub(super) struct Gate {
    limit_bytes: isize,
    /// Bytes of records from the call until they have left, and the room of all writers. Of a sign, since what is given
    /// back may come before what was taken.
    taken_bytes: AtomicIsize,
    /// How much room a writer takes at once.
    step_bytes: AtomicUsize,
    closed: AtomicBool,
    worker: AtomicU8,
}

/// A writer's own part of it.
#[derive(Debug)]
pub(super) struct Entrance {
    /// Raised while the writer is between its look at the gate and the end of its append.
    writing: AtomicBool,
    /// Bytes that the writer may append before it asks again.
    room: AtomicIsize,
}

impl Entrance {
    pub(super) fn new() -> Self {
        Self { writing: AtomicBool::new(false), room: AtomicIsize::new(0) }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Acquire)
    }
}

/// No piece of memory is larger than `isize::MAX`.
fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

impl Gate {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes: signed(limit_bytes),
            taken_bytes: AtomicIsize::new(0),
            step_bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            worker: AtomicU8::new(state::AWAKE),
        }
    }

    /// There are so many writers now.
    pub(super) fn share(&self, writers: usize) {
        let share = self.limit_bytes.unsigned_abs() / STEP_SHARE / writers.max(1);
        self.step_bytes.store(share.min(MAX_STEP_BYTES), Ordering::Relaxed);
    }

    /// Tested before anything is built.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Refusal::Closed);
        }
        if self.taken_bytes.load(Ordering::Relaxed)
            >= self.limit_bytes - self.limit_bytes / signed(LAST_SHARE)
        {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Lets `append` append `bytes`, unless the hand-off is closed or they would pass the bound. Gives back whether the
    /// worker has to be woken. One record larger than the bound gets through an empty hand-off.
    pub(super) fn enter(
        &self,
        entrance: &Entrance,
        bytes: usize,
        append: impl FnOnce(),
    ) -> Result<bool, Refusal> {
        let bytes = signed(bytes);
        entrance.writing.store(true, Ordering::Relaxed);
        let room = entrance.room.fetch_sub(bytes, Ordering::AcqRel);
        let refusal = if self.closed.load(Ordering::Relaxed) {
            Some(Refusal::Closed)
        } else if room < bytes {
            self.widen(entrance, bytes).err()
        } else {
            None
        };
        let entered = match refusal {
            Some(refusal) => {
                entrance.room.fetch_add(bytes, Ordering::Relaxed);
                Err(refusal)
            }
            None => {
                let wakes = self.needs_waking();
                append();
                Ok(wakes)
            }
        };
        entrance.writing.store(false, Ordering::Release);
        entered
    }

    fn needs_waking(&self) -> bool {
        match self.worker.load(Ordering::Relaxed) {
            state::AWAKE => false,
            state::NAP => self.taken_bytes.load(Ordering::Relaxed) > self.limit_bytes / signed(WAKE_SHARE),
            _ => true,
        }
    }

    #[cold]
    fn widen(&self, entrance: &Entrance, bytes: isize) -> Result<(), Refusal> {
        let step = bytes.max(signed(self.step_bytes.load(Ordering::Relaxed)));
        self.take(step)?;
        entrance.room.fetch_add(step, Ordering::Relaxed);
        Ok(())
    }

    fn take(&self, bytes: isize) -> Result<(), Refusal> {
        let others = self.taken_bytes.fetch_add(bytes, Ordering::Relaxed);
        if others > 0 && others + bytes > self.limit_bytes {
            self.taken_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// The worker comes by, after what it says (or has seen closed) and before it looks at the chain: takes back the room
    /// that is not used. True while the writer is about to append.
    pub(super) fn visit(&self, entrance: &Entrance) -> bool {
        let unused = entrance.room.swap(0, Ordering::AcqRel);
        self.taken_bytes.fetch_sub(unused, Ordering::Relaxed);
        entrance.is_writing()
    }

    /// Room for `bytes` of something that is to become a message.
    #[cfg(feature = "exceptions")]
    pub(super) fn try_reserve(&self, bytes: usize) -> Result<(), Refusal> {
        self.admit()?;
        self.take(signed(bytes))
    }

    /// Room for `bytes`, whatever waits.
    pub(super) fn reserve(&self, bytes: usize) {
        self.taken_bytes.fetch_add(signed(bytes), Ordering::Relaxed);
    }

    /// Gives back the room of `bytes` that have left for good.
    pub(super) fn release(&self, bytes: usize) {
        self.taken_bytes.fetch_sub(signed(bytes), Ordering::Relaxed);
    }

    /// From now on every record is refused, but those of writers whose flag is up.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The worker says what it does.
    pub(super) fn set_worker(&self, state: u8) {
        self.worker.store(state, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn taken_bytes(&self) -> isize {
        self.taken_bytes.load(Ordering::Relaxed)
    }
}
