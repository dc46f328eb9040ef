//! What `client.timer` gives: it sends a `timer` message for each block or call it measures.
//!
//! A new one is made for most blocks, so it holds its first measurement itself, and what it says as it was given. It
//! reports by `timer_send` of its client where that was overridden, in a class or by a mock, and to the core otherwise.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metlog_core::{client::Count, sample::Rate};
use pyo3::{
    PyTraverseError,
    exceptions::PyAttributeError,
    gc::PyVisit,
    prelude::*,
    types::{PyDict, PySet, PyString, PyTuple},
};

use crate::{
    calls::{self, Metric},
    client::Client,
    columns::Arguments,
    measured::{Measured, whole},
};

type Object<'py> = Bound<'py, PyAny>;

/// Sends a `timer` message for each block or call it measures, also for one that raises.
///
/// `start` and `result` are those of the current thread; entered again, it keeps each start.
#[pyclass(frozen, subclass, weakref, name = "_Timer", module = "metlog._metlog")]
pub(crate) struct BlockTimer {
    reports: Reports,
    name: Py<PyAny>,
    /// None for most: the timer is smaller then, and reports by a shorter way.
    said: Option<Box<Said>>,
    /// What was given instead of `said`, or what somebody asked for and may have changed.
    msg_data: OnceLock<Py<PyDict>>,
    measured: Measured,
    /// Attributes of the application's. With `dict` of `pyclass` CPython makes one for each timer and has the garbage
    /// collector look at both.
    attributes: OnceLock<Py<PyDict>>,
}

/// Whom a timer tells what it measured.
enum Reports {
    Client(Py<Client>),
    /// Anything with a `timer_send`.
    Other(Py<PyAny>),
}

/// What the messages say beside their name and value.
pub(crate) struct Said {
    pub(crate) logger: Option<Py<PyAny>>,
    pub(crate) severity: Option<Py<PyAny>>,
    pub(crate) fields: Option<Py<PyAny>>,
    pub(crate) rate: Rate,
}

impl Said {
    const NOTHING: Self = Self { logger: None, severity: None, fields: None, rate: Rate::ALL };

    /// None when it says nothing.
    #[inline]
    fn kept(self) -> Option<Box<Self>> {
        let says_something = self.logger.is_some() || self.severity.is_some() || self.fields.is_some();
        (says_something || self.rate != Rate::ALL).then(|| Box::new(self))
    }
}

#[pymethods]
impl BlockTimer {
    #[new]
    fn new(client: Py<PyAny>, name: Py<PyAny>, msg_data: Py<PyDict>) -> Self {
        let timer = Self::made(Reports::Other(client), name, None);
        let _first = timer.msg_data.set(msg_data);
        timer
    }

    /// The client that sends.
    #[getter]
    fn client(&self, py: Python<'_>) -> Py<PyAny> {
        match &self.reports {
            Reports::Client(client) => client.clone_ref(py).into_any(),
            Reports::Other(client) => client.clone_ref(py),
        }
    }

    /// What it measures under.
    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name.clone_ref(py)
    }

    /// The keyword arguments of `timer_send`.
    #[getter]
    fn msg_data<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        if let Some(made) = self.msg_data.get() {
            return Ok(made.bind(py));
        }
        let data = PyDict::new(py);
        let Said { logger, severity, fields, rate } = self.said();
        data.set_item("logger", logger)?;
        data.set_item("severity", severity)?;
        data.set_item("fields", fields)?;
        data.set_item("rate", rate.get())?;
        Ok(first(&self.msg_data, data))
    }

    /// The share of calls of a decorated function that is measured.
    #[getter]
    fn rate<'py>(&self, py: Python<'py>) -> PyResult<Option<Object<'py>>> {
        match self.msg_data.get() {
            Some(data) => data.bind(py).get_item("rate"),
            None => Ok(Some(self.said().rate.get().into_pyobject(py)?.into_any())),
        }
    }

    #[getter(__dict__)]
    fn attributes<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        match self.attributes.get() {
            Some(made) => made.bind(py),
            None => first(&self.attributes, PyDict::new(py)),
        }
    }

    /// What the class does not have.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Object<'py>> {
        let given = self.attributes.get().map(|given| given.bind(py).get_item(name)).transpose()?;
        given
            .flatten()
            .ok_or_else(|| PyAttributeError::new_err(format!("'_Timer' has no attribute '{name}'")))
    }

    fn __setattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>, value: &Object<'_>) -> PyResult<()> {
        match descriptor(slf, name)? {
            Some(of_class) => of_class.call_method1("__set__", (slf, value)).map(drop),
            None => own_attributes(slf)?.set_item(name, value),
        }
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<()> {
        match descriptor(slf, name)? {
            Some(of_class) => of_class.call_method1("__delete__", (slf,)).map(drop),
            None => own_attributes(slf)?.del_item(name).map_err(|_| no_attribute(name)),
        }
    }

    /// Shows the garbage collector what it holds; circles it breaks at the dicts in them.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.reports {
            Reports::Client(client) => visit.call(client)?,
            Reports::Other(client) => visit.call(client)?,
        }
        visit.call(&self.name)?;
        if let Some(said) = &self.said {
            let Said { logger, severity, fields, rate: _ } = &**said;
            for said in [logger, severity, fields] {
                visit.call(said)?;
            }
        }
        visit.call(self.msg_data.get())?;
        visit.call(self.attributes.get())
    }

    /// When the innermost measurement of this thread began, in seconds since 1970.
    #[getter]
    fn start(&self) -> Option<f64> {
        let began = SystemTime::now().checked_sub(Duration::from_nanos(self.measured.lasts()?))?;
        Some(began.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
    }

    /// The last measurement of this thread in milliseconds.
    #[getter]
    fn result(&self) -> Option<i64> {
        self.measured.result()
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.get().measured.begin();
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
        self.measured.end().map_or(Ok(()), |elapsed| self.report(py, elapsed))
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

    /// Begins the measurement of one call; gives back what `_end` ends it by.
    fn _begin(&self) -> u64 {
        self.measured.begin()
    }

    /// Ends the measurement of one call.
    fn _end(&self, py: Python<'_>, start: u64) -> PyResult<()> {
        self.report(py, self.measured.end_of(start))
    }

    /// Sends a time of `elapsed` milliseconds that a wrapper of a function measured.
    fn _ended(&self, py: Python<'_>, elapsed: f64) -> PyResult<()> {
        self.measured.keep(elapsed);
        self.report(py, elapsed)
    }
}

impl BlockTimer {
    #[inline]
    fn made(reports: Reports, name: Py<PyAny>, said: Option<Box<Said>>) -> Self {
        Self {
            reports,
            name,
            said,
            msg_data: OnceLock::new(),
            measured: Measured::default(),
            attributes: OnceLock::new(),
        }
    }

    fn said(&self) -> &Said {
        const NOTHING: &Said = &Said::NOTHING;
        self.said.as_deref().unwrap_or(NOTHING)
    }

    /// Sends a measurement in milliseconds.
    fn report(&self, py: Python<'_>, elapsed: f64) -> PyResult<()> {
        let client = match &self.reports {
            Reports::Client(client) => client.bind(py),
            Reports::Other(other) => return self.report_to(other.bind(py), whole(elapsed)),
        };
        if !client.get().sends_timers(client)? {
            return self.report_to(client.as_any(), whole(elapsed));
        }
        let name = self.name.bind(py);
        if self.said.is_none() && calls::plain_metric(client, Metric::Timer, name, Count::Float(elapsed)) {
            return Ok(());
        }
        let Said { logger, severity, fields, rate } = self.said();
        let arguments = Arguments {
            logger: logger.as_ref().map(|given| given.bind(py)),
            severity: severity.as_ref().map(|given| given.bind(py)),
            fields: fields.as_ref().map(|given| given.bind(py)),
            payload: None,
        };
        calls::measured(client, name, elapsed, *rate, &arguments)
    }

    fn report_to(&self, client: &Object<'_>, whole: i64) -> PyResult<()> {
        let py = client.py();
        let arguments = (&self.name, whole);
        client.call_method(pyo3::intern!(py, "timer_send"), arguments, Some(self.msg_data(py)?)).map(drop)
    }
}

/// Keeps `made` unless another thread was first; made before, since making runs the garbage collector, which reads the
/// place.
fn first<'a, 'py>(place: &'a OnceLock<Py<PyDict>>, made: Bound<'py, PyDict>) -> &'a Bound<'py, PyDict> {
    let py = made.py();
    place.get_or_init(|| made.unbind()).bind(py)
}

/// What the class has to say to the attribute being set.
fn descriptor<'py>(
    timer: &Bound<'py, BlockTimer>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Object<'py>>> {
    let Ok(found) = timer.get_type().getattr(name) else { return Ok(None) };
    Ok(found.hasattr("__set__")?.then_some(found))
}

/// Those that a class made in Python keeps, or those kept here.
fn own_attributes<'py>(timer: &Bound<'py, BlockTimer>) -> PyResult<Bound<'py, PyDict>> {
    Ok(timer.getattr("__dict__")?.cast_into::<PyDict>()?)
}

fn no_attribute(name: &Bound<'_, PyString>) -> PyErr {
    PyAttributeError::new_err(format!("'_Timer' object has no attribute '{name}'"))
}

/// The timer of one call of `client.timer`: one that measures, unless the name is disabled or the dice say no.
pub(crate) fn of_call<'py>(
    client: &Bound<'py, Client>,
    name: &Object<'py>,
    said: Said,
) -> PyResult<Object<'py>> {
    let py = client.py();
    if is_disabled(client.get().state().disabled_timers.bind(py), name) || said.rate == Rate::NONE {
        return client.getattr(pyo3::intern!(py, "_noop_timer"));
    }
    let is_sampled = said.rate.sample();
    let reports = Reports::Client(client.clone().unbind());
    let timer = BlockTimer::made(reports, name.clone().unbind(), said.kept());
    let timer = Bound::new(py, timer)?.into_any();
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
