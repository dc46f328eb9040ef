//! The core's filters, by name. Python may also call one with a message, as it calls its own.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use metlog_core::{
    Severity, Timestamp,
    config::FilterRule,
    filter::{self, SeverityMax, TypeBlacklist, TypeRate, TypeSeverityMax, TypeWhitelist},
    wire::record::Head,
};
use pyo3::{prelude::*, types::PyDict};

use crate::{ConfigError, text};

/// Decides whether a message may leave; runs in the core.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Filter(Shared);

/// The core owns its filters; Python may give one to several clients.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn filter::Filter>);

impl filter::Filter for Shared {
    fn keep(&self, head: &Head<'_>) -> bool {
        self.0.keep(head)
    }
}

impl Filter {
    fn new(filter: impl filter::Filter + 'static) -> Self {
        Self(Shared(Arc::new(filter)))
    }

    /// One that a configuration names.
    pub(crate) fn of_rule(rule: FilterRule) -> Self {
        match rule {
            FilterRule::SeverityMax(bound) => Self::new(SeverityMax(bound)),
            FilterRule::TypeBlacklist(types) => Self::new(TypeBlacklist(types)),
            FilterRule::TypeWhitelist(types) => Self::new(TypeWhitelist(types)),
            FilterRule::TypeSeverityMax(bounds) => Self::new(TypeSeverityMax(bounds)),
            FilterRule::TypeRate(rates) => Self::new(TypeRate(rates)),
        }
    }

    pub(crate) fn shared(&self) -> Shared {
        self.0.clone()
    }
}

fn bound(name: &str, level: i64) -> PyResult<Severity> {
    Severity::try_from(level)
        .map_err(|found| ConfigError::new_err(format!("{name} is {found}, expected 0 to 7")))
}

#[pymethods]
impl Filter {
    /// Drops what is less severe than `severity`.
    #[staticmethod]
    fn severity_max(severity: i64) -> PyResult<Self> {
        Ok(Self::new(SeverityMax(bound("severity", severity)?)))
    }

    /// Drops the types named.
    #[staticmethod]
    fn type_blacklist(types: HashSet<String>) -> Self {
        Self::new(TypeBlacklist(types))
    }

    /// Drops every type but those named.
    #[staticmethod]
    fn type_whitelist(types: HashSet<String>) -> Self {
        Self::new(TypeWhitelist(types))
    }

    /// Drops what is less severe than its type's bound.
    #[staticmethod]
    fn type_severity_max(types: HashMap<String, i64>) -> PyResult<Self> {
        let bounds = types.into_iter().map(|(kind, level)| {
            let severity = bound(&format!("types.{kind}.severity"), level)?;
            Ok((kind, severity))
        });
        Ok(Self::new(TypeSeverityMax(bounds.collect::<PyResult<_>>()?)))
    }

    /// True when the message `msg`, a dict, may leave. A severity that is none counts as the least severe.
    fn __call__(&self, msg: &Bound<'_, PyAny>) -> PyResult<bool> {
        let msg = msg.cast::<PyDict>()?;
        let kind = msg.get_item("type")?;
        let kind = kind.as_ref().map_or(Cow::Borrowed(""), text::of_name);
        let level = msg.get_item("severity")?.and_then(|level| level.extract::<i64>().ok());
        let severity = level.and_then(|level| Severity::try_from(level).ok()).unwrap_or(Severity::DEBUG);
        let head = Head { kind: &kind, severity, logger: "", timestamp: Timestamp::default() };
        Ok(filter::Filter::keep(&self.0, &head))
    }
}
