//! Cuts bytes into records: lines, or several lines that belong together.

use std::borrow::Cow;

use memchr::memchr;
use schemars::JsonSchema;
use serde::Deserialize;

use super::multiline::Joiner;

/// How text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Charset {
    /// What is no UTF-8 is replaced.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// ISO 8859-1: every byte is a character.
    #[serde(rename = "latin-1")]
    Latin1,
}

impl Charset {
    /// The text, and whether all of it could be read.
    pub fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        match (self, std::str::from_utf8(bytes)) {
            (Self::Utf8, Ok(text)) => (Cow::Borrowed(text), true),
            (Self::Utf8, Err(_)) => (String::from_utf8_lossy(bytes), false),
            (Self::Latin1, _) => (bytes.iter().map(|byte| char::from(*byte)).collect(), true),
        }
    }
}

/// What bounds a record.
#[derive(Debug)]
pub struct Splitter {
    /// A record is at most so long; what is longer is cut.
    pub max_bytes: usize,
    /// Which lines belong together.
    pub joiner: Option<Joiner>,
}

/// What stands at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A record: how long its content is, how far it goes with its line's end, and whether it was cut.
    Record {
        /// Bytes of the content.
        content: usize,
        /// Bytes to go on after.
        end: usize,
        /// True when it was longer: the rest up to the line's end is to be passed over.
        is_cut: bool,
    },
    /// Its end has not come yet.
    Unfinished,
}

impl Splitter {
    /// The record at the front. `is_last` says that nothing will follow these bytes, `has_waited` that nothing has come for a
    /// while: then lines that could be continued are not held back any longer.
    pub fn next(&self, bytes: &[u8], is_last: bool, has_waited: bool) -> Found {
        let Some(mut end) = line_end(bytes) else { return self.unterminated(bytes, is_last) };
        if end > self.max_bytes {
            return Found::Record { content: self.max_bytes, end: self.max_bytes, is_cut: true };
        }
        let Some(joiner) = &self.joiner else { return whole(bytes, end) };
        let mut state = joiner.first(line(bytes, 0, end));
        loop {
            let rest = bytes.get(end..).unwrap_or_default();
            // The last line of all needs no end.
            let last = (is_last && !rest.is_empty()).then_some(rest.len());
            let Some(length) = line_end(rest).or(last) else {
                // What follows may belong to it as well.
                return if is_last || has_waited {
                    whole(bytes, end)
                } else {
                    self.bounded(bytes, end, rest.len())
                };
            };
            let next = end + length;
            if next > self.max_bytes || !joiner.joins(&mut state, line(bytes, end, next)) {
                return whole(bytes, end);
            }
            end = next;
        }
    }

    /// Lines that are held back, unless what has come after them is too long to belong to them.
    fn bounded(&self, bytes: &[u8], end: usize, rest: usize) -> Found {
        if end + rest > self.max_bytes { whole(bytes, end) } else { Found::Unfinished }
    }

    fn unterminated(&self, bytes: &[u8], is_last: bool) -> Found {
        if bytes.len() > self.max_bytes {
            return Found::Record { content: self.max_bytes, end: self.max_bytes, is_cut: true };
        }
        if is_last && !bytes.is_empty() {
            return Found::Record { content: bytes.len(), end: bytes.len(), is_cut: false };
        }
        Found::Unfinished
    }
}

/// The record up to `end`, without its line's end.
fn whole(bytes: &[u8], end: usize) -> Found {
    let content = line(bytes, 0, end).len();
    Found::Record { content, end, is_cut: false }
}

/// Bytes of the first line with its end.
pub fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', bytes).map(|at| at + 1)
}

/// The lines from `start` to `end`, without the last line's end.
fn line(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    let line = bytes.get(start..end).unwrap_or_default();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::files::multiline::{MultilineConfig, Preset};

    fn split(splitter: &Splitter, mut bytes: &[u8], is_last: bool) -> (Vec<(String, bool)>, usize) {
        let mut records = Vec::new();
        while let Found::Record { content, end, is_cut } = splitter.next(bytes, is_last, false) {
            records.push((String::from_utf8_lossy(&bytes[..content]).into_owned(), is_cut));
            bytes = &bytes[end..];
            if is_cut {
                bytes = &bytes[line_end(bytes).unwrap_or(bytes.len())..];
            }
        }
        (records, bytes.len())
    }

    #[test]
    fn lines_end_where_they_end_and_long_ones_are_cut() {
        let splitter = Splitter { max_bytes: 8, joiner: None };
        for (text, is_last, expected, left) in [
            ("a\nb\r\n\nc", false, vec![("a", false), ("b", false), ("", false)], 1),
            ("a\nb", true, vec![("a", false), ("b", false)], 0),
            (
                "0123456\n01234567\n89\n",
                false,
                vec![("0123456", false), ("01234567", true), ("89", false)],
                0,
            ),
            ("0123456789", false, vec![("01234567", true)], 0),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(line, cut)| (line.to_owned(), cut)).collect();
            assert_eq!(split(&splitter, text.as_bytes(), is_last), (expected, left), "{text:?}");
        }
    }

    #[test]
    fn lines_that_can_be_continued_are_held_back_until_nothing_has_come_for_a_while() {
        let joiner = MultilineConfig { preset: Some(Preset::Java), ..MultilineConfig::default() }
            .compile("m")
            .unwrap();
        let splitter = Splitter { max_bytes: 100, joiner: Some(joiner) };
        let text = b"Error: x\n\tat a\n\tat b\nnext\n";
        assert_eq!(splitter.next(text, false, false), Found::Record { content: 20, end: 21, is_cut: false });
        assert_eq!(splitter.next(&text[21..], false, false), Found::Unfinished);
        assert_eq!(
            splitter.next(&text[21..], false, true),
            Found::Record { content: 4, end: 5, is_cut: false }
        );
        assert_eq!(
            splitter.next(&text[21..], true, false),
            Found::Record { content: 4, end: 5, is_cut: false }
        );
    }

    #[test]
    fn charsets_never_fail() {
        assert_eq!(Charset::Utf8.decode("grün".as_bytes()), ("grün".into(), true));
        assert_eq!(Charset::Utf8.decode(b"gr\xfcn"), ("gr\u{fffd}n".into(), false));
        assert_eq!(Charset::Latin1.decode(b"gr\xfcn"), ("grün".into(), true));
    }

    proptest! {
        /// Whatever arrives in whatever pieces: the same records as if it were there at once.
        #[test]
        fn pieces_do_not_change_the_records(text in "[ab\n ]{0,60}", cut in 0..60_usize, multiline in any::<bool>()) {
            let joiner = multiline.then(|| {
                MultilineConfig { continuation: Some("^ ".to_owned()), ..MultilineConfig::default() }.compile("m").unwrap()
            });
            let splitter = Splitter { max_bytes: 12, joiner };
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let (mut first, left) = split(&splitter, &bytes[..cut], false);
            prop_assume!(first.iter().all(|(_, is_cut)| !is_cut));
            let (second, _) = split(&splitter, &bytes[cut - left..], true);
            first.extend(second);
            prop_assert_eq!(first, split(&splitter, bytes, true).0);
        }
    }
}
