//! The JSON Schema of a configuration, made from its types: for editors, and for whoever writes one by a program.

use std::{borrow::Cow, time::Duration};

use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::SchemaSettings,
    json_schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

/// The schema (draft 2020-12) of the configuration `T`, as text; `title` is what it is called.
#[must_use]
pub fn schema<T: JsonSchema>(title: &str) -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(AsWritten);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    format!("{:#}", schema.as_value())
}

/// Stands for a [`bytesize::ByteSize`] in `#[schemars(with = "Size")]`.
#[derive(Debug)]
pub struct Size;

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or a text with a unit such as \"64 KiB\" or \"1 GiB\".",
            "type": ["string", "integer"],
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtTpPeE][iI]?)?[bB]?\s*$",
            "minimum": 0
        })
    }
}

/// Says in the schema what a file can say: durations are texts, nothing is `null`, and no key may be unknown, also where
/// serde alone finds that out. Defaults that are those of this host are left out.
#[derive(Clone)]
struct AsWritten;

impl Transform for AsWritten {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(data_dir) = object.get_mut("properties").and_then(|all| all.get_mut("data_dir")) {
            data_dir.as_object_mut().map(|data_dir| data_dir.remove("default"));
        }
        if let Some(duration) = object.get_mut("$defs").and_then(|defs| defs.get_mut("Duration")) {
            *duration = json!({
                "description": "A time with its unit, such as \"10s\", \"500ms\" or \"1m 30s\".",
                "type": "string",
                "pattern": r"^\s*([0-9]+\s*[a-zA-Zµ]+\s*)+$"
            });
        }
        for definition in object.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten() {
            refuse_unknown_keys(definition.1);
        }
        if let Some(duration) = object.get("default").and_then(as_duration) {
            object.insert("default".to_owned(), json!(humantime::format_duration(duration).to_string()));
        }
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = description.replace('\n', " ").replace("[`", "`").replace("`]", "`");
        }
        without_null(object);
    }
}

/// What is flattened into a table knows its keys alone: together they know all.
fn refuse_unknown_keys(definition: &mut Value) {
    let Some(object) = definition.as_object_mut().filter(|object| object.contains_key("properties")) else {
        return;
    };
    if !object.contains_key("additionalProperties") {
        object.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

/// TOML leaves a key out where JSON has `null`.
fn without_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| *choice != json!({ "type": "null" }));
    let [Value::Object(only)] = choices.as_slice() else { return };
    let only = only.clone();
    object.remove("anyOf");
    object.extend(only);
}

/// A duration as serde writes it.
fn as_duration(default: &Value) -> Option<Duration> {
    let parts = default.as_object().filter(|parts| parts.len() == 2)?;
    let seconds = parts.get("secs")?.as_u64()?;
    Some(Duration::new(seconds, u32::try_from(parts.get("nanos")?.as_u64()?).ok()?))
}
