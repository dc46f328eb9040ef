//! Access logs by the format string of the web server itself, compiled into steps: a value, and the text that ends it.
//!
//! [`nginx`](super::nginx) and [`apache`](super::apache) translate their strings into the same steps and the same names.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use metlog_core::Timestamp;

use super::{
    Parse,
    parsed::{Field, Parsed},
    time::TimeFormat,
};

/// A compiled access log format.
#[derive(Debug, Clone)]
pub struct Access {
    lead: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    name: String,
    kind: Kind,
    /// The text after the value.
    until: Until,
}

/// The text that ends a value; empty at the end of the line.
#[derive(Debug, Clone, Default)]
struct Until {
    text: String,
    /// Its first eight bytes, and which of them there are: one comparison instead of a call for each value of a line.
    word: u64,
    mask: u64,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A number of units of which there are so many in a second; the field is in seconds.
    Fraction(f64),
    /// When it happened.
    Time(TimeFormat),
    /// `GET /path HTTP/1.1`.
    Request,
    /// Passed over.
    Skip,
}

/// One part of a format string.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text that stands in every line.
    Literal(String),
    /// A value.
    Value(String, Kind),
}

impl Access {
    /// A format of these parts.
    ///
    /// # Errors
    /// When there is no value, or nothing separates two.
    pub fn new(parts: Vec<Part>) -> Result<Self, String> {
        let mut lead = String::new();
        let mut steps: Vec<Step> = Vec::new();
        for part in parts {
            match (part, steps.last_mut()) {
                (Part::Literal(text), None) => lead.push_str(&text),
                (Part::Literal(text), Some(last)) => last.until.push(&text),
                (Part::Value(name, _), Some(last)) if last.until.text.is_empty() => {
                    return Err(format!("nothing separates {} and {name}", last.name));
                }
                (Part::Value(name, kind), _) => steps.push(Step { name, kind, until: Until::default() }),
            }
        }
        if steps.is_empty() {
            return Err("has no variable".to_owned());
        }
        Ok(Self { lead, steps })
    }
}

impl Parse for Access {
    fn parse<'a>(&'a self, line: &'a str, now: Timestamp) -> Option<Parsed<'a>> {
        let mut rest = line.strip_prefix(self.lead.as_str())?;
        // Looked for once in the whole line, not once in each value.
        let is_escaped = memchr(b'\\', line.as_bytes()).is_some();
        let mut parsed = Parsed { fields: Vec::with_capacity(self.steps.len() + 3), ..Parsed::default() };
        for step in &self.steps {
            let (value, after) = step.until.split(rest)?;
            rest = after;
            // A value that the server does not have is written as a dash.
            if value.is_empty() || value == "-" {
                continue;
            }
            match &step.kind {
                Kind::Text if is_escaped => parsed.add(&step.name, Field::Text(unescape(value))),
                Kind::Text => parsed.add(&step.name, Field::text(value)),
                Kind::Request if is_escaped => request(unescape(value), &mut parsed),
                Kind::Request => request(Cow::Borrowed(value), &mut parsed),
                Kind::Number => parsed.add(&step.name, Field::number(value)),
                Kind::Fraction(per_second) => parsed.add(&step.name, fraction(value, *per_second)),
                // A line whose time cannot be read is of another format.
                Kind::Time(format) => parsed.timestamp = Some(format.read_text(value, now)?),
                Kind::Skip => {}
            }
        }
        rest.is_empty().then_some(parsed)
    }
}

/// A number of units as seconds; what is no number stays as it is.
fn fraction(value: &str, per_second: f64) -> Field<'_> {
    match value.parse::<f64>() {
        Ok(units) if units.is_finite() => Field::Float(units / per_second),
        _ => Field::text(value),
    }
}

/// Method, path and protocol; a request that is none of that (`\x16\x03`, half a line) stays whole.
fn request<'a>(value: Cow<'a, str>, parsed: &mut Parsed<'a>) {
    if let Cow::Borrowed(text) = value
        && let Some((method, rest)) = text.split_once(' ')
        && let Some((uri, protocol)) = rest.rsplit_once(' ')
    {
        parsed.add("request_method", Field::text(method));
        parsed.add("request_uri", Field::text(uri));
        parsed.add("server_protocol", Field::text(protocol));
    } else {
        parsed.add("request", Field::Text(value.clone()));
    }
    parsed.payload = Some(value);
}

impl Until {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        for (place, byte) in self.text.bytes().take(8).enumerate() {
            self.word |= u64::from(byte) << (place * 8);
            self.mask |= 0xff << (place * 8);
        }
    }

    /// The value before it, and what comes after it.
    fn split<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let Some(first) = self.text.as_bytes().first() else { return Some((text, "")) };
        let mut from = 0;
        loop {
            let tail = text.as_bytes().get(from..)?;
            // A quoted value ends at a quote that is not escaped.
            let at = from + if *first == b'"' { quote(tail)? } else { memchr(*first, tail)? };
            if self.starts(text.as_bytes().get(at..)?) {
                return Some((text.get(..at)?, text.get(at + self.text.len()..)?));
            }
            from = at + 1;
        }
    }

    #[inline]
    fn starts(&self, text: &[u8]) -> bool {
        match text.first_chunk() {
            Some(chunk) if self.text.len() <= 8 => (u64::from_le_bytes(*chunk) ^ self.word) & self.mask == 0,
            _ => text.starts_with(self.text.as_bytes()),
        }
    }
}

fn quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// What the server has escaped: `\x22` (nginx, Apache), `\"`, `\\`, `\n` (Apache), `\u0022` (nginx with `escape=json`).
pub fn unescape(text: &str) -> Cow<'_, str> {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (mark, after) = rest.split_first().unwrap_or((&b'\\', &[]));
        rest = after;
        match mark {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'x' | b'u' => match hex(rest, if *mark == b'x' { 2 } else { 4 }) {
                Some((code, after)) => {
                    rest = after;
                    push_code(&mut out, *mark, code);
                }
                None => out.extend_from_slice(&[b'\\', *mark]),
            },
            other => out.push(*other),
        }
    }
    Cow::Owned(
        String::from_utf8(out).unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()),
    )
}

/// `\x` writes a byte, `\u` a character.
fn push_code(out: &mut Vec<u8>, mark: u8, code: u32) {
    match u8::try_from(code) {
        Ok(byte) if mark == b'x' => out.push(byte),
        _ => {
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn hex(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (code, rest) = text.split_at_checked(digits)?;
    let code =
        std::str::from_utf8(code).ok().filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(code, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formatter::nginx;

    #[test]
    fn escapes_of_both_servers_are_undone() {
        for (text, expected) in [
            ("plain", "plain"),
            (r"a\x22b", "a\"b"),
            (r#"a\"b\\"#, "a\"b\\"),
            (r"\xC3\xA4\u00e4", "ää"),
            (r"\t\n", "\t\n"),
            (r"\xZZ\x", r"\xZZ\x"),
            (r"\xff", "\u{fffd}"),
            ("\\", "\\"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_of_another_shape_is_not_taken() {
        let access = nginx::compile("combined").unwrap();
        for line in [
            "",
            "-",
            "1.2.3.4 - - [",
            "hello world",
            "1.2.3.4 - - [bad time] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"",
            "1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" more",
        ] {
            assert_eq!(access.parse(line, Timestamp::now()), None, "{line}");
        }
    }

    proptest! {
        /// Whatever the values hold, once escaped they come out as they were.
        #[test]
        fn values_survive_the_way_through_a_line(
            values in prop::collection::vec("[ -~äöü]{1,20}", 4),
            status in 100..600_i64,
        ) {
            let quoted: Vec<String> = values.iter().map(|value| format!("a{}", escape(value))).collect();
            let line = format!(
                "10.0.0.1 - jane [10/Oct/2000:13:55:36 -0700] \"{}\" {status} 17 \"{}\" \"{}\"",
                quoted[0].replace(' ', "_"), quoted[1], quoted[2],
            );
            let access = nginx::compile("combined").unwrap();
            let parsed = access.parse(&line, Timestamp::now()).unwrap();
            let text = |name: &str| parsed.get(name).unwrap().as_text().into_owned();
            prop_assert_eq!(text("request"), format!("a{}", values[0].replace(' ', "_")));
            prop_assert_eq!(text("http_referer"), format!("a{}", &values[1]));
            prop_assert_eq!(text("http_user_agent"), format!("a{}", &values[2]));
            prop_assert_eq!(parsed.get("status"), Some(&Field::Int(status)));
        }

        #[test]
        fn no_line_disturbs(line in ".{0,200}") {
            let _whatever = nginx::compile("combined").unwrap().parse(&line, Timestamp::now());
        }
    }

    /// As nginx does.
    fn escape(value: &str) -> String {
        let escaped = value.bytes().map(|byte| match byte {
            b'"' | b'\\' | 127.. | 0..32 => format!("\\x{byte:02X}"),
            byte => char::from(byte).to_string(),
        });
        escaped.collect()
    }
}
