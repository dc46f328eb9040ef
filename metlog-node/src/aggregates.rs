//! Sums of counters, gauges and timers: JavaScript adds to arrays of its own, and this takes them over.
//!
//! A call across the boundary costs twenty times what adding to an array does. So each client has two arrays of doubles:
//!
//! ```text
//! values    one slot for each name: what a counter has added up, what a gauge was set to (NaN: not set)
//! samples   [0] how many of the rest are in use, then slot and milliseconds of each measurement of a timer
//! ```
//!
//! JavaScript has them taken over once a second, and before each flush and close, and empties them itself. What its arrays
//! hold when no JavaScript runs any more is taken over at the thread's own end: a worker thread was terminated, or a
//! listener of the process's `exit` that came after ours has added to them.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use metlog_core::{
    Client, Encode, Severity, Timestamp,
    aggregate::{Aggregate, Aggregates, Counter, Gauge, OVERFLOW_NAME, Timer},
    client::Count,
    wire::record::{self, Head, Record},
};
use napi::bindgen_prelude::{External, Float64Array};
use napi_derive::napi;

use crate::sender::Sender;

/// Doubles above this do not tell whole numbers apart: 2^53.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// What a slot stands for.
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Timer(Timer),
}

impl Series {
    fn named(aggregates: &Aggregates, kind: &str, name: &str) -> Self {
        match kind {
            "counter" => Self::Counter(aggregates.counter(name)),
            "gauge" => Self::Gauge(aggregates.gauge(name)),
            _ => Self::Timer(aggregates.timer(name)),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Counter(counter) => counter.name(),
            Self::Gauge(gauge) => gauge.name(),
            Self::Timer(timer) => timer.name(),
        }
    }

    fn take_over(&self, value: f64) {
        match self {
            Self::Counter(counter) if value != 0.0 => counter.add_count(count(value)),
            Self::Gauge(gauge) if !value.is_nan() => gauge.set(value),
            _ => {}
        }
    }

    fn record(&self, millis: f64) {
        if let Self::Timer(timer) = self {
            timer.record_millis(millis);
        }
    }
}

/// A whole number where it is one: it is shown without a fraction.
fn count(value: f64) -> Count {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
    if value.fract() == 0.0 && value.abs() <= MAX_WHOLE {
        Count::Int(value as i64)
    } else {
        Count::Float(value)
    }
}

/// The arrays of one client in one thread, and what their slots stand for.
pub struct Sums(Rc<Held>);

struct Held {
    aggregates: Aggregates,
    /// Keeps a sender for as long as something may be added.
    _client: Option<Client>,
    series: RefCell<Vec<Series>>,
    arrays: RefCell<Option<Arrays>>,
}

struct Arrays {
    values: Float64Array,
    samples: Float64Array,
}

impl Held {
    fn take_over(&self) {
        let (series, arrays) = (self.series.borrow(), self.arrays.borrow());
        let Some(Arrays { values, samples }) = arrays.as_ref() else { return };
        for (series, value) in series.iter().zip(values.iter()) {
            series.take_over(*value);
        }
        let used = samples.first().copied().and_then(index).unwrap_or(0);
        let mut rest = samples.iter().skip(1).take(used);
        while let (Some(slot), Some(millis)) = (rest.next(), rest.next()) {
            if let Some(series) = index(*slot).and_then(|slot| series.get(slot)) {
                series.record(*millis);
            }
        }
    }
}

/// A number of JavaScript as a place.
fn index(value: f64) -> Option<usize> {
    match count(value) {
        Count::Int(whole) => usize::try_from(whole).ok(),
        Count::Float(_) => None,
    }
}

/// A process or thread that ends by itself lets its handles go.
impl Drop for Held {
    fn drop(&mut self) {
        self.take_over();
    }
}

thread_local! {
    static ALL: All = const { All(RefCell::new(Vec::new())) };
}

/// The sums of this thread. `process.exit` lets no handle go, but it has this dropped, before the clients end.
struct All(RefCell<Vec<Weak<Held>>>);

impl Drop for All {
    fn drop(&mut self) {
        for held in self.0.take().iter().filter_map(Weak::upgrade) {
            held.take_over();
        }
    }
}

impl Sums {
    fn handle(aggregates: Aggregates, client: Option<Client>) -> External<Self> {
        let (series, arrays) = (RefCell::default(), RefCell::default());
        let held = Rc::new(Held { aggregates, _client: client, series, arrays });
        ALL.with(|All(all)| {
            let mut all = all.borrow_mut();
            all.retain(|held| held.strong_count() > 0);
            all.push(Rc::downgrade(&held));
        });
        External::new(Self(held))
    }
}

/// The sums of a sender: they leave with its messages.
#[napi(catch_unwind)]
pub fn sums_of(sender: &External<Sender>) -> External<Sums> {
    let client = sender.client();
    Sums::handle(client.aggregates().clone(), Some(client.clone()))
}

/// Sums for a sender written in JavaScript: [`summed`] gives them away.
#[napi(catch_unwind)]
pub fn own_sums(max_names: u32) -> External<Sums> {
    let max_names = usize::try_from(max_names).unwrap_or(usize::MAX);
    Sums::handle(Aggregates::new(max_names, || {}), None)
}

/// Names the arrays from which sums are taken over.
#[napi(catch_unwind)]
pub fn share_sums(sums: &External<Sums>, values: Float64Array, samples: Float64Array) {
    sums.0.arrays.replace(Some(Arrays { values, samples }));
}

/// Makes the next slot that of `name`; false, and no slot, when there is no room for another name.
#[napi(catch_unwind)]
pub fn add_series(sums: &External<Sums>, kind: String, name: String) -> bool {
    let series = Series::named(&sums.0.aggregates, &kind, &name);
    let has_room = series.name() == name;
    if has_room {
        sums.0.series.borrow_mut().push(series);
    }
    has_room
}

/// Makes the next slot that of `name`, or of what it overflows into.
#[napi(catch_unwind)]
pub fn keep_series(sums: &External<Sums>, kind: String, name: String) {
    if name.starts_with(OVERFLOW_NAME) {
        // The first handle of these names, which have their room in any case, would count as a call that overflows.
        drop(Series::named(&sums.0.aggregates, &kind, &name));
    }
    sums.0.series.borrow_mut().push(Series::named(&sums.0.aggregates, &kind, &name));
}

/// Takes over what the arrays hold; JavaScript empties them.
#[napi(catch_unwind)]
pub fn take_over_sums(sums: &External<Sums>) {
    sums.0.take_over();
}

/// Adds to the gauge of a slot, whatever thread has set it.
#[napi(catch_unwind)]
pub fn adjust_gauge(sums: &External<Sums>, slot: u32, change: f64) {
    let series = sums.0.series.borrow();
    if let Some(Series::Gauge(gauge)) = usize::try_from(slot).ok().and_then(|slot| series.get(slot)) {
        gauge.add(change);
    }
}

/// What the gauge of a slot is at; 0 for one that was never set.
#[napi(catch_unwind)]
pub fn gauge_value(sums: &External<Sums>, slot: u32) -> f64 {
    let series = sums.0.series.borrow();
    match usize::try_from(slot).ok().and_then(|slot| series.get(slot)) {
        Some(Series::Gauge(gauge)) => gauge.value(),
        _ => 0.0,
    }
}

/// A sum as a message's columns.
#[napi(object)]
pub struct Summed {
    /// Its type.
    pub kind: String,
    /// Its payload.
    pub payload: String,
    /// Its fields as JSON.
    pub fields: String,
}

/// Gives away what was summed since the last call.
#[napi(catch_unwind)]
pub fn summed(sums: &External<Sums>) -> Vec<Summed> {
    let mut all = Vec::new();
    sums.0.aggregates.flush(&mut |sum| {
        let given = columns(sum);
        let is_taken = given.is_ok();
        all.extend(given);
        is_taken
    });
    all
}

fn columns(sum: &Aggregate<'_>) -> napi::Result<Summed> {
    let mut record = Vec::new();
    let (severity, timestamp) = (Severity::default(), Timestamp::from_nanos(0));
    let head = Head { kind: sum.kind(), severity, logger: "", timestamp };
    record::write(&mut record, &head, None, |out| {
        "".encode(out);
        sum.encode_fields(out);
    })
    .map_err(failed)?;
    let (_, fields) = Record::split(&record).and_then(|(record, _)| record.content()).map_err(failed)?;
    let fields = serde_json::to_string(&fields).map_err(failed)?;
    Ok(Summed { kind: sum.kind().to_owned(), payload: sum.payload(), fields })
}

fn failed(error: impl ToString) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
