//! A small number for each living thread: where its cells are.
//!
//! Numbers of threads that ended are given out again, so that cells are as many as threads ran at the same time. Reading
//! the own number is two loads: the cell it lies in has no destructor, the one that gives it back lies apart. A forked
//! child goes on above all numbers of its parent, and never touches the parent's list: its lock may be held for good.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;

use crate::process;

/// The numbers of one process.
struct Pool {
    generation: u64,
    /// The first of them.
    base: usize,
    next: AtomicUsize,
    free: Mutex<Vec<usize>>,
}

static POOL: ArcSwapOption<Pool> = ArcSwapOption::const_empty();

/// A thread's number, and the process it holds for.
#[derive(Clone, Copy)]
struct Here {
    generation: u64,
    number: usize,
}

thread_local! {
    static HERE: Cell<Here> = const { Cell::new(Here { generation: u64::MAX, number: 0 }) };
    static LEASE: RefCell<Option<Lease>> = const { RefCell::new(None) };
}

/// Gives a number back when its thread ends.
struct Lease {
    pool: Arc<Pool>,
    number: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        HERE.set(Here { generation: u64::MAX, number: 0 });
        if self.pool.generation == process::generation() {
            self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
        }
    }
}

impl Lease {
    fn take() -> Self {
        let pool = pool();
        let free = pool.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let number = free.unwrap_or_else(|| pool.next.fetch_add(1, Ordering::Relaxed));
        Self { pool, number }
    }
}

/// The number of this thread, if it has one in this process.
#[inline]
pub(super) fn here() -> Option<usize> {
    let here = HERE.get();
    (here.generation == process::generation()).then_some(here.number)
}

/// Runs `work` with the number of this thread, given now if it has none. A thread that is past its own destructors
/// has one for this call alone.
#[cold]
pub(super) fn enter(work: impl FnOnce(usize)) {
    if let Some(number) = here() {
        return work(number);
    }
    let lease = Lease::take();
    let number = lease.number;
    let generation = lease.pool.generation;
    let mut lease = Some(lease);
    let kept = LEASE.try_with(|kept| drop(kept.replace(lease.take())));
    if kept.is_ok() {
        HERE.set(Here { generation, number });
    }
    work(number);
    drop(lease);
}

/// The first number of this process.
pub(super) fn base() -> usize {
    pool().base
}

fn pool() -> Arc<Pool> {
    let generation = process::generation();
    loop {
        let known = POOL.load_full();
        match known {
            Some(pool) if pool.generation == generation => return pool,
            _ => {
                // The parent's is leaked: another thread may have been about to change it.
                std::mem::forget(known.clone());
                let base = known.as_ref().map_or(0, |pool| pool.next.load(Ordering::Relaxed));
                let fresh = Pool { generation, base, next: AtomicUsize::new(base), free: Mutex::default() };
                // Of several threads that come here at once, one wins.
                POOL.compare_and_swap(&known, Some(Arc::new(fresh)));
            }
        }
    }
}
