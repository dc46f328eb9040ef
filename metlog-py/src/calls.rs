//! What the methods of a client do: convert, deliver, and let nothing through to the application.
//!
//! A client whose sender or filters are Python's takes the other path: the message becomes a dict, and
//! `send_message` of the class above does the rest on the calling thread. What cannot be converted is refused and
//! counted, and panics stop here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use metlog_core::{
    Client as Core, Options, Severity,
    client::{Count, FieldSet},
    sample::Rate,
    stats::{Reason, complain},
    value::Encoded,
};
use pyo3::{
    exceptions::{PyException, PyValueError},
    prelude::*,
    types::{PyDict, PyFloat, PyInt, PyString, PyTuple},
};

use crate::{
    bound,
    client::Client,
    columns::{self, Arguments, Columns},
    handles,
    names::Known,
    state::State,
    text, value,
};

/// Bytes of a text that is not asked whether it fits a message.
const LONG_PAYLOAD: usize = 64 * 1024;

/// Why a call sent nothing.
pub(crate) enum Trouble {
    Refused(Reason),
    Raised(PyErr),
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<PyErr> for Trouble {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// Runs one call. Only what is meant to end the program (`KeyboardInterrupt`, `SystemExit`) gets through.
pub(crate) fn shielded(
    py: Python<'_>,
    core: &Core,
    call: impl FnOnce() -> Result<(), Trouble>,
) -> PyResult<()> {
    let trouble = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(trouble)) => trouble,
        Err(_) => Trouble::Refused(Reason::Encode),
    };
    match trouble {
        Trouble::Raised(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
        Trouble::Refused(Reason::TooBig) => {
            core.refuse(Reason::TooBig);
            complain("too_big", "a message over 1 MiB was refused");
        }
        Trouble::Refused(_) | Trouble::Raised(_) => {
            core.refuse(Reason::Encode);
            complain("encode", "a message that cannot be converted was refused");
        }
    }
    Ok(())
}

/// Sends a message of the type `kind`.
pub(crate) fn send(
    slf: &Bound<'_, Client>,
    kind: &Bound<'_, PyAny>,
    arguments: &Arguments<'_, '_>,
) -> PyResult<()> {
    let state = slf.get().state();
    shielded(slf.py(), &state.core, || {
        if state.makes_dicts() {
            return Ok(send_by_dict(slf, kind, arguments, arguments.payload, arguments.fields)?);
        }
        if send_plain(slf.py(), &state, kind, arguments)? {
            return Ok(());
        }
        let columns = Columns::read(slf.py(), arguments)?;
        columns.deliver(&state.defaults(), |options| state.core.metlog(&text::of_name(kind), options));
        Ok(())
    })
}

/// The type of a message: one that comes often, or any other and its text.
#[derive(Clone, Copy)]
enum Type<'a, 'py> {
    Known(&'a Known),
    Other(&'a Bound<'py, PyAny>, &'a str),
}

/// Sends a message of a type, a text and fields that are read as they are; false, and nothing is sent, for any other.
/// Most messages are of this kind, and are not copied on the way.
fn send_plain(
    py: Python<'_>,
    state: &State,
    kind: &Bound<'_, PyAny>,
    arguments: &Arguments<'_, '_>,
) -> Result<bool, Reason> {
    let Arguments { logger: None, severity: None, payload, fields } = arguments else { return Ok(false) };
    let Some(payload) = payload.map_or(Some(""), value::plain_text) else { return Ok(false) };
    // As large ones are looked at where all are.
    if payload.len() > LONG_PAYLOAD || bound::current(py).is_some() {
        return Ok(false);
    }
    let kind = match state.names.get(kind) {
        Some(known) => Type::Known(known),
        None => match value::plain_text(kind) {
            Some(text) => Type::Other(kind, text),
            None => return Ok(false),
        },
    };
    let send = |count, pairs: &[u8]| {
        let fields = FieldSet::Encoded { count, pairs: Encoded(pairs) };
        match kind {
            Type::Known(known) => known.send_as_type(py, state, payload, &fields),
            Type::Other(kind, text) => {
                state.names.offer(kind, text);
                let options = Options { payload: Some(&payload), fields, ..state.defaults().options() };
                state.core.metlog(text, options);
            }
        }
    };
    match fields {
        None => send(0, &[]),
        Some(fields) => {
            let Ok(fields) = fields.cast::<PyDict>() else { return Ok(false) };
            return columns::with_scratch(|scratch| {
                let count = value::encode_plain_pairs(fields, scratch)?;
                count.iter().for_each(|count| send(*count, scratch));
                Ok(count.is_some())
            });
        }
    }
    Ok(true)
}

pub(crate) fn send_by_dict<'py>(
    slf: &Bound<'py, Client>,
    kind: &Bound<'py, PyAny>,
    arguments: &Arguments<'_, 'py>,
    payload: Option<&Bound<'py, PyAny>>,
    fields: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let empty = PyString::new(slf.py(), "").into_any();
    let payload = payload.unwrap_or(&empty);
    let method = pyo3::intern!(slf.py(), "_send_by_dict");
    slf.call_method1(method, (kind, arguments.logger, arguments.severity, payload, fields)).map(drop)
}

/// Which of the core's metrics a call sends.
#[derive(Clone, Copy)]
pub(crate) enum Metric {
    Counter,
    Gauge,
    Timer,
}

impl Metric {
    /// The type of its messages.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timer => "timer",
        }
    }
}

/// What a metric says beside the columns; one when there is no `value`.
pub(crate) struct Sample<'a, 'py> {
    pub(crate) name: &'a Bound<'py, PyAny>,
    pub(crate) value: Option<&'a Bound<'py, PyAny>>,
    pub(crate) rate: Option<&'a Bound<'py, PyAny>>,
}

/// Sends a counter, a gauge or a timer.
pub(crate) fn metric(
    slf: &Bound<'_, Client>,
    metric: Metric,
    sample: &Sample<'_, '_>,
    arguments: &Arguments<'_, '_>,
) -> PyResult<()> {
    if sample.rate.is_none()
        && arguments.is_plain()
        && let Some(value) = sample.value.and_then(plain_number)
        && plain_metric(slf, metric, sample.name, value)
    {
        return Ok(());
    }
    let state = slf.get().state();
    shielded(slf.py(), &state.core, || {
        if state.by_dict && !(state.sums_calls() && arguments.is_plain()) {
            return Ok(metric_by_dict(slf, metric, sample, arguments)?);
        }
        let value = sample.value.map_or(Some(Count::Int(1)), number).ok_or(Reason::Encode)?;
        deliver_metric(slf, &state, metric, (sample.name, value, rate(sample.rate)), arguments)
    })
}

/// Sends a metric that says nothing but its name and value, where nothing needs converting: most calls, and a quarter
/// of the time of [`metric`]. False where something does, and nothing was sent.
#[inline]
pub(crate) fn plain_metric(
    slf: &Bound<'_, Client>,
    metric: Metric,
    name: &Bound<'_, PyAny>,
    value: Count,
) -> bool {
    let (py, state) = (slf.py(), slf.get().state());
    let send = || {
        let is_summed = state.sums_calls();
        if !is_summed && (state.makes_dicts() || bound::current(py).is_some()) {
            return false;
        }
        match state.names.get(name) {
            Some(known) if is_summed => known.sum(py, &state, metric, value),
            Some(known) => known.send(py, &state, metric, value),
            None => return plain_metric_of_any(&state, metric, name, value),
        }
        true
    };
    // A panic has counted nothing.
    catch_unwind(AssertUnwindSafe(send)).unwrap_or_else(|_| {
        state.core.refuse(Reason::Encode);
        true
    })
}

/// As [`plain_metric`], of a name that has not come often.
#[inline(never)]
fn plain_metric_of_any(state: &State, metric: Metric, name: &Bound<'_, PyAny>, value: Count) -> bool {
    let Some(text) = value::plain_text(name) else { return false };
    state.names.offer(name, text);
    if state.sums_calls() {
        handles::sum(state, metric, text, value);
    } else {
        send_metric(state, metric, text, (value, Rate::ALL), state.defaults().options());
    }
    true
}

#[inline]
fn send_metric(
    state: &State,
    metric: Metric,
    name: &str,
    (value, rate): (Count, Rate),
    options: Options<'_>,
) {
    match metric {
        Metric::Counter => state.core.incr_with(name, value, rate, options),
        Metric::Gauge => state.core.gauge_with(name, value, rate, options),
        Metric::Timer => state.core.timer_send_with(name, millis(value), rate, options),
    }
}

/// Sends a timer that took `elapsed` milliseconds; a share `rate` of them is measured.
pub(crate) fn measured(
    slf: &Bound<'_, Client>,
    name: &Bound<'_, PyAny>,
    elapsed: f64,
    rate: Rate,
    arguments: &Arguments<'_, '_>,
) -> PyResult<()> {
    let elapsed = Count::Float(elapsed);
    let state = slf.get().state();
    shielded(slf.py(), &state.core, || {
        deliver_metric(slf, &state, Metric::Timer, (name, elapsed, rate), arguments)
    })
}

/// The share that `given` says; every call when it says none.
pub(crate) fn rate(given: Option<&Bound<'_, PyAny>>) -> Rate {
    given.and_then(number).map_or(Rate::ALL, |rate| Rate::new(float(rate)))
}

fn deliver_metric(
    slf: &Bound<'_, Client>,
    state: &State,
    metric: Metric,
    (name, value, rate): (&Bound<'_, PyAny>, Count, Rate),
    arguments: &Arguments<'_, '_>,
) -> Result<(), Trouble> {
    if state.sums_calls() && arguments.is_plain() {
        handles::sum(state, metric, &text::of_name(name), value);
        return Ok(());
    }
    if state.makes_dicts() {
        return Ok(number_by_dict(slf, metric, name, (value, rate), arguments)?);
    }
    let (name, number) = (text::of_name(name), (value, rate));
    let columns = Columns::read(slf.py(), arguments)?;
    columns.deliver(&state.defaults(), |options| send_metric(state, metric, &name, number, options));
    Ok(())
}

/// Sends a metric of a client whose messages are dicts: as with the originals its payload is what `str` makes of the
/// value, which need not be a number. A time is a number of milliseconds.
fn metric_by_dict(
    slf: &Bound<'_, Client>,
    metric: Metric,
    sample: &Sample<'_, '_>,
    arguments: &Arguments<'_, '_>,
) -> PyResult<()> {
    let rate = rate(sample.rate);
    let number = || sample.value.map_or(Some(Count::Int(1)), number);
    let payload = match (metric, sample.value) {
        (Metric::Counter | Metric::Gauge, _) if !rate.sample() => return Ok(()),
        (Metric::Counter | Metric::Gauge, Some(value)) => value.str()?,
        _ => {
            let number = number().ok_or_else(|| PyValueError::new_err("a time is a number"))?;
            PyString::new(slf.py(), &text_of(metric, number))
        }
    };
    send_payload(slf, metric, sample.name, (&payload, rate), arguments)
}

/// Sends what was measured, or is about to leave the core, of a client whose messages are dicts.
fn number_by_dict(
    slf: &Bound<'_, Client>,
    metric: Metric,
    name: &Bound<'_, PyAny>,
    (value, rate): (Count, Rate),
    arguments: &Arguments<'_, '_>,
) -> PyResult<()> {
    // The share of a timer is thrown for where it begins.
    if !matches!(metric, Metric::Timer) && !rate.sample() {
        return Ok(());
    }
    let payload = PyString::new(slf.py(), &text_of(metric, value));
    send_payload(slf, metric, name, (&payload, rate), arguments)
}

fn text_of(metric: Metric, value: Count) -> String {
    match metric {
        Metric::Counter | Metric::Gauge => value.to_string(),
        Metric::Timer => millis(value).to_string(),
    }
}

fn send_payload<'py>(
    slf: &Bound<'py, Client>,
    metric: Metric,
    name: &Bound<'py, PyAny>,
    (payload, rate): (&Bound<'py, PyString>, Rate),
    arguments: &Arguments<'_, 'py>,
) -> PyResult<()> {
    let fields = match arguments.fields.map(|fields| fields.cast::<PyDict>()) {
        Some(Ok(given)) => given.copy()?,
        _ => PyDict::new(slf.py()),
    };
    fields.set_item("name", name)?;
    fields.set_item("rate", rate.get())?;
    let kind = PyString::intern(slf.py(), metric.kind());
    send_by_dict(slf, kind.as_any(), arguments, Some(payload.as_any()), Some(fields.as_any()))
}

/// The number `value` is, if it is one.
fn plain_number(value: &Bound<'_, PyAny>) -> Option<Count> {
    if let Ok(int) = value.cast_exact::<PyInt>() {
        return int.extract().map(Count::Int).ok();
    }
    value.cast_exact::<PyFloat>().map(|float| Count::Float(float.value())).ok()
}

/// The number `value` is, or the text of which is one (`Decimal`, a text from a configuration).
pub(crate) fn number(value: &Bound<'_, PyAny>) -> Option<Count> {
    if let Ok(int) = value.cast::<PyInt>() {
        return int.extract().map(Count::Int).or_else(|_| int.extract().map(Count::Float)).ok();
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        return Some(Count::Float(float.value()));
    }
    let text = text::of_name(value);
    text.parse().map(Count::Int).or_else(|_| text.parse().map(Count::Float)).ok()
}

#[expect(clippy::cast_precision_loss, reason = "a rate or a time beyond 2^53 needs no last digit")]
pub(crate) fn float(count: Count) -> f64 {
    match count {
        Count::Int(count) => count as f64,
        Count::Float(count) => count,
    }
}

/// Whole milliseconds, as timers have them on the wire.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and what is no number becomes 0")]
pub(crate) fn millis(count: Count) -> i64 {
    match count {
        Count::Int(count) => count,
        Count::Float(count) => count.round() as i64,
    }
}

/// Sends a text of the type `oldstyle`.
pub(crate) fn log(
    slf: &Bound<'_, Client>,
    severity: Severity,
    msg: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let py = slf.py();
    let state = slf.get().state();
    shielded(py, &state.core, || {
        let mut payload = format(msg, args)?;
        if let Some(exc_info) = keywords.map(|given| given.get_item("exc_info")).transpose()?.flatten()
            && exc_info.is_truthy()?
        {
            payload = with_traceback(&payload, &exc_info)?;
        }
        let severity = severity.as_u8().into_pyobject(py).map_err(PyErr::from)?.into_any();
        let arguments =
            Arguments { severity: Some(&severity), payload: Some(&payload), ..Arguments::default() };
        let kind = PyString::intern(py, "oldstyle").into_any();
        if state.makes_dicts() {
            return Ok(send_by_dict(slf, &kind, &arguments, Some(&payload), None)?);
        }
        let columns = Columns::read(slf.py(), &arguments)?;
        columns.deliver(&state.defaults(), |options| state.core.metlog("oldstyle", options));
        Ok(())
    })
}

/// `msg % args`, or `msg` as it is without any; a single mapping is what `%(name)s` looks in.
fn format<'py>(msg: &Bound<'py, PyAny>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    if args.is_empty() {
        return Ok(msg.clone());
    }
    let only = args.get_item(0)?;
    if args.len() == 1 && is_mapping(&only)? && only.len().is_ok_and(|entries| entries > 0) {
        return msg.rem(only);
    }
    msg.rem(args)
}

/// True for what `collections.abc.Mapping` knows. Most arguments are of types that need not be asked; an object of the
/// application that raises when it is asked is none.
fn is_mapping(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    if value.is_instance_of::<PyDict>() {
        return Ok(true);
    }
    if value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
    {
        return Ok(false);
    }
    let mapping = py.import(pyo3::intern!(py, "collections.abc"))?.getattr(pyo3::intern!(py, "Mapping"))?;
    match value.is_instance(&mapping) {
        Err(raised) if raised.is_instance_of::<PyException>(py) => Ok(false),
        told => told,
    }
}

/// The text with the traceback of `exc_info` below it; as it was when there is no exception.
fn with_traceback<'py>(
    payload: &Bound<'py, PyAny>,
    exc_info: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let module = payload.py().import("metlog._traceback")?;
    module.call_method1("append", (payload, exc_info))
}
