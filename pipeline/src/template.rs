//! `%Field%` in texts, filled from a message.

use std::fmt::Write as _;

use metlog_core::{Message, Value};

use crate::matcher::MessageView;

/// A text with places for what a message says: `%Type%`, `%Logger%`, `%Payload%`, `%Hostname%`, `%Severity%`, `%Pid%`,
/// `%EnvVersion%`, `%Timestamp%` (RFC 3339), or the name of a field, with dots for fields inside fields. `%%` stands for a percent sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// A percent sign without its other.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut pieces = text.split('%').peekable();
        while let Some(piece) = pieces.next() {
            parts.push(Part::Text(piece.to_owned()));
            let Some(name) = pieces.next() else { break };
            if pieces.peek().is_none() {
                return Err(format!("{text:?} has a single %, expected %Field%, or %% for the sign itself"));
            }
            parts.push(if name.is_empty() {
                Part::Text("%".to_owned())
            } else {
                Part::Place(name.to_owned())
            });
        }
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }

    /// Writes the text; false when the message lacks something, for which nothing is written.
    pub fn fill(&self, view: &mut MessageView<'_>, out: &mut String) -> bool {
        self.fill_with(out, |name, out| push(view, name, out))
    }

    /// As [`Template::fill`], from a message that is in no batch.
    pub fn fill_from(&self, message: &Message, out: &mut String) -> bool {
        self.fill_with(out, |name, out| push_of(message, name, out))
    }

    fn fill_with(&self, out: &mut String, mut push: impl FnMut(&str, &mut String) -> bool) -> bool {
        out.clear();
        let mut is_whole = true;
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(name) => is_whole &= push(name, out),
            }
        }
        is_whole
    }

    /// What the text becomes: the value itself, whatever it is, when the text is nothing but one place; nothing when the
    /// message lacks something.
    #[must_use]
    pub fn value(&self, message: &Message) -> Option<Value> {
        if let [Part::Place(name)] = self.0.as_slice()
            && let Some(value) = value_of(message, name)
        {
            return Some(value.clone());
        }
        let mut text = String::new();
        self.fill_from(message, &mut text).then(|| text.into())
    }
}

/// Type and logger are at hand, everything else needs the whole message.
fn push(view: &mut MessageView<'_>, name: &str, out: &mut String) -> bool {
    match (name, view.head()) {
        ("Type", Some(head)) => out.push_str(head.kind),
        ("Logger", Some(head)) => out.push_str(head.logger),
        _ => return view.message().is_ok_and(|message| push_of(message, name, out)),
    }
    true
}

/// Payload or field, as it is.
fn value_of<'a>(message: &'a Message, name: &str) -> Option<&'a Value> {
    match name {
        "Payload" => Some(&message.payload),
        "Type" | "Logger" | "Hostname" | "EnvVersion" | "Severity" | "Pid" | "Timestamp" => None,
        field => find(&message.fields, field).filter(|value| **value != Value::Null),
    }
}

fn push_of(message: &Message, name: &str, out: &mut String) -> bool {
    // Writing to a String cannot fail.
    let _written = match name {
        "Type" => write!(out, "{}", message.kind),
        "Logger" => write!(out, "{}", message.logger),
        "Timestamp" => write!(out, "{}", message.timestamp),
        "Payload" => return push_value(&message.payload, out),
        "Hostname" => write!(out, "{}", message.hostname),
        "EnvVersion" => write!(out, "{}", message.env_version),
        "Severity" => write!(out, "{}", message.severity.as_u8()),
        "Pid" => write!(out, "{}", message.pid),
        field => return find(&message.fields, field).is_some_and(|value| push_value(value, out)),
    };
    true
}

/// The field of that name, or the one inside another that the dots lead to.
fn find<'a>(fields: &'a metlog_core::Fields, path: &str) -> Option<&'a Value> {
    fields.get(path).or_else(|| {
        let (outer, inner) = path.split_once('.')?;
        let Some(Value::Map(fields)) = fields.get(outer) else { return None };
        find(fields, inner)
    })
}

fn push_value(value: &Value, out: &mut String) -> bool {
    match value {
        Value::Text(text) => out.push_str(text),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Null | Value::List(_) | Value::Map(_) => return false,
        number => match number.as_number() {
            Some(number) => {
                let _written = write!(out, "{number}");
            }
            None => return false,
        },
    }
    true
}

#[cfg(test)]
mod tests {
    use metlog_core::wire::json::from_json;

    use super::*;

    fn message() -> Message {
        let text =
            br#"{"type":"t","logger":"shop","timestamp":"2026-01-01T00:00:00Z","severity":3,"payload":"p",
            "fields":{"n":7,"on":true,"f":0.5,"none":null,"list":[1],"in":{"ner":"x"},"in.ner":"y"},
            "env_version":"0.8","metlog_pid":4,"metlog_hostname":"web1"}"#;
        from_json(text).unwrap().message
    }

    #[test]
    fn places_are_filled_from_the_message() {
        for (text, filled) in [
            ("%Type%/%Logger% %Severity%", Some("t/shop 3")),
            ("%Hostname%:%Pid% %EnvVersion% %Payload%", Some("web1:4 0.8 p")),
            ("%Timestamp%", Some("2026-01-01T00:00:00.000000Z")),
            ("%n% %on% %f% 100%%", Some("7 true 0.5 100%")),
            ("%in.ner%", Some("y")),
            ("no place", Some("no place")),
            ("x%gone%", None),
            ("x%none%", None),
            ("x%list%", None),
        ] {
            let (template, mut out) = (Template::parse(text).unwrap(), String::from("left over"));
            let is_whole = template.fill_from(&message(), &mut out);
            assert_eq!(is_whole.then_some(out.as_str()), filled, "{text}");
        }
        assert!(Template::parse("50% of").unwrap_err().contains("single %"));
    }

    #[test]
    fn a_text_that_is_one_place_takes_the_value_over_as_it_is() {
        for (text, value) in [
            ("%n%", Some(Value::Int(7))),
            ("%list%", Some(Value::List(vec![Value::Int(1)]))),
            ("%Severity%", Some(Value::from("3"))),
            ("%n%0", Some(Value::from("70"))),
            ("%none%", None),
            ("%gone%", None),
        ] {
            assert_eq!(Template::parse(text).unwrap().value(&message()), value, "{text}");
        }
    }
}
