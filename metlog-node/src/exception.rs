//! Exceptions: what JavaScript has read from an error, as the payload of a `sentry` message.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::{cell::RefCell, path::Path};

use metlog_core::{
    Fields, Options, Timestamp,
    exception::{
        Dsn, Event, Exception, Pending, Relation, SourceCache, bounded_payload, raven::About, scrub,
    },
    process,
};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use serde::Deserialize;

use crate::{
    call::{self, Extras},
    sender::Sender,
    source_map, stack,
};

thread_local! {
    /// The source files read lately by this thread: the main one, or a worker's.
    static SOURCES: RefCell<SourceCache> = RefCell::default();
}

/// What JavaScript tells, as JSON.
#[derive(Deserialize)]
struct Report {
    /// The error that was reported, then those behind it.
    chain: Vec<Link>,
    message: String,
    /// Milliseconds since the epoch.
    timestamp: i64,
    logger: Option<String>,
    severity: u8,
    hostname: Option<String>,
    dsn: Option<String>,
    arguments: Vec<String>,
    extra: Fields,
    /// The folder of the application.
    root: String,
}

/// One error.
#[derive(Deserialize)]
struct Link {
    kind: String,
    value: String,
    /// What V8 wrote about it, after its message.
    stack: String,
    /// True for what an `AggregateError` holds, false for a cause.
    member: bool,
    /// The place in the chain of what holds it, or was caused by it.
    parent: Option<usize>,
}

/// True for the name of something that never travels: a password, a token, a cookie.
#[napi(catch_unwind)]
#[must_use]
pub fn is_secret_name(name: String) -> bool {
    scrub::is_secret_name(&name)
}

/// What a `sentry` message says of an event.
#[napi(object)]
pub struct Sentry {
    /// `base64(zlib(JSON))`.
    pub payload: String,
    /// What the application said about it, without secrets.
    pub message: String,
    /// Seconds since the epoch.
    pub epoch_timestamp: f64,
}

/// Sends an exception. Source files are read and the payload is made by a thread of the core.
#[napi(catch_unwind)]
pub fn send_exception(
    sender: &External<Sender>,
    severity: u32,
    report: String,
    extras: Extras,
) -> napi::Result<bool> {
    let (event, about) = read(&report)?;
    let call = |options: Options<'_>| {
        sender.client().exception_event(
            Pending::unfinished(event, finish_apart),
            about.dsn.as_ref(),
            options,
        );
    };
    Ok(call::send(severity, "", extras, call).is_ok())
}

/// Makes the payload for filters and senders written in JavaScript: source files are read on the calling thread,
/// but for large source maps.
#[napi(catch_unwind)]
pub fn sentry(report: String) -> napi::Result<Sentry> {
    let (mut event, about) = read(&report)?;
    finish(&mut event, source_map::MAX_BLOCKING_BYTES);
    SOURCES.with_borrow_mut(|sources| {
        let frames = event.chain.iter_mut().flat_map(|link| &mut link.frames);
        frames.for_each(|frame| sources.fill(frame));
    });
    let hostname = process::hostname();
    let described = About {
        logger: about.logger.as_deref(),
        severity: about.severity,
        hostname: about.hostname.as_deref().unwrap_or(&hostname),
        project: about.dsn.as_ref().map(Dsn::project),
    };
    let (event, payload) = bounded_payload(event, &described).map_err(failed)?;
    Ok(Sentry { payload, epoch_timestamp: event.epoch_timestamp(), message: event.message })
}

/// Who reports.
struct Reporter {
    logger: Option<String>,
    severity: u8,
    hostname: Option<String>,
    dsn: Option<Dsn>,
}

fn read(report: &str) -> napi::Result<(Event, Reporter)> {
    let report: Report = serde_json::from_str(report).map_err(failed)?;
    let dsn = report.dsn.as_deref().map(Dsn::parse).transpose().map_err(failed)?;
    let (logger, severity, hostname) = (report.logger, report.severity, report.hostname);
    let chain = report.chain.into_iter().map(|link| exception(link, &report.root)).collect();
    let event = Event {
        message: report.message,
        arguments: report.arguments,
        extra: report.extra,
        timestamp: Timestamp::from_nanos(report.timestamp.saturating_mul(1_000_000)),
        ..Event::new("node", chain)
    };
    Ok((event, Reporter { logger, severity, hostname, dsn }))
}

/// What has to read files, on a thread of the core.
fn finish_apart(event: &mut Event) {
    finish(event, source_map::MAX_BYTES);
}

/// What has to read files, none of more than `most` bytes, and what depends on it.
fn finish(event: &mut Event, most: u64) {
    source_map::apply(event, most);
    event.culprit = event.chain.first().and_then(culprit);
}

/// The innermost call that is the application's own: an error that Node or a package throws is seldom theirs.
fn culprit(exception: &Exception) -> Option<String> {
    let frame = exception.frames.iter().rev().find(|frame| frame.in_app == Some(true))?;
    let module = frame.module.as_deref().unwrap_or(&frame.file);
    Some(format!("{module} in {}", frame.function.as_deref().unwrap_or("<anonymous>")))
}

/// Checks a DSN.
#[napi(catch_unwind)]
pub fn check_dsn(dsn: String) -> napi::Result<()> {
    Dsn::parse(&dsn).map(drop).map_err(failed)
}

fn exception(link: Link, root: &str) -> Exception {
    let mut frames = stack::frames(&link.stack, root);
    frames.iter_mut().filter(|frame| is_to_stay_closed(&frame.file)).for_each(|frame| {
        // Nobody reads a line that is there already.
        frame.context_line = Some(String::new());
    });
    Exception {
        kind: link.kind,
        value: link.value,
        frames,
        relation: if link.member { Relation::Member } else { Relation::Cause },
        parent: link.parent,
        ..Exception::default()
    }
}

/// True for a file whose lines are not to be shown: a text that only looks like a stack may name any.
pub(crate) fn is_to_stay_closed(file: &str) -> bool {
    !stack::is_source(file) && !file.starts_with("node:") && Path::new(file).is_file()
}

fn failed(error: impl ToString) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
