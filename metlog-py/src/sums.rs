//! Sums of a client whose messages become dicts: a core of their own hands them to `send_message`, from its thread.
//!
//! So filters, senders and overrides written in Python see a sum as they see any message, and the books count it
//! there. From its first sum on a client is kept until it is closed or set up anew, as what it sums is to arrive; after
//! that nothing here holds it, though a handle may hold the core.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use metlog_core::{
    Client as Core, Error, Severity,
    config::Settings,
    sender::{Delivery, Outgoing, Sender, Target, each_json},
};
use pyo3::prelude::*;

/// Those that may hold sums, to be emptied before the cores below them close. Held only while attached to the
/// interpreter and never across a call into it, so that no fork finds it taken.
static OPEN: Mutex<Vec<Weak<Sums>>> = Mutex::new(Vec::new());

/// A core that sums, made at its first use.
pub(crate) struct Sums {
    /// A weak reference to the client, so that one that sums nothing can be collected.
    client: Py<PyAny>,
    logger: String,
    severity: Severity,
    settings: Settings,
    core: OnceLock<Core>,
    /// The client, while there is a core that sends to it.
    kept: Kept,
}

/// Taken out when the core has closed. Held as `OPEN` is, for a copy of what is in it.
type Kept = Arc<Mutex<Option<Py<PyAny>>>>;

impl Sums {
    pub(crate) fn new(client: Py<PyAny>, logger: &str, severity: Severity, settings: Settings) -> Arc<Self> {
        // The books are those of the client; these would only repeat them.
        let settings = Settings { stats_interval: Duration::ZERO, ..settings };
        let (logger, core, kept) = (logger.to_owned(), OnceLock::new(), Kept::default());
        Arc::new(Self { client, logger, severity, settings, core, kept })
    }

    pub(crate) fn core(self: &Arc<Self>) -> &Core {
        self.core.get_or_init(|| {
            let client = Python::attach(|py| self.client.call0(py).ok().filter(|client| !client.is_none(py)));
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = client;
            let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|sums| sums.strong_count() > 0);
            open.push(Arc::downgrade(self));
            let builder = Core::builder().logger(&self.logger).severity(self.severity);
            builder.settings(self.settings).sender(ByDict(Arc::clone(&self.kept))).build()
        })
    }

    /// Waits until what was handed over has arrived; sums that are not due stay.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        self.core.get().is_none_or(|core| core.flush(timeout))
    }

    /// Hands over what is left, and lets go of the client.
    pub(crate) fn close(&self, timeout: Duration) {
        if let Some(core) = self.core.get() {
            core.close(timeout);
            // What ends with the client may run anything, so attached; without an interpreter it stays.
            let _let_go = Python::try_attach(|_| {
                let client = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
                drop(client);
            });
        }
    }
}

/// Has every client handed its sums, within `timeout`; gives back how much of it is left.
pub(crate) fn close_all(py: Python<'_>, timeout: Duration) -> Duration {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    let deadline = Instant::now() + timeout;
    py.detach(|| {
        for sums in open.iter().filter_map(Weak::upgrade) {
            sums.close(deadline.saturating_duration_since(Instant::now()));
        }
    });
    deadline.saturating_duration_since(Instant::now())
}

/// The client that gets the sums.
struct ByDict(Kept);

impl Target for ByDict {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(ByDict(Arc::clone(&self.0))))
    }
}

impl Sender for ByDict {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        let mut texts = Vec::new();
        each_json(batch, |json| {
            texts.push(json);
            Ok(())
        })?;
        // Without an interpreter, at the very end, there is nobody to hand them to.
        let _handed = Python::try_attach(|py| self.hand(py, texts));
        Ok(Delivery::ALL)
    }
}

impl ByDict {
    /// What the application raises is shown by Python's hook for what nobody can catch.
    fn hand(&self, py: Python<'_>, texts: Vec<String>) {
        // For all of them, also when closing gives up waiting meanwhile.
        let kept = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.as_ref().map(|client| client.clone_ref(py))
        };
        let Some(client) = kept else { return };
        let client = client.bind(py);
        for text in texts {
            if let Err(error) = client.call_method1("_send_sum", (text,)) {
                error.write_unraisable(py, Some(client));
            }
        }
    }
}
