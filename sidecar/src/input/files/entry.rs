//! A record of a log file as a message: formatted, or whole.

use std::borrow::Cow;

use metlog_core::{
    ENV_VERSION, Error, Fields, Message, Timestamp, Value,
    wire::{batch::Builder, record::Head},
};

use crate::formatter::{Field, Formatter, Origin, Parsed};

/// The type of a line that no formatter has named otherwise; it is Heka's.
pub const TYPE: &str = "logfile";

/// The field that marks a line which no formatter took.
pub const UNFORMATTED: &str = "unformatted";

/// The field that marks a line which was longer than the bound.
pub const CUT: &str = "cut";

/// The message of a line: by the first formatter that takes it, else the line itself; then the second part is true, when
/// there were formatters.
pub fn parse<'a>(
    line: &'a str,
    formatters: &'a [Formatter],
    now: Timestamp,
    origin: &Origin<'_>,
) -> (Parsed<'a>, bool) {
    let formatted = formatters.iter().find_map(|formatter| formatter.format(line, now, origin));
    if let Some(parsed) = formatted {
        return (parsed, false);
    }
    let mut whole = Parsed { payload: Some(Cow::Borrowed(line)), ..Parsed::default() };
    if !formatters.is_empty() {
        whole.add(UNFORMATTED, Field::Other(Value::Bool(true)));
    }
    (whole, !formatters.is_empty())
}

/// Adds the message to a batch. `logger` is that of lines that name none, `now` when the line was read.
///
/// # Errors
/// When the message is too big; the batch has counted it.
pub fn push(batch: &mut Builder, parsed: &Parsed<'_>, logger: &str, now: Timestamp) -> Result<(), Error> {
    let head = Head {
        kind: parsed.kind.as_deref().unwrap_or(TYPE),
        severity: parsed.severity.unwrap_or_default(),
        logger: parsed.logger.as_deref().unwrap_or(logger),
        timestamp: parsed.timestamp.unwrap_or(now),
    };
    if parsed.hostname.is_none() && parsed.pid.is_none() {
        return batch.push_with(&head, None, |out| parsed.encode(out));
    }
    let header = batch.header_mut();
    let hostname = header.hostname.clone();
    let own = metlog_core::wire::record::Identity {
        hostname: &hostname,
        pid: header.pid,
        env_version: ENV_VERSION,
    };
    batch.push_with(&head, parsed.identity(own).as_ref(), |out| parsed.encode(out))
}

/// The same as an owned message, for tests and for people.
#[must_use]
pub fn message(parsed: &Parsed<'_>, logger: &str, now: Timestamp, hostname: &str) -> Message {
    let value = |field: &Field<'_>| match field {
        Field::Text(text) => Value::from(text.as_ref()),
        Field::Int(int) => Value::from(*int),
        Field::Float(float) => Value::from(*float),
        Field::Other(value) => value.clone(),
    };
    Message {
        kind: parsed.kind.as_deref().unwrap_or(TYPE).to_owned(),
        timestamp: parsed.timestamp.unwrap_or(now),
        logger: parsed.logger.as_deref().unwrap_or(logger).to_owned(),
        severity: parsed.severity.unwrap_or_default(),
        payload: parsed.payload.as_deref().unwrap_or_default().into(),
        fields: parsed.fields.iter().map(|(name, field)| (name.as_ref(), value(field))).collect::<Fields>(),
        env_version: ENV_VERSION.to_owned(),
        pid: parsed.pid.unwrap_or_default(),
        hostname: parsed.hostname.as_deref().unwrap_or(hostname).to_owned(),
    }
}
