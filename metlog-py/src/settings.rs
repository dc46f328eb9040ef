//! Settings of the core's table: from keywords, over `METLOG_*` variables, over a TOML file.

use std::path::PathBuf;

use metlog_core::config::{self, Config, Given, Raw};
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple},
};

use crate::{ConfigError, filters::Filter, targets::Target, text};

/// Bounds of the hand-off and of a batch, checked.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Settings(config::Settings);

impl Settings {
    pub(crate) fn get(&self) -> config::Settings {
        self.0
    }
}

/// Everything a client is set up with.
#[pyclass(frozen, get_all, module = "metlog._metlog")]
pub(crate) struct Configuration {
    /// The default logger.
    logger: String,
    /// The default severity.
    severity: u8,
    /// Names of timers that measure nothing.
    disabled_timers: Vec<String>,
    /// What is kept from leaving.
    filters: Vec<Py<Filter>>,
    /// Where to send.
    target: Py<Target>,
    /// Bounds of the hand-off and of a batch.
    settings: Py<Settings>,
}

#[pymethods]
impl Configuration {
    /// What `settings` say, over the environment, over the TOML file `path`. Errors call the keywords `place`.
    #[new]
    #[pyo3(signature = (place, settings, path = None))]
    fn new(
        py: Python<'_>,
        place: String,
        settings: &Bound<'_, PyDict>,
        path: Option<PathBuf>,
    ) -> PyResult<Self> {
        let settings = settings.iter().map(|(key, value)| (text::of_name(&key).into_owned(), raw(&value)));
        let given = Given { place, settings: settings.collect() };
        let config = py.detach(move || Config::from_code(given, path.as_deref()));
        let config = config.map_err(|error| ConfigError::new_err(error.to_string()))?;
        let filters = config.filters.into_iter().map(|rule| Py::new(py, Filter::of_rule(rule)));
        let target = config.sender.target().ok_or_else(|| {
            ConfigError::new_err("sender_class needs ZeroMQ, which this build does not have")
        })?;
        Ok(Self {
            logger: config.logger,
            severity: config.severity.as_u8(),
            disabled_timers: config.disabled_timers.into_iter().collect(),
            filters: filters.collect::<PyResult<_>>()?,
            target: Py::new(py, Target::of(target))?,
            settings: Py::new(py, Settings(config.settings))?,
        })
    }
}

/// A keyword's value as the table reads it.
fn raw(value: &Bound<'_, PyAny>) -> Raw {
    if let Ok(text) = value.cast::<PyString>() {
        return Raw::Text(text::of_str(text).into_owned());
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Raw::Bool(flag.is_true());
    }
    if let Ok(int) = value.cast::<PyInt>() {
        return int.extract().map_or_else(|_| Raw::Other(text::of_name(value).into_owned()), Raw::Int);
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        return Raw::Float(float.value());
    }
    if let Ok(pairs) = value.cast::<PyDict>() {
        let pairs = pairs.iter().map(|(name, value)| (text::of_name(&name).into_owned(), raw(&value)));
        return Raw::Map(pairs.collect());
    }
    items(value).unwrap_or_else(|| Raw::Other(text::of_name(value).into_owned()))
}

fn items(value: &Bound<'_, PyAny>) -> Option<Raw> {
    let is_several = value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PySet>()
        || value.is_instance_of::<PyFrozenSet>();
    let items = is_several.then(|| value.try_iter().ok()).flatten()?;
    Some(Raw::List(items.filter_map(Result::ok).map(|item| raw(&item)).collect()))
}
