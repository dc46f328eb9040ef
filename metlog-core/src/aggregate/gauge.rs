//! Gauges: one value that the last writer wins, whichever thread it is.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    message::Aggregate,
    series::{Handle, Series},
};
use crate::process;

/// The value. All threads write the same one: the order in which they do decides, no clock.
#[derive(Default)]
pub(super) struct GaugeCell {
    /// The bits of a double.
    value: AtomicU64,
    /// The generation of the process that set it since the last flush, plus one.
    set_in: AtomicU64,
}

impl GaugeCell {
    fn mark(&self) {
        // After the value: a flush that sees the mark sees the value.
        self.set_in.store(process::generation() + 1, Ordering::Release);
    }

    fn value(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }

    fn reset(&self) {
        self.value.store(0.0_f64.to_bits(), Ordering::Relaxed);
    }
}

impl Series<GaugeCell> {
    #[inline]
    pub(super) fn set(self: &Arc<Self>, value: f64) {
        if value.is_finite() {
            let cell = self.cell();
            cell.value.store(value.to_bits(), Ordering::Relaxed);
            cell.mark();
        }
    }

    fn add(self: &Arc<Self>, change: f64) {
        let cell = self.cell();
        let changed = |bits| {
            let value = f64::from_bits(bits) + change;
            value.is_finite().then_some(value.to_bits())
        };
        if cell.value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed).is_ok() {
            cell.mark();
        }
    }

    #[inline]
    fn cell(self: &Arc<Self>) -> &GaugeCell {
        if !self.is_listed() {
            self.list(GaugeCell::reset);
        }
        &self.cells
    }
}

/// The present value of something. Clones and equal names of one client share it.
#[derive(Clone)]
pub struct Gauge(pub(super) Handle<GaugeCell>);

impl Gauge {
    /// What it goes under: [`super::OVERFLOW_NAME`] when the client had no room for its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.series.name
    }

    /// What it was set to last; 0 at first.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.series.cells.value()
    }

    /// Sets the value. What is no finite number is left out.
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.called().set(value);
    }

    /// Adds to the value, which is 0 at first, and again in a forked child.
    pub fn add(&self, change: f64) {
        self.0.called().add(change);
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.0.series.name).finish()
    }
}

/// Gives the value if it was set since the last flush; what is not taken stays for the next one.
pub(super) fn flush(series: &Arc<Series<GaugeCell>>, emit: &mut dyn FnMut(&Aggregate<'_>) -> bool) {
    let cell = &series.cells;
    if cell.set_in.swap(0, Ordering::Acquire) != process::generation() + 1 {
        return;
    }
    let value = cell.value();
    if !emit(&Aggregate::Gauge { name: &series.name, value }) {
        cell.mark();
    }
}
