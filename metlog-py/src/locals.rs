//! Local variables as bounded values of the core, without running code of the application: as `value` has them, but no
//! more of each than an event keeps. What that is, and which of them are secret, is the core's (`exception::bound`).

use metlog_core::{
    Fields, Value,
    exception::bound::{LOOK_AHEAD, MAX_DEPTH, MAX_TEXT, more, room_for},
};
use pyo3::{
    prelude::*,
    types::{
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyFunction, PyInt, PyIterator, PyList,
        PyMapping, PyModule, PySet, PySlice, PyString, PyTuple, PyType,
    },
};

use crate::text;

/// Characters of a text that are converted.
const HEAD: usize = MAX_TEXT + LOOK_AHEAD;

/// What stands under this name in a list's or a map's last place tells how much was left out.
const CUT: &str = "...";

/// Reads the variables of a frame; `None` when the frame asks not to be shown.
pub(crate) fn of_frame(frame: &Bound<'_, PyAny>, is_module: bool) -> PyResult<Option<Fields>> {
    let py = frame.py();
    let locals = frame.getattr(pyo3::intern!(py, "f_locals"))?;
    let hide = pyo3::intern!(py, "__traceback_hide__");
    if let Ok(locals) = locals.cast::<PyDict>() {
        if locals.get_item(hide)?.is_some_and(|hides| hides.is_truthy().unwrap_or(true)) {
            return Ok(None);
        }
        let shown = || locals.iter().filter(|(name, value)| !is_module || is_data(name, value));
        return Ok(Some(pairs(shown(), shown().count(), MAX_DEPTH - 1)));
    }
    // From CPython 3.13 on the variables of a function are a view. Another mapping is one of the application.
    if locals.get_type().name().is_ok_and(|name| name == "FrameLocalsProxy")
        && let Ok(view) = locals.cast::<PyMapping>()
    {
        let copy = PyDict::from_sequence(view.items()?.as_any())?;
        if copy.get_item(hide)?.is_some_and(|hides| hides.is_truthy().unwrap_or(true)) {
            return Ok(None);
        }
        return Ok(Some(pairs(copy.iter(), copy.len(), MAX_DEPTH - 1)));
    }
    Ok(Some(Fields::new()))
}

/// False for what a module defines or imports: its variables are few among its names.
fn is_data(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> bool {
    !value.is_instance_of::<PyModule>()
        && !value.is_instance_of::<PyFunction>()
        && !value.is_instance_of::<PyType>()
        && !text::of_name(name).starts_with("__")
}

/// The head of a text: no more than an event keeps and looks at.
pub(crate) fn head(given: &Bound<'_, PyString>) -> String {
    // A subclass may have a slice of its own.
    let cut = if given.is_exact_instance_of::<PyString>() && given.len().is_ok_and(|length| length > HEAD) {
        let slice = PySlice::new(given.py(), 0, HEAD.cast_signed(), 1);
        given.get_item(slice).ok().and_then(|cut| cut.cast_into::<PyString>().ok())
    } else {
        None
    };
    let kept = cut.as_ref().unwrap_or(given);
    let text = text::of_str(kept);
    // Most have fewer bytes than that, and need no look at their characters.
    let end = if text.len() <= HEAD { None } else { text.char_indices().nth(HEAD) };
    end.and_then(|(end, _)| text.get(..end)).map_or_else(|| text.clone().into_owned(), ToOwned::to_owned)
}

fn value(given: &Bound<'_, PyAny>, depth: usize) -> Value {
    if let Ok(text) = given.cast::<PyString>() {
        return head(text).into();
    }
    if let Ok(truth) = given.cast::<PyBool>() {
        return truth.is_true().into();
    }
    if let Ok(int) = given.cast::<PyInt>() {
        return integer(int);
    }
    if let Ok(float) = given.cast::<PyFloat>() {
        return float.value().into();
    }
    if given.is_none() {
        return Value::Null;
    }
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return bytes_head(bytes.as_bytes());
    }
    container(given, depth).unwrap_or_else(|| object(given).into())
}

fn integer(int: &Bound<'_, PyInt>) -> Value {
    let small = int.extract::<i64>().map(Value::from).or_else(|_| int.extract::<u64>().map(Value::from));
    small.or_else(|_| int.extract::<f64>().map(Value::from)).unwrap_or_else(|_| "<int>".into())
}

/// What no text keeps is not converted: each character has four bytes at most.
fn bytes_head(bytes: &[u8]) -> Value {
    bytes.get(..bytes.len().min(4 * HEAD)).unwrap_or_default().to_vec().into()
}

/// The items of a container of Python's own; nothing for anything else.
fn container(given: &Bound<'_, PyAny>, depth: usize) -> Option<Value> {
    if let Ok(fields) = given.cast::<PyDict>() {
        let deeper = |depth| Value::Map(pairs(fields.iter(), fields.len(), depth));
        return Some(depth.checked_sub(1).map_or_else(|| too_deep("map", fields.len()), deeper));
    }
    if let Ok(list) = given.cast::<PyList>() {
        return Some(items(list.iter(), list.len(), depth));
    }
    if let Ok(tuple) = given.cast::<PyTuple>() {
        return Some(items(tuple.iter(), tuple.len(), depth));
    }
    if let Ok(bytes) = given.cast::<PyByteArray>() {
        return Some(bytes_head(&bytes.to_vec()));
    }
    if given.is_exact_instance_of::<PySet>() || given.is_exact_instance_of::<PyFrozenSet>() {
        let length = given.len().ok()?;
        let iterator: Bound<'_, PyIterator> = given.try_iter().ok()?;
        return Some(items(iterator.map_while(Result::ok), length, depth));
    }
    None
}

fn items<'py>(given: impl Iterator<Item = Bound<'py, PyAny>>, length: usize, depth: usize) -> Value {
    let Some(inner) = depth.checked_sub(1) else { return too_deep("list", length) };
    let mut kept: Vec<Value> = given.take(room_for(length)).map(|item| value(&item, inner)).collect();
    if room_for(length) < length {
        kept.push(more(length).into());
    }
    Value::List(kept)
}

fn pairs<'py>(
    given: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    length: usize,
    depth: usize,
) -> Fields {
    // Copied first: the text of a well-known type runs code of the standard library.
    let given: Vec<_> = given.take(room_for(length)).collect();
    let mut kept: Fields = given.iter().map(|(name, given)| (name_of(name), value(given, depth))).collect();
    if room_for(length) < length {
        kept.insert(CUT, more(length));
    }
    kept
}

fn name_of(name: &Bound<'_, PyAny>) -> String {
    name.cast::<PyString>().map_or_else(|_| text::of_name(name).into_owned(), head)
}

fn too_deep(what: &str, length: usize) -> Value {
    format!("<{what} of {length}>").into()
}

/// `<type>` for what has no text of its own; a class and a function tell their names.
fn object(given: &Bound<'_, PyAny>) -> String {
    let named = given.is_exact_instance_of::<PyType>() || given.is_exact_instance_of::<PyFunction>();
    if named
        && let Ok(name) = given.getattr(pyo3::intern!(given.py(), "__qualname__"))
        && let Ok(name) = name.cast::<PyString>()
    {
        return format!(
            "<{} {}>",
            given.get_type().name().map_or_else(|_| String::new(), |kind| kind.to_string()),
            head(name)
        );
    }
    text::known(given).unwrap_or_else(|| text::of_type(given))
}
