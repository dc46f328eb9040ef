//! The Common Event Format of ArcSight: `CEF:0|vendor|product|version|signature|name|severity|key=value ...`.

use std::borrow::Cow;

use metlog_core::{Severity, Timestamp};

use super::{
    Parse,
    parsed::{Field, MAX_FIELDS, Parsed},
};

const COLUMNS: [&str; 6] =
    ["cef_version", "device_vendor", "device_product", "device_version", "signature", "name"];

/// The format `cef`. What stands before `CEF:`, as a header of syslog, is passed over. The payload is the event itself, as
/// `metlog-cef` sends it.
#[derive(Debug, Clone, Copy)]
pub struct Cef;

impl Parse for Cef {
    fn parse<'a>(&'a self, line: &'a str, _now: Timestamp) -> Option<Parsed<'a>> {
        let event = line.get(line.find("CEF:")?..)?;
        let mut parsed =
            Parsed { kind: Some("cef".into()), payload: Some(event.into()), ..Parsed::default() };
        let mut rest = event.strip_prefix("CEF:")?;
        for name in COLUMNS {
            let (value, after) = column(rest)?;
            parsed.add(name, Field::Text(value));
            rest = after;
        }
        let (level, extension) = column(rest)?;
        parsed.severity = Some(severity(&level)?);
        parsed.add("cef_severity", Field::Text(level));
        extend(extension, &mut parsed)?;
        Some(parsed)
    }
}

/// The text up to the next bar that is not escaped.
fn column(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'|' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((unescape(text.get(..end)?), text.get(end + 1..)?))
}

/// 0 to 10, or in words, as severities of syslog.
fn severity(text: &str) -> Option<Severity> {
    let level = match text.parse::<u8>() {
        Ok(0..=3) => 6,
        Ok(4..=6) => 4,
        Ok(7 | 8) => 3,
        Ok(9 | 10) => 2,
        Ok(_) => return None,
        Err(_) => match text.to_ascii_lowercase().as_str() {
            "unknown" | "low" => 6,
            "medium" => 4,
            "high" => 3,
            "very-high" => 2,
            _ => return None,
        },
    };
    Severity::try_from(level).ok()
}

/// `src=10.0.0.1 msg=text with spaces suser=jane`: a value ends where the next name begins.
fn extend<'a>(text: &'a str, parsed: &mut Parsed<'a>) -> Option<()> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        if parsed.fields.len() >= MAX_FIELDS {
            return None;
        }
        let (name, after) = rest.split_once('=')?;
        let end = next_name(after);
        parsed.set(name.trim(), Field::Text(unescape(after.get(..end)?.trim_end())));
        rest = after.get(end..)?.trim_start();
    }
    Some(())
}

/// Where the blanks before the next `name=` begin, or the end.
fn next_name(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'=' && !escaped {
            let before = text.get(..at).unwrap_or_default();
            return before.rfind(' ').unwrap_or(0);
        }
        escaped = *byte == b'\\' && !escaped;
    }
    text.len()
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_and_extension_become_fields() {
        let line = r"Sep 19 08:26:10 host CEF:0|Sec\|urity|threat|1.0|100|worm \\ stopped|10|src=10.0.0.1 msg=two words\=x suser=jane";
        let parsed = Cef.parse(line, Timestamp::now()).unwrap();
        assert_eq!(parsed.severity, Some(Severity::CRITICAL));
        assert!(parsed.payload.as_deref().unwrap().starts_with("CEF:0|"));
        for (name, value) in [
            ("cef_version", "0"),
            ("device_vendor", "Sec|urity"),
            ("name", "worm \\ stopped"),
            ("cef_severity", "10"),
            ("src", "10.0.0.1"),
            ("msg", "two words=x"),
            ("suser", "jane"),
        ] {
            assert_eq!(parsed.get(name).unwrap().as_text(), value, "{name}");
        }
    }

    #[test]
    fn what_is_no_cef_is_not_taken() {
        for line in
            ["", "CEF:0|a|b", "CEF:0|a|b|c|d|e|loud|", "CEF:0|a|b|c|d|e|11|", "CEF:0|a|b|c|d|e|1|text"]
        {
            assert!(Cef.parse(line, Timestamp::now()).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_disturbs(line in ".{0,200}") {
            Cef.parse(&line, Timestamp::now());
            Cef.parse(&format!("CEF:0|a|b|c|d|e|1|{line}"), Timestamp::now());
        }
    }
}
