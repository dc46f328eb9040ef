//! Who may append, and who has to wake the worker: one atomic addition per message decides both.
//!
//! A writer raises its flag, adds its bytes to those that wait, and only then looks whether the hand-off is closed and
//! what the worker does. The worker says what it does, adds nothing to the same number, and only then looks at the flags
//! and the chains. Additions to one number have an order, so one of the two sees the other: no record is appended that a
//! worker about to end or to rest would miss. `tests/loom.rs` tries every order.

use super::sync::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

/// With less than this share of the bound left nothing more is built: a record that finds no room after it was encoded
/// costs more than one that is taken, and a hand-off that nobody empties would let every call try.
const LAST_SHARE: usize = 64;

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
    limit_bytes: usize,
    waiting_bytes: AtomicUsize,
    closed: AtomicBool,
    worker: AtomicU8,
}

impl Gate {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            waiting_bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            worker: AtomicU8::new(state::AWAKE),
        }
    }

    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Tested before anything is built.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Refusal::Closed);
        }
        if self.waiting_bytes.load(Ordering::Relaxed) >= self.limit_bytes - self.limit_bytes / LAST_SHARE {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Lets `append` append `bytes`, unless the hand-off is closed or they would pass the bound; `writing` is the
    /// writer's flag. Gives back whether the worker has to be woken. One record larger than the bound gets through an
    /// empty hand-off.
    pub(super) fn enter(
        &self,
        writing: &AtomicBool,
        bytes: usize,
        append: impl FnOnce(),
    ) -> Result<bool, Refusal> {
        writing.store(true, Ordering::Relaxed);
        let others = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let entered = if self.closed.load(Ordering::Relaxed) {
            Err(Refusal::Closed)
        } else if others > 0 && others + bytes > self.limit_bytes {
            Err(Refusal::Full)
        } else {
            let worker = self.worker.load(Ordering::Relaxed);
            append();
            Ok(worker == state::IDLE
                || worker == state::NAP && others + bytes > self.limit_bytes / WAKE_SHARE)
        };
        if entered.is_err() {
            self.release(bytes);
        }
        writing.store(false, Ordering::Release);
        entered
    }

    /// [`Gate::enter`] for the worker's own last messages, whatever waits.
    pub(super) fn reserve(&self, bytes: usize) {
        self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// As [`Gate::reserve`], within the bound.
    pub(super) fn try_reserve(&self, bytes: usize) -> Result<(), Refusal> {
        self.admit()?;
        let others = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        if others > 0 && others + bytes > self.limit_bytes {
            self.release(bytes);
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Gives back the room of `bytes` that have left for good.
    pub(super) fn release(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
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

    /// To be called by the worker between what it says (or has seen closed) and its look at flags and chains.
    pub(super) fn order(&self) {
        self.waiting_bytes.fetch_add(0, Ordering::AcqRel);
    }

    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed)
    }
}
