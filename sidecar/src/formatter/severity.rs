//! Severities by the names that programs give them.

use std::collections::BTreeMap;

use metlog_core::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parsed::Field;

/// Names of RFC 5424, and those that common logging libraries have for the same.
const NAMES: &[(&str, i64)] = &[
    ("emerg", 0),
    ("emergency", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("critical", 2),
    ("fatal", 2),
    ("err", 3),
    ("error", 3),
    ("severe", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("information", 6),
    ("informational", 6),
    ("debug", 7),
    ("fine", 7),
    ("trace", 7),
    ("verbose", 7),
];

/// Which field says how bad it is, and in which words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityRule {
    /// The field's name.
    pub field: String,
    /// Severity, 0 to 7, of each of its texts. What is not here goes by the usual names and numbers.
    pub map: BTreeMap<String, u8>,
}

impl SeverityRule {
    /// Everything that is wrong with it.
    pub fn check(&self, section: &str) -> impl Iterator<Item = String> {
        let wrong = self.map.iter().filter(|(_, level)| **level > 7);
        wrong.map(move |(name, level)| format!("{section}.map.{name} is {level}, expected 0 to 7"))
    }

    /// The severity that the field's value stands for.
    pub fn read(&self, value: &Field<'_>) -> Option<Severity> {
        let text = value.as_text();
        let mapped = self.map.get(text.as_ref()).map(|level| i64::from(*level));
        Severity::try_from(mapped.or_else(|| usual(&text))?).ok()
    }
}

/// `error`, `ERROR`, `3`.
fn usual(text: &str) -> Option<i64> {
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| *level);
    named.or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_the_map_give_severities() {
        let rule = SeverityRule {
            field: "level".to_owned(),
            map: [("30".to_owned(), 6), ("error".to_owned(), 2)].into_iter().collect(),
        };
        for (text, level) in
            [("WARN", Some(4)), ("30", Some(6)), ("error", Some(2)), ("7", Some(7)), ("8", None), ("", None)]
        {
            let found = rule.read(&Field::text(text)).map(|severity| i64::from(severity.as_u8()));
            assert_eq!(found, level, "{text}");
        }
        assert_eq!(rule.read(&Field::Int(30)), Some(Severity::INFORMATIONAL));
    }
}
