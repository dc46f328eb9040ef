//! Security events: what JavaScript says about one, as the core's line.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::collections::HashMap;

use metlog_core::{
    Timestamp,
    cef::{self, CefMeta, Device, Event, Formatted, HeaderBreaks, Level, Request},
    stats::complain,
};
use napi_derive::napi;

/// One event.
#[napi(object)]
pub struct CefEvent {
    /// What happened.
    pub name: String,
    /// How bad it is, by CEF's own measure.
    pub severity: String,
    /// What kind of event it is.
    pub signature: Option<String>,
    /// The user it is about.
    pub username: String,
    /// The request it is about, as a WSGI environment names it.
    pub environ: HashMap<String, String>,
    /// Who reports: `cef.version` and its like.
    pub config: HashMap<String, String>,
    /// More keys and values.
    pub extras: HashMap<String, String>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// How a syslog is to take the lines.
#[napi(object)]
pub struct SyslogSettings {
    /// `syslog_options`.
    pub options: Option<String>,
    /// `syslog_facility`.
    pub facility: Option<String>,
    /// `syslog_ident`.
    pub ident: Option<String>,
    /// `syslog_priority`.
    pub priority: Option<String>,
}

/// The line of an event; what is wrong with the event beside is said on standard error.
#[napi(catch_unwind)]
pub fn cef_line(event: CefEvent) -> napi::Result<String> {
    let device = Device::from_config(|key| event.config.get(key).cloned()).map_err(failed)?;
    let extras: Vec<(&str, &str)> = event.extras.iter().map(|(key, value)| (&**key, &**value)).collect();
    let described = Event {
        device: &device,
        name: &event.name,
        severity: Level::Text(&event.severity),
        signature: event.signature.as_deref(),
        username: &event.username,
        request: Request::from_environ(|key| event.environ.get(key).map(String::as_str)),
        extras: &extras,
        host: None,
        header_breaks: HeaderBreaks::default(),
    };
    let at = Timestamp::from_nanos(event.timestamp.saturating_mul(1_000_000));
    let Formatted { line, warnings } = cef::format(&described, at);
    for warning in warnings {
        complain("cef", &warning.to_string());
    }
    Ok(line)
}

/// Checks the settings of a syslog and gives back the field `cef_meta` as JSON.
#[napi(catch_unwind)]
pub fn cef_meta(settings: SyslogSettings) -> napi::Result<String> {
    let SyslogSettings { options, facility, ident, priority } = settings;
    let meta = CefMeta::new(options.as_deref(), facility.as_deref(), ident.as_deref(), priority.as_deref())
        .map_err(failed)?;
    serde_json::to_string(&meta.fields()).map_err(failed)
}

fn failed(error: impl ToString) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
