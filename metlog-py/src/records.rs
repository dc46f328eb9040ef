//! A record of the standard library's `logging` as a message, where that takes no code of the application: what its
//! handler does for most records. The rest is done in Python.

use metlog_core::{Options, Severity};
use pyo3::{
    exceptions::PyException,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyString, PyTuple},
};

use crate::{
    bound,
    calls::{self, shielded},
    client::Client,
    columns::Arguments,
    value,
};

type Object<'py> = Bound<'py, PyAny>;

/// From which level on a record has which severity.
const SEVERITIES: [(i64, Severity); 4] =
    [(50, Severity::CRITICAL), (40, Severity::ERROR), (30, Severity::WARNING), (20, Severity::INFORMATIONAL)];

/// What a record has of its own, and the class of a usual one.
struct Usual {
    attributes: Py<PyFrozenSet>,
    /// A record with so few attributes has no others.
    few: usize,
    class: Py<PyAny>,
}

/// Sends `record` through `client` as an `oldstyle` message, with its `extra` and, where `attributes` ask for it, its
/// logger. False, and nothing is sent, where the text or the client is not of the plain kind.
#[pyfunction]
pub(crate) fn send_record(
    client: &Object<'_>,
    record: &Object<'_>,
    attributes: &Bound<'_, PyTuple>,
) -> PyResult<bool> {
    match send(client, record, attributes) {
        Err(error) if error.is_instance_of::<PyException>(record.py()) => Ok(false),
        sent => sent,
    }
}

fn send(client: &Object<'_>, record: &Object<'_>, attributes: &Bound<'_, PyTuple>) -> PyResult<bool> {
    let py = record.py();
    let usual = usual(py)?;
    let Ok(client) = client.cast::<Client>() else { return Ok(false) };
    let state = client.get().state();
    let is_plain = record.get_type().is(&usual.class) && !state.makes_dicts();
    if !is_plain || !client.get().sends_messages(client)? {
        return Ok(false);
    }
    let own = record.getattr(pyo3::intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
    let (Some(text), Some(severity)) = (text_of(&own)?, severity_of(&own)?) else { return Ok(false) };
    let Some(fields) = fields_of(&own, usual, attributes)? else { return Ok(false) };
    if let Some(plain) = value::plain_text(&text)
        && fields.is_none()
        && bound::current(py).is_none()
    {
        let options =
            Options { severity: Some(severity), payload: Some(&plain), ..state.defaults().options() };
        shielded(py, &state.core, || {
            state.core.metlog("oldstyle", options);
            Ok(())
        })?;
        return Ok(true);
    }
    let severity = PyInt::new(py, severity.as_u8()).into_any();
    let fields = fields.map(Bound::into_any);
    let arguments =
        Arguments { severity: Some(&severity), payload: Some(&text), fields: fields.as_ref(), logger: None };
    calls::send(client, PyString::intern(py, "oldstyle").as_any(), &arguments)?;
    Ok(true)
}

fn usual(py: Python<'_>) -> PyResult<&'static Usual> {
    static USUAL: PyOnceLock<Usual> = PyOnceLock::new();
    USUAL.get_or_try_init(py, || {
        let module = py.import("metlog.logging")?;
        Ok(Usual {
            attributes: module.getattr("OWN_ATTRIBUTES")?.cast_into::<PyFrozenSet>()?.unbind(),
            few: module.getattr("FEW_ATTRIBUTES")?.extract()?,
            class: py.import("logging")?.getattr("LogRecord")?.unbind(),
        })
    })
}

/// The text as `LogRecord.getMessage` makes it; nothing where that would run code of the application, or where a
/// traceback or a stack belongs below it.
fn text_of<'py>(record: &Bound<'py, PyDict>) -> PyResult<Option<Object<'py>>> {
    let py = record.py();
    let below =
        [pyo3::intern!(py, "exc_info"), pyo3::intern!(py, "exc_text"), pyo3::intern!(py, "stack_info")];
    for name in below {
        if record.get_item(name)?.is_some_and(|given| !given.is_none()) {
            return Ok(None);
        }
    }
    let Some(text) =
        record.get_item(pyo3::intern!(py, "msg"))?.filter(Bound::is_exact_instance_of::<PyString>)
    else {
        return Ok(None);
    };
    match record.get_item(pyo3::intern!(py, "args"))? {
        Some(given) if given.is_none() => Ok(Some(text)),
        Some(given) => match given.cast_exact::<PyTuple>() {
            Ok(given) if given.is_empty() => Ok(Some(text)),
            // What does not fit the text, Python says.
            Ok(given) if given.iter().all(|argument| is_plain(&argument)) => Ok(text.rem(given).ok()),
            _ => Ok(None),
        },
        None => Ok(None),
    }
}

/// True for what writes itself without code of the application.
fn is_plain(given: &Object<'_>) -> bool {
    given.is_exact_instance_of::<PyString>()
        || given.is_exact_instance_of::<PyInt>()
        || given.is_exact_instance_of::<PyFloat>()
        || given.is_exact_instance_of::<PyBool>()
        || given.is_none()
}

fn severity_of(record: &Bound<'_, PyDict>) -> PyResult<Option<Severity>> {
    let level = record.get_item(pyo3::intern!(record.py(), "levelno"))?;
    let level = level.and_then(|level| level.cast_exact::<PyInt>().ok()?.extract::<i64>().ok());
    Ok(level.map(|level| {
        let range = SEVERITIES.into_iter().find(|(least, _)| level >= *least);
        range.map_or(Severity::DEBUG, |(_, severity)| severity)
    }))
}

/// The fields, if there are any; the outer nothing for attributes that Python has to look at.
fn fields_of<'py>(
    record: &Bound<'py, PyDict>,
    usual: &Usual,
    attributes: &Bound<'py, PyTuple>,
) -> PyResult<Option<Option<Bound<'py, PyDict>>>> {
    let py = record.py();
    let has_extra = record.len() > usual.few;
    if !has_extra && attributes.is_empty() {
        return Ok(Some(None));
    }
    let fields = PyDict::new(py);
    if has_extra {
        let own = usual.attributes.bind(py);
        for (name, value) in record {
            if !own.contains(&name)? {
                fields.set_item(name, value)?;
            }
        }
    }
    for attribute in attributes {
        match value::plain_text(&attribute) {
            Some("name") => fields.set_item("logger_name", record.get_item("name")?)?,
            // There is none, as `text_of` has seen.
            Some("exc_info") => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(Some(fields).filter(|fields| !fields.is_empty())))
}
