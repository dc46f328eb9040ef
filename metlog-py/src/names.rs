//! The names and types that a client is called with most, found by where they lie.
//!
//! Most names are literals: the same object at each call. For those a comparison of addresses stands in for reading the
//! text, its hash and a look into the thread's own map, and what a message says of the name is encoded once. The object is
//! kept, so its address stays its own. First come, first kept, a few dozen names; others take the way they always took.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use metlog_core::{
    Options,
    aggregate::{Counter, Gauge, Timer},
    client::{Count, FieldSet, Template, fields},
    sample::Rate,
    value::Encode,
};
use pyo3::{prelude::*, types::PyString};

use crate::{
    calls::{self, Metric},
    state::State,
};

/// A power of two. Applications have a few dozen names in loops that matter.
const PLACES: usize = 64;

/// A name is kept when it comes so often in a row: one that is made anew for each call would be kept for nothing.
const CALLS: u64 = 8;

/// Names of one client, set up in one way.
#[derive(Default)]
pub(crate) struct Names(OnceLock<Box<[Place; PLACES]>>);

struct Place {
    kept: OnceLock<Box<Known>>,
    /// Who may be the next, as [`mark`] has it, and how often it came: the bits that [`CALLS`] needs.
    candidate: AtomicU64,
}

/// A name with what the core has for it, found when it is first needed.
pub(crate) struct Known {
    name: Py<PyString>,
    counter: OnceLock<Counter>,
    gauge: OnceLock<Gauge>,
    timer: OnceLock<Timer>,
    /// Of a counter, a gauge and a timer.
    messages: [OnceLock<Template>; 3],
    /// Of messages of which it is the type.
    as_type: OnceLock<Template>,
}

impl Names {
    /// What is known of `name`.
    #[inline]
    pub(crate) fn get(&self, name: &Bound<'_, PyAny>) -> Option<&Known> {
        let address = name.as_ptr().addr();
        let places = self.0.get()?;
        let known = |place: usize| Some(&**places.get(place % PLACES)?.kept.get()?);
        let place = place_of(address);
        let is_it = |known: &&Known| known.name.as_ptr().addr() == address;
        known(place).filter(is_it).or_else(|| known(place ^ 1).filter(is_it))
    }

    /// Keeps `name`, the text of which is `text`, if it has come often enough and there is room.
    #[cold]
    pub(crate) fn offer(&self, name: &Bound<'_, PyAny>, text: &str) {
        let address = name.as_ptr().addr();
        let Ok(name) = name.cast_exact::<PyString>() else { return };
        let places = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| Place::default())));
        let place = place_of(address);
        let free = [place, place ^ 1].into_iter().filter_map(|place| places.get(place));
        let Some(place) = free.into_iter().find(|place| place.kept.get().is_none()) else { return };
        let mark = mark(address, text);
        let before = place.candidate.load(Relaxed);
        let calls = if before & !(CALLS - 1) == mark { before + 1 } else { mark };
        place.candidate.store(calls, Relaxed);
        if calls & (CALLS - 1) == CALLS - 1 {
            place.kept.get_or_init(|| Box::new(Known::new(name)));
        }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self { kept: OnceLock::new(), candidate: AtomicU64::new(0) }
    }
}

/// Objects lie sixteen bytes apart.
#[inline]
fn place_of(address: usize) -> usize {
    (address >> 4 ^ address >> 10) % PLACES
}

/// Tells names apart, also those that are made for one call each and lie where the one before lay.
fn mark(address: usize, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29),
        _ => bytes.iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte)),
    };
    // Of a product the upper bits depend on all others.
    (ends ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & !(CALLS - 1)
}

impl Known {
    fn new(name: &Bound<'_, PyString>) -> Self {
        Self {
            name: name.clone().unbind(),
            counter: OnceLock::new(),
            gauge: OnceLock::new(),
            timer: OnceLock::new(),
            messages: Default::default(),
            as_type: OnceLock::new(),
        }
    }

    /// Adds to what `state` sums under this name.
    #[inline]
    pub(crate) fn sum(&self, py: Python<'_>, state: &State, metric: Metric, value: Count) {
        let sums = || state.summing().aggregates();
        match metric {
            Metric::Counter => {
                let counter = self.counter.get_or_init(|| sums().counter(self.text(py)));
                match value {
                    Count::Int(count) => counter.add(count),
                    Count::Float(_) => counter.add_count(value),
                }
            }
            Metric::Gauge => {
                self.gauge.get_or_init(|| sums().gauge(self.text(py))).set(calls::float(value));
            }
            Metric::Timer => {
                self.timer.get_or_init(|| sums().timer(self.text(py))).record_millis(calls::float(value));
            }
        }
    }

    /// Sends a message with this name.
    #[inline]
    pub(crate) fn send(&self, py: Python<'_>, state: &State, metric: Metric, value: Count) {
        let [counter, gauge, timer] = &self.messages;
        let (template, value) = match metric {
            Metric::Counter => (counter, value),
            Metric::Gauge => (gauge, value),
            Metric::Timer => (timer, Count::Int(calls::millis(value))),
        };
        let template = template.get_or_init(|| {
            let (name, rate) = (self.text(py), Rate::ALL.get());
            let own: [(&str, &dyn Encode); 2] = [("name", &name), ("rate", &rate)];
            let options = Options { fields: fields(&own), ..state.defaults().options() };
            state.core.template(metric.kind(), &options)
        });
        state.core.send_template(template, &value, &FieldSet::default());
    }

    /// Sends a message of which this is the type.
    #[inline]
    pub(crate) fn send_as_type(&self, py: Python<'_>, state: &State, payload: &str, fields: &FieldSet<'_>) {
        let template =
            self.as_type.get_or_init(|| state.core.template(self.text(py), &state.defaults().options()));
        state.core.send_template(template, &payload, fields);
    }

    fn text<'a>(&'a self, py: Python<'a>) -> &'a str {
        // It was read when it was offered.
        self.name.bind(py).to_str().unwrap_or_default()
    }
}
