//! Lines that are JSON objects. Nested values stay nested.

use std::fmt;

use metlog_core::{Timestamp, Value, wire::MAX_DEPTH};
use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};

use super::{
    Parse,
    parsed::{MAX_FIELDS, Parsed},
};

/// The format `json`.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Parse for Json {
    fn parse<'a>(&'a self, line: &'a str, _now: Timestamp) -> Option<Parsed<'a>> {
        let mut reader = serde_json::Deserializer::from_str(line);
        let parsed = reader.deserialize_map(Object).ok()?;
        reader.end().ok().map(|()| parsed)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parsed<'de>, A::Error> {
        let mut parsed = Parsed::default();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            // One more than the map of fields, and whoever forwards it may nest it once more.
            if parsed.fields.len() == MAX_FIELDS || depth(&value) + 2 > MAX_DEPTH {
                return Err(A::Error::custom("too many fields, or too deep"));
            }
            parsed.set(name, value.into());
        }
        Ok(parsed)
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Map(fields) => 1 + fields.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formatter::parsed::Field;

    #[test]
    fn an_object_becomes_fields_and_anything_else_is_not_taken() {
        let parsed = Json.parse(r#" {"a":1,"b":"x\"y","c":{"d":[1.5]},"a":2} "#, Timestamp::now()).unwrap();
        assert_eq!(parsed.get("a"), Some(&Field::Int(2)), "the last one of a name");
        assert_eq!(parsed.get("b").unwrap().as_text(), "x\"y");
        assert_eq!(parsed.get("c").unwrap().as_text(), r#"{"d":[1.5]}"#);
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let wide: String = (0..2_000).map(|n| format!("\"k{n}\":1,")).collect();
        for line in ["", "7", "[1]", "{", "{\"a\":1} x", "{'a':1}", &deep, &format!("{{{wide}\"z\":1}}")] {
            assert!(Json.parse(line, Timestamp::now()).is_none(), "{}", &line[..line.len().min(40)]);
        }
    }
}
