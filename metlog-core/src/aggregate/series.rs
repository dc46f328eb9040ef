//! One name with its cells, and how it gets onto the list of what is flushed.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use super::{
    cells::PerThread,
    counter::Counters,
    registry::{Entry, Inner},
};
use crate::process;

/// A name with what is counted under it.
pub(super) struct Series<C> {
    pub(super) name: Box<str>,
    owner: Weak<Inner>,
    /// The generation of the process that flushes it, plus one.
    listed: AtomicU64,
    pub(super) cells: C,
}

impl<C: Default> Series<C> {
    pub(super) fn new(name: &str, owner: Weak<Inner>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), owner, listed: AtomicU64::new(0), cells: C::default() })
    }
}

impl<C> Series<C> {
    /// True when this process flushes it.
    #[inline]
    pub(super) fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire) == process::generation() + 1
    }

    /// Puts it onto the list of this process, once; `prepare` runs before anybody sees it there. When the client is
    /// gone there is no list: what is counted then is counted for nobody.
    #[cold]
    pub(super) fn list(self: &Arc<Self>, prepare: impl FnOnce(&C))
    where
        Entry: From<Arc<Self>>,
    {
        let Some(owner) = self.owner.upgrade() else { return };
        owner.list(|inbox| {
            if !self.is_listed() {
                prepare(&self.cells);
                inbox.push(Entry::from(Arc::clone(self)));
                self.listed.store(process::generation() + 1, Ordering::Release);
            }
        });
    }
}

impl<T: Default> Series<PerThread<T>>
where
    Entry: From<Arc<Self>>,
{
    /// Runs `work` with this thread's cell.
    #[inline]
    pub(super) fn with(self: &Arc<Self>, work: impl FnOnce(&T)) {
        match self.cells.here() {
            Some(cell) => work(cell),
            None => self.enter(work),
        }
    }

    #[cold]
    fn enter(self: &Arc<Self>, work: impl FnOnce(&T)) {
        if !self.is_listed() {
            self.list(|_| {});
        }
        self.cells.enter(work);
    }
}

/// What an application holds: a series, or the overflow in its place.
pub(super) struct Handle<C> {
    pub(super) series: Arc<Series<C>>,
    /// Counts the calls when the series is the overflow.
    pub(super) overflow: Option<Arc<Series<Counters>>>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { series: Arc::clone(&self.series), overflow: self.overflow.clone() }
    }
}

impl<C> Handle<C> {
    /// The series for one call, which is counted if it was meant for another name.
    #[inline]
    pub(super) fn called(&self) -> &Arc<Series<C>> {
        if let Some(calls) = &self.overflow {
            calls.with(|cell| cell.add(1));
        }
        &self.series
    }
}
