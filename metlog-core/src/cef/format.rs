//! Makes the line of a CEF event.
//!
//! | part | escapes |
//! |---|---|
//! | header: version, vendor, product, device version, signature, name, severity | backslash before the pipe, the backslash, LF and CR ([`HeaderBreaks`]) |
//! | values of the extension | backslash before `=` and the backslash; LF and CR become backslash-n and backslash-r |
//! | keys of the extension | what is not of `A-Z a-z 0-9 _ . -` becomes `?` |
//! | reporting host | white space, control characters, pipes and backslashes become `?` |

use std::{borrow::Cow, fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use jiff::{civil::DateTime, tz::TimeZone};

use super::{Event, escape};
use crate::{process, timestamp::Timestamp};

/// Keys and values are added to a line as long as it stays within this many bytes, the limit of a syslog line
/// (RFC 3164 section 4.1).
pub const MAX_LINE_BYTES: usize = 1_024;

/// Keys that the line has anyway: they are never added again.
const RESERVED: [&str; 7] = ["cs1Label", "cs1", "requestMethod", "request", "src", "dhost", "suser"];

/// Not `strftime`: a collector expects these names whatever the locale of the application.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How a line break in the header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderBreaks {
    /// A backslash and the break itself, as the original library has it. The header is the application's own text.
    #[default]
    Escaped,
    /// `\n` and `\r` as text: the line is one line whatever the application puts into the header.
    Text,
}

/// A line and what the application should be told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formatted {
    /// The line, without a line break at its end.
    pub line: String,
    /// For the logger `CEF`, in order.
    pub warnings: Vec<Warning>,
}

/// What is wrong with an event that was formatted all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// From this key on the extras are left out.
    TooBig {
        /// The first key that did not fit.
        key: String,
        /// How many were left out, this one counted.
        left_out: usize,
    },
    /// A key has characters that are not allowed in one; they became `?`.
    IllegalKey(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig { key, left_out } => write!(
                f,
                "CEF Message too big. {left_out} keys left out from \"{key}\" on, a line has {MAX_LINE_BYTES} bytes"
            ),
            Self::IllegalKey(key) => write!(f, "The \"{key}\" key contains illegal characters"),
        }
    }
}

/// The time zone of this process, read at its first line and kept.
///
/// jiff's own copy is behind a lock and read again every five minutes: a child forked while another thread was at it would
/// then wait for ever. A child takes over what its parent has read.
static ZONE: ArcSwapOption<TimeZone> = ArcSwapOption::const_empty();

fn zone() -> Arc<TimeZone> {
    ZONE.load_full().unwrap_or_else(|| {
        let zone = Arc::new(TimeZone::system());
        ZONE.store(Some(Arc::clone(&zone)));
        zone
    })
}

/// The line of `event` as of `at`, in the local time of this process: a change of the system's time zone shows after a
/// restart.
#[must_use]
pub fn format(event: &Event<'_>, at: Timestamp) -> Formatted {
    let instant = jiff::Timestamp::from_second(at.as_seconds()).unwrap_or_default();
    format_at(event, instant.to_zoned(TimeZone::clone(&zone())).datetime())
}

fn format_at(event: &Event<'_>, at: DateTime) -> Formatted {
    let mut line = Values::of(event).line(at, event.header_breaks);
    let warnings = add_extras(&mut line, event.extras);
    Formatted { line, warnings }
}

/// Everything the line shows before the extras, with what the extras replace.
struct Values<'a> {
    host: Cow<'a, str>,
    header: [Cow<'a, str>; 7],
    extension: [(&'static str, Cow<'a, str>); 6],
}

impl<'a> Values<'a> {
    fn of(event: &'a Event<'a>) -> Self {
        let replaced = |name: &str| {
            let last = event.extras.iter().rev().find(|(key, _)| *key == name);
            last.map(|(_, value)| Cow::Borrowed(*value))
        };
        let text = |name: &str, own: &'a str| replaced(name).unwrap_or(Cow::Borrowed(own));
        let given = |name: &str, own: &'a Option<Cow<'a, str>>, absent: &'static str| {
            replaced(name).unwrap_or_else(|| own.as_deref().unwrap_or(absent).into())
        };
        let (device, request) = (event.device, &event.request);
        Self {
            host: replaced("host")
                .or(event.host.map(Into::into))
                .unwrap_or_else(|| process::hostname().into()),
            header: [
                text("version", &device.version),
                text("vendor", &device.vendor),
                text("product", &device.product),
                text("device_version", &device.device_version),
                text("signature", event.signature.unwrap_or(event.name)),
                text("name", event.name),
                replaced("severity").unwrap_or_else(|| event.severity.to_string().into()),
            ],
            extension: [
                ("cs1", given("user_agent", &request.user_agent, "none")),
                ("requestMethod", given("method", &request.method, "")),
                ("request", given("url", &request.path, "")),
                ("src", given("source", &request.source, "None")),
                ("dhost", given("dest", &request.host, "none")),
                ("suser", text("suser", event.username)),
            ],
        }
    }

    fn line(&self, at: DateTime, breaks: HeaderBreaks) -> String {
        let month = usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
        let mut line = format!(
            "{month} {:02} {:02}:{:02}:{:02} {} CEF:",
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            escape::host(&self.host)
        );
        for value in &self.header {
            escape::header(value, breaks, &mut line);
            line.push('|');
        }
        line.push_str("cs1Label=requestClientApplication");
        for (key, value) in &self.extension {
            line.extend([" ", key, "="]);
            escape::extension(value, &mut line);
        }
        line
    }
}

/// Adds the extras, short ones first, until one does not fit.
fn add_extras(line: &mut String, extras: &[(&str, &str)]) -> Vec<Warning> {
    let mut extras: Vec<_> = extras.iter().filter(|(key, _)| !RESERVED.contains(key)).collect();
    extras.sort_by_key(|(key, value)| (value.chars().count(), key.chars().count(), *key, *value));
    let mut warnings = Vec::new();
    for (added, (key, value)) in extras.iter().enumerate() {
        let clean = escape::key(key);
        let before = line.len();
        line.extend([" ", &clean, "="]);
        escape::extension(value, line);
        if line.len() > MAX_LINE_BYTES {
            line.truncate(before);
            warnings.push(Warning::TooBig { key: clean, left_out: extras.len() - added });
            return warnings;
        }
        if clean != *key {
            warnings.push(Warning::IllegalKey((*key).to_owned()));
        }
    }
    warnings
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
