//! The `pattern` of a route: what logstash-metlog's tagger asked of an event.
//!
//! Values are compared as text, numbers included. What is not there equals no text, and yet it fits `*`.

use std::collections::BTreeMap;

use metlog_core::{Message, Value};
use metlog_pipeline::matcher::MessageView;

/// The keys of a message that hold one value.
const KEYS: [&str; 8] =
    ["type", "logger", "severity", "payload", "timestamp", "env_version", "metlog_pid", "metlog_hostname"];

/// Before the name of a field.
const FIELDS: &str = "fields/";

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Pair>);

#[derive(Debug, Clone)]
struct Pair {
    path: String,
    wanted: String,
}

impl Pattern {
    pub(super) fn compile(pairs: &BTreeMap<String, String>) -> Result<Self, String> {
        for path in pairs.keys() {
            let is_field = path.strip_prefix(FIELDS).is_some_and(|name| !name.is_empty());
            if !is_field && !KEYS.contains(&path.as_str()) {
                let keys = KEYS.join(", ");
                return Err(format!("{path:?} leads nowhere, expected fields/<name> or one of {keys}"));
            }
        }
        let pair = |(path, wanted): (&String, &String)| Pair { path: path.clone(), wanted: wanted.clone() };
        Ok(Self(pairs.iter().map(pair).collect()))
    }

    /// Whether one of the pairs fits.
    pub(super) fn matches(&self, view: &mut MessageView<'_>) -> bool {
        self.0.iter().any(|pair| pair.fits(view))
    }

    /// The pairs, with what the message has there.
    pub(super) fn explain(&self, view: &mut MessageView<'_>) -> Vec<String> {
        let told = self.0.iter().map(|Pair { path, wanted }| {
            let found = text_at(view, path).map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
            format!("pattern {path} = {wanted:?}, found {found}")
        });
        told.collect()
    }
}

impl Pair {
    fn fits(&self, view: &mut MessageView<'_>) -> bool {
        self.wanted == "*" || text_at(view, &self.path).is_some_and(|text| text == self.wanted)
    }
}

/// Types, loggers and severities are told without a look at the rest of the message.
fn text_at(view: &mut MessageView<'_>, path: &str) -> Option<String> {
    let head = view.head()?;
    match path {
        "type" => Some(head.kind.to_owned()),
        "logger" => Some(head.logger.to_owned()),
        "severity" => Some(head.severity.as_u8().to_string()),
        "timestamp" => Some(head.timestamp.to_string()),
        _ => text_in(view.message().ok()?, path),
    }
}

fn text_in(message: &Message, path: &str) -> Option<String> {
    match path {
        "payload" => text_of(&message.payload),
        "env_version" => Some(message.env_version.clone()),
        "metlog_pid" => Some(message.pid.to_string()),
        "metlog_hostname" => Some(message.hostname.clone()),
        _ => {
            let mut keys = path.strip_prefix(FIELDS)?.split('/');
            let first = message.fields.get(keys.next()?)?;
            let value = keys.try_fold(first, |value, key| match value {
                Value::Map(inner) => inner.get(key),
                _ => None,
            });
            text_of(value?)
        }
    }
}

/// As Ruby's `to_s` writes it.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Float(float) => Some(format!("{float:?}")),
        Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => None,
    }
}
