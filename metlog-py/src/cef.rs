//! Lines of CEF: the arguments of a call as the core's event, and its answer as Python values.

use metlog_core::{
    Timestamp,
    cef::{self, CefMeta, Device, Event, HeaderBreaks, Level, Request},
};
use pyo3::{
    prelude::*,
    types::{PyDict, PyInt},
};

use crate::{ConfigError, MissingKeyError, text};

/// The line of an event as of now, and what the application should be told about it. `environ` is a WSGI environment;
/// `config` holds the keys `cef.version`, `cef.vendor`, `cef.product` and `cef.device_version`.
#[pyfunction]
#[pyo3(signature = (name, severity, environ, config, username, signature, extras))]
#[expect(clippy::too_many_arguments, reason = "the parts of an event")]
pub(crate) fn cef_line(
    name: &Bound<'_, PyAny>,
    severity: &Bound<'_, PyAny>,
    environ: Option<&Bound<'_, PyAny>>,
    config: &Bound<'_, PyAny>,
    username: &Bound<'_, PyAny>,
    signature: Option<&Bound<'_, PyAny>>,
    extras: &Bound<'_, PyDict>,
) -> PyResult<(String, Vec<String>)> {
    let device = Device::from_config(|key| text_at(config, key));
    let device = device.map_err(|error| MissingKeyError::new_err(error.to_string()))?;
    let name = text::of_name(name);
    let signature = signature.map(text::of_name);
    let level_text = text::of_name(severity);
    let number = severity.cast::<PyInt>().ok().and_then(|level| level.extract().ok());
    let extras: Vec<(String, String)> = extras
        .iter()
        .map(|(key, value)| (text::of_name(&key).into_owned(), text::of_name(&value).into_owned()))
        .collect();
    let extras: Vec<(&str, &str)> =
        extras.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let event = Event {
        device: &device,
        name: &name,
        severity: number.map_or(Level::Text(&level_text), Level::Number),
        signature: signature.as_deref(),
        username: &text::of_name(username),
        request: Request::from_environ(|key| text_at(environ?, key)),
        extras: &extras,
        host: None,
        header_breaks: HeaderBreaks::Escaped,
    };
    let formatted = cef::format(&event, Timestamp::now());
    Ok((formatted.line, formatted.warnings.iter().map(ToString::to_string).collect()))
}

/// The field `cef_meta`: how a syslog is to take the lines.
#[pyfunction]
#[pyo3(signature = (options = None, facility = None, ident = None, priority = None))]
pub(crate) fn cef_meta<'py>(
    py: Python<'py>,
    options: Option<&str>,
    facility: Option<&str>,
    ident: Option<&str>,
    priority: Option<&str>,
) -> PyResult<Bound<'py, PyDict>> {
    let meta = CefMeta::new(options, facility, ident, priority);
    let fields = meta.map_err(|error| ConfigError::new_err(error.to_string()))?.fields();
    let dict = PyDict::new(py);
    for (name, value) in fields.iter() {
        dict.set_item(name, value.as_text())?;
    }
    Ok(dict)
}

/// The text of what a mapping has under `key`; nothing when it has none, or raises.
fn text_at(mapping: &Bound<'_, PyAny>, key: &str) -> Option<String> {
    let value = mapping.get_item(key).ok().filter(|value| !value.is_none())?;
    Some(text::of_name(&value).into_owned())
}
