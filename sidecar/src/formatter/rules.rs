//! What the configuration says about every format: which field is the timestamp, which the severity, what types fields
//! have, and what type, logger and payload are made of.

use metlog_core::{Timestamp, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Origin,
    parsed::{Field, Parsed},
    severity::SeverityRule,
    template::Template,
    time::TimeFormat,
};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// As it stands.
    Text,
    /// A whole number.
    Int,
    /// Any number.
    Float,
    /// `true`, `yes`, `on`, `1`, or their opposites.
    Bool,
}

/// The rules of one formatter.
#[derive(Debug, Default)]
pub struct Rules {
    /// The first of these fields that holds a time is the timestamp.
    pub timestamp: Option<(Vec<String>, TimeFormat)>,
    /// The first of these fields that names a severity is it.
    pub severity: Vec<SeverityRule>,
    /// The first of these fields that is there is the payload.
    pub payload_fields: Vec<&'static str>,
    /// Types by name.
    pub types: Vec<(String, FieldType)>,
    /// The text of the type.
    pub kind: Option<Template>,
    /// The text of the logger.
    pub logger: Option<Template>,
    /// The text of the payload.
    pub payload: Option<Template>,
}

impl Rules {
    /// Completes what the format has found. Texts are filled while all fields are there; what has become timestamp, severity
    /// or payload is a field no more.
    pub fn apply<'a>(&self, line: &'a str, parsed: &mut Parsed<'a>, now: Timestamp, origin: &Origin<'_>) {
        for (name, kind) in &self.types {
            if let Some((_, field)) = parsed.fields.iter_mut().find(|(known, _)| known == name)
                && let Some(typed) = typed(field, *kind)
            {
                *field = typed;
            }
        }
        let fill = |template: &Option<Template>, parsed: &Parsed<'a>| {
            template.as_ref().map(|template| template.fill(line, parsed, origin))
        };
        let (kind, logger) = (fill(&self.kind, parsed), fill(&self.logger, parsed));
        let payload = fill(&self.payload, parsed);
        self.take_timestamp(parsed, now);
        self.take_severity(parsed);
        self.take_payload(parsed);
        parsed.kind = kind.or(parsed.kind.take());
        parsed.logger = logger.or(parsed.logger.take());
        parsed.payload = payload.or(parsed.payload.take());
    }

    /// A field that holds no time stays where it is.
    fn take_timestamp(&self, parsed: &mut Parsed<'_>, now: Timestamp) {
        let Some((names, format)) = &self.timestamp else { return };
        let found = names.iter().find_map(|name| Some((name, format.read(parsed.get(name)?, now)?)));
        if let Some((name, at)) = found {
            parsed.timestamp = Some(at);
            parsed.take(name);
        }
    }

    fn take_severity(&self, parsed: &mut Parsed<'_>) {
        let found = self.severity.iter().find_map(|rule| Some((rule, rule.read(parsed.get(&rule.field)?)?)));
        if let Some((rule, severity)) = found {
            parsed.severity = Some(severity);
            parsed.take(&rule.field);
        }
    }

    fn take_payload(&self, parsed: &mut Parsed<'_>) {
        let is_text = |name: &str| matches!(parsed.get(name), Some(Field::Text(_)));
        let Some(name) = self.payload_fields.iter().find(|name| is_text(name)) else { return };
        if let Some(Field::Text(text)) = parsed.take(name) {
            parsed.payload = Some(text);
        }
    }
}

/// The field as that type; `None` leaves it as it is.
fn typed<'a>(field: &Field<'a>, kind: FieldType) -> Option<Field<'a>> {
    let text = field.as_text();
    match kind {
        FieldType::Text => Some(Field::Text(text.into_owned().into())),
        FieldType::Int => text.parse().ok().map(Field::Int),
        FieldType::Float => text.parse().ok().filter(|float: &f64| float.is_finite()).map(Field::Float),
        FieldType::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(Field::Other(Value::Bool(true))),
            "false" | "no" | "off" | "0" => Some(Field::Other(Value::Bool(false))),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_get_their_types_or_stay_as_they_are() {
        for (text, kind, expected) in [
            ("7", FieldType::Int, Field::Int(7)),
            ("7.5", FieldType::Float, Field::Float(7.5)),
            ("on", FieldType::Bool, Field::Other(true.into())),
            ("0", FieldType::Bool, Field::Other(false.into())),
        ] {
            assert_eq!(typed(&Field::text(text), kind), Some(expected), "{text}");
        }
        assert_eq!(typed(&Field::Int(7), FieldType::Text), Some(Field::Text("7".into())));
        for (text, kind) in [("x", FieldType::Int), ("inf", FieldType::Float), ("maybe", FieldType::Bool)] {
            assert_eq!(typed(&Field::text(text), kind), None, "{text}");
        }
    }
}
