//! The class below `metlog.client.MetlogClient`: its state and its methods. [`calls`] does what they ask.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metlog_core::{Severity, client::Count, stats::Reason};
use pyo3::{
    exceptions::{PyBaseException, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyString, PyTraceback, PyTuple},
};

use crate::{
    block_timer::{self, Said},
    books::Books,
    calls::{self, Metric, Sample, log, metric},
    columns::{self, Arguments},
    exception::{self, Dsn, Told},
    overridden::Method,
    reports::{Report, Stats},
    routing::{self, Filters, Said as Defaults},
    seldom::{Loaded, Seldom},
    settings::Settings as Given,
    state::State,
    targets::Target,
    text,
};

type Object<'py> = Bound<'py, PyAny>;
type Positional<'a, 'py> = &'a Bound<'py, PyTuple>;
type Keywords<'a, 'py> = &'a Bound<'py, PyDict>;

/// The client without what only Python can do: timers, plugins, senders and filters written in Python.
#[pyclass(subclass, frozen, module = "metlog._metlog")]
pub(crate) struct Client {
    state: Seldom<Arc<State>>,
    pub(crate) books: Books,
    /// Messages that a Python sender has taken.
    sent_by_dict: AtomicU64,
    /// Set while the object has a `metlog` or a `timer_send` of its own.
    has_own_methods: AtomicBool,
    metlog: Method,
    timer_send: Method,
}

/// A `payload` argument: the empty text unless it is given; `None` is a payload too.
#[derive(Default)]
struct Payload<'a, 'py>(Option<Borrowed<'a, 'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Payload<'a, 'py> {
    type Error = Infallible;

    fn extract(given: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(given)))
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let state = Seldom::new(Arc::new(State::unconnected(py)?));
        Ok(Self {
            state,
            books: Books::default(),
            sent_by_dict: AtomicU64::new(0),
            has_own_methods: AtomicBool::new(false),
            metlog: Method::default(),
            timer_send: Method::default(),
        })
    }

    /// Sets up anew: sends to `target` what passes `filters`, or gives each message to `_send_by_dict` when there are no
    /// `filters` but None. Waits until the target before has what it was given, two seconds at most.
    #[pyo3(signature = (logger, severity, disabled_timers, target = None, filters = None, settings = None))]
    #[expect(clippy::too_many_arguments, reason = "all that one change consists of")]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 gives arguments by value")]
    fn connect(
        slf: &Bound<'_, Self>,
        logger: &Object<'_>,
        severity: &Object<'_>,
        disabled_timers: Object<'_>,
        target: Option<&Target>,
        filters: Filters<'_>,
        settings: Option<&Bound<'_, Given>>,
    ) -> PyResult<()> {
        let settings = settings.map(|given| given.get().get()).unwrap_or_default();
        routing::connect(slf, Defaults { logger, severity, disabled_timers }, target, &filters, settings)
    }

    /// As `connect`, with the target, the queue and the books there are.
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 gives arguments by value")]
    fn reroute(slf: &Bound<'_, Self>, filters: Filters<'_>) -> PyResult<()> {
        routing::reroute(slf, &filters)
    }

    /// The default logger of every message.
    #[getter]
    fn logger(&self, py: Python<'_>) -> Py<PyAny> {
        self.state.load().logger.clone_ref(py)
    }

    #[setter]
    fn set_logger(&self, py: Python<'_>, logger: &Object<'_>) {
        let logger_text = text::of_name(logger).into_owned();
        self.replace(State { logger: logger.clone().unbind(), logger_text, ..self.state().copy(py) });
    }

    /// The default severity of every message.
    #[getter]
    fn severity(&self, py: Python<'_>) -> Py<PyAny> {
        self.state.load().severity.clone_ref(py)
    }

    #[setter]
    fn set_severity(&self, py: Python<'_>, severity: &Object<'_>) {
        let level = columns::severity(severity);
        self.replace(State { severity: severity.clone().unbind(), level, ..self.state().copy(py) });
    }

    /// Names of timers that measure nothing, `*` for all of them.
    #[getter(_disabled_timers)]
    fn disabled_timers(&self, py: Python<'_>) -> Py<PyAny> {
        self.state.load().disabled_timers.clone_ref(py)
    }

    #[setter(_disabled_timers)]
    fn set_disabled_timers(&self, py: Python<'_>, disabled_timers: Py<PyAny>) {
        self.replace(State { disabled_timers, ..self.state().copy(py) });
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
        payload: Payload<'_, '_>,
        fields: Option<&Object<'_>>,
    ) -> PyResult<()> {
        calls::send(slf, r#type, &Arguments { logger, severity, payload: payload.0.as_deref(), fields })
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
        let is_plain = count.is_none() && logger.is_none() && severity.is_none() && fields.is_none();
        if is_plain && rate.is_none() && calls::plain_metric(slf, Metric::Counter, name, Count::Int(1)) {
            return Ok(());
        }
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

    /// Says whether the object has a `metlog` or a `timer_send` of its own, which timers and handlers then call.
    fn set_own_methods(&self, has_own_methods: bool) {
        self.has_own_methods.store(has_own_methods, Ordering::Relaxed);
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
        let books = self.books.of(&self.state.load().core);
        Stats::new(py, &books, self.sent_by_dict.load(Ordering::Relaxed))
    }

    /// True after `close`, until it is set up anew.
    #[getter]
    fn _is_closed(&self) -> bool {
        self.state.load().is_closed
    }

    /// Waits until what was sent before this call has left, at most `timeout` seconds; true when it has.
    #[pyo3(signature = (timeout = 2.0))]
    fn flush(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let state = Arc::clone(&self.state());
        let deadline = Instant::now() + seconds(timeout);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if py.detach(|| state.flush(left.min(BETWEEN_SIGNALS))) {
                return Ok(true);
            }
            py.check_signals()?;
            if left <= BETWEEN_SIGNALS {
                return Ok(false);
            }
        }
    }

    /// Sends what is left, at most `timeout` seconds long. Later calls are refused and counted.
    #[pyo3(signature = (timeout = 2.0))]
    fn close(&self, py: Python<'_>, timeout: f64) -> Report {
        routing::refuse_calls(py, self);
        let state = Arc::clone(&self.state());
        py.detach(|| state.close(seconds(timeout)));
        let books = self.books.of(&state.core);
        Report::new(&books, self.sent_by_dict.load(Ordering::Relaxed))
    }
}

impl Client {
    /// The state, for one call.
    #[inline]
    pub(crate) fn state(&self) -> Loaded<'_, Arc<State>> {
        self.state.load()
    }

    /// True unless `timer_send` was overridden, in a class or on the object.
    #[inline]
    pub(crate) fn sends_timers(&self, slf: &Bound<'_, Self>) -> PyResult<bool> {
        static OWN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let has_own = self.has_own_methods.load(Ordering::Relaxed);
        Ok(!has_own && self.timer_send.is_as_it_was(slf, "timer_send", &OWN)?)
    }

    /// True unless `metlog` was overridden, in a class or on the object.
    #[inline]
    pub(crate) fn sends_messages(&self, slf: &Bound<'_, Self>) -> PyResult<bool> {
        static OWN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let has_own = self.has_own_methods.load(Ordering::Relaxed);
        Ok(!has_own && self.metlog.is_as_it_was(slf, "metlog", &OWN)?)
    }

    pub(crate) fn replace(&self, state: State) {
        self.state.store(Arc::new(state.ready()));
    }
}

/// How long Ctrl-C waits for a flush at most.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(200);

/// A timeout as Python gives it; what is no time at all is none.
pub(crate) fn seconds(timeout: f64) -> Duration {
    /// Beyond this nobody waits, and adding it to an instant cannot overflow.
    const LONGEST: f64 = 1e9;
    if timeout.is_nan() {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(timeout.min(LONGEST)).unwrap_or_default()
}
