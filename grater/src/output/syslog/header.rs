//! What stands before a line: priority, time, host and program, in the two forms that servers know.
//!
//! ```text
//! RFC 5424  <PRI>1 2026-11-22T11:00:00.123456Z host program pid type - line
//! RFC 3164  <PRI>Nov 22 11:00:00 host program[pid]: line
//! ```

use std::fmt::Write as _;

use metlog_core::{Fields, Message, Severity, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::SyslogFormat;

/// Which part of a system speaks (RFC 5424, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Facility(u8);

/// As the original router had it.
impl Default for Facility {
    fn default() -> Self {
        Self(20)
    }
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

impl TryFrom<String> for Facility {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        position(&FACILITIES, &text)
            .map(Self)
            .ok_or_else(|| format!("facility {text:?} is unknown, expected one of {}", FACILITIES.join(", ")))
    }
}

fn position(names: &[&str], name: &str) -> Option<u8> {
    let position = names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    u8::try_from(position).ok()
}

/// Who speaks, and how loudly.
pub(super) struct Speaker<'a> {
    facility: u8,
    severity: u8,
    ident: &'a str,
}

impl<'a> Speaker<'a> {
    /// Of any message: its own severity.
    pub(super) fn of(message: &'a Message, facility: Facility, ident: &'a str) -> Self {
        let named = [ident, &message.logger].into_iter().find(|name| !name.is_empty());
        Self { facility: facility.0, severity: message.severity.as_u8(), ident: named.unwrap_or("metlog") }
    }

    /// Of a CEF event: what its `cef_meta` says; a name that is unknown there counts as not given, and is named.
    pub(super) fn of_cef(
        message: &'a Message,
        facility: Facility,
        ident: &'a str,
    ) -> (Self, Option<&'a str>) {
        let mut speaker =
            Self { severity: Severity::INFORMATIONAL.as_u8(), ..Self::of(message, facility, ident) };
        let Some(Value::Map(meta)) = message.fields.get("cef_meta") else { return (speaker, None) };
        let mut unknown = None;
        let mut look_up = |names: &[&str], key| {
            let given = text(meta, key)?;
            let found = position(names, given);
            if found.is_none() {
                unknown = Some(given);
            }
            found
        };
        speaker.facility = look_up(&FACILITIES, "syslog_facility").unwrap_or(speaker.facility);
        speaker.severity = look_up(&PRIORITIES, "syslog_priority").unwrap_or(speaker.severity);
        speaker.ident = text(meta, "syslog_ident").unwrap_or(speaker.ident);
        (speaker, unknown)
    }

    /// Writes what stands before the line.
    pub(super) fn write(&self, message: &Message, format: SyslogFormat, out: &mut String) {
        let priority = u16::from(self.facility) * 8 + u16::from(self.severity);
        let _written = write!(out, "<{priority}>");
        match format {
            SyslogFormat::Rfc5424 => {
                let _written = write!(out, "1 {} ", message.timestamp);
                push_word(out, &message.hostname, 255);
                push_word(out, self.ident, 48);
                push_word(out, &pid(message), 128);
                push_word(out, &message.kind, 32);
                out.push_str("- ");
            }
            SyslogFormat::Rfc3164 => {
                let _written = write!(out, "{} ", local_time(message));
                push_word(out, &message.hostname, 255);
                push_tag(out, self.ident);
                if message.pid > 0 {
                    let _written = write!(out, "[{}]", message.pid);
                }
                out.push_str(": ");
            }
        }
    }
}

fn text<'a>(fields: &'a Fields, key: &str) -> Option<&'a str> {
    fields.get(key)?.as_text().filter(|text| !text.is_empty())
}

fn pid(message: &Message) -> String {
    if message.pid > 0 { message.pid.to_string() } else { String::new() }
}

/// `Nov  2 11:00:00` where this process runs: RFC 3164 knows no zone.
fn local_time(message: &Message) -> String {
    let instant =
        jiff::Timestamp::from_nanosecond(i128::from(message.timestamp.as_nanos())).unwrap_or_default();
    instant.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string()
}

/// A word of RFC 5424's header: printable ASCII without blanks, `-` when there is none.
fn push_word(out: &mut String, word: &str, most: usize) {
    if word.is_empty() {
        out.push('-');
    }
    let printable = |letter: char| if letter.is_ascii_graphic() { letter } else { '_' };
    out.extend(word.chars().take(most).map(printable));
    out.push(' ');
}

/// RFC 3164's tag ends at the first character that is neither letter nor digit: servers take a few more.
fn push_tag(out: &mut String, ident: &str) {
    let plain = |letter: char| match letter {
        '-' | '_' | '.' | '/' => letter,
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '_',
    };
    out.extend(ident.chars().take(32).map(plain));
}
