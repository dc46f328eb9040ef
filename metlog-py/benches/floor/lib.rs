//! The floors of the Python benchmarks: the least that a method, a context manager or a message costs through pyo3.
//!
//! The methods take what those of `metlog.MetlogClient` take, and do nothing with it. What needs no crossing is done
//! `count` times in one call, so that the crossing is not counted twice.

use std::{cell::RefCell, hint::black_box};

use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyDict, PyString},
};

type Object<'py> = Bound<'py, PyAny>;

/// An object with the methods of a client.
#[pyclass(frozen)]
struct Floor;

/// A context manager that does nothing; a new one for each block.
#[pyclass(frozen)]
struct Block;

#[pymethods]
impl Floor {
    #[new]
    fn new() -> Self {
        Self
    }

    /// One text.
    fn text(&self, name: &str) {
        black_box(name);
    }

    /// The signature of `incr`.
    #[pyo3(signature = (name, count = None, logger = None, severity = None, fields = None, rate = None))]
    #[expect(clippy::too_many_arguments, reason = "the signature that is measured")]
    fn incr(
        &self,
        name: &str,
        count: Option<&Object<'_>>,
        logger: Option<&Object<'_>>,
        severity: Option<&Object<'_>>,
        fields: Option<&Object<'_>>,
        rate: Option<&Object<'_>>,
    ) {
        black_box((name, count, logger, severity, fields, rate));
    }

    /// The signature of `metlog`.
    #[pyo3(signature = (r#type, logger = None, severity = None, payload = None, fields = None))]
    #[expect(clippy::too_many_arguments, reason = "the signature that is measured")]
    fn metlog(
        &self,
        r#type: &str,
        logger: Option<&Object<'_>>,
        severity: Option<&Object<'_>>,
        payload: Option<&str>,
        fields: Option<&Bound<'_, PyDict>>,
    ) {
        black_box((r#type, logger, severity, payload, fields));
    }

    /// A method without an argument.
    fn none(&self) {
        black_box(self);
    }

    /// A context manager made for one block, as `timer` makes one.
    fn block(&self, name: &str) -> Block {
        black_box(name);
        Block
    }
}

#[pymethods]
impl Block {
    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(&self, kind: &Object<'_>, error: &Object<'_>, trace: &Object<'_>) {
        black_box((kind, error, trace));
    }
}

/// Goes through `fields` and reads the names, `count` times.
#[pyfunction]
fn iterate(fields: &Bound<'_, PyDict>, count: u32) -> PyResult<()> {
    for _ in 0..count {
        for (name, value) in fields {
            black_box((name.cast::<PyString>()?.to_str()?, value));
        }
    }
    Ok(())
}

/// Reads the clock that metlog's core reads, `count` times.
#[pyfunction]
fn clock(count: u32) {
    let clock = quanta::Clock::new();
    (0..count).for_each(|_| {
        black_box(clock.raw());
    });
}

thread_local! {
    static KEPT: RefCell<Vec<u8>> = RefCell::default();
}

/// Encodes the message of the benchmarks with rmp into a buffer that is kept, `count` times.
#[pyfunction]
fn encode(count: u32) -> PyResult<()> {
    KEPT.with_borrow_mut(|kept| {
        for _ in 0..count {
            kept.clear();
            message(black_box(kept)).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        }
        Ok(())
    })
}

fn message(out: &mut Vec<u8>) -> Result<(), rmp::encode::ValueWriteError> {
    rmp::encode::write_array_len(out, 6)?;
    rmp::encode::write_str(out, "services")?;
    rmp::encode::write_uint(out, 6)?;
    rmp::encode::write_str(out, "syncstorage")?;
    rmp::encode::write_sint(out, 1_795_302_838_000_000_000)?;
    rmp::encode::write_str(out, "this is the payload")?;
    rmp::encode::write_map_len(out, 3)?;
    rmp::encode::write_str(out, "userid")?;
    rmp::encode::write_sint(out, 25)?;
    rmp::encode::write_str(out, "req_time")?;
    rmp::encode::write_sint(out, 4)?;
    rmp::encode::write_str(out, "path")?;
    rmp::encode::write_str(out, "/1.1/bookmarks")
}

/// The floors.
#[pymodule]
mod python_floor {
    #[pymodule_export]
    use super::{Floor, clock, encode, iterate};
}
