//! A sketch that one thread fills and another one empties, without a lock that either could wait for.

use std::{
    array,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use once_cell::race::OnceBox;

use super::{OCTAVES, PER_OCTAVE, Sketch, add_to, place};

type Counts = [AtomicU64; PER_OCTAVE as usize];

/// Who has `busy` has the rest: the atomics inside are loaded and stored one after the other, which costs no more than
/// plain numbers and needs no `unsafe`.
pub(crate) struct SharedSketch {
    busy: AtomicBool,
    /// The bits of doubles.
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    zeros: AtomicU64,
    octaves: [OnceBox<Counts>; OCTAVES],
}

impl Default for SharedSketch {
    fn default() -> Self {
        let fresh = Self {
            busy: AtomicBool::new(false),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(0),
            max: AtomicU64::new(0),
            zeros: AtomicU64::new(0),
            octaves: array::from_fn(|_| OnceBox::new()),
        };
        fresh.reset();
        fresh
    }
}

fn load(bits: &AtomicU64) -> f64 {
    f64::from_bits(bits.load(Ordering::Relaxed))
}

fn store(bits: &AtomicU64, value: f64) {
    bits.store(value.to_bits(), Ordering::Relaxed);
}

#[inline]
fn count_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl SharedSketch {
    /// Takes a value in as [`Sketch::add`] does; false when another thread is at it.
    #[inline]
    pub(crate) fn try_add(&self, value: f64) -> bool {
        if self.busy.swap(true, Ordering::Acquire) {
            return false;
        }
        if value.is_finite() && value >= 0.0 {
            self.add(value);
        }
        self.busy.store(false, Ordering::Release);
        true
    }

    #[inline]
    fn add(&self, value: f64) {
        store(&self.sum, load(&self.sum) + value);
        if value < load(&self.min) {
            store(&self.min, value);
        }
        if value > load(&self.max) {
            store(&self.max, value);
        }
        let counter = match place(value) {
            Some((octave, bucket)) => {
                self.octaves.get(octave).and_then(|counts| counts_of(counts).get(bucket))
            }
            None => Some(&self.zeros),
        };
        counter.map(count_one);
    }

    /// Moves everything to `into`.
    pub(crate) fn drain(&self, into: &mut Sketch) {
        while self.busy.swap(true, Ordering::Acquire) {
            // Its thread may have been interrupted just there.
            std::thread::yield_now();
        }
        self.move_to(into);
        self.busy.store(false, Ordering::Release);
    }

    fn move_to(&self, into: &mut Sketch) {
        let mut count = self.zeros.load(Ordering::Relaxed);
        into.zeros = into.zeros.saturating_add(count);
        let used =
            self.octaves.iter().enumerate().filter_map(|(octave, counts)| Some((octave, counts.get()?)));
        for (octave, counts) in used {
            let own = into.counts_of(octave).iter_mut();
            for (own, counter) in
                own.zip(counts.iter()).filter(|(_, counter)| counter.load(Ordering::Relaxed) > 0)
            {
                let more = counter.swap(0, Ordering::Relaxed);
                add_to(Some(own), more);
                count += more;
            }
        }
        if count > 0 {
            into.count = into.count.saturating_add(count);
            into.sum += load(&self.sum);
            into.min = into.min.min(load(&self.min));
            into.max = into.max.max(load(&self.max));
            self.reset();
        }
    }

    fn reset(&self) {
        store(&self.sum, 0.0);
        store(&self.min, f64::INFINITY);
        store(&self.max, f64::NEG_INFINITY);
        self.zeros.store(0, Ordering::Relaxed);
    }
}

#[inline]
fn counts_of(counts: &OnceBox<Counts>) -> &Counts {
    match counts.get() {
        Some(counts) => counts,
        None => make(counts),
    }
}

#[cold]
fn make(counts: &OnceBox<Counts>) -> &Counts {
    counts.get_or_init(|| Box::new(array::from_fn(|_| AtomicU64::new(0))))
}
