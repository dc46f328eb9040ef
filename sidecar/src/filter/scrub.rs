//! Takes fields out of messages that nobody further on is to see.

use metlog_core::{Fields, Message, Value};

/// Which fields go.
pub(super) struct Scrub {
    patterns: Vec<Pattern>,
    replace: Option<Value>,
}

/// A name, or the front of names.
struct Pattern {
    text: String,
    is_front: bool,
}

impl Scrub {
    pub(super) fn new(fields: &[String], replace: Option<&str>) -> Result<Self, String> {
        if fields.is_empty() {
            return Err("is empty, expected names of fields".to_owned());
        }
        let pattern = |field: &String| match field.strip_suffix('*') {
            Some(front) => Pattern { text: front.to_owned(), is_front: true },
            None => Pattern { text: field.clone(), is_front: false },
        };
        Ok(Self { patterns: fields.iter().map(pattern).collect(), replace: replace.map(Value::from) })
    }

    pub(super) fn apply(&self, message: Message) -> Message {
        let fields = self.scrub("", &message.fields);
        Message { fields, ..message }
    }

    fn scrub(&self, inside: &str, fields: &Fields) -> Fields {
        let kept = fields.iter().filter_map(|(name, value)| {
            let path = if inside.is_empty() { name.to_owned() } else { format!("{inside}.{name}") };
            let goes = self.patterns.iter().any(|pattern| pattern.fits(&path));
            let value = if goes { self.replace.clone() } else { Some(self.value(&path, value)) };
            value.map(|value| (name, value))
        });
        kept.collect()
    }

    fn value(&self, path: &str, value: &Value) -> Value {
        match value {
            Value::Map(fields) => Value::Map(self.scrub(path, fields)),
            Value::List(values) => Value::List(values.iter().map(|value| self.value(path, value)).collect()),
            other => other.clone(),
        }
    }
}

impl Pattern {
    fn fits(&self, path: &str) -> bool {
        if self.is_front { path.starts_with(&self.text) } else { path == self.text }
    }
}
