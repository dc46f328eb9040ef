//! The payload of a `sentry` message as the original client made it: `base64(zlib(JSON))` of an event of Sentry's
//! protocol 2, which existing Sentry outputs pass on as it is.
//!
//! What the protocol had no place for goes under `extra`: the causes of the exception as `causes`, each with its own
//! type, module, value and frames; the number of frames left out as `frames_left_out`. Frames have the protocol's `colno`
//! and `in_app` where the language tells them, as the original's had not.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Event, Exception, Frame};
use crate::{
    error::{Error, ErrorKind},
    value::{Fields, Value},
};

/// The compression the original used.
const LEVEL: u8 = 6;

/// JSON that a reader accepts: several times what [`super::bound`] lets out.
const MAX_DECODED_BYTES: usize = 8 * 1024 * 1024;

/// Who sends an event.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The logger the caller named.
    pub logger: Option<&'a str>,
    /// Metlog's severity.
    pub severity: u8,
    /// The host.
    pub hostname: &'a str,
    /// The project of the DSN; 1 when there is none.
    pub project: Option<&'a str>,
}

/// The payload for an event that has been through [`super::bound::tidy`].
///
/// # Errors
/// `Io` when the system has no randomness for the event's id or the JSON cannot be written.
pub fn payload(event: &Event, about: &About<'_>) -> Result<String, Error> {
    let json = serde_json::to_vec(&SentryEvent::of(event, about)?)
        .map_err(|source| Error::new(ErrorKind::Io, format!("cannot write an event: {source}")))?;
    Ok(BASE64.encode(miniz_oxide::deflate::compress_to_vec_zlib(&json, LEVEL)))
}

/// The event in a payload.
///
/// # Errors
/// `Malformed`, saying which of the three layers is broken, or `TooBig`.
pub fn decode(payload: &str) -> Result<Fields, Error> {
    use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
    let packed = BASE64
        .decode(payload)
        .map_err(|source| Error::malformed("payload of a sentry message is no base64").with_source(source))?;
    let json = decompress_to_vec_zlib_with_limit(&packed, MAX_DECODED_BYTES).map_err(|fault| match fault
        .status
    {
        TINFLStatus::HasMoreOutput => Error::new(
            ErrorKind::TooBig,
            format!("event of a sentry message is over {MAX_DECODED_BYTES} bytes"),
        ),
        _ => Error::malformed("payload of a sentry message is no zlib stream"),
    })?;
    serde_json::from_slice(&json)
        .map_err(|source| Error::malformed("event of a sentry message is no JSON object").with_source(source))
}

#[derive(Serialize)]
struct SentryEvent<'a> {
    checksum: Option<&'a str>,
    culprit: Option<String>,
    event_id: String,
    extra: Extra<'a>,
    level: u16,
    message: String,
    modules: Fields,
    platform: &'a str,
    project: Value,
    #[serde(rename = "sentry.interfaces.Exception")]
    exception: Option<Kind<'a>>,
    #[serde(rename = "sentry.interfaces.Stacktrace")]
    stacktrace: Stacktrace<'a>,
    server_name: &'a str,
    tags: Fields,
    time_spent: Option<f64>,
    timestamp: String,
}

impl<'a> SentryEvent<'a> {
    fn of(event: &'a Event, about: &About<'a>) -> Result<Self, Error> {
        let first = event.chain.first();
        Ok(Self {
            checksum: event.fingerprint.as_deref(),
            culprit: event.place(),
            event_id: event_id()?,
            extra: Extra { event, logger: about.logger, severity: about.severity },
            level: event.level,
            message: event.title(),
            modules: Fields::new(),
            platform: &event.platform,
            project: about.project.map_or(Value::Int(1), Value::from),
            exception: first.map(Kind::of),
            stacktrace: Stacktrace { frames: first.map_or(&[][..], |first| &first.frames) },
            server_name: about.hostname,
            tags: Fields::new(),
            time_spent: None,
            timestamp: seconds(event),
        })
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`.
fn seconds(event: &Event) -> String {
    let text = event.timestamp.to_string();
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

/// A random UUID (version 4) as 32 hexadecimal digits.
fn event_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|source| Error::new(ErrorKind::Io, format!("no randomness for an event's id: {source}")))?;
    let version_and_variant = (0xf << 76) | (0x3 << 62);
    let id = (u128::from_be_bytes(bytes) & !version_and_variant) | (0x4 << 76) | (0x2 << 62);
    Ok(format!("{id:032x}"))
}

#[derive(Serialize)]
struct Kind<'a> {
    r#type: &'a str,
    module: Option<&'a str>,
    value: &'a str,
}

impl<'a> Kind<'a> {
    fn of(exception: &'a Exception) -> Self {
        Self { r#type: &exception.kind, module: exception.module.as_deref(), value: &exception.value }
    }
}

struct Stacktrace<'a> {
    frames: &'a [Frame],
}

impl Serialize for Stacktrace<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let frames: Vec<SentryFrame<'_>> = self.frames.iter().map(SentryFrame::of).collect();
        let mut map = out.serialize_map(Some(1))?;
        map.serialize_entry("frames", &frames)?;
        map.end()
    }
}

#[derive(Serialize)]
struct SentryFrame<'a> {
    abs_path: &'a str,
    filename: &'a str,
    function: Option<&'a str>,
    lineno: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    colno: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_app: Option<bool>,
    module: Option<&'a str>,
    context_line: Option<&'a str>,
    pre_context: &'a [String],
    post_context: &'a [String],
    vars: &'a Fields,
}

impl<'a> SentryFrame<'a> {
    fn of(frame: &'a Frame) -> Self {
        Self {
            abs_path: &frame.file,
            filename: frame.short_file(),
            function: frame.function.as_deref(),
            lineno: frame.line,
            colno: frame.column,
            in_app: frame.in_app,
            module: frame.module.as_deref(),
            context_line: frame.context_line.as_deref(),
            pre_context: &frame.pre_context,
            post_context: &frame.post_context,
            vars: &frame.locals,
        }
    }
}

struct Extra<'a> {
    event: &'a Event,
    logger: Option<&'a str>,
    severity: u8,
}

#[derive(Serialize)]
struct Cause<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    stacktrace: Stacktrace<'a>,
    frames_left_out: usize,
    relation: &'static str,
    parent: usize,
}

impl<'a> Cause<'a> {
    fn of((place, exception): (usize, &'a Exception)) -> Self {
        Self {
            kind: Kind::of(exception),
            stacktrace: Stacktrace { frames: &exception.frames },
            frames_left_out: exception.frames_left_out,
            relation: exception.relation.as_str(),
            parent: exception.parent.unwrap_or(place.saturating_sub(1)),
        }
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("msg", &self.event.message)?;
        map.serialize_entry("logger", &self.logger)?;
        map.serialize_entry("severity", &self.severity)?;
        map.serialize_entry("sys.argv", &self.event.arguments)?;
        let causes: Vec<Cause<'_>> = self.event.chain.iter().enumerate().skip(1).map(Cause::of).collect();
        if !causes.is_empty() {
            map.serialize_entry("causes", &causes)?;
        }
        if let Some(first) = self.event.chain.first().filter(|first| first.frames_left_out > 0) {
            map.serialize_entry("frames_left_out", &first.frames_left_out)?;
        }
        let own = ["msg", "logger", "severity", "sys.argv", "causes", "frames_left_out"];
        for (name, value) in self.event.extra.iter().filter(|(name, _)| !own.contains(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
