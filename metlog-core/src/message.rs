//! The envelope: exactly the nine keys of the Metlog specification 0.8, and the severity scale.

use crate::{
    timestamp::Timestamp,
    value::{Fields, Value},
    wire::MAX_DEPTH,
};

/// The version of the envelope, in every message.
pub const ENV_VERSION: &str = "0.8";

/// How bad it is, 0 (emergency) to 7 (debug), RFC 5424 section 6.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

#[expect(missing_docs, reason = "the names are RFC 5424's own")]
impl Severity {
    pub const EMERGENCY: Self = Self(0);
    pub const ALERT: Self = Self(1);
    pub const CRITICAL: Self = Self(2);
    pub const ERROR: Self = Self(3);
    pub const WARNING: Self = Self(4);
    pub const NOTICE: Self = Self(5);
    pub const INFORMATIONAL: Self = Self(6);
    pub const DEBUG: Self = Self(7);

    /// The number on the wire.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self.0
    }
}

/// The severity of a message that names none.
impl Default for Severity {
    fn default() -> Self {
        Self::INFORMATIONAL
    }
}

/// Gives back a number outside 0..=7.
impl TryFrom<i64> for Severity {
    type Error = i64;

    fn try_from(number: i64) -> Result<Self, i64> {
        u8::try_from(number).ok().filter(|level| *level <= 7).map(Self).ok_or(number)
    }
}

/// One message, owned: what a reader of the wire gets. Writers encode without building one.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// A free token; `type` on the wire.
    pub kind: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The application or part of it that speaks.
    pub logger: String,
    /// How bad it is.
    pub severity: Severity,
    /// The text, or any other value.
    pub payload: Value,
    /// Named values, nested as the application likes.
    pub fields: Fields,
    /// The version of the envelope.
    pub env_version: String,
    /// The process that sent it; `metlog_pid` on the wire.
    pub pid: i64,
    /// The host it ran on; `metlog_hostname` on the wire.
    pub hostname: String,
}

/// The field under which values are kept that do not fit their column (severity 99, a timestamp that is no date).
pub const ORIGINAL_FIELD: &str = "original";

impl Message {
    /// Keeps a foreign value that does not fit the column `name` under `fields.original.<name>`.
    pub fn keep_original(&mut self, name: &str, value: Value) {
        let mut kept = match self.fields.get(ORIGINAL_FIELD) {
            Some(Value::Map(kept)) => kept.clone(),
            // The application has a field of that name: it is kept as well.
            Some(theirs) => [(ORIGINAL_FIELD, readable(theirs.clone()))].into_iter().collect(),
            None => Fields::new(),
        };
        kept.insert(name, readable(value));
        self.fields.insert(ORIGINAL_FIELD, kept);
    }
}

/// The value, or its JSON as text when it is so deep that no reader would follow it two maps further down.
fn readable(value: Value) -> Value {
    if depth(&value) + 2 > MAX_DEPTH {
        // Serialising into memory cannot fail.
        return serde_json::to_string(&value).unwrap_or_default().into();
    }
    value
}

/// How many lists and maps lie inside each other.
fn depth(value: &Value) -> usize {
    let inside = match value {
        Value::List(values) => values.iter().map(depth).max(),
        Value::Map(fields) => fields.iter().map(|(_, value)| depth(value)).max(),
        _ => return 0,
    };
    1 + inside.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_0_to_7() {
        assert_eq!(Severity::try_from(0), Ok(Severity::EMERGENCY));
        assert_eq!(Severity::try_from(7), Ok(Severity::DEBUG));
        assert_eq!(Severity::try_from(8), Err(8));
        assert_eq!(Severity::try_from(-1), Err(-1));
    }
}
