//! Which field of a message, which of its values.

use metlog_core::{Fields, Value, wire::outline::Scalar};

/// `Fields[name][i][j]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath {
    pub(super) name: String,
    pub(super) field_index: usize,
    pub(super) value_index: usize,
}

impl FieldPath {
    /// Whether the name may lead into other fields.
    pub(super) fn is_dotted(&self) -> bool {
        self.name.contains('.')
    }

    /// Whether the first value is meant, which is the only one of what is no list.
    pub(super) fn is_first(&self) -> bool {
        self.field_index == 0 && self.value_index == 0
    }

    pub(super) fn find<'m>(&self, fields: &'m Fields) -> Option<Scalar<'m>> {
        let value = fields.get(&self.name).or_else(|| inside(fields, &self.name))?;
        let field = match value {
            Value::List(repeated) if matches!(repeated.first(), Some(Value::List(_))) => {
                repeated.get(self.field_index)?
            }
            _ if self.field_index == 0 => value,
            _ => return None,
        };
        let found = match field {
            Value::List(values) => values.get(self.value_index)?,
            _ if self.value_index == 0 => field,
            _ => return None,
        };
        Some(scalar(found)).filter(|found| *found != Scalar::Null)
    }
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Null,
        Value::Bool(flag) => Scalar::Bool(*flag),
        Value::Int(int) => Scalar::Int(*int),
        Value::Float(float) => Scalar::Float(*float),
        Value::Text(text) => Scalar::Bytes(text.as_bytes()),
        Value::Bytes(bytes) => Scalar::Bytes(bytes),
        Value::List(_) | Value::Map(_) => Scalar::Nested,
    }
}

/// The value at a dotted path.
fn inside<'m>(fields: &'m Fields, path: &str) -> Option<&'m Value> {
    let (outer, name) = path.rsplit_once('.')?;
    let holder = outer.split('.').try_fold(fields, |fields, name| match fields.get(name)? {
        Value::Map(inner) => Some(inner),
        _ => None,
    })?;
    holder.get(name)
}
