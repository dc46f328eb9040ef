//! Fields bound for a context (a request, a task): they go on every message of every client sent in it.
//!
//! A context variable holds the innermost [`Binding`]. It has the fields of those around it as well, encoded once, so
//! that a call copies bytes. Until something is bound for the first time a call reads one flag.

use std::sync::atomic::{AtomicBool, Ordering};

use metlog_core::stats::complain;
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple},
};

use crate::value;

/// True once anything was bound in this process.
static USED: AtomicBool = AtomicBool::new(false);

/// The methods `get` and `set` of the context variable.
static VARIABLE: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();

/// Fields for a `with` block, or for each call of a function.
#[pyclass(frozen, name = "BoundFields", module = "metlog._metlog")]
pub(crate) struct BoundFields(Py<PyDict>);

/// What is bound at one place of the program.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Binding {
    owner: Py<BoundFields>,
    around: Option<Py<Self>>,
    /// Those of the bindings around it included.
    fields: Py<PyDict>,
    count: usize,
    pairs: Vec<u8>,
}

impl Binding {
    /// How many fields, and their names and values as MessagePack.
    pub(crate) fn encoded(&self) -> (usize, &[u8]) {
        (self.count, &self.pairs)
    }
}

#[pymethods]
impl BoundFields {
    #[new]
    fn new(fields: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self(fields.copy()?.unbind()))
    }

    /// Binds the fields until the block ends, over those that are bound already.
    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let around = innermost(py)?;
        let fields = match &around {
            Some(around) => around.get().fields.bind(py).copy()?,
            None => PyDict::new(py),
        };
        fields.update(slf.get().0.bind(py).as_mapping())?;
        let mut pairs = Vec::new();
        let count = value::encode_pairs(&fields, &mut pairs).unwrap_or_else(|_| {
            complain("bind", "bound fields that cannot be converted are left out");
            pairs.clear();
            0
        });
        let (owner, around) = (slf.clone().unbind(), around.map(Bound::unbind));
        set(Bound::new(py, Binding { owner, around, fields: fields.unbind(), count, pairs })?.into_any())?;
        USED.store(true, Ordering::Relaxed);
        Ok(slf.clone())
    }

    /// Binds what was bound around the block again. In a context the block was not entered in there is nothing to do.
    #[pyo3(signature = (*_args))]
    fn __exit__(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = slf.py();
        let mut next = innermost(py)?;
        while let Some(binding) = next {
            let around = binding.get().around.as_ref().map(|around| around.bind(py).clone());
            if binding.get().owner.is(slf) {
                return set(around.map_or_else(|| py.None().into_bound(py), Bound::into_any));
            }
            next = around;
        }
        Ok(())
    }

    /// Has the fields bound while `function` runs: a function, a coroutine function or a generator of either kind.
    fn __call__<'py>(slf: &Bound<'py, Self>, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("metlog._wrapping")?.call_method1("within", (function, slf))
    }
}

/// The fields bound in this context, as a dict of the caller's own.
#[pyfunction]
pub(crate) fn bound_fields(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    match current(py) {
        Some(binding) => binding.get().fields.bind(py).copy(),
        None => Ok(PyDict::new(py)),
    }
}

/// What is bound in this context.
#[inline]
pub(crate) fn current(py: Python<'_>) -> Option<Bound<'_, Binding>> {
    if USED.load(Ordering::Relaxed) { innermost(py).ok().flatten() } else { None }
}

fn innermost(py: Python<'_>) -> PyResult<Option<Bound<'_, Binding>>> {
    Ok(variable(py)?.0.bind(py).call0()?.cast_into().ok())
}

fn set(binding: Bound<'_, PyAny>) -> PyResult<()> {
    variable(binding.py())?.1.call1(binding.py(), (binding,)).map(drop)
}

fn variable(py: Python<'_>) -> PyResult<&(Py<PyAny>, Py<PyAny>)> {
    VARIABLE.get_or_try_init(py, || {
        let keywords = PyDict::new(py);
        keywords.set_item("default", py.None())?;
        // `contextvars`, without a module of Python around it.
        let kind = py.import("_contextvars")?.getattr("ContextVar")?;
        let variable = kind.call(("metlog.bound",), Some(&keywords))?;
        Ok((variable.getattr("get")?.unbind(), variable.getattr("set")?.unbind()))
    })
}
