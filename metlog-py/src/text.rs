//! The text of a name, a key or a value of a well-known type. No code of the application runs here: its `__str__`
//! and `__repr__` may raise, hang or log again.

use std::borrow::Cow;

use pyo3::{
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyType},
};

/// The text of `value`, lone surrogates replaced.
pub(crate) fn of_str<'a>(value: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    value.to_str().map_or_else(|_| value.to_string_lossy(), Cow::Borrowed)
}

/// The text of anything that stands where a name or a key is expected: text as it is, numbers, truth and `None` as
/// `json.dumps` writes keys, anything else by [`known`] or as `<type>`.
pub(crate) fn of_name<'a>(value: &'a Bound<'_, PyAny>) -> Cow<'a, str> {
    if let Ok(text) = value.cast::<PyString>() {
        return of_str(text);
    }
    if value.is_none() {
        return Cow::Borrowed("null");
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Cow::Borrowed(if truth.is_true() { "true" } else { "false" });
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return String::from_utf8_lossy(bytes.as_bytes());
    }
    let builtin = value.is_exact_instance_of::<PyInt>() || value.is_exact_instance_of::<PyFloat>();
    // An integer of over 4300 digits has no text.
    let number = if builtin { value.str().ok().map(|text| of_str(&text).into_owned()) } else { None };
    Cow::Owned(number.or_else(|| known(value)).unwrap_or_else(|| of_type(value)))
}

/// What stands for a value that has no text of its own.
pub(crate) fn of_type(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name();
    name.map_or_else(|_| "<object>".to_owned(), |name| format!("<{}>", of_str(&name)))
}

/// The text of an instance of exactly one of the standard library's small value types.
pub(crate) fn known(value: &Bound<'_, PyAny>) -> Option<String> {
    let kind = value.get_type();
    let (module, name) = (kind.module().ok()?, kind.name().ok()?);
    let (module, name) = (module.to_str().ok()?, name.to_str().ok()?);
    let method = match (module, name) {
        ("datetime", "datetime" | "time") if !has_safe_zone(value) => return None,
        ("datetime", "datetime" | "date" | "time") => "isoformat",
        ("datetime", "timedelta")
        | ("decimal", "Decimal")
        | ("fractions", "Fraction")
        | ("uuid", "UUID")
        | ("ipaddress", "IPv4Address" | "IPv6Address")
        | ("pathlib" | "pathlib._local", "PosixPath" | "PurePosixPath" | "WindowsPath" | "PureWindowsPath") => {
            "__str__"
        }
        _ => return None,
    };
    if !is_genuine(&kind, module, name) {
        return None;
    }
    let text = value.call_method0(method).ok()?.cast_into::<PyString>().ok()?;
    Some(of_str(&text).into_owned())
}

/// True when the type is the one its module holds, not one of the application that bears its name.
fn is_genuine(kind: &Bound<'_, PyType>, module: &str, name: &str) -> bool {
    let modules = kind.py().import("sys").and_then(|sys| sys.getattr("modules"));
    let original = modules.and_then(|modules| modules.get_item(module)?.getattr(name));
    original.is_ok_and(|original| original.is(kind))
}

/// True unless the time zone is a class of the application, whose methods `isoformat` would call.
fn has_safe_zone(value: &Bound<'_, PyAny>) -> bool {
    let Ok(zone) = value.getattr("tzinfo") else { return false };
    let kind = zone.get_type();
    let genuine = |module, name| is_genuine(&kind, module, name);
    zone.is_none() || genuine("datetime", "timezone") || genuine("zoneinfo", "ZoneInfo")
}
