//! Tells every thread of a daemon to end, wakes those that wait, and shows which of them still ask.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Set once, seen by every clone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    told: Arc<(Mutex<bool>, Condvar)>,
    pulse: Pulse,
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
        *self.told.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.1.notify_all();
    }

    /// True once it has been set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.pulse.beat();
        *self.told.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is set, at most `timeout`; true when it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.pulse.rest(true);
        let set = self.told.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.1.wait_timeout_while(set, timeout, |set| !*set);
        self.pulse.rest(false);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
