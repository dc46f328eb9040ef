//! `%Field%` in texts, filled from a message.

use std::fmt::Write as _;

use metlog_core::{Message, Value};
use metlog_pipeline::matcher::MessageView;

/// A text with places for what a message says: `%Type%`, `%Logger%`, `%Payload%`, `%Hostname%`, `%Severity%`, `%Pid%`,
/// `%EnvVersion%`, or the name of a field, with dots for fields inside fields. `%%` stands for a percent sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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
    pub(super) fn fill(&self, view: &mut MessageView<'_>, out: &mut String) -> bool {
        out.clear();
        let mut is_whole = true;
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(name) => is_whole &= push(view, name, out),
            }
        }
        is_whole
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

fn push_of(message: &Message, name: &str, out: &mut String) -> bool {
    // Writing to a String cannot fail.
    let _written = match name {
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
