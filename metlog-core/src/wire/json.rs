//! One message as one JSON object: the dialect of the original clients, read in every variant they wrote.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::MAX_MESSAGE_BYTES;
use crate::{
    error::{Error, ErrorKind},
    message::{ENV_VERSION, Message, Severity},
    timestamp::Timestamp,
    value::{Fields, Value},
};

/// What reading a foreign message gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The message.
    pub message: Message,
    /// How many values did not fit their column and were kept under `fields.original`.
    pub misfits: u32,
}

/// The message as JSON without a newline: the nine keys in the order of the Node original, compact, raw UTF-8.
#[must_use]
pub fn to_json(message: &Message) -> String {
    // Serialising into memory cannot fail: names are text and floats that are not finite are written as null.
    serde_json::to_string(message).unwrap_or_default()
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(9))?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("timestamp", &format_args!("{}", self.timestamp))?;
        map.serialize_entry("logger", &self.logger)?;
        map.serialize_entry("severity", &self.severity.as_u8())?;
        map.serialize_entry("payload", &self.payload)?;
        map.serialize_entry("fields", &self.fields)?;
        map.serialize_entry("env_version", &self.env_version)?;
        map.serialize_entry("metlog_pid", &self.pid)?;
        map.serialize_entry("metlog_hostname", &self.hostname)?;
        map.end()
    }
}

/// Reads one message in any dialect of the originals: with or without newline, `Z`, offset or no zone in the
/// timestamp, missing optional keys. Only `type` is required. A value that does not fit its column, and a key that
/// is none of the nine, is kept under `fields.original` and counted as a misfit.
///
/// # Errors
/// `TooBig` over [`MAX_MESSAGE_BYTES`]; `Malformed` for what is no JSON object or has no `type`.
pub fn from_json(bytes: &[u8]) -> Result<Read, Error> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        let found = bytes.len();
        return Err(Error::new(
            ErrorKind::TooBig,
            format!("message of {found} bytes, expected at most {MAX_MESSAGE_BYTES}"),
        ));
    }
    let envelope: Fields = serde_json::from_slice(bytes).map_err(|source| {
        Error::malformed(format!("message is no JSON object: {source}")).with_source(source)
    })?;
    let mut reader = Envelope { message: empty(), foreign: Vec::new(), has_type: false };
    for (key, value) in envelope.iter() {
        reader.take(key, value);
    }
    reader.finish()
}

fn empty() -> Message {
    Message {
        kind: String::new(),
        timestamp: Timestamp::now(),
        logger: String::new(),
        severity: Severity::default(),
        payload: Value::Text(String::new()),
        fields: Fields::new(),
        env_version: ENV_VERSION.to_owned(),
        pid: 0,
        hostname: String::new(),
    }
}

struct Envelope {
    message: Message,
    foreign: Vec<(String, Value)>,
    has_type: bool,
}

impl Envelope {
    fn take(&mut self, key: &str, value: &Value) {
        let message = &mut self.message;
        let fits = match (key, value) {
            // `null` means "not given" for every optional column.
            (
                "timestamp" | "logger" | "severity" | "fields" | "env_version" | "metlog_pid"
                | "metlog_hostname",
                Value::Null,
            ) => true,
            ("type", Value::Text(text)) => {
                self.has_type = true;
                set(&mut message.kind, text)
            }
            ("timestamp", Value::Text(text)) => text.parse().map(|at| message.timestamp = at).is_ok(),
            ("logger", Value::Text(text)) => set(&mut message.logger, text),
            ("severity", value) => severity(value).map(|level| message.severity = level).is_some(),
            ("payload", value) => {
                message.payload = value.clone();
                true
            }
            ("fields", Value::Map(fields)) => {
                message.fields = fields.clone();
                true
            }
            ("env_version", Value::Text(text)) => set(&mut message.env_version, text),
            ("metlog_pid", value) => integer(value).map(|pid| message.pid = pid).is_some(),
            ("metlog_hostname", Value::Text(text)) => set(&mut message.hostname, text),
            _ => false,
        };
        if !fits {
            self.foreign.push((key.to_owned(), value.clone()));
        }
    }

    fn finish(mut self) -> Result<Read, Error> {
        if !self.has_type {
            return Err(Error::malformed("message has no \"type\", expected a text"));
        }
        let misfits = u32::try_from(self.foreign.len()).unwrap_or(u32::MAX);
        for (key, value) in self.foreign {
            self.message.keep_original(&key, value);
        }
        Ok(Read { message: self.message, misfits })
    }
}

fn set(column: &mut String, text: &str) -> bool {
    text.clone_into(column);
    true
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => i64::try_from(*int).ok(),
        _ => None,
    }
}

/// The severity a value stands for: an integer 0 to 7.
#[must_use]
pub fn severity(value: &Value) -> Option<Severity> {
    integer(value).and_then(|number| Severity::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_type_is_required() {
        let read = from_json(br#"{"type": "services"}"#).unwrap();
        assert_eq!(
            (read.message.kind.as_str(), read.message.severity.as_u8(), read.misfits),
            ("services", 6, 0)
        );
        let error = from_json(br#"{"payload": "x"}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("\"type\""), "{error}");
    }

    #[test]
    fn what_does_not_fit_its_column_is_kept_and_counted() {
        let json = br#"{"type":"a","severity":99,"timestamp":"noon","metlog_pid":"7","extra":[1]}"#;
        let read = from_json(json).unwrap();
        assert_eq!(read.misfits, 4);
        let original = serde_json::to_string(read.message.fields.get("original").unwrap()).unwrap();
        assert_eq!(original, r#"{"severity":99,"timestamp":"noon","metlog_pid":"7","extra":[1]}"#);
        assert_eq!(read.message.severity, Severity::INFORMATIONAL);
    }

    #[test]
    fn hostile_json_is_an_error() {
        let deep = format!("{{\"type\":\"a\",\"fields\":{}", "[".repeat(10_000));
        for bad in ["", "[]", "7", "{", "{\"type\":", "\u{0}", &deep] {
            assert_eq!(from_json(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Malformed, "{bad:.20}");
        }
        assert_eq!(from_json(&vec![b' '; MAX_MESSAGE_BYTES + 1]).unwrap_err().kind(), ErrorKind::TooBig);
        assert!(from_json(b"{\"type\":\"\xff\"}").is_err());
    }

    #[test]
    fn numbers_that_are_not_finite_become_null() {
        let mut message = from_json(br#"{"type":"a"}"#).unwrap().message;
        message.payload = Value::Float(f64::NAN);
        assert!(to_json(&message).contains(r#""payload":null"#));
    }
}
