//! Work that is too slow for a call and would hold up the worker: it is done on a thread named `metlog-deferred`, one
//! piece after another.
//!
//! Looking up the names, files and lines of a stack took 124 ms the first time in a small program with debug information
//! (0.6 ms each time later), and grows with the program. A worker that did it would meanwhile find its hand-off full: at
//! 100,000 messages a second 4 MiB hold 200 ms. So the thread is another one. It starts with the first piece and ends a
//! second after the last.

use std::{
    cell::Cell,
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::stats::{Reason, complain};

/// Pieces that may wait. What they hold counts against `queue_bytes`; this bounds what is small.
const MAX_WAITING: usize = 256;

/// How long the thread waits for another piece.
const LINGER: Duration = Duration::from_secs(1);

/// A piece: it is told to be done, or why it is not done, which it then counts itself.
type Work = Box<dyn FnOnce(Result<(), Reason>) + Send>;

/// The deferred work of one client in one process.
#[derive(Default)]
pub(crate) struct Deferred {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Pieces that wait or are being done.
    open: usize,
    /// True while a thread takes them.
    has_thread: bool,
    /// True once what waited was given up.
    is_abandoned: bool,
}

thread_local! {
    /// Set on the threads that do the work.
    static WORKING: Cell<bool> = const { Cell::new(false) };
}

/// True on a thread that does deferred work: what goes wrong there is not worth another piece.
pub(crate) fn is_working() -> bool {
    WORKING.try_with(Cell::get).unwrap_or(true)
}

impl Deferred {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `work` done soon. Never waits for it. Where the operating system gives no thread, whatever waits is told so.
    ///
    /// # Errors
    /// `Full` when too much waits already, `Closed` after [`Deferred::abandon`]; the piece is dropped untold.
    pub(crate) fn push(self: &Arc<Self>, work: Work) -> Result<(), Reason> {
        self.push_with(work, Self::start)
    }

    fn push_with(
        self: &Arc<Self>,
        work: Work,
        start: impl FnOnce(&Arc<Self>) -> io::Result<()>,
    ) -> Result<(), Reason> {
        let mut state = self.lock();
        if state.is_abandoned {
            return Err(Reason::Closed);
        }
        if state.open >= MAX_WAITING {
            return Err(Reason::Full);
        }
        state.waiting.push_back(work);
        state.open += 1;
        let needs_thread = !std::mem::replace(&mut state.has_thread, true);
        drop(state);
        self.changed.notify_all();
        if needs_thread && let Err(error) = start(self) {
            complain("deferred", &format!("cannot start the thread metlog-deferred: {error}"));
            let mut state = self.lock();
            state.has_thread = false;
            // Others have relied on this thread as well.
            self.refuse(state, Reason::Encode);
        }
        Ok(())
    }

    fn start(self: &Arc<Self>) -> io::Result<()> {
        let this = Arc::clone(self);
        let thread = std::thread::Builder::new().name("metlog-deferred".to_owned());
        thread.spawn(move || this.run()).map(drop)
    }

    /// Gives up what waits, each piece refused as closed, and refuses what comes later. A piece that is being done goes
    /// on. For the deadline of a close.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        self.refuse(state, Reason::Closed);
    }

    /// Takes out what waits and tells each piece, outside of the lock: a piece may hold the last handle of a client.
    fn refuse(&self, mut state: MutexGuard<'_, State>, reason: Reason) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for work in waiting {
            self.tell(work, Err(reason));
        }
    }

    fn run(&self) {
        WORKING.set(true);
        while let Some(work) = self.next() {
            self.tell(work, Ok(()));
        }
    }

    fn tell(&self, work: Work, word: Result<(), Reason>) {
        if catch_unwind(AssertUnwindSafe(|| work(word))).is_err() {
            complain("deferred", "deferred work has panicked");
        }
        self.lock().open -= 1;
        self.changed.notify_all();
    }

    /// The next piece; `None` ends the thread.
    fn next(&self) -> Option<Work> {
        let waited = self.changed.wait_timeout_while(self.lock(), LINGER, |state| state.waiting.is_empty());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let work = state.waiting.pop_front();
        state.has_thread = work.is_some();
        work
    }

    /// Waits until all that was pushed is done, at most `timeout`; true when it is. At once on the thread that does it.
    pub(crate) fn finish(&self, timeout: Duration) -> bool {
        if is_working() {
            return false;
        }
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| state.open > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.open == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn pieces_are_done_in_order_and_one_that_panics_harms_none() {
        let deferred = Arc::new(Deferred::default());
        let (done, results) = mpsc::channel();
        for n in 0..20 {
            let done = done.clone();
            let work = move |_| {
                assert!(n != 7, "the piece that panics");
                assert!(is_working());
                done.send(n).unwrap();
            };
            deferred.push(Box::new(work)).unwrap();
        }
        assert!(deferred.finish(SOON));
        let expected: Vec<_> = (0..20).filter(|n| *n != 7).collect();
        assert_eq!(results.try_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn too_many_are_refused_and_the_rest_is_done() {
        let deferred = Arc::new(Deferred::default());
        let (gate, wait) = mpsc::channel::<()>();
        deferred.push(Box::new(move |_| wait.recv().unwrap())).unwrap();
        let pushed = (0..300).filter(|_| deferred.push(Box::new(|_| ())).is_ok()).count();
        assert_eq!(pushed, MAX_WAITING - 1);
        assert!(!deferred.finish(Duration::ZERO));
        gate.send(()).unwrap();
        assert!(deferred.finish(SOON));
        assert_eq!(deferred.push(Box::new(|_| ())), Ok(()));
    }

    /// It once took out the newest piece, whosever that was, and dropped it under the lock.
    #[test]
    fn without_a_thread_each_piece_that_relied_on_it_is_told() {
        let deferred = Arc::new(Deferred::default());
        let (told, words) = mpsc::channel();
        let piece = |n: u8| -> Work {
            let (told, deferred) = (told.clone(), Arc::clone(&deferred));
            Box::new(move |word| {
                drop(deferred.lock());
                told.send((n, word)).unwrap();
            })
        };
        let start = |_: &Arc<Deferred>| {
            deferred.push(piece(2)).unwrap();
            Err(io::ErrorKind::OutOfMemory.into())
        };
        deferred.push_with(piece(1), start).unwrap();
        assert!(deferred.finish(Duration::ZERO));
        deferred.push(piece(3)).unwrap();
        assert!(deferred.finish(SOON));
        let refused = Err(Reason::Encode);
        assert_eq!(words.try_iter().collect::<Vec<_>>(), [(1, refused), (2, refused), (3, Ok(()))]);
    }

    #[test]
    fn what_waits_is_refused_as_closed_when_it_is_given_up() {
        let deferred = Arc::new(Deferred::default());
        let (gate, wait) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let (told, words) = mpsc::channel();
        let running = told.clone();
        let first = move |word| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            running.send(word).unwrap();
        };
        deferred.push(Box::new(first)).unwrap();
        begins.recv_timeout(SOON).unwrap();
        for _ in 0..3 {
            let told = told.clone();
            deferred.push(Box::new(move |word| told.send(word).unwrap())).unwrap();
        }
        deferred.abandon();
        assert_eq!(words.try_iter().collect::<Vec<_>>(), [Err(Reason::Closed); 3]);
        assert_eq!(deferred.push(Box::new(|_| ())), Err(Reason::Closed));
        gate.send(()).unwrap();
        assert!(deferred.finish(SOON));
        assert_eq!(words.try_iter().collect::<Vec<_>>(), [Ok(())], "the one that was being done");
    }

    #[test]
    fn the_thread_ends_and_another_one_starts() {
        let deferred = Arc::new(Deferred::default());
        for _ in 0..2 {
            deferred.push(Box::new(|_| ())).unwrap();
            assert!(deferred.finish(SOON));
            let deadline = std::time::Instant::now() + SOON;
            while deferred.lock().has_thread {
                assert!(std::time::Instant::now() < deadline, "the thread never ends");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
