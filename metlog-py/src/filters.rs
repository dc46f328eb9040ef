//! The core's filters, by name. Python may also call one with a message, as it calls its own.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use metlog_core::{
    Severity, Timestamp,
    config::FilterRule,
    filter::{self, TypeBlacklist, TypeRate, TypeWhitelist},
    wire::record::Head,
};
use pyo3::{prelude::*, types::PyDict};

use crate::text;

/// Decides whether a message may leave; runs in the core.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Filter(Shared);

/// The core owns its filters; Python may give one to several clients.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Rule>);

/// Python's messages, and the bounds Python gives, may have any number as a severity: 99 is over a bound of 9.
enum Rule {
    SeverityMax(i64),
    TypeSeverityMax(HashMap<String, i64>),
    /// One that severities do not matter to, or that a configuration has checked.
    Core(Box<dyn filter::Filter>),
}

impl filter::Filter for Shared {
    fn keep(&self, head: &Head<'_>) -> bool {
        self.0.keep(i64::from(head.severity.as_u8()), head)
    }
}

impl Rule {
    /// Whether a message of `level` may leave; `head` has the nearest that there is.
    fn keep(&self, level: i64, head: &Head<'_>) -> bool {
        match self {
            Self::SeverityMax(bound) => level <= *bound,
            Self::TypeSeverityMax(bounds) => bounds.get(head.kind).is_none_or(|bound| level <= *bound),
            Self::Core(filter) => filter.keep(head),
        }
    }
}

impl Filter {
    fn new(rule: Rule) -> Self {
        Self(Shared(Arc::new(rule)))
    }

    fn of_core(filter: impl filter::Filter + 'static) -> Self {
        Self::new(Rule::Core(Box::new(filter)))
    }

    /// One that a configuration names.
    pub(crate) fn of_rule(rule: FilterRule) -> Self {
        let level = |bound: Severity| i64::from(bound.as_u8());
        match rule {
            FilterRule::SeverityMax(bound) => Self::new(Rule::SeverityMax(level(bound))),
            FilterRule::TypeBlacklist(types) => Self::of_core(TypeBlacklist(types)),
            FilterRule::TypeWhitelist(types) => Self::of_core(TypeWhitelist(types)),
            FilterRule::TypeSeverityMax(bounds) => Self::new(Rule::TypeSeverityMax(
                bounds.into_iter().map(|(kind, bound)| (kind, level(bound))).collect(),
            )),
            FilterRule::TypeRate(rates) => Self::of_core(TypeRate(rates)),
        }
    }

    pub(crate) fn shared(&self) -> Shared {
        self.0.clone()
    }
}

#[pymethods]
impl Filter {
    /// Drops what is less severe than `severity`.
    #[staticmethod]
    fn severity_max(severity: i64) -> Self {
        Self::new(Rule::SeverityMax(severity))
    }

    /// Drops the types named.
    #[staticmethod]
    fn type_blacklist(types: HashSet<String>) -> Self {
        Self::of_core(TypeBlacklist(types))
    }

    /// Drops every type but those named.
    #[staticmethod]
    fn type_whitelist(types: HashSet<String>) -> Self {
        Self::of_core(TypeWhitelist(types))
    }

    /// Drops what is less severe than its type's bound.
    #[staticmethod]
    fn type_severity_max(types: HashMap<String, i64>) -> Self {
        Self::new(Rule::TypeSeverityMax(types))
    }

    /// True when the message `msg`, a dict, may leave. A severity that is none counts as the least severe.
    fn __call__(&self, msg: &Bound<'_, PyAny>) -> PyResult<bool> {
        let msg = msg.cast::<PyDict>()?;
        let kind = msg.get_item("type")?;
        let kind = kind.as_ref().map_or(Cow::Borrowed(""), text::of_name);
        let level = msg.get_item("severity")?.and_then(|level| level.extract::<i64>().ok());
        let level = level.unwrap_or(i64::MAX);
        let severity = Severity::try_from(level).unwrap_or(Severity::DEBUG);
        let head = Head { kind: &kind, severity, logger: "", timestamp: Timestamp::default() };
        Ok(self.0.0.keep(level, &head))
    }
}
