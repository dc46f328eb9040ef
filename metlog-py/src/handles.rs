//! Handles of counters, gauges and timers: what a client sums under one name.
//!
//! A handle keeps what it found of the core's and asks again when any client was set up anew, another one became the
//! default, or a test begins or ends to capture. Until then a call costs one comparison more than the core's.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metlog_core::{
    aggregate::{Aggregates, Counter as CoreCounter, Gauge as CoreGauge, Timer as CoreTimer},
    client::Count,
    stats::Reason,
};
use pyo3::{
    PyTraverseError,
    call::PyCallArgs,
    exceptions::PyException,
    gc::PyVisit,
    prelude::*,
    types::{PyInt, PyTuple},
};

use crate::{
    NotPicklableError,
    calls::{self, Metric},
    capture,
    client::Client,
    seldom::{Loaded, Seldom},
    state::State,
    text,
};

type Object<'py> = Bound<'py, PyAny>;

/// Rises with every change of what handles stand for.
static VERSION: AtomicU64 = AtomicU64::new(1);

/// Has every handle look for its client anew.
pub(crate) fn bind_anew() {
    VERSION.fetch_add(1, Ordering::Relaxed);
}

/// As [`bind_anew`], for the holder of clients, which is Python's.
#[pyfunction]
pub(crate) fn rebind_handles() {
    bind_anew();
}

/// Adds to the sums of a client.
#[inline]
pub(crate) fn sum(state: &State, metric: Metric, name: &str, value: Count) {
    let sums = state.summing().aggregates();
    match metric {
        Metric::Counter => match value {
            Count::Int(count) => sums.incr(name, count),
            Count::Float(_) => sums.incr_count(name, value),
        },
        Metric::Gauge => sums.set(name, calls::float(value)),
        Metric::Timer => sums.record_millis(name, calls::float(value)),
    }
}

/// The sums of a client.
fn sums(client: &Bound<'_, Client>) -> Aggregates {
    client.get().state().summing().aggregates().clone()
}

/// A client, or the default one whichever that is, and a name.
struct Handle<T> {
    client: Option<Py<Client>>,
    name: String,
    found: Seldom<Arc<Found<T>>>,
}

/// What a handle stands for in one version.
struct Found<T> {
    version: u64,
    place: Place<T>,
}

enum Place<T> {
    Summed(T),
    /// A test captures, or the client is closed and refuses: each call is a message of the client, which is found anew so
    /// that none is kept.
    Each,
    /// A timer that is switched off.
    Off,
}

/// Gives the core's handle of a name; none for what is switched off.
type Make<T> = fn(&Bound<'_, Client>, &str) -> PyResult<Option<T>>;

impl<T> Handle<T> {
    fn new(client: Option<Py<Client>>, name: &Object<'_>) -> Self {
        let found = Seldom::new(Arc::new(Found { version: 0, place: Place::Off }));
        Self { client, name: text::of_name(name).into_owned(), found }
    }

    #[inline]
    fn find(&self, py: Python<'_>, make: Make<T>) -> PyResult<Loaded<'_, Arc<Found<T>>>> {
        let found = self.found.load();
        if found.version == VERSION.load(Ordering::Relaxed) {
            return Ok(found);
        }
        self.find_anew(py, make)
    }

    #[cold]
    fn find_anew(&self, py: Python<'_>, make: Make<T>) -> PyResult<Loaded<'_, Arc<Found<T>>>> {
        // The default client may be set up just now, which is a new version too.
        let client = self.client(py)?;
        let version = VERSION.load(Ordering::Relaxed);
        let place = if capture::is_on() || client.get().state().is_closed {
            Place::Each
        } else {
            make(&client, &self.name)?.map_or(Place::Off, Place::Summed)
        };
        self.found.store(Arc::new(Found { version, place }));
        Ok(self.found.load())
    }

    fn client<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Client>> {
        match &self.client {
            Some(client) => Ok(client.bind(py).clone()),
            None => Ok(py.import("metlog._default")?.call_method0("bound_late")?.cast_into()?),
        }
    }

    /// Calls a method of the client.
    fn call<'py>(&self, py: Python<'py>, method: &str, arguments: impl PyCallArgs<'py>) -> PyResult<()> {
        self.client(py)?.call_method1(method, arguments).map(drop)
    }

    /// Shows the garbage collector what this holds: a client that has a handle of its own as an attribute is a circle,
    /// which the collector breaks at the client's attributes.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.client)
    }

    /// Runs one call; what cannot be converted is refused and counted.
    fn shielded(&self, py: Python<'_>, call: impl FnOnce() -> PyResult<Option<Reason>>) -> PyResult<()> {
        let refused = match call() {
            Ok(None) => return Ok(()),
            Ok(Some(reason)) => reason,
            Err(end) if !end.is_instance_of::<PyException>(py) => return Err(end),
            Err(_) => Reason::Encode,
        };
        let client = self.client(py)?;
        calls::shielded(py, &client.get().state().core, || Err(refused.into()))
    }

    fn repr(&self, kind: &str) -> String {
        format!("{kind}({:?})", self.name)
    }

    /// What `pickle` needs: the name, which another process gives to its own default client.
    fn reduce<'py>(&self, py: Python<'py>, kind: &str) -> PyResult<(Object<'py>, (String,))> {
        let default = py.import("metlog._default")?.call_method0("bound_late")?;
        match &self.client {
            Some(client) if !default.is(client) => Err(NotPicklableError::new_err(format!(
                "{} is of a client that is not the default, which no other process has; give its name on instead",
                self.repr(kind)
            ))),
            _ => Ok((py.import("metlog")?.getattr(kind)?, (self.name.clone(),))),
        }
    }
}

/// Counts under one name, summed in the process.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Counter(Handle<CoreCounter>);

#[pymethods]
impl Counter {
    #[new]
    #[pyo3(signature = (client, name))]
    fn new(client: Option<Py<Client>>, name: &Object<'_>) -> Self {
        Self(Handle::new(client, name))
    }

    /// What it counts under.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Counts `count`, whole or not. Never waits, never fails.
    #[pyo3(signature = (count = None), text_signature = "($self, count=1)")]
    fn incr(&self, py: Python<'_>, count: Option<&Object<'_>>) -> PyResult<()> {
        self.0.shielded(py, || {
            let found = self.0.find(py, |client, name| Ok(Some(sums(client).counter(name))))?;
            match (&found.place, count) {
                (Place::Summed(counter), None) => counter.incr(),
                (Place::Summed(counter), Some(count)) => match whole(count) {
                    Some(count) => counter.add(count),
                    None => match calls::number(count) {
                        Some(count) => counter.add_count(count),
                        None => return Ok(Some(Reason::Encode)),
                    },
                },
                (Place::Each, None) => self.0.call(py, "incr", (self.name(),))?,
                (Place::Each, Some(count)) => self.0.call(py, "incr", (self.name(), count))?,
                (Place::Off, _) => {}
            }
            Ok(None)
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.traverse(&visit)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Object<'py>, (String,))> {
        self.0.reduce(py, "counter")
    }

    fn __repr__(&self) -> String {
        self.0.repr("counter")
    }
}

/// An integer of 64 bits, and no other number.
fn whole(count: &Object<'_>) -> Option<i64> {
    count.cast::<PyInt>().ok()?.extract().ok()
}

/// The present value of something; the last one of an interval leaves.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Gauge {
    handle: Handle<CoreGauge>,
    /// The value, while a test captures.
    captured: Mutex<f64>,
}

#[pymethods]
impl Gauge {
    #[new]
    #[pyo3(signature = (client, name))]
    fn new(client: Option<Py<Client>>, name: &Object<'_>) -> Self {
        Self { handle: Handle::new(client, name), captured: Mutex::default() }
    }

    /// What it stands under.
    #[getter]
    fn name(&self) -> &str {
        &self.handle.name
    }

    /// Sets the value. What is no finite number is left out.
    fn set(&self, py: Python<'_>, value: &Object<'_>) -> PyResult<()> {
        self.change(py, value, CoreGauge::set, |_, value| value)
    }

    /// Adds to the value, which is 0 at first, and again in a forked child.
    fn add(&self, py: Python<'_>, change: &Object<'_>) -> PyResult<()> {
        self.change(py, change, CoreGauge::add, |before, change| before + change)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.handle.traverse(&visit)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Object<'py>, (String,))> {
        self.handle.reduce(py, "gauge")
    }

    fn __repr__(&self) -> String {
        self.handle.repr("gauge")
    }
}

impl Gauge {
    fn change(
        &self,
        py: Python<'_>,
        given: &Object<'_>,
        summed: fn(&CoreGauge, f64),
        captured: fn(f64, f64) -> f64,
    ) -> PyResult<()> {
        self.handle.shielded(py, || {
            let Some(number) = calls::number(given).map(calls::float) else {
                return Ok(Some(Reason::Encode));
            };
            let found = self.handle.find(py, |client, name| Ok(Some(sums(client).gauge(name))))?;
            match &found.place {
                Place::Summed(gauge) => summed(gauge, number),
                Place::Each => {
                    let value = {
                        let mut value = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
                        *value = captured(*value, number);
                        *value
                    };
                    self.handle.call(py, "gauge", (self.name(), value))?;
                }
                Place::Off => {}
            }
            Ok(None)
        })
    }
}

/// Times under one name, summed in the process: a ``with`` block, an ``async with`` block, or each call of a function.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Timer(Handle<CoreTimer>);

thread_local! {
    /// The measurements of this thread that go on, by the address of their handle.
    static STARTED: RefCell<Vec<(usize, Instant)>> = const { RefCell::new(Vec::new()) };
}

#[pymethods]
impl Timer {
    #[new]
    #[pyo3(signature = (client, name))]
    fn new(client: Option<Py<Client>>, name: &Object<'_>) -> Self {
        Self(Handle::new(client, name))
    }

    /// What it measures under.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Adds a time in milliseconds. One that is negative or no finite number is left out.
    fn record(&self, py: Python<'_>, milliseconds: &Object<'_>) -> PyResult<()> {
        let Some(millis) = calls::number(milliseconds).map(calls::float) else {
            return self.0.shielded(py, || Ok(Some(Reason::Encode)));
        };
        self.add(py, millis)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        let _thread_is_ending =
            STARTED.try_with(|started| started.borrow_mut().push((slf.as_ptr().addr(), Instant::now())));
        slf.clone()
    }

    /// Ends the innermost measurement of this thread; what was begun in another one is not measured.
    #[pyo3(signature = (*_args))]
    fn __exit__(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let begun = STARTED.try_with(|started| {
            let mut started = started.borrow_mut();
            let place = started.iter().rposition(|(handle, _)| *handle == slf.as_ptr().addr())?;
            Some(started.remove(place).1)
        });
        match begun.ok().flatten() {
            Some(begun) => slf.get().add(slf.py(), millis(begun.elapsed())),
            None => Ok(()),
        }
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Object<'py>> {
        slf.py().import("metlog._wrapping")?.call_method1("begin", (slf,))
    }

    #[pyo3(signature = (*_args))]
    fn __aexit__<'py>(slf: &Bound<'py, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<Object<'py>> {
        let ended = slf.getattr("record")?;
        slf.py().import("metlog._wrapping")?.call_method1("end", (slf, ended))
    }

    /// Measures each call of `function`: a function, a coroutine function or a generator of either kind.
    fn __call__<'py>(slf: &Bound<'py, Self>, function: &Object<'py>) -> PyResult<Object<'py>> {
        let ended = slf.getattr("record")?;
        slf.py().import("metlog._wrapping")?.call_method1("timed", (function, ended))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.traverse(&visit)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Object<'py>, (String,))> {
        self.0.reduce(py, "timer")
    }

    fn __repr__(&self) -> String {
        self.0.repr("timer")
    }
}

impl Timer {
    fn add(&self, py: Python<'_>, millis: f64) -> PyResult<()> {
        self.0.shielded(py, || {
            let found = self.0.find(py, |client, name| {
                let is_off = is_off(client, name)?;
                Ok((!is_off).then(|| sums(client).timer(name)))
            })?;
            match &found.place {
                Place::Summed(timer) => timer.record_millis(millis),
                Place::Each if is_off(&self.0.client(py)?, self.name())? => {}
                Place::Each => self.0.call(py, "timer_send", (self.name(), millis))?,
                Place::Off => {}
            }
            Ok(None)
        })
    }
}

fn is_off(client: &Bound<'_, Client>, name: &str) -> PyResult<bool> {
    let off = client.getattr("_disabled_timers")?;
    Ok(off.contains(name)? || off.contains("*")?)
}

fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}
