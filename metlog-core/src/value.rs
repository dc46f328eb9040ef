//! What a payload or a field can hold, in memory, as JSON (serde) and as MessagePack ([`Encode`]).

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

use crate::wire::pack;

/// Any value a message can carry.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing; also what a float that is not finite becomes on the wire.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer; on the wire -2^63 to 2^64-1, beyond that the nearest float.
    Int(i128),
    /// A double.
    Float(f64),
    /// Unicode text.
    Text(String),
    /// Bytes that are no text; in JSON text if they are UTF-8, base64 otherwise.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name, in order.
    Map(Fields),
}

/// An ordered map from names to values. Setting a name again replaces its value and keeps its place.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets `name` to `value`.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The value of `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Takes `name` out and gives back its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut fields = Self::new();
        pairs.into_iter().for_each(|(name, value)| fields.insert(name, value));
        fields
    }
}

impl Value {
    /// The text, when it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when it is one; integers beyond 2^53 lose their last digits.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "documented: the nearest double")]
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $into:expr),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )+};
}

from! {
    bool => |value| Self::Bool(value),
    i32 => |value| Self::Int(value.into()),
    i64 => |value| Self::Int(value.into()),
    u32 => |value| Self::Int(value.into()),
    u64 => |value| Self::Int(value.into()),
    f64 => |value| Self::Float(value),
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    Vec<u8> => |value| Self::Bytes(value),
    Vec<Value> => |value| Self::List(value),
    Fields => |value| Self::Map(value),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => out.serialize_bool(*value),
            Self::Int(value) => serialize_integer(*value, out),
            Self::Float(value) if value.is_finite() => out.serialize_f64(*value),
            Self::Null | Self::Float(_) => out.serialize_unit(),
            Self::Text(value) => out.serialize_str(value),
            Self::Bytes(value) => match std::str::from_utf8(value) {
                Ok(text) => out.serialize_str(text),
                Err(_) => out.serialize_str(&BASE64.encode(value)),
            },
            Self::List(values) => out.collect_seq(values),
            Self::Map(fields) => fields.serialize(out),
        }
    }
}

fn serialize_integer<S: Serializer>(value: i128, out: S) -> Result<S::Ok, S::Error> {
    if let Ok(signed) = i64::try_from(value) {
        return out.serialize_i64(signed);
    }
    match u64::try_from(value) {
        Ok(unsigned) => out.serialize_u64(unsigned),
        Err(_) => out.serialize_f64(nearest_float(value)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "an integer no wire format holds becomes the nearest double")]
fn nearest_float(value: i128) -> f64 {
    value as f64
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(AnyValue)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Value::deserialize(input)? {
            Value::Map(fields) => Ok(fields),
            _ => Err(serde::de::Error::custom("expected an object")),
        }
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(value.to_vec().into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = entries.next_entry::<String, Value>()? {
            pairs.push(pair);
        }
        Ok(Value::Map(unique(pairs)))
    }
}

/// The map of `pairs`, where a name given twice keeps its last value. Linear for the usual handful of names.
pub(crate) fn unique(pairs: Vec<(String, Value)>) -> Fields {
    /// Up to here a scan per name is cheaper than a set.
    const FEW: usize = 16;
    if pairs.len() <= FEW {
        return pairs.into_iter().collect();
    }
    let mut places = std::collections::HashMap::with_capacity(pairs.len());
    let mut kept: Vec<(String, Value)> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        match places.get(&name).and_then(|&place: &usize| kept.get_mut(place)) {
            Some((_, old)) => *old = value,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    Fields(kept)
}

/// Writes itself as one MessagePack value. Sealed: it runs inside the hand-off, where no code of the application may.
pub trait Encode: sealed::Sealed {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! encode {
    ($($type:ty => |$value:ident, $out:ident| $body:expr),+ $(,)?) => {$(
        impl sealed::Sealed for $type {}
        impl Encode for $type {
            fn encode(&self, $out: &mut Vec<u8>) {
                let $value = self;
                $body;
            }
        }
    )+};
}

encode! {
    bool => |value, out| pack::boolean(out, *value),
    i32 => |value, out| pack::signed(out, (*value).into()),
    i64 => |value, out| pack::signed(out, *value),
    u32 => |value, out| pack::unsigned(out, (*value).into()),
    u64 => |value, out| pack::unsigned(out, *value),
    i128 => |value, out| encode_integer(*value, out),
    f64 => |value, out| pack::float(out, *value),
    str => |value, out| pack::text(out, value),
    &str => |value, out| pack::text(out, value),
    String => |value, out| pack::text(out, value),
    [u8] => |value, out| pack::bytes(out, value),
    &[u8] => |value, out| pack::bytes(out, value),
    Fields => |value, out| encode_map(value, out),
    Value => |value, out| encode_value(value, out),
    Encoded<'_> => |value, out| out.extend_from_slice(value.0),
}

/// How much a counter moves or a gauge shows; its payload is a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    /// A whole number: `1`, `-3`.
    Int(i64),
    /// Any other: `2.5`, `2.0`.
    Float(f64),
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(count) => write!(f, "{count}"),
            Self::Float(count) => write!(f, "{count:?}"),
        }
    }
}

impl Count {
    /// As a double; a whole number beyond 2^53 loses its last digits.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "documented: the nearest double")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(count) => count as f64,
            Self::Float(count) => count,
        }
    }
}

impl sealed::Sealed for Count {}

/// As text, written without an allocation.
impl Encode for Count {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(count) => itoa::Buffer::new().format(*count).encode(out),
            Self::Float(_) => {
                let mut text = ShortText::default();
                // The longest double has 24 characters.
                let _fits = write!(text, "{self}");
                text.as_str().encode(out);
            }
        }
    }
}

/// A few characters on the stack.
#[derive(Default)]
struct ShortText {
    bytes: [u8; 32],
    length: usize,
}

impl ShortText {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// One value that is MessagePack already, made with [`Encode`].
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a>(pub &'a [u8]);

fn encode_integer(value: i128, out: &mut Vec<u8>) {
    match (i64::try_from(value), u64::try_from(value)) {
        (_, Ok(unsigned)) => unsigned.encode(out),
        (Ok(signed), _) => signed.encode(out),
        _ => nearest_float(value).encode(out),
    }
}

fn encode_map(fields: &Fields, out: &mut Vec<u8>) {
    pack::map(out, fields.len());
    for (name, value) in fields.iter() {
        name.encode(out);
        value.encode(out);
    }
}

fn encode_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => pack::nil(out),
        Value::Bool(value) => value.encode(out),
        Value::Int(value) => value.encode(out),
        Value::Float(value) => value.encode(out),
        Value::Text(value) => value.encode(out),
        Value::Bytes(value) => value.as_slice().encode(out),
        Value::List(values) => {
            pack::list(out, values.len());
            values.iter().for_each(|value| value.encode(out));
        }
        Value::Map(fields) => fields.encode(out),
    }
}
