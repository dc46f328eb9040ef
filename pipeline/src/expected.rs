//! What a test of a configuration expects of a message.

use std::collections::BTreeMap;

use metlog_core::{Fields, Message, Timestamp, Value};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a message must hold.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its logger.
    pub logger: Option<String>,
    /// Its severity.
    pub severity: Option<i64>,
    /// Its timestamp, RFC 3339.
    pub timestamp: Option<String>,
    /// Its payload.
    #[schemars(with = "Option<serde_json::Value>")]
    pub payload: Option<Value>,
    /// Some of its fields.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub fields: Fields,
    /// Fields it must not have.
    pub without: Vec<String>,
}

impl Expected {
    /// What is not as expected, a line each.
    #[must_use]
    pub fn compare(&self, message: &Message) -> Vec<String> {
        let text = |text: &str| Value::from(text);
        let columns = [
            ("type", self.kind.as_deref().map(text), text(&message.kind)),
            ("logger", self.logger.as_deref().map(text), text(&message.logger)),
            ("severity", self.severity.map(Value::from), i64::from(message.severity.as_u8()).into()),
            ("timestamp", self.instant(), text(&message.timestamp.to_string())),
            ("payload", self.payload.clone(), message.payload.clone()),
        ];
        let wrong = columns.into_iter().filter_map(|(name, expected, found)| {
            let expected = expected?;
            (expected != found).then(|| differs(name, Some(&found), &expected))
        });
        let fields = self.fields.iter().filter_map(|(name, expected)| {
            let found = message.fields.get(name);
            (found != Some(expected)).then(|| differs(&format!("fields.{name}"), found, expected))
        });
        let extra = self.without.iter().filter_map(|name| {
            message.fields.get(name).map(|found| format!("fields.{name} is {}, expected none", json(found)))
        });
        wrong.chain(fields).chain(extra).collect()
    }

    /// Written as messages write it, whatever the zone.
    fn instant(&self) -> Option<Value> {
        let text = self.timestamp.as_deref()?;
        Some(text.parse::<Timestamp>().map_or_else(|_| text.into(), |at| at.to_string().into()))
    }
}

fn differs(name: &str, found: Option<&Value>, expected: &Value) -> String {
    let found = found.map_or_else(|| "absent".to_owned(), json);
    format!("{name} is {found}, expected {}", json(expected))
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
