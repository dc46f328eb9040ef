//! Paths that depend on the time and on the message.

use std::path::{Path, PathBuf};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use metlog_core::Message;
use metlog_pipeline::template::Template;

use crate::output::OutputError;

/// What a message can put into a path: no longer than this.
const MAX_WORD: usize = 64;

/// A path, taken apart.
#[derive(Debug, Clone)]
pub(super) struct PathTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    /// As it is, but for what the time fills in.
    Text(String),
    /// From the message.
    Field(String, Template),
}

impl PathTemplate {
    /// Reads the setting `path`.
    pub(super) fn parse(path: &Path) -> Result<Self, OutputError> {
        let Some(text) = path.to_str() else {
            return Err(OutputError::setting("path", "is no UTF-8"));
        };
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, after)) = rest.split_once('%') {
            plain.push_str(before);
            match after.split_once('%').filter(|(name, _)| is_field(name)) {
                Some((name, behind)) => {
                    let template = Template::parse(&format!("%{name}%"))
                        .map_err(|error| OutputError::setting("path", error))?;
                    parts.extend([
                        Part::Text(std::mem::take(&mut plain)),
                        Part::Field(name.to_owned(), template),
                    ]);
                    rest = behind;
                }
                None => {
                    let mut letters = after.chars();
                    plain.push('%');
                    plain.extend(letters.next());
                    rest = letters.as_str();
                }
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        let parsed = Self { parts };
        parsed.timed(Timestamp::UNIX_EPOCH).map_err(|error| OutputError::setting("path", error))?;
        Ok(parsed)
    }

    /// The one path that all messages have, when they say nothing to it.
    pub(super) fn fixed(&self, now: Timestamp) -> Option<PathBuf> {
        match self.parts.as_slice() {
            [Part::Text(text)] => at(text, now).ok().map(PathBuf::from),
            _ => None,
        }
    }

    /// All that the time fills in: another one means other files.
    pub(super) fn timed(&self, now: Timestamp) -> Result<String, String> {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => at(text, now),
            Part::Field(..) => Ok("\0".to_owned()),
        });
        texts.collect()
    }

    /// Where a message goes.
    pub(super) fn fill(&self, message: &Message, now: Timestamp) -> Result<PathBuf, String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(&at(text, now)?),
                Part::Field(name, template) => {
                    let mut word = String::new();
                    if !template.fill_from(message, &mut word) || word.is_empty() {
                        return Err(format!("the message has no {name}, for which path asks"));
                    }
                    push_word(&word, &mut path);
                }
            }
        }
        Ok(PathBuf::from(path))
    }
}

/// Longer than one letter: that stands for a part of the time.
fn is_field(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._".contains(letter))
}

/// The text with the time filled in.
fn at(text: &str, now: Timestamp) -> Result<String, String> {
    strtime::format(text, &now.to_zoned(TimeZone::UTC)).map_err(|error| format!("{text:?}: {error}"))
}

/// No separator and no leading dot: what a message says stays one name, and is neither hidden nor a way up.
fn push_word(word: &str, path: &mut String) {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let begins = path.is_empty() || path.ends_with('/');
    for (position, letter) in word.chars().take(MAX_WORD).enumerate() {
        let is_dot = letter == '.' && !(begins && position == 0);
        path.push(if allowed(letter) || is_dot { letter } else { '_' });
    }
}

#[cfg(test)]
mod tests {
    use metlog_core::wire::json::from_json;

    use super::*;

    fn filled(path: &str, kind: &str) -> Result<String, String> {
        let mut message = from_json(br#"{"type":"t","fields":{"user":"ada","a":{"b":7}}}"#).unwrap().message;
        message.kind = kind.to_owned();
        let now = "2026-11-02T03:04:05Z".parse().unwrap();
        let path = PathTemplate::parse(Path::new(path)).unwrap().fill(&message, now)?;
        Ok(path.to_str().unwrap().to_owned())
    }

    #[test]
    fn time_and_message_fill_a_path() {
        for (path, expected) in [
            ("/log/a.jsonl", "/log/a.jsonl"),
            ("/log/%Y-%m-%d/%H.jsonl", "/log/2026-11-02/03.jsonl"),
            ("/log/%Y%m%d-%Type%.log", "/log/20261102-t.log"),
            ("/log/%user%/%a.b%%H", "/log/ada/703"),
            ("/log/100%%", "/log/100%"),
        ] {
            assert_eq!(filled(path, "t").as_deref(), Ok(expected), "{path}");
        }
        assert_eq!(
            filled("/log/%gone%", "t"),
            Err("the message has no gone, for which path asks".to_owned())
        );
        assert_eq!(filled("/log/%Type%", ""), Err("the message has no Type, for which path asks".to_owned()));
    }

    #[test]
    fn what_a_message_says_stays_one_name() {
        let long = "x".repeat(100);
        for (kind, expected) in [
            ("../../etc/passwd", "/log/_._.._etc_passwd"),
            ("..", "/log/_."),
            (".hidden", "/log/_hidden"),
            ("a.b-c_d", "/log/a.b-c_d"),
            ("a\u{0}b\nc%Yd\u{e9}", "/log/a_b_c_Yd_"),
            (long.as_str(), "/log/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ] {
            assert_eq!(filled("/log/%Type%", kind).as_deref(), Ok(expected), "{kind}");
        }
    }

    #[test]
    fn a_directive_that_does_not_exist_is_refused() {
        let error = PathTemplate::parse(Path::new("/log/%!")).unwrap_err().to_string();
        assert!(error.starts_with("path: \"/log/%!\": "), "{error}");
    }
}
