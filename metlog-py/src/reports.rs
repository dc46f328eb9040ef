//! What `stats` and `close` give back.

use metlog_core::stats;
use pyo3::{prelude::*, types::PyDict};

/// The books of a client at one moment: attempted = accepted + refused, accepted = sent + dropped + waiting.
#[pyclass(frozen, get_all, module = "metlog._metlog")]
pub(crate) struct Stats {
    /// Calls that wanted to send a message.
    attempted: u64,
    /// Messages that were taken.
    accepted: u64,
    /// Messages the call refused, by reason.
    refused: Py<PyDict>,
    /// Messages the sender has taken.
    sent: u64,
    /// Messages given up after they were accepted, by reason.
    dropped: Py<PyDict>,
    /// Messages that still wait to be sent.
    waiting: u64,
}

impl Stats {
    /// The core's books and the `by_dict` messages that a Python sender has taken besides.
    pub(crate) fn new(py: Python<'_>, books: &stats::Stats, by_dict: u64) -> PyResult<Self> {
        Ok(Self {
            attempted: books.attempted + by_dict,
            accepted: books.accepted + by_dict,
            refused: by_reason(py, &books.refused)?,
            sent: books.sent + by_dict,
            dropped: by_reason(py, &books.dropped)?,
            waiting: books.waiting,
        })
    }
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        format!(
            "Stats(attempted={}, accepted={}, refused={}, sent={}, dropped={}, waiting={})",
            self.attempted, self.accepted, self.refused, self.sent, self.dropped, self.waiting
        )
    }
}

fn by_reason(py: Python<'_>, counters: &stats::ByReason) -> PyResult<Py<PyDict>> {
    let counts = PyDict::new(py);
    for (reason, count) in &counters.counts() {
        counts.set_item(reason, count)?;
    }
    Ok(counts.unbind())
}

/// What a close has left behind.
#[pyclass(frozen, get_all, module = "metlog._metlog")]
pub(crate) struct Report {
    /// Messages the sender has taken.
    sent: u64,
    /// Messages still waiting.
    waiting: u64,
    /// Messages given up after they were accepted.
    dropped: u64,
}

impl Report {
    /// The core's books and the `by_dict` messages that a Python sender has taken besides.
    pub(crate) fn new(books: &stats::Stats, by_dict: u64) -> Self {
        Self { sent: books.sent + by_dict, waiting: books.waiting, dropped: books.dropped.total() }
    }
}

#[pymethods]
impl Report {
    fn __repr__(&self) -> String {
        format!("Report(sent={}, waiting={}, dropped={})", self.sent, self.waiting, self.dropped)
    }
}
