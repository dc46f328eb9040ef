//! Counters: a running total per thread.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use super::{
    cells::PerThread,
    message::Aggregate,
    series::{Handle, Series},
};
use crate::client::Count;

/// What one thread has counted so far. Only that thread writes, so that a load and a store are an addition. A cache line
/// of its own keeps other threads' writes away.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct CounterCell {
    ints: AtomicI64,
    /// The bits of a double.
    floats: AtomicU64,
}

impl CounterCell {
    #[inline]
    pub(super) fn add(&self, count: i64) {
        self.ints.store(self.ints.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    fn add_float(&self, count: f64) {
        let total = f64::from_bits(self.floats.load(Ordering::Relaxed)) + count;
        if total.is_finite() {
            self.floats.store(total.to_bits(), Ordering::Relaxed);
        }
    }
}

/// A counter's cells.
pub(super) type Counters = PerThread<CounterCell>;

impl Series<Counters> {
    #[inline]
    pub(super) fn add(self: &Arc<Self>, count: i64) {
        self.with(|cell| cell.add(count));
    }

    pub(super) fn add_count(self: &Arc<Self>, count: Count) {
        match count {
            Count::Int(count) => self.add(count),
            Count::Float(count) => self.with(|cell| cell.add_float(count)),
        }
    }
}

/// Counts under one name. Clones and equal names of one client count together; keep one where it is used often.
#[derive(Clone)]
pub struct Counter(pub(super) Handle<Counters>);

impl Counter {
    /// What it goes under: [`super::OVERFLOW_NAME`] when the client had no room for its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.series.name
    }

    /// Counts one.
    #[inline]
    pub fn incr(&self) {
        self.add(1);
    }

    /// Counts `count`. Totals beyond 64 bits wrap around.
    #[inline]
    pub fn add(&self, count: i64) {
        self.0.called().add(count);
    }

    /// Counts `count`, whole or not. What would make the total infinite or no number is left out.
    pub fn add_count(&self, count: Count) {
        self.0.called().add_count(count);
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.0.series.name).finish()
    }
}

/// A counter on the list of what is flushed.
pub(super) struct CounterEntry {
    series: Arc<Series<Counters>>,
    sent: Totals,
}

/// The sum over all threads.
#[derive(Clone, Copy, Default)]
struct Totals {
    ints: i64,
    floats: f64,
}

impl Totals {
    fn of(cells: &Counters, base: usize) -> Self {
        cells.from(base).fold(Self::default(), |sum, cell| Self {
            ints: sum.ints.wrapping_add(cell.ints.load(Ordering::Relaxed)),
            floats: sum.floats + f64::from_bits(cell.floats.load(Ordering::Relaxed)),
        })
    }

    fn since(self, sent: Self) -> Option<Count> {
        let ints = self.ints.wrapping_sub(sent.ints);
        let floats = self.floats - sent.floats;
        #[expect(clippy::cast_precision_loss, reason = "beside a double a whole number is one too")]
        let both = ints as f64 + floats;
        match (ints, floats) {
            (0, 0.0) => None,
            (_, 0.0) => Some(Count::Int(ints)),
            _ => Some(Count::Float(both)),
        }
    }
}

impl CounterEntry {
    pub(super) fn new(series: Arc<Series<Counters>>) -> Self {
        Self { series, sent: Totals::default() }
    }

    /// Gives what was counted since the last flush; what is not taken stays for the next one.
    pub(super) fn flush(&mut self, base: usize, emit: &mut dyn FnMut(&Aggregate<'_>) -> bool) {
        let now = Totals::of(&self.series.cells, base);
        let Some(sum) = now.since(self.sent) else { return };
        if emit(&Aggregate::Counter { name: &self.series.name, sum }) {
            self.sent = now;
        }
    }

    pub(super) fn total(&self, base: usize) -> i64 {
        Totals::of(&self.series.cells, base).ints
    }

    pub(super) fn name(&self) -> &str {
        &self.series.name
    }
}
