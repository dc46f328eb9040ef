//! Settings of the core's table: from keywords, over `METLOG_*` variables, over a TOML file.

use std::path::PathBuf;

use metlog_core::config::{self, Config, Delivery, Given, Raw, SenderClass, SenderConfig};
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

#[pymethods]
impl Settings {
    /// What waits for the sender, in bytes; beyond it messages are refused.
    #[getter]
    fn queue_bytes(&self) -> usize {
        self.0.queue_bytes
    }

    /// A batch leaves when it is so large.
    #[getter]
    fn batch_bytes(&self) -> usize {
        self.0.batch_bytes
    }

    /// A batch leaves when its first message has waited so long, in seconds.
    #[getter]
    fn batch_age(&self) -> f64 {
        self.0.batch_age.as_secs_f64()
    }

    /// True when counters, gauges and timers are summed in the process.
    #[getter]
    fn aggregate(&self) -> bool {
        self.0.aggregate
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
    /// The same in words: the sender's short name.
    sender: &'static str,
    /// How batches reach the sidecar: `push` or `acked`.
    delivery: &'static str,
    /// The addresses, `host:port` pairs or paths of the sender.
    places: Vec<String>,
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
        let (sender, places) = described(&config.sender);
        let delivery = match config.sender.delivery {
            Delivery::Push => "push",
            Delivery::Acked => "acked",
        };
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
            sender,
            delivery,
            places,
        })
    }
}

/// The short name of a sender, and where it sends.
fn described(sender: &SenderConfig) -> (&'static str, Vec<String>) {
    let named = |given: &Vec<String>, usual: fn() -> Vec<String>| {
        if given.is_empty() { usual() } else { given.clone() }
    };
    match (sender.class, sender.delivery) {
        (SenderClass::Sidecar, Delivery::Push) => {
            ("sidecar", named(&sender.endpoint, config::default_endpoints))
        }
        (SenderClass::Sidecar, Delivery::Acked) => {
            ("sidecar", named(&sender.link_endpoint, config::default_link_endpoints))
        }
        (SenderClass::Pub, _) => ("pub", sender.bindstrs.clone()),
        (SenderClass::Udp, _) => {
            // The last port is that of further hosts.
            let ports = sender.port.iter().chain(std::iter::repeat(sender.port.last().unwrap_or(&0)));
            ("udp", sender.host.iter().zip(ports).map(|(host, port)| format!("{host}:{port}")).collect())
        }
        (SenderClass::File, _) => ("file", vec![sender.filepath.clone()]),
        (SenderClass::Stdout, _) => ("stdout", Vec::new()),
        (SenderClass::Stderr, _) => ("stderr", Vec::new()),
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
