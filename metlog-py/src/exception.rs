//! Exceptions as the core's events: the chain of causes and the members of groups, and the frames of each.
//!
//! What is read are attributes of the interpreter's own objects, and values as `locals` has them. The one code of the
//! application that runs is `__str__` of an exception's own class: without its text an exception says little.

use std::{
    cell::{Cell, RefCell},
    collections::{HashSet, VecDeque},
    path::Path,
};

use metlog_core::{
    Severity,
    exception::{
        Dsn as CoreDsn, Event, Exception, Frame, Relation, SourceCache,
        bound::{MAX_FRAMES, MAX_ITEMS},
        bounded_payload, raven,
    },
    process,
    stats::{Reason, complain},
};
use pyo3::{
    exceptions::{PyBaseException, PyException},
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyFunction, PyInt, PyList, PyString, PyTraceback, PyTuple},
};

use crate::{
    ConfigError,
    calls::{self, Trouble, shielded},
    client::Client,
    columns::{self, Arguments, Columns},
    locals, text,
};

type Object<'py> = Bound<'py, PyAny>;

/// How many values the arguments of an exception may hold for Python to write them; more of them no text keeps.
const PLAIN_VALUES: usize = 200;

thread_local! {
    /// Source files read lately. The core reads them while Python goes on, so that nothing of Python finds it taken.
    static SOURCES: RefCell<SourceCache> = RefCell::default();
    /// Set while an exception tells its text: one that reports itself from there is not asked again.
    static SPEAKING: Cell<bool> = const { Cell::new(false) };
}

/// The address of a Sentry project, checked.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Dsn(CoreDsn);

#[pymethods]
impl Dsn {
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        CoreDsn::parse(text).map(Self).map_err(|error| ConfigError::new_err(error.to_string()))
    }

    fn __str__(&self) -> &str {
        self.0.as_str()
    }
}

/// The exception of a call, and what the call says about it.
pub(crate) struct Told<'a, 'py> {
    pub(crate) error: &'a Bound<'py, PyBaseException>,
    /// Instead of the exception's own.
    pub(crate) traceback: Option<&'a Bound<'py, PyTraceback>>,
    pub(crate) msg: &'a Object<'py>,
    pub(crate) dsn: Option<&'a Bound<'py, Dsn>>,
}

/// Sends a `sentry` message. What follows the walk, the source lines and the packing, the core does on a thread of its
/// own; for a Python sender it is done here.
pub(crate) fn send(
    slf: &Bound<'_, Client>,
    told: &Told<'_, '_>,
    arguments: &Arguments<'_, '_>,
) -> PyResult<()> {
    let state = slf.get().state();
    let error = PyInt::new(slf.py(), Severity::ERROR.as_u8()).into_any();
    let arguments = Arguments { severity: arguments.severity.or(Some(&error)), ..*arguments };
    shielded(slf.py(), &state.core, || {
        let event = event_of(told)?;
        if state.makes_dicts() {
            return send_by_dict(slf, told, event, &arguments);
        }
        let columns = Columns::read(slf.py(), &arguments)?;
        let dsn = told.dsn.map(|dsn| &dsn.get().0);
        columns.deliver(&state.defaults(), |options| state.core.exception_event(event, dsn, options));
        Ok(())
    })
}

fn send_by_dict(
    slf: &Bound<'_, Client>,
    told: &Told<'_, '_>,
    event: Event,
    arguments: &Arguments<'_, '_>,
) -> Result<(), Trouble> {
    let py = slf.py();
    let logger = match arguments.logger {
        Some(logger) => text::of_name(logger).into_owned(),
        None => slf.get().state().core.logger().to_owned(),
    };
    let severity = arguments.severity.and_then(columns::severity).unwrap_or(Severity::ERROR);
    let (event, payload) = packed(told, event, &logger, severity)?;
    let fields = match arguments.fields.map(|fields| fields.cast::<PyDict>()) {
        Some(Ok(given)) => given.copy()?,
        _ => PyDict::new(py),
    };
    fields.set_item("epoch_timestamp", event.epoch_timestamp())?;
    fields.set_item("msg", &event.message)?;
    fields.set_item("dsn", told.dsn.map(|dsn| dsn.get().0.as_str()))?;
    let (kind, payload) = (PyString::intern(py, "sentry").into_any(), PyString::new(py, &payload).into_any());
    Ok(calls::send_by_dict(slf, &kind, arguments, Some(&payload), Some(fields.as_any()))?)
}

/// The event with its source lines, bounded, and its payload; Python goes on meanwhile.
fn packed(
    told: &Told<'_, '_>,
    mut event: Event,
    logger: &str,
    severity: Severity,
) -> Result<(Event, String), Trouble> {
    let project = told.dsn.map(|dsn| dsn.get().0.project());
    told.error.py().detach(|| {
        SOURCES.with_borrow_mut(|sources| {
            event.chain.iter_mut().flat_map(|link| &mut link.frames).for_each(|frame| sources.fill(frame));
        });
        let about = raven::About {
            logger: Some(logger),
            severity: severity.as_u8(),
            hostname: &process::hostname(),
            project,
        };
        bounded_payload(event, &about).map_err(|error| {
            complain("exception", &error.to_string());
            Trouble::Refused(Reason::Encode)
        })
    })
}

fn event_of(told: &Told<'_, '_>) -> PyResult<Event> {
    Ok(Event {
        message: text::of_name(told.msg).into_owned(),
        arguments: arguments(told.error.py()).unwrap_or_default(),
        ..Event::new("python", chain_of(told)?)
    })
}

fn arguments(py: Python<'_>) -> PyResult<Vec<String>> {
    let given = py.import("sys")?.getattr("argv")?.cast_into::<PyList>()?;
    Ok(given.iter().take(2 * MAX_ITEMS).map(|argument| text::of_name(&argument).into_owned()).collect())
}

/// An exception that is to be looked at.
struct Next<'py> {
    error: Bound<'py, PyBaseException>,
    relation: Relation,
    parent: usize,
}

/// The exception, then its causes, then the members of a group with theirs; each once.
fn chain_of(told: &Told<'_, '_>) -> PyResult<Vec<Exception>> {
    let mut seen = HashSet::new();
    let mut chain: Vec<Exception> = Vec::new();
    let mut waiting = vec![Next { error: told.error.clone(), relation: Relation::Cause, parent: 0 }];
    while let Some(Next { error, relation, parent }) = waiting.pop() {
        if chain.len() == MAX_ITEMS || !seen.insert(error.as_ptr().addr()) {
            continue;
        }
        let own = error.getattr("__traceback__").ok().and_then(|found| found.cast_into().ok());
        let traceback = told.traceback.filter(|_| chain.is_empty()).cloned().or(own);
        let (frames, frames_left_out) = frames_of(traceback)?;
        let place = chain.len();
        chain.push(Exception {
            relation,
            parent: (place > 0).then_some(parent),
            frames,
            frames_left_out,
            ..described(&error)?
        });
        waiting.extend(members(&error).into_iter().rev().map(|error| Next {
            error,
            relation: Relation::Member,
            parent: place,
        }));
        waiting.extend(cause(&error).map(|(error, relation)| Next { error, relation, parent: place }));
    }
    Ok(chain)
}

/// What an exception was raised because of, or else while handling.
fn cause<'py>(error: &Bound<'py, PyBaseException>) -> Option<(Bound<'py, PyBaseException>, Relation)> {
    let linked = |name: &str| error.getattr(name).ok()?.cast_into::<PyBaseException>().ok();
    if let Some(cause) = linked("__cause__") {
        return Some((cause, Relation::Cause));
    }
    let suppressed =
        error.getattr("__suppress_context__").is_ok_and(|flag| flag.is_truthy().unwrap_or(false));
    if suppressed { None } else { linked("__context__").map(|context| (context, Relation::Context)) }
}

/// The exceptions of a group, which CPython has from 3.11 on, and the package `exceptiongroup` before.
fn members<'py>(error: &Bound<'py, PyBaseException>) -> Vec<Bound<'py, PyBaseException>> {
    if !is_group(error) {
        return Vec::new();
    }
    let members = error.getattr("exceptions").ok().and_then(|found| found.cast_into::<PyTuple>().ok());
    let members = members.iter().flat_map(PyTupleMethods::iter);
    members.take(MAX_ITEMS).filter_map(|member| member.cast_into().ok()).collect()
}

fn is_group(error: &Bound<'_, PyBaseException>) -> bool {
    let py = error.py();
    let is_of = |module: PyResult<Object<'_>>| {
        let group = module.and_then(|module| module.getattr(pyo3::intern!(py, "BaseExceptionGroup")));
        group.is_ok_and(|group| error.is_instance(&group).unwrap_or(false))
    };
    let backport = || py.import("sys")?.getattr("modules")?.get_item("exceptiongroup");
    is_of(py.import(pyo3::intern!(py, "builtins")).map(Bound::into_any)) || is_of(backport())
}

/// Type, module and text.
fn described(error: &Bound<'_, PyBaseException>) -> PyResult<Exception> {
    let kind = error.get_type();
    let text_of = |name: PyResult<Bound<'_, PyString>>| name.ok().map(|name| locals::head(&name));
    let name = text_of(kind.name()).unwrap_or_default();
    let mut value = match spoken(error) {
        Ok(value) => value,
        Err(raised) if raised.is_instance_of::<PyException>(error.py()) => {
            format!("<unprintable {name} object>")
        }
        Err(end) => return Err(end),
    };
    for note in notes(error) {
        value.push('\n');
        value.push_str(&note);
    }
    Ok(Exception { kind: name, module: text_of(kind.module()), value, ..Exception::default() })
}

/// What was added by `add_note`.
fn notes(error: &Bound<'_, PyBaseException>) -> Vec<String> {
    let notes = error.getattr("__notes__").ok().and_then(|found| found.cast_into::<PyList>().ok());
    let notes = notes.iter().flat_map(PyListMethods::iter).take(MAX_ITEMS);
    notes.filter_map(|note| note.cast_into::<PyString>().ok()).map(|note| locals::head(&note)).collect()
}

/// The text of the exception. A class of Python's own would ask the arguments for theirs: it is left to write
/// arguments of plain types alone.
fn spoken(error: &Bound<'_, PyBaseException>) -> PyResult<String> {
    let py = error.py();
    let arguments = error.getattr(pyo3::intern!(py, "args"))?.cast_into::<PyTuple>()?;
    let is_python = error.get_type().getattr(pyo3::intern!(py, "__str__"))?.is_instance_of::<PyFunction>();
    if is_python && !SPEAKING.get() {
        SPEAKING.set(true);
        let said = error.str();
        SPEAKING.set(false);
        return said.map(|said| locals::head(&said));
    }
    let mut most = PLAIN_VALUES;
    if !is_python && (arguments.iter().all(|argument| is_plain(&argument, &mut most)) || is_group(error)) {
        return error.str().map(|said| locals::head(&said));
    }
    let shown: Vec<String> =
        arguments.iter().take(MAX_ITEMS).map(|argument| text::of_name(&argument).into_owned()).collect();
    Ok(if shown.len() == 1 { shown.concat() } else { format!("({})", shown.join(", ")) })
}

/// True for a value of Python's own types with nothing else in it; `most` bounds how many are looked at.
fn is_plain(value: &Object<'_>, most: &mut usize) -> bool {
    *most = most.saturating_sub(1);
    // Before what is in it: a list may hold itself, or a hundred thousand lists in each other.
    if *most == 0 {
        return false;
    }
    let mut all = |items: Bound<'_, PyTuple>| items.iter().all(|item| is_plain(&item, most));
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return tuple.len() < PLAIN_VALUES && all(tuple.clone());
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.len() < PLAIN_VALUES && all(list.to_tuple());
    }
    value.is_none()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>()
}

/// The frames, outermost first, and how many outer ones were left out.
fn frames_of(traceback: Option<Bound<'_, PyTraceback>>) -> PyResult<(Vec<Frame>, usize)> {
    let mut innermost = VecDeque::with_capacity(8);
    let mut left_out = 0;
    let mut next = traceback.map(Bound::into_any);
    while let Some(entry) = next {
        next = Some(entry.getattr(pyo3::intern!(entry.py(), "tb_next"))?).filter(|next| !next.is_none());
        if innermost.len() == MAX_FRAMES {
            innermost.pop_front();
            left_out += 1;
        }
        innermost.push_back(entry);
    }
    let mut frames = Vec::with_capacity(innermost.len());
    for entry in innermost {
        frames.extend(frame_of(&entry)?);
    }
    Ok((frames, left_out))
}

/// The frame of an entry of a traceback, unless it asks not to be shown.
fn frame_of(entry: &Object<'_>) -> PyResult<Option<Frame>> {
    let py = entry.py();
    let frame = entry.getattr(pyo3::intern!(py, "tb_frame"))?;
    let code = frame.getattr(pyo3::intern!(py, "f_code"))?;
    let function = text::of_name(&code.getattr(pyo3::intern!(py, "co_name"))?).into_owned();
    let Some(locals) = locals::of_frame(&frame, function == "<module>")? else { return Ok(None) };
    let file = text::of_name(&code.getattr(pyo3::intern!(py, "co_filename"))?).into_owned();
    let globals = frame.getattr(pyo3::intern!(py, "f_globals"))?.cast_into::<PyDict>()?;
    let module = globals.get_item(pyo3::intern!(py, "__name__"))?.and_then(|name| name.cast_into().ok());
    Ok(Some(Frame {
        in_app: Some(!is_of_library(&file)),
        file: absolute(file),
        module: module.map(|name: Bound<'_, PyString>| locals::head(&name)),
        function: Some(function),
        line: entry.getattr(pyo3::intern!(py, "tb_lineno"))?.extract().ok(),
        locals,
        ..Frame::default()
    }))
}

/// The path as it is on this host; `<string>` and its kin are none.
fn absolute(file: String) -> String {
    if file.starts_with(['/', '<']) {
        return file;
    }
    std::path::absolute(Path::new(&file)).map_or(file, |path| path.display().to_string())
}

/// True for installed packages and Python's own library.
fn is_of_library(file: &str) -> bool {
    ["/site-packages/", "/dist-packages/", "/lib/python3", "<frozen "].iter().any(|part| file.contains(part))
}
