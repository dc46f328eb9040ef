//! What setting a client up changes, as one: a call sees all of it or nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metlog_core::{Severity, config::Settings};
use pyo3::{
    prelude::*,
    types::{PyInt, PySet, PyString},
};

use crate::{capture, columns::Defaults, names::Names, sums::Sums};

/// What setting up changes, as one.
pub(crate) struct State {
    pub(crate) core: metlog_core::Client,
    /// True: messages become dicts for `send_message`.
    pub(crate) by_dict: bool,
    pub(crate) logger: Py<PyAny>,
    pub(crate) logger_text: String,
    pub(crate) severity: Py<PyAny>,
    pub(crate) level: Option<Severity>,
    pub(crate) settings: Settings,
    /// Of a client that makes dicts.
    pub(crate) sums: Option<Arc<Sums>>,
    /// The severity that sums leave with.
    pub(crate) sum_level: Option<Severity>,
    /// Names of timers that measure nothing: a set of the application's, which may change it.
    pub(crate) disabled_timers: Py<PyAny>,
    /// True when calls are to be summed and say what the sums do.
    pub(crate) may_sum: bool,
    /// True when every call is refused.
    pub(crate) is_closed: bool,
    pub(crate) names: Names,
}

impl State {
    /// Of a client that is not connected yet.
    pub(crate) fn unconnected(py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            core: metlog_core::Client::builder().build(),
            by_dict: true,
            logger: PyString::new(py, "").into_any().unbind(),
            severity: PyInt::new(py, Severity::default().as_u8()).into_any().unbind(),
            logger_text: String::new(),
            level: None,
            settings: Settings::default(),
            sums: None,
            sum_level: None,
            disabled_timers: PySet::empty(py)?.into_any().unbind(),
            may_sum: false,
            is_closed: false,
            names: Names::default(),
        })
    }

    /// The same, to change something of it.
    pub(crate) fn copy(&self, py: Python<'_>) -> Self {
        Self {
            core: self.core.clone(),
            logger: self.logger.clone_ref(py),
            logger_text: self.logger_text.clone(),
            severity: self.severity.clone_ref(py),
            sums: self.sums.clone(),
            disabled_timers: self.disabled_timers.clone_ref(py),
            // What is known of a name holds for what is not changed.
            names: Names::default(),
            ..*self
        }
    }

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
        self.may_sum && !capture::is_on()
    }

    /// With what calls would otherwise find out each time. Sums leave as the core was made, under its logger.
    pub(crate) fn ready(self) -> Self {
        let says_the_same = self.level == self.sum_level && self.logger_text == self.core.logger();
        Self { may_sum: self.summing_settings().aggregate && says_the_same, ..self }
    }

    /// The settings of a core that sums no calls once the client is closed, as sums would go nowhere.
    pub(crate) fn summing_settings(&self) -> Settings {
        Settings { aggregate: self.settings.aggregate && !self.is_closed, ..self.settings }
    }

    /// Waits until what was sent has left.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let summed = self.sums.as_ref().is_none_or(|sums| sums.flush(timeout));
        self.core.flush(deadline.saturating_duration_since(Instant::now())) && summed
    }

    /// Hands over what is left.
    pub(crate) fn close(&self, timeout: Duration) -> metlog_core::client::Report {
        let deadline = Instant::now() + timeout;
        self.close_sums(timeout);
        self.core.close(deadline.saturating_duration_since(Instant::now()))
    }

    /// Hands over what was summed.
    pub(crate) fn close_sums(&self, timeout: Duration) {
        if let Some(sums) = &self.sums {
            sums.close(timeout);
        }
    }

    /// What a call says that says nothing.
    pub(crate) fn defaults(&self) -> Defaults<'_> {
        Defaults { logger: &self.logger_text, severity: self.level.unwrap_or_default() }
    }
}
