//! Whether a test captures what is sent: every message then becomes a dict, whatever its client's sender is.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use crate::handles;

static ON: AtomicBool = AtomicBool::new(false);

#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Has every message of this process become a dict for `send_message`, and handles send one each; or no longer.
#[pyfunction]
pub(crate) fn set_capturing(on: bool) {
    ON.store(on, Ordering::Relaxed);
    handles::bind_anew();
}
