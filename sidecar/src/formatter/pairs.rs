//! Lines of names and values: logfmt (`level=info msg="hello world"`) and key=value with separators of one's own.

use std::borrow::Cow;

use metlog_core::Timestamp;

use super::{
    Parse, access,
    parsed::{Field, MAX_FIELDS, Parsed},
};

/// The formats `logfmt` and `key_value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// Between a name and its value.
    pub key_separator: String,
    /// Between a value and the next name.
    pub pair_separator: String,
}

impl Pairs {
    /// `a=1 b="two words" c`.
    pub fn logfmt() -> Self {
        Self { key_separator: "=".to_owned(), pair_separator: " ".to_owned() }
    }
}

impl Parse for Pairs {
    /// Takes a line that has at least one pair. A name without a value is true.
    fn parse<'a>(&'a self, line: &'a str, _now: Timestamp) -> Option<Parsed<'a>> {
        let mut parsed = Parsed::default();
        let mut rest = line.trim();
        let mut has_pair = false;
        while !rest.is_empty() {
            if parsed.fields.len() == MAX_FIELDS {
                return None;
            }
            let pair = rest.find(self.pair_separator.as_str()).unwrap_or(rest.len());
            match rest.find(self.key_separator.as_str()).filter(|key| *key < pair) {
                Some(key) => {
                    has_pair = true;
                    let name = rest.get(..key)?.trim();
                    let (value, after) = self.value(rest.get(key + self.key_separator.len()..)?)?;
                    if !name.is_empty() {
                        parsed.set(name, value);
                    }
                    rest = after;
                }
                None => {
                    let name = rest.get(..pair)?.trim();
                    if !name.is_empty() {
                        parsed.set(name, Field::Other(true.into()));
                    }
                    rest = rest.get(pair..)?;
                }
            }
            rest = rest.strip_prefix(self.pair_separator.as_str()).unwrap_or(rest).trim_start();
        }
        has_pair.then_some(parsed)
    }
}

impl Pairs {
    /// The value at the front, quoted or up to the separator, and what comes after it.
    fn value<'a>(&self, text: &'a str) -> Option<(Field<'a>, &'a str)> {
        if let Some(quoted) = text.trim_start_matches(' ').strip_prefix('"') {
            let end = closing_quote(quoted)?;
            let value: Cow<'a, str> = access::unescape(quoted.get(..end)?);
            return Some((Field::Text(value), quoted.get(end + 1..)?));
        }
        let (value, after) = text.split_at(text.find(self.pair_separator.as_str()).unwrap_or(text.len()));
        Some((number_or_text(value.trim()), after))
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// A number that would be written the same way again; `007` and `1e5` stay text.
fn number_or_text(text: &str) -> Field<'_> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || digits.len() == 1 || digits.starts_with("0."));
    if is_plain { Field::number(text) } else { Field::text(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_become_fields_of_their_types() {
        let line = r#"level=info msg="say \"hi\"" n=-5 t=0.25 id=007 ok url=/a?b=c empty= sum=1e5"#;
        let logfmt = Pairs::logfmt();
        let parsed = logfmt.parse(line, Timestamp::now()).unwrap();
        for (name, field) in [
            ("level", Field::text("info")),
            ("msg", Field::Text("say \"hi\"".into())),
            ("n", Field::Int(-5)),
            ("t", Field::Float(0.25)),
            ("id", Field::text("007")),
            ("ok", Field::Other(true.into())),
            ("url", Field::text("/a?b=c")),
            ("empty", Field::text("")),
            ("sum", Field::text("1e5")),
        ] {
            assert_eq!(parsed.get(name), Some(&field), "{name}");
        }
        assert!(logfmt.parse("no pairs here", Timestamp::now()).is_none());
        assert!(logfmt.parse("a=\"never closed", Timestamp::now()).is_none());
    }

    #[test]
    fn separators_may_be_ones_own() {
        let pairs = Pairs { key_separator: ":".to_owned(), pair_separator: ",".to_owned() };
        let parsed = pairs.parse("user: jane doe, n: 7,flag, q: \"a,b\"", Timestamp::now()).unwrap();
        let all: Vec<_> =
            parsed.fields.iter().map(|(name, field)| (name.as_ref(), field.as_text().into_owned())).collect();
        let expected = [("user", "jane doe"), ("n", "7"), ("flag", "true"), ("q", "a,b")];
        assert_eq!(all, expected.map(|(name, value)| (name, value.to_owned())));
    }

    proptest! {
        #[test]
        fn quoted_values_survive(value in "[ -~]{0,30}") {
            let line = format!("a=\"{}\" b=1", value.replace('\\', "\\\\").replace('"', "\\\""));
            let logfmt = Pairs::logfmt();
            let parsed = logfmt.parse(&line, Timestamp::now()).unwrap();
            prop_assert_eq!(parsed.get("a").unwrap().as_text(), value.as_str());
            prop_assert_eq!(parsed.get("b"), Some(&Field::Int(1)));
        }

        #[test]
        fn no_line_disturbs(line in ".{0,200}") {
            let _whatever = Pairs::logfmt().parse(&line, Timestamp::now());
        }
    }
}
