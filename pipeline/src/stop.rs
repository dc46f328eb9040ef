//! Tells every thread of a daemon to end, wakes those that wait, and shows which of them still ask.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Set once, seen by every clone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    told: Arc<Told>,
    pulse: Pulse,
}

#[derive(Default)]
struct Told {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    is_set: bool,
    is_pause: bool,
    wakers: Vec<Waker>,
}

/// Wakes a thread that waits for something else than the stop.
type Waker = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

/// Whether a thread still comes back to ask whether to stop.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug, Default)]
struct Beat {
    count: AtomicU64,
    is_resting: AtomicBool,
}

impl Pulse {
    /// How often it has asked, and whether it waits for the stop and nothing else.
    #[must_use]
    pub fn read(&self) -> (u64, bool) {
        (self.0.count.load(Ordering::Relaxed), self.0.is_resting.load(Ordering::Relaxed))
    }

    fn beat(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    fn rest(&self, is_resting: bool) {
        self.beat();
        self.0.is_resting.store(is_resting, Ordering::Relaxed);
    }
}

impl Stop {
    /// The same stop with a pulse of its own, for one thread.
    #[must_use]
    pub fn for_thread(&self) -> Self {
        Self { told: Arc::clone(&self.told), pulse: Pulse::default() }
    }

    /// The pulse of the thread that has this handle.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Tells everyone.
    pub fn set(&self) {
        self.tell(false);
    }

    /// Tells everyone, and that another run follows on the same sockets: what waits in them is for that one.
    pub fn pause(&self) {
        self.tell(true);
    }

    /// True when another run follows.
    #[must_use]
    pub fn is_pause(&self) -> bool {
        self.lock().is_pause
    }

    fn tell(&self, is_pause: bool) {
        let mut state = self.lock();
        (state.is_set, state.is_pause) = (true, is_pause);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.told.woken.notify_all();
        for wake in wakers {
            wake();
        }
    }

    /// Calls `wake` when it is set, or now when it has been: for a thread that waits for something else too.
    pub fn on_set(&self, wake: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if state.is_set {
            drop(state);
            return wake();
        }
        state.wakers.push(Box::new(wake));
    }

    /// True once it has been set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.pulse.beat();
        self.lock().is_set
    }

    /// Waits until it is set, at most `timeout`; true when it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.rest(|| {
            let waited = self.told.woken.wait_timeout_while(self.lock(), timeout, |state| !state.is_set);
            waited.unwrap_or_else(PoisonError::into_inner).0.is_set
        })
    }

    /// Waits in `wait`, which ends when there is work or the stop is set: the thread is not stuck meanwhile.
    pub fn rest<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.pulse.rest(true);
        let waited = wait();
        self.pulse.rest(false);
        waited
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.told.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_something_else_is_woken_once_whether_he_asked_before_or_after() {
        let stop = Stop::default();
        let calls = Arc::new(AtomicU64::new(0));
        let call = || {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        stop.on_set(call());
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        stop.set();
        stop.set();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        stop.on_set(call());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_thread_that_rests_says_so() {
        let stop = Stop::default();
        assert!(stop.rest(|| stop.pulse().read().1));
        assert!(!stop.pulse().read().1);
    }
}
