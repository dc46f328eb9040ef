//! What the worker and those who wait for it share: the books of what has left, and orders to flush and to end.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{BUSY_WAIT, LONGEST_CLOSE};
use crate::{
    queue::Queue,
    stats::{ByReason, Reason, Stats},
};

/// What the worker and those who wait for it share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Messages the sender has taken, and those of them that are not safe yet.
    taken: u64,
    pending: u64,
    dropped: ByReason,
    /// Flushes asked for and done, as running numbers.
    pub(super) flush_wanted: u64,
    flush_done: u64,
    /// Threads that wait for one.
    waiters: usize,
    /// Flushes under way, and what has to have left before each is done. One for each batch that is pending, at most.
    flushes: VecDeque<(u64, u64)>,
    /// Set by close: what is not sent by then is given up.
    pub(super) deadline: Option<Instant>,
    /// The worker has ended.
    finished: bool,
    /// And has not sent all that it had.
    gave_up: bool,
}

impl State {
    /// The last flush that the worker has heard of.
    fn flush_begun(&self) -> u64 {
        self.flushes.back().map_or(self.flush_done, |(last, _)| *last)
    }

    fn sent(&self) -> u64 {
        self.taken.saturating_sub(self.pending)
    }

    /// Messages that the worker is done with, one way or the other.
    fn left(&self) -> u64 {
        self.sent() + self.dropped.total()
    }

    /// A flush is done when all that the worker had taken up when it heard of it has left.
    fn begin_flush(&mut self, wanted: u64) {
        let until = self.taken + self.dropped.total();
        match self.flushes.back_mut() {
            Some((last, mark)) if *mark == until => *last = wanted,
            _ => self.flushes.push_back((wanted, until)),
        }
    }

    /// True when there was one.
    fn finish_flushes(&mut self) -> bool {
        let (before, left) = (self.flush_done, self.left());
        while let Some((wanted, _)) = self.flushes.pop_front_if(|(_, mark)| *mark <= left) {
            self.flush_done = wanted;
        }
        self.flush_done > before
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The books at this moment. Sent and dropped are read first, so that `waiting` never goes negative.
    pub(crate) fn stats(&self, queue: &Queue) -> Stats {
        let (sent, dropped) = {
            let state = self.lock();
            (state.sent(), state.dropped)
        };
        let books = queue.books();
        Stats {
            attempted: books.attempted(),
            accepted: books.accepted,
            refused: books.refused,
            sent,
            dropped,
            waiting: books.accepted.saturating_sub(sent + dropped.total()),
        }
    }

    /// Waits until all that was accepted before this call has left, at most `timeout`; true when it has.
    pub(crate) fn flush(&self, queue: &Queue, timeout: Duration) -> bool {
        let mut state = self.lock();
        state.flush_wanted += 1;
        state.waiters += 1;
        let wanted = state.flush_wanted;
        drop(state);
        queue.wake();
        let done = |state: &State| state.flush_done >= wanted || state.finished && !state.gave_up;
        let done = self.wait(timeout, |state| done(state) || state.finished, done);
        self.lock().waiters -= 1;
        done
    }

    /// Tells the worker to end by `timeout`.
    pub(crate) fn begin_close(&self, queue: &Queue, timeout: Duration) {
        let end = Instant::now() + timeout.min(LONGEST_CLOSE);
        let mut state = self.lock();
        state.deadline = Some(state.deadline.map_or(end, |earlier| earlier.min(end)));
        drop(state);
        queue.close();
    }

    /// Tells the worker to end by `timeout` and waits for it. It keeps the deadline itself; the margin is for its last
    /// step.
    pub(crate) fn close(&self, queue: &Queue, timeout: Duration) {
        self.begin_close(queue, timeout);
        let finished = |state: &State| state.finished;
        self.wait(timeout.min(LONGEST_CLOSE) + BUSY_WAIT * 2, finished, finished);
    }

    /// What was given up so far.
    pub(super) fn dropped(&self) -> ByReason {
        self.lock().dropped
    }

    /// True when somebody waits for a flush.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().waiters > 0
    }

    /// True when a flush was asked for that the worker has not begun.
    pub(super) fn is_flush_new(&self) -> bool {
        let state = self.lock();
        state.flush_wanted > state.flush_begun()
    }

    /// True when the worker has ended: nothing is left to send.
    pub(crate) fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Waits `until` something, at most `timeout`, and gives back whether it is `done`.
    fn wait(&self, timeout: Duration, until: impl Fn(&State) -> bool, done: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| !until(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        done(&state)
    }

    /// Messages the sender had taken are lost after all.
    pub(super) fn give_up(&self, count: u64) {
        let mut state = self.lock();
        let count = count.min(state.taken);
        state.taken -= count;
        state.pending = 0;
        state.dropped.add(Reason::Send, count);
        state.gave_up |= count > 0;
    }

    /// The worker is gone: of `accepted` messages those that had not left are lost.
    pub(super) fn abandon(&self, accepted: u64) {
        let pending = self.lock().pending;
        self.give_up(pending);
        let mut state = self.lock();
        let lost = accepted.saturating_sub(state.left());
        state.dropped.add(Reason::Send, lost);
        state.gave_up |= lost > 0;
    }

    /// The sender has taken `taken` more messages and now has `pending` that are not safe.
    pub(super) fn take(&self, taken: u64, pending: u64, (reason, dropped): (Reason, u64)) {
        let mut state = self.lock();
        state.taken += taken;
        state.dropped.add(reason, dropped);
        state.gave_up |= dropped > 0 && state.deadline.is_some();
        self.settle(state, pending);
    }

    /// The hand-off was emptied after flush number `wanted` was asked for, and the sender has `pending` messages that are
    /// not safe.
    pub(super) fn end_round(&self, wanted: u64, pending: u64) {
        let mut state = self.lock();
        if state.flush_begun() < wanted {
            state.begin_flush(wanted);
        }
        self.settle(state, pending);
    }

    fn settle(&self, mut state: MutexGuard<'_, State>, pending: u64) {
        state.pending = pending;
        if state.finish_flushes() {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The worker has ended.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }
}
