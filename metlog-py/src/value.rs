//! Any Python value as MessagePack, without running code of the application and without an end that is not bounded.
//!
//! | Python | message |
//! |---|---|
//! | `None`, bool, str, list, tuple, dict and their subclasses | the same; lone surrogates become U+FFFD |
//! | int | the same within -2^63 to 2^64-1, beyond that the nearest float, beyond that `<int>` |
//! | float | the same; NaN and infinities `null` |
//! | bytes, bytearray | bytes |
//! | set, frozenset | list |
//! | datetime, date, time, timedelta, Decimal, Fraction, UUID, IP addresses, paths | their text |
//! | anything else | `<TypeName>` |
//!
//! What is nested deeper than [`MAX_DEPTH`], a cycle for one, ends in `...`.

use metlog_core::{
    stats::Reason,
    value::{Encode, Value},
    wire::{MAX_MESSAGE_BYTES, pack},
};
use pyo3::{
    prelude::*,
    types::{
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
    },
};

use crate::text;

/// Half of what the wire's readers follow, so that a message fits whatever it is wrapped in.
const MAX_DEPTH: u32 = 64;

/// Appends `value` to `out`.
///
/// # Errors
/// `TooBig` when `out` grows beyond what any reader takes, `Encode` when Python has no memory.
pub(crate) fn encode(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Result<(), Reason> {
    encode_within(value, out, Nesting::OUTERMOST)
}

/// Appends the names and values of `fields`; gives back how many there are.
///
/// # Errors
/// As [`encode`].
pub(crate) fn encode_pairs(fields: &Bound<'_, PyDict>, out: &mut Vec<u8>) -> Result<usize, Reason> {
    let start = out.len();
    if let Some(count) = encode_plain_pairs(fields, out)? {
        return Ok(count);
    }
    out.truncate(start);
    encode_pairs_within(&snapshot(fields, out, Nesting::OUTERMOST)?, out, Nesting::OUTERMOST)
}

/// Writes a dict while it goes through it, which saves the copy of [`snapshot`]: a quarter of what a message of three
/// fields costs. `None` at the first name or value at which anything could run that changes the dict.
pub(crate) fn encode_plain_pairs(
    fields: &Bound<'_, PyDict>,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, Reason> {
    for (name, value) in fields {
        let Some(name) = plain_text(&name) else { return Ok(None) };
        append_text(name, out)?;
        if !encode_plain(&value, out)? {
            return Ok(None);
        }
    }
    Ok(Some(fields.len()))
}

/// Writes a scalar that is read without running anything; false for any other value.
#[inline]
fn encode_plain(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Result<bool, Reason> {
    if let Some(text) = plain_text(value) {
        append_text(text, out)?;
    } else if let Ok(int) = value.cast_exact::<PyInt>() {
        let Ok(int) = int.extract::<i64>() else { return Ok(false) };
        int.encode(out);
    } else if let Ok(float) = value.cast_exact::<PyFloat>() {
        float.value().encode(out);
    } else if value.is_none() {
        Value::Null.encode(out);
    } else if let Ok(truth) = value.cast::<PyBool>() {
        truth.is_true().encode(out);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Text without lone surrogates; those make an exception, which may set off the garbage collector.
#[inline]
pub(crate) fn plain_text<'a>(value: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    value.cast_exact::<PyString>().ok()?.to_str().ok()
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Nesting {
    /// How many more levels there may be.
    depth: u32,
    /// The bytes that what surrounds it will need at least. Without them a list of a million items that holds itself
    /// would be copied at each level, half a gigabyte, before the first item is found not to fit.
    promised: usize,
}

impl Nesting {
    const OUTERMOST: Self = Self { depth: MAX_DEPTH, promised: 0 };

    /// Of one of the values of a container, after which at least `promised` bytes of it follow.
    fn before(self, promised: usize) -> Self {
        Self { promised: self.promised.saturating_add(promised), ..self }
    }

    /// Room for a container of `least` bytes, which is asked for before it is copied.
    fn room(self, least: usize, out: &[u8]) -> Result<(), Reason> {
        room(self.promised.saturating_add(least), out)
    }
}

/// An entry of a dict has at least a byte for its name and one for its value.
const ENTRY_BYTES: usize = 2;

fn encode_within(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, nesting: Nesting) -> Result<(), Reason> {
    // At each value, so that it bounds the time a list that holds itself twice takes, as well as the memory.
    room(0, out)?;
    if encode_plain(value, out)? {
        return Ok(());
    }
    // What is left of these are subclasses and values out of the ordinary.
    if let Ok(text) = value.cast::<PyString>() {
        append_text(&text::of_str(text), out)
    } else if let Ok(int) = value.cast::<PyInt>() {
        encode_int(int, out);
        Ok(())
    } else if let Ok(float) = value.cast::<PyFloat>() {
        float.value().encode(out);
        Ok(())
    } else {
        encode_container(value, out, nesting)
    }
}

fn encode_container(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, nesting: Nesting) -> Result<(), Reason> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return append_bytes(bytes.as_bytes(), out);
    }
    if let Ok(bytes) = value.cast::<PyByteArray>() {
        return append_bytes(&bytes.to_vec(), out);
    }
    let Some(depth) = nesting.depth.checked_sub(1) else { return append_text("...", out) };
    let inner = Nesting { depth, ..nesting };
    if let Ok(fields) = value.cast::<PyDict>() {
        let pairs = snapshot(fields, out, inner)?;
        pack::map(out, pairs.len());
        return encode_pairs_within(&pairs, out, inner).map(drop);
    }
    if let Some(items) = items(value, out, inner)? {
        pack::list(out, items.len());
        let left = (0..items.len()).rev();
        return items
            .iter()
            .zip(left)
            .try_for_each(|(item, left)| encode_within(&item, out, inner.before(left)));
    }
    append_text(&text::known(value).unwrap_or_else(|| text::of_type(value)), out)
}

/// The items of a list, a tuple or a set, copied: a finalizer that runs meanwhile may change the original.
fn items<'py>(
    value: &Bound<'py, PyAny>,
    out: &[u8],
    nesting: Nesting,
) -> Result<Option<Bound<'py, PyTuple>>, Reason> {
    let copied = if let Ok(tuple) = value.cast::<PyTuple>() {
        nesting.room(tuple.len(), out)?;
        return Ok(Some(tuple.clone()));
    } else if let Ok(list) = value.cast::<PyList>() {
        nesting.room(list.len(), out)?;
        Ok(list.to_tuple())
    } else if value.is_exact_instance_of::<PySet>() || value.is_exact_instance_of::<PyFrozenSet>() {
        nesting.room(value.len().unwrap_or(0), out)?;
        value.try_iter().and_then(|items| PyTuple::new(value.py(), items.collect::<PyResult<Vec<_>>>()?))
    } else {
        return Ok(None);
    };
    copied.map(Some).map_err(|_| Reason::Encode)
}

type Pairs<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// The entries of a dict, copied before anything is done that could run a finalizer that changes it.
fn snapshot<'py>(fields: &Bound<'py, PyDict>, out: &[u8], nesting: Nesting) -> Result<Pairs<'py>, Reason> {
    nesting.room(fields.len().saturating_mul(ENTRY_BYTES), out)?;
    Ok(fields.iter().collect())
}

fn encode_pairs_within(pairs: &Pairs<'_>, out: &mut Vec<u8>, nesting: Nesting) -> Result<usize, Reason> {
    let left = (0..pairs.len()).rev();
    for ((name, value), left) in pairs.iter().zip(left) {
        append_text(&text::of_name(name), out)?;
        encode_within(value, out, nesting.before(left.saturating_mul(ENTRY_BYTES)))?;
    }
    Ok(pairs.len())
}

fn encode_int(int: &Bound<'_, PyInt>, out: &mut Vec<u8>) {
    if let Ok(signed) = int.extract::<i64>() {
        signed.encode(out);
    } else if let Ok(unsigned) = int.extract::<u64>() {
        unsigned.encode(out);
    } else if let Ok(float) = int.extract::<f64>() {
        float.encode(out);
    } else {
        text::of_type(int).encode(out);
    }
}

fn append_text(text: &str, out: &mut Vec<u8>) -> Result<(), Reason> {
    room(text.len(), out)?;
    text.encode(out);
    Ok(())
}

fn append_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    room(bytes.len(), out)?;
    bytes.encode(out);
    Ok(())
}

fn room(more: usize, out: &[u8]) -> Result<(), Reason> {
    if out.len().saturating_add(more) > MAX_MESSAGE_BYTES { Err(Reason::TooBig) } else { Ok(()) }
}
