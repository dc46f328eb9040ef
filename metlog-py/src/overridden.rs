//! Whether a class of clients has a method of its own in place of the one here.
//!
//! Looking it up costs a timer 30 ns. What was found holds until a class changes, which the metaclass of clients tells
//! (`metlog._watched`), and for the class it was found for. A class that has a base without that metaclass is asked each
//! time. What is set in the class below `MetlogClient`, which is nobody's to change, is not seen.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use pyo3::{prelude::*, sync::PyOnceLock, types::PyType};

use crate::client::Client;

/// Rises with every change of a class that tells.
static CHANGES: AtomicU64 = AtomicU64::new(1);

/// Has every client look anew which of its methods were overridden.
#[pyfunction]
pub(crate) fn class_changed() {
    CHANGES.fetch_add(1, Relaxed);
}

/// What one client knows of one of its methods.
#[derive(Default)]
pub(crate) struct Method {
    /// The class whose method was found to be the one here, and after which change.
    class: AtomicUsize,
    changes: AtomicU64,
    /// A class that does not tell when it is changed.
    silent: AtomicUsize,
}

impl Method {
    /// True when the class of `client` has no other method `name` than `own`, the one here, which is kept at the first call.
    #[inline]
    pub(crate) fn is_as_it_was(
        &self,
        client: &Bound<'_, Client>,
        name: &str,
        own: &PyOnceLock<Py<PyAny>>,
    ) -> PyResult<bool> {
        let class = client.get_type_ptr().addr();
        if self.class.load(Relaxed) == class && self.changes.load(Relaxed) == CHANGES.load(Relaxed) {
            return Ok(true);
        }
        self.look_up(&client.get_type(), name, own)
    }

    #[inline(never)]
    fn look_up(&self, class: &Bound<'_, PyType>, name: &str, own: &PyOnceLock<Py<PyAny>>) -> PyResult<bool> {
        let (py, address, changes) = (class.py(), class.as_ptr().addr(), CHANGES.load(Relaxed));
        let own = own.get_or_try_init(py, || py.get_type::<Client>().getattr(name).map(Bound::unbind))?;
        if !class.getattr(name)?.is(own) {
            return Ok(false);
        }
        if self.silent.load(Relaxed) == address {
            return Ok(true);
        }
        if py.import("metlog._watched")?.call_method1("tells", (class,))?.is_truthy()? {
            self.class.store(address, Relaxed);
            self.changes.store(changes, Relaxed);
        } else {
            self.silent.store(address, Relaxed);
        }
        Ok(true)
    }
}
