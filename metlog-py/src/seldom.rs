//! A value that every call reads and that changes a few times: when a client is set up.
//!
//! Reading is two loads. `arc_swap` took two atomic exchanges and a look at a list of the thread's own, 25 ns of the 165
//! that a summed counter cost. The price: the first values stay until all of it goes. Later ones are let go of when they
//! are replaced, and cost a lock to read.

use std::{
    ops::Deref,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// To make a client takes five; one that is set up over and over is no application's.
const EARLY: usize = 8;

/// A value that seldom changes, and is cheap to clone.
pub(crate) struct Seldom<T> {
    early: [OnceLock<T>; EARLY],
    /// The place of the value in `early`; beyond its end it is `late`.
    place: AtomicUsize,
    late: Mutex<T>,
}

/// The value at one moment.
pub(crate) enum Loaded<'a, T> {
    Early(&'a T),
    Late(T),
}

impl<T> Deref for Loaded<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Early(value) => value,
            Self::Late(value) => value,
        }
    }
}

impl<T: Clone> Seldom<T> {
    pub(crate) fn new(value: T) -> Self {
        // Before the first change there is nothing in `early`, which is as good as being past its end.
        Self { early: Default::default(), place: AtomicUsize::new(EARLY), late: Mutex::new(value) }
    }

    /// The value, for one call.
    #[inline]
    pub(crate) fn load(&self) -> Loaded<'_, T> {
        match self.early.get(self.place.load(Ordering::Acquire)).and_then(OnceLock::get) {
            Some(value) => Loaded::Early(value),
            None => Loaded::Late(self.lock().clone()),
        }
    }

    /// Replaces the value.
    pub(crate) fn store(&self, value: T) {
        let mut late = self.lock();
        let free = self.early.iter().position(|slot| slot.get().is_none());
        if let Some(slot) = free.and_then(|place| self.early.get(place)) {
            slot.get_or_init(|| value.clone());
        }
        let before = std::mem::replace(&mut *late, value);
        self.place.store(free.unwrap_or(EARLY), Ordering::Release);
        // What ends with it may do anything, but not here.
        drop(late);
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
