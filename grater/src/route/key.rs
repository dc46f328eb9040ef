//! What a change is about: a key of the envelope, or a field.

use std::fmt;

use metlog_core::{Fields, Message, Severity, Value};
use metlog_pipeline::config::nearest;

/// A place in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Type,
    Logger,
    Severity,
    Payload,
    Hostname,
    /// All fields.
    Fields,
    /// `fields.<name>`, with dots for fields inside fields.
    Field(Vec<String>),
}

const NAMES: [(&str, Key); 6] = [
    ("type", Key::Type),
    ("logger", Key::Logger),
    ("severity", Key::Severity),
    ("payload", Key::Payload),
    ("hostname", Key::Hostname),
    ("fields", Key::Fields),
];

impl Key {
    /// Reads a key of the configuration that is good for what `can` asks.
    pub(super) fn parse(text: &str, can: fn(&Self) -> bool) -> Result<Self, String> {
        let field = text.strip_prefix("fields.").filter(|path| path.split('.').all(|part| !part.is_empty()));
        let key = match field {
            Some(path) => Some(Self::Field(path.split('.').map(str::to_owned).collect())),
            None => NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, key)| key),
        };
        let names: Vec<_> = NAMES.iter().filter(|(_, key)| can(key)).map(|(name, _)| *name).collect();
        key.filter(can).ok_or_else(|| {
            let hint = nearest(text, names.iter().copied()).map(|name| format!("; did you mean {name:?}?"));
            let hint = hint.unwrap_or_default();
            format!(
                "{text:?} cannot be named here, expected fields.<name> or one of {}{hint}",
                names.join(", ")
            )
        })
    }

    pub(super) fn can_be_set(&self) -> bool {
        *self != Self::Fields
    }

    pub(super) fn can_be_moved(&self) -> bool {
        matches!(self, Self::Logger | Self::Payload | Self::Hostname | Self::Field(_))
    }

    pub(super) fn can_be_target(&self) -> bool {
        matches!(self, Self::Type | Self::Logger | Self::Payload | Self::Hostname | Self::Field(_))
    }

    /// A message always has a type and a severity.
    pub(super) fn can_be_dropped(&self) -> bool {
        !matches!(self, Self::Type | Self::Severity)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => write!(f, "fields.{}", path.join(".")),
            key => f.write_str(NAMES.iter().find(|(_, known)| known == key).map_or("", |(name, _)| name)),
        }
    }
}

/// Takes a value out; what every message has becomes empty.
pub(super) fn take(message: &mut Message, key: &Key) -> Option<Value> {
    match key {
        Key::Type | Key::Severity => None,
        Key::Logger => Some(std::mem::take(&mut message.logger).into()),
        Key::Hostname => Some(std::mem::take(&mut message.hostname).into()),
        Key::Payload => Some(std::mem::replace(&mut message.payload, "".into())),
        Key::Fields => Some(std::mem::take(&mut message.fields).into()),
        Key::Field(path) => take_field(&mut message.fields, path),
    }
}

/// A field whose own name has dots comes before one inside others, as matchers have it.
fn take_field(fields: &mut Fields, path: &[String]) -> Option<Value> {
    if let Some(value) = fields.remove(&path.join(".")) {
        return Some(value);
    }
    let (first, rest) = path.split_first().filter(|(_, rest)| !rest.is_empty())?;
    match fields.get_mut(first)? {
        Value::Map(inner) => take_field(inner, rest),
        _ => None,
    }
}

/// Writes a value. One that cannot stand there changes nothing.
pub(super) fn put(message: &mut Message, key: &Key, value: Value) {
    let text = match key {
        Key::Fields => return,
        Key::Payload => return message.payload = value,
        Key::Field(path) => return put_field(&mut message.fields, path, value),
        Key::Type | Key::Logger | Key::Hostname | Key::Severity => text_of(value),
    };
    match (key, text) {
        (Key::Type, Some(text)) if !text.is_empty() => message.kind = text,
        (Key::Logger, Some(text)) => message.logger = text,
        (Key::Hostname, Some(text)) => message.hostname = text,
        (Key::Severity, Some(text)) => {
            let level = text.trim().parse().ok().and_then(|level: i64| Severity::try_from(level).ok());
            message.severity = level.unwrap_or(message.severity);
        }
        _ => {}
    }
}

/// Makes the maps that lead there; what stands in their way gives way.
fn put_field(fields: &mut Fields, path: &[String], value: Value) {
    let name = path.join(".");
    match path.split_first() {
        Some((first, rest)) if !rest.is_empty() && fields.get(&name).is_none() => {
            if !matches!(fields.get(first), Some(Value::Map(_))) {
                fields.insert(first.clone(), Fields::new());
            }
            if let Some(Value::Map(inner)) = fields.get_mut(first) {
                put_field(inner, rest, value);
            }
        }
        _ => fields.insert(name, value),
    }
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Float(float) => Some(float.to_string()),
        Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => None,
    }
}
