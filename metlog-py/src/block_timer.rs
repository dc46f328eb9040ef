//! What `client.timer` gives: it sends a `timer` message for each block or call it measures.
//!
//! A new one is made for most blocks, so it holds its first measurement itself, and what it says as it was given. It
//! reports by `timer_send` of its client where that was overridden, in a class or by a mock, and to the core otherwise.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use metlog_core::{client::Count, sample::Rate};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PySet, PyTuple},
};

use crate::{calls, client::Client, columns::Arguments};

type Object<'py> = Bound<'py, PyAny>;

/// Sends a `timer` message for each block or call it measures, also for one that raises.
///
/// `start` and `result` are those of the current thread; entered again, it keeps each start.
#[pyclass(frozen, subclass, dict, weakref, name = "_Timer", module = "metlog._metlog")]
pub(crate) struct BlockTimer {
    client: Py<PyAny>,
    name: Py<PyAny>,
    said: Said,
    /// What was given instead of `said`, or what somebody asked for and may have changed.
    msg_data: PyOnceLock<Py<PyDict>>,
    measured: Mutex<Measured>,
}

/// What the messages say beside their name and value.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) logger: Option<Py<PyAny>>,
    pub(crate) severity: Option<Py<PyAny>>,
    pub(crate) fields: Option<Py<PyAny>>,
    pub(crate) rate: Rate,
}

thread_local! {
    /// Stands for this thread: a reference to it tells whether the thread still runs.
    static THREAD: Arc<()> = Arc::default();
}

/// The measurements by thread.
#[derive(Default)]
struct Measured {
    /// Most timers know one thread, and need no memory for more.
    first: Option<OfThread>,
    others: Vec<OfThread>,
}

struct OfThread {
    thread: Weak<()>,
    /// The innermost start.
    start: Option<Instant>,
    outer: Vec<Instant>,
    /// The last measurement, in milliseconds.
    result: Option<i64>,
}

impl OfThread {
    fn new(thread: &Arc<()>) -> Self {
        Self { thread: Arc::downgrade(thread), start: None, outer: Vec::new(), result: None }
    }

    fn begin(&mut self) {
        self.outer.extend(self.start.replace(Instant::now()));
    }

    fn end(&mut self, now: Instant) -> Option<Duration> {
        let start = self.start.take()?;
        self.start = self.outer.pop();
        Some(now.saturating_duration_since(start))
    }
}

impl Measured {
    fn of(&mut self, thread: &Arc<()>) -> Option<&mut OfThread> {
        let mut all = self.first.iter_mut().chain(&mut self.others);
        all.find(|known| known.thread.as_ptr() == Arc::as_ptr(thread))
    }

    /// What `thread` has under way, nothing at first.
    fn enter(&mut self, thread: &Arc<()>) -> Option<&mut OfThread> {
        let is_mine = |known: &OfThread| known.thread.as_ptr() == Arc::as_ptr(thread);
        if self.first.as_ref().is_none_or(is_mine) {
            return Some(self.first.get_or_insert_with(|| OfThread::new(thread)));
        }
        let known = self.others.iter().position(is_mine);
        let place = known.unwrap_or_else(|| {
            // Those of threads that have ended leave when a new one comes.
            self.others.retain(|known| known.thread.strong_count() > 0);
            self.others.push(OfThread::new(thread));
            self.others.len() - 1
        });
        self.others.get_mut(place)
    }
}

#[pymethods]
impl BlockTimer {
    #[new]
    fn new(py: Python<'_>, client: Py<PyAny>, name: Py<PyAny>, msg_data: Py<PyDict>) -> PyResult<Self> {
        let timer = Self::made(client, name, Said::default());
        timer.msg_data.get_or_try_init(py, || PyResult::Ok(msg_data))?;
        Ok(timer)
    }

    /// The client that sends.
    #[getter]
    fn client(&self, py: Python<'_>) -> Py<PyAny> {
        self.client.clone_ref(py)
    }

    /// What it measures under.
    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name.clone_ref(py)
    }

    /// The keyword arguments of `timer_send`.
    #[getter]
    fn msg_data<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let made = self.msg_data.get_or_try_init(py, || {
            let data = PyDict::new(py);
            data.set_item("logger", &self.said.logger)?;
            data.set_item("severity", &self.said.severity)?;
            data.set_item("fields", &self.said.fields)?;
            data.set_item("rate", self.said.rate.get())?;
            PyResult::Ok(data.unbind())
        })?;
        Ok(made.bind(py))
    }

    /// The share of calls of a decorated function that is measured.
    #[getter]
    fn rate<'py>(&self, py: Python<'py>) -> PyResult<Option<Object<'py>>> {
        match self.msg_data.get(py) {
            Some(data) => data.bind(py).get_item("rate"),
            None => Ok(Some(self.said.rate.get().into_pyobject(py)?.into_any())),
        }
    }

    /// When the innermost measurement of this thread began, in seconds since 1970.
    #[getter]
    fn start(&self) -> Option<f64> {
        let started = self.in_thread(|thread, measured| measured.of(thread)?.start)?;
        let began = SystemTime::now().checked_sub(started.elapsed())?;
        Some(began.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
    }

    /// The last measurement of this thread in milliseconds.
    #[getter]
    fn result(&self) -> Option<i64> {
        self.in_thread(|thread, measured| measured.of(thread)?.result)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.get().in_thread(|thread, measured| {
            measured.enter(thread)?.begin();
            Some(())
        });
        slf.clone()
    }

    /// What was entered in another thread is not measured here.
    fn __exit__(
        &self,
        py: Python<'_>,
        _exc_type: &Object<'_>,
        _exc: &Object<'_>,
        _trace: &Object<'_>,
    ) -> PyResult<()> {
        let now = Instant::now();
        let measured = self.in_thread(|thread, measured| {
            let mine = measured.of(thread)?;
            let elapsed = mine.end(now)?.as_secs_f64() * 1e3;
            mine.result = Some(whole(elapsed));
            Some(elapsed)
        });
        measured.map_or(Ok(()), |elapsed| self.report(py, elapsed))
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Object<'py>> {
        slf.py().import("metlog._wrapping")?.call_method1("begin", (slf,))
    }

    #[pyo3(signature = (*_args))]
    fn __aexit__<'py>(slf: &Bound<'py, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<Object<'py>> {
        let ended = slf.getattr("_ended")?;
        slf.py().import("metlog._wrapping")?.call_method1("end", (slf, ended))
    }

    /// Measure each call of `function`, a share of them when the timer has a rate.
    fn __call__<'py>(slf: &Bound<'py, Self>, function: &Object<'py>) -> PyResult<Object<'py>> {
        slf.py().import("metlog._timer")?.call_method1("decorated", (slf, function))
    }

    /// Sends a time of `elapsed` milliseconds that a wrapper of a function measured.
    fn _ended(&self, py: Python<'_>, elapsed: f64) -> PyResult<()> {
        self.in_thread(|thread, measured| {
            measured.enter(thread)?.result = Some(whole(elapsed));
            Some(())
        });
        self.report(py, elapsed)
    }
}

impl BlockTimer {
    fn made(client: Py<PyAny>, name: Py<PyAny>, said: Said) -> Self {
        Self { client, name, said, msg_data: PyOnceLock::new(), measured: Mutex::default() }
    }

    fn in_thread<T>(&self, work: impl FnOnce(&Arc<()>, &mut Measured) -> Option<T>) -> Option<T> {
        let lock = || -> MutexGuard<'_, _> { self.measured.lock().unwrap_or_else(PoisonError::into_inner) };
        // A thread past its destructors measures nothing.
        THREAD.try_with(|thread| work(thread, &mut lock())).ok().flatten()
    }

    fn report(&self, py: Python<'_>, elapsed: f64) -> PyResult<()> {
        let client = self.client.bind(py);
        if self.msg_data.get(py).is_none()
            && let Ok(client) = client.cast::<Client>()
            && client.get().sends_timers(client)?
        {
            let Said { logger, severity, fields, rate } = &self.said;
            let arguments = Arguments {
                logger: logger.as_ref().map(|given| given.bind(py)),
                severity: severity.as_ref().map(|given| given.bind(py)),
                fields: fields.as_ref().map(|given| given.bind(py)),
                payload: None,
            };
            return calls::measured(client, self.name.bind(py), elapsed, *rate, &arguments);
        }
        let arguments = (&self.name, whole(elapsed));
        client.call_method(pyo3::intern!(py, "timer_send"), arguments, Some(self.msg_data(py)?)).map(drop)
    }
}

/// Whole milliseconds, as the messages have them.
fn whole(elapsed: f64) -> i64 {
    calls::millis(Count::Float(elapsed))
}

/// The timer of one call of `client.timer`: one that measures, unless the name is disabled or the dice say no.
pub(crate) fn of_call<'py>(
    client: &Bound<'py, Client>,
    name: &Object<'py>,
    said: Said,
) -> PyResult<Object<'py>> {
    let py = client.py();
    if is_disabled(&client.getattr(pyo3::intern!(py, "_disabled_timers"))?, name) || said.rate == Rate::NONE {
        return client.getattr(pyo3::intern!(py, "_noop_timer"));
    }
    let is_sampled = said.rate.sample();
    let client = client.clone().into_any().unbind();
    let timer = Bound::new(py, BlockTimer::made(client, name.clone().unbind(), said))?.into_any();
    if is_sampled {
        return Ok(timer);
    }
    py.import("metlog._timer")?.call_method1("_SampledOutTimer", (timer,))
}

/// A name that cannot be hashed is in no set.
fn is_disabled(disabled: &Object<'_>, name: &Object<'_>) -> bool {
    if disabled.cast_exact::<PySet>().is_ok_and(PySetMethods::is_empty) {
        return false;
    }
    disabled.contains(name).unwrap_or(false) || disabled.contains("*").unwrap_or(false)
}
