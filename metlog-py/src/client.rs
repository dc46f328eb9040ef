//! The class below `metlog.client.MetlogClient`: its state and its methods. [`calls`] does what they ask.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, Guard};
use metlog_core::{
    Severity,
    config::{EXIT_TIMEOUT, Settings},
    stats::Reason,
};
use pyo3::{
    exceptions::{PyBaseException, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyInt, PyString, PyTraceback, PyTuple, PyWeakrefReference},
};

use crate::{
    block_timer::{self, Said},
    calls::{self, Metric, Sample, log, metric},
    capture,
    columns::{self, Arguments, Defaults},
    exception::{self, Dsn, Told},
    filters::Filter,
    handles,
    reports::{Report, Stats},
    settings::Settings as Given,
    sums::Sums,
    targets::Target,
    text,
};

type Object<'py> = Bound<'py, PyAny>;
type Positional<'a, 'py> = &'a Bound<'py, PyTuple>;
type Keywords<'a, 'py> = &'a Bound<'py, PyDict>;

/// The client without what only Python can do: timers, plugins, senders and filters written in Python.
#[pyclass(subclass, frozen, module = "metlog._metlog")]
pub(crate) struct Client {
    state: ArcSwap<State>,
    /// Messages that a Python sender has taken.
    sent_by_dict: AtomicU64,
    /// Set while the object has a `timer_send` of its own.
    times_by_method: AtomicBool,
}

/// What setting up changes, as one.
pub(crate) struct State {
    pub(crate) core: metlog_core::Client,
    /// True: messages become dicts for `send_message`.
    pub(crate) by_dict: bool,
    logger: Py<PyAny>,
    logger_text: String,
    severity: Py<PyAny>,
    level: Option<Severity>,
    settings: Settings,
    /// Of a client that makes dicts.
    sums: Option<Arc<Sums>>,
    /// The severity that sums leave with.
    sum_level: Option<Severity>,
}

impl State {
    /// True when messages become dicts: for Python senders, and for tests.
    pub(crate) fn makes_dicts(&self) -> bool {
        self.by_dict || capture::is_on()
    }

    /// The core that sums.
    pub(crate) fn summing(&self) -> &metlog_core::Client {
        self.sums.as_ref().map_or(&self.core, Sums::core)
    }

    /// True when a call that says nothing but its name and value is summed.
    #[inline]
    pub(crate) fn sums_calls(&self) -> bool {
        self.settings.aggregate
            && self.level == self.sum_level
            && self.logger_text == self.core.logger()
            && !capture::is_on()
    }

    fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let summed = self.sums.as_ref().is_none_or(|sums| sums.flush(timeout));
        self.core.flush(deadline.saturating_duration_since(Instant::now())) && summed
    }

    /// Hands over what is left.
    fn close(&self, timeout: Duration) -> metlog_core::client::Report {
        let deadline = Instant::now() + timeout;
        if let Some(sums) = &self.sums {
            sums.close(timeout);
        }
        self.core.close(deadline.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn defaults(&self) -> Defaults<'_> {
        Defaults { logger: &self.logger_text, severity: self.level.unwrap_or_default() }
    }
}

/// A `payload` argument: the empty text unless it is given; `None` is a payload too.
#[derive(Default)]
struct Payload<'py>(Option<Object<'py>>);

impl<'py> FromPyObject<'_, 'py> for Payload<'py> {
    type Error = Infallible;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(given.to_owned())))
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(py: Python<'_>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let state = State {
            core: metlog_core::Client::builder().build(),
            by_dict: true,
            logger: PyString::new(py, "").into_any().unbind(),
            severity: PyInt::new(py, Severity::default().as_u8()).into_any().unbind(),
            logger_text: String::new(),
            level: None,
            settings: Settings::default(),
            sums: None,
            sum_level: None,
        };
        let state = ArcSwap::from_pointee(state);
        Self { state, sent_by_dict: AtomicU64::new(0), times_by_method: AtomicBool::new(false) }
    }

    /// Has the core send to `target` what passes `filters`. Waits until the target before has what it was given, two
    /// seconds at most.
    #[pyo3(signature = (target, filters = Vec::new(), settings = None),
           text_signature = "($self, target, filters=(), settings=None)")]
    fn connect(
        &self,
        py: Python<'_>,
        target: &Target,
        filters: Vec<Bound<'_, Filter>>,
        settings: Option<&Bound<'_, Given>>,
    ) {
        let settings = settings.map(|given| given.get().get()).unwrap_or_default();
        let mut core = self.builder(settings).sender(target.shared());
        for filter in filters {
            core = core.filter(filter.get().shared());
        }
        self.reconnect(py, core.build(), settings, None);
    }

    /// Has messages given to `_send_by_dict`, which may `hand_over` them to `target`. Waits as `connect` does.
    #[pyo3(signature = (target = None, settings = None))]
    fn connect_by_dict(
        slf: &Bound<'_, Self>,
        target: Option<&Target>,
        settings: Option<&Bound<'_, Given>>,
    ) -> PyResult<()> {
        let client = slf.get();
        let settings = settings.map(|given| given.get().get()).unwrap_or_default();
        let core = client.builder(settings);
        let core = match target {
            Some(target) => core.sender(target.shared()),
            None => core,
        };
        let weak = PyWeakrefReference::new(slf)?.into_any().unbind();
        let state = client.state();
        let sums = Sums::new(weak, &state.logger_text, state.level.unwrap_or_default(), settings);
        client.reconnect(slf.py(), core.build(), settings, Some(sums));
        Ok(())
    }

    /// The default logger of every message.
    #[getter]
    fn logger(&self, py: Python<'_>) -> Py<PyAny> {
        self.state.load().logger.clone_ref(py)
    }

    #[setter]
    fn set_logger(&self, py: Python<'_>, logger: &Object<'_>) {
        let before = self.state.load();
        self.replace(State {
            logger: logger.clone().unbind(),
            logger_text: text::of_name(logger).into_owned(),
            severity: before.severity.clone_ref(py),
            core: before.core.clone(),
            sums: before.sums.clone(),
            ..**before
        });
    }

    /// The default severity of every message.
    #[getter]
    fn severity(&self, py: Python<'_>) -> Py<PyAny> {
        self.state.load().severity.clone_ref(py)
    }

    #[setter]
    fn set_severity(&self, py: Python<'_>, severity: &Object<'_>) {
        let before = self.state.load();
        self.replace(State {
            severity: severity.clone().unbind(),
            level: Some(columns::severity(severity).unwrap_or_default()),
            logger: before.logger.clone_ref(py),
            logger_text: before.logger_text.clone(),
            core: before.core.clone(),
            sums: before.sums.clone(),
            ..**before
        });
    }

    /// Sends a message of any type. Never waits, never fails: what is refused is counted.
    #[pyo3(signature = (r#type, logger = None, severity = None, payload = Payload::default(), fields = None),
           text_signature = "($self, type, logger=None, severity=None, payload='', fields=None)")]
    #[expect(clippy::too_many_arguments, reason = "the signature of the original")]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 gives arguments by value")]
    fn metlog(
        slf: &Bound<'_, Self>,
        r#type: &Object<'_>,
        logger: Option<&Object<'_>>,
        severity: Option<&Object<'_>>,
        payload: Payload<'_>,
        fields: Option<&Object<'_>>,
    ) -> PyResult<()> {
        calls::send(slf, r#type, &Arguments { logger, severity, payload: payload.0.as_ref(), fields })
    }

    /// Counts `count`, sending a share `rate` of the calls.
    #[pyo3(signature = (name, count = None, logger = None, severity = None, fields = None, rate = None),
           text_signature = "($self, name, count=1, logger=None, severity=None, fields=None, rate=1.0)")]
    #[expect(clippy::too_many_arguments, reason = "the signature of the original")]
    fn incr(
        slf: &Bound<'_, Self>,
        name: &Object<'_>,
        count: Option<&Object<'_>>,
        logger: Option<&Object<'_>>,
        severity: Option<&Object<'_>>,
        fields: Option<&Object<'_>>,
        rate: Option<&Object<'_>>,
    ) -> PyResult<()> {
        metric(
            slf,
            Metric::Counter,
            &Sample { name, value: count, rate },
            &Arguments { logger, severity, fields, payload: None },
        )
    }

    /// Sets a gauge, sending a share `rate` of the calls.
    #[pyo3(signature = (name, value, logger = None, severity = None, fields = None, rate = None),
           text_signature = "($self, name, value, logger=None, severity=None, fields=None, rate=1.0)")]
    #[expect(clippy::too_many_arguments, reason = "the signature of incr")]
    fn gauge(
        slf: &Bound<'_, Self>,
        name: &Object<'_>,
        value: &Object<'_>,
        logger: Option<&Object<'_>>,
        severity: Option<&Object<'_>>,
        fields: Option<&Object<'_>>,
        rate: Option<&Object<'_>>,
    ) -> PyResult<()> {
        metric(
            slf,
            Metric::Gauge,
            &Sample { name, value: Some(value), rate },
            &Arguments { logger, severity, fields, payload: None },
        )
    }

    /// Sends a time in milliseconds. The rate says how it was sampled; this call always sends.
    #[pyo3(signature = (name, elapsed, logger = None, severity = None, fields = None, rate = None),
           text_signature = "($self, name, elapsed, logger=None, severity=None, fields=None, rate=1.0)")]
    #[expect(clippy::too_many_arguments, reason = "the signature of the original")]
    fn timer_send(
        slf: &Bound<'_, Self>,
        name: &Object<'_>,
        elapsed: &Object<'_>,
        logger: Option<&Object<'_>>,
        severity: Option<&Object<'_>>,
        fields: Option<&Object<'_>>,
        rate: Option<&Object<'_>>,
    ) -> PyResult<()> {
        metric(
            slf,
            Metric::Timer,
            &Sample { name, value: Some(elapsed), rate },
            &Arguments { logger, severity, fields, payload: None },
        )
    }

    /// Measure a ``with`` block or, as a decorator, each call of a function; a share `rate` of them.
    #[pyo3(signature = (name, logger = None, severity = None, fields = None, rate = None),
           text_signature = "($self, name, logger=None, severity=None, fields=None, rate=1.0)")]
    #[expect(clippy::too_many_arguments, reason = "the signature of the original")]
    fn timer<'py>(
        slf: &Bound<'py, Self>,
        name: &Object<'py>,
        logger: Option<Py<PyAny>>,
        severity: Option<Py<PyAny>>,
        fields: Option<Py<PyAny>>,
        rate: Option<&Object<'py>>,
    ) -> PyResult<Object<'py>> {
        block_timer::of_call(slf, name, Said { logger, severity, fields, rate: calls::rate(rate) })
    }

    /// Says whether timers are to report through the `timer_send` of the object.
    fn time_by_method(&self, by_method: bool) {
        self.times_by_method.store(by_method, Ordering::Relaxed);
    }

    /// Logs a text of severity 7.
    #[pyo3(signature = (msg, *args, **kw))]
    fn debug(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::DEBUG, msg, args, kw)
    }

    /// Logs a text of severity 6.
    #[pyo3(signature = (msg, *args, **kw))]
    fn info(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::INFORMATIONAL, msg, args, kw)
    }

    /// Logs a text of severity 5.
    #[pyo3(signature = (msg, *args, **kw))]
    fn notice(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::NOTICE, msg, args, kw)
    }

    /// Logs a text of severity 4.
    #[pyo3(signature = (msg, *args, **kw))]
    fn warn(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::WARNING, msg, args, kw)
    }

    /// Logs a text of severity 4.
    #[pyo3(signature = (msg, *args, **kw))]
    fn warning(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::WARNING, msg, args, kw)
    }

    /// Logs a text of severity 3.
    #[pyo3(signature = (msg, *args, **kw))]
    fn error(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::ERROR, msg, args, kw)
    }

    /// Logs a text of severity 2.
    #[pyo3(signature = (msg, *args, **kw))]
    fn critical(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::CRITICAL, msg, args, kw)
    }

    /// Logs a text of severity 1.
    #[pyo3(signature = (msg, *args, **kw))]
    fn alert(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::ALERT, msg, args, kw)
    }

    /// Logs a text of severity 0.
    #[pyo3(signature = (msg, *args, **kw))]
    fn emergency(
        slf: &Bound<'_, Self>,
        msg: &Object<'_>,
        args: Positional<'_, '_>,
        kw: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        log(slf, Severity::EMERGENCY, msg, args, kw)
    }

    /// Sends `error` as a `sentry` message, with `traceback` instead of its own. What is no exception is refused and
    /// counted, what is no traceback or no `Dsn` is left out.
    #[pyo3(signature = (error, traceback = None, msg = None, dsn = None, logger = None, severity = None, fields = None),
           text_signature = "($self, error, traceback=None, msg='', dsn=None, logger=None, severity=None, fields=None)")]
    #[expect(clippy::too_many_arguments, reason = "what a message has, and what an exception has")]
    fn send_exception<'py>(
        slf: &Bound<'py, Self>,
        error: &Object<'py>,
        traceback: Option<&Object<'py>>,
        msg: Option<&Object<'py>>,
        dsn: Option<&Object<'py>>,
        logger: Option<&Object<'py>>,
        severity: Option<&Object<'py>>,
        fields: Option<&Object<'py>>,
    ) -> PyResult<()> {
        let empty = PyString::new(slf.py(), "").into_any();
        let Ok(error) = error.cast::<PyBaseException>() else {
            return calls::shielded(slf.py(), &slf.get().state().core, || Err(Reason::Encode.into()));
        };
        let traceback = traceback.and_then(|given| given.cast::<PyTraceback>().ok());
        let dsn = dsn.and_then(|given| given.cast::<Dsn>().ok());
        let told = Told { error, traceback, msg: msg.unwrap_or(&empty), dsn };
        exception::send(slf, &told, &Arguments { logger, severity, fields, payload: None })
    }

    /// Gives the message `msg`, a dict of the envelope's keys, to the target `target` was connected with.
    fn hand_over(slf: &Bound<'_, Self>, msg: &Object<'_>) -> PyResult<()> {
        let state = slf.get().state();
        calls::shielded(slf.py(), &state.core, || {
            columns::send_message(&state.core, msg)??;
            Ok(())
        })
    }

    /// Counts a message that a Python sender has taken.
    fn count_sent(&self) {
        self.sent_by_dict.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that went nowhere; `reason` is a key of `stats().refused`.
    fn count_refused(&self, reason: &str) -> PyResult<()> {
        let known = Reason::ALL.into_iter().find(|known| known.as_str() == reason);
        let known = known.ok_or_else(|| {
            PyValueError::new_err(format!("reason is {reason:?}, expected one of the core's"))
        })?;
        self.state.load().core.refuse(known);
        Ok(())
    }

    /// The books at this moment.
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        let books = self.state.load().core.stats();
        Stats::new(py, &books, self.sent_by_dict.load(Ordering::Relaxed))
    }

    /// Waits until what was sent before this call has left, at most `timeout` seconds; true when it has.
    #[pyo3(signature = (timeout = 2.0))]
    fn flush(&self, py: Python<'_>, timeout: f64) -> bool {
        let state = self.state.load_full();
        py.detach(|| state.flush(seconds(timeout)))
    }

    /// Sends what is left, at most `timeout` seconds long. Later calls are refused and counted.
    #[pyo3(signature = (timeout = 2.0))]
    fn close(&self, py: Python<'_>, timeout: f64) -> Report {
        let state = self.state.load_full();
        let report = py.detach(|| state.close(seconds(timeout)));
        Report::new(report, self.sent_by_dict.load(Ordering::Relaxed))
    }
}

impl Client {
    /// The state, for one call: it cannot be taken along where Python goes on meanwhile.
    pub(crate) fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    /// True unless `timer_send` was overridden, in a class or on the object.
    pub(crate) fn sends_timers(&self, slf: &Bound<'_, Self>) -> PyResult<bool> {
        static OWN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let (py, name) = (slf.py(), pyo3::intern!(slf.py(), "timer_send"));
        let own = OWN.get_or_try_init(py, || py.get_type::<Self>().getattr(name).map(Bound::unbind))?;
        Ok(!self.times_by_method.load(Ordering::Relaxed) && slf.get_type().getattr(name)?.is(own))
    }

    fn builder(&self, settings: Settings) -> metlog_core::ClientBuilder {
        let state = self.state();
        let builder = metlog_core::Client::builder().logger(state.logger_text.clone()).settings(settings);
        builder.severity(state.level.unwrap_or_default())
    }

    fn reconnect(
        &self,
        py: Python<'_>,
        core: metlog_core::Client,
        settings: Settings,
        sums: Option<Arc<Sums>>,
    ) {
        let before = self.state.load_full();
        self.replace(State {
            core,
            by_dict: sums.is_some(),
            logger: before.logger.clone_ref(py),
            logger_text: before.logger_text.clone(),
            severity: before.severity.clone_ref(py),
            level: before.level,
            settings,
            sums,
            sum_level: before.level,
        });
        handles::bind_anew();
        py.detach(|| before.close(EXIT_TIMEOUT));
    }

    fn replace(&self, state: State) {
        self.state.store(Arc::new(state));
    }
}

/// A timeout as Python gives it; what is no time at all is none.
pub(crate) fn seconds(timeout: f64) -> Duration {
    /// Beyond this nobody waits, and adding it to an instant cannot overflow.
    const LONGEST: f64 = 1e9;
    Duration::try_from_secs_f64(timeout.min(LONGEST)).unwrap_or_default()
}
