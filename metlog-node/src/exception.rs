//! Exceptions: what JavaScript has read from an error, as the payload of a `sentry` message.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::cell::RefCell;

use metlog_core::{
    Fields, Timestamp,
    exception::{Dsn, Event, Exception, Relation, SourceCache, bounded_payload, raven::About},
    process,
};
use napi_derive::napi;
use serde::Deserialize;

use crate::stack;

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

/// Makes the payload. It reads source files and compresses, on the calling thread.
#[napi(catch_unwind)]
pub fn sentry(report: String) -> napi::Result<Sentry> {
    let report: Report = serde_json::from_str(&report).map_err(failed)?;
    let dsn = report.dsn.as_deref().map(Dsn::parse).transpose().map_err(failed)?;
    let hostname = process::hostname();
    let about = About {
        logger: report.logger.as_deref(),
        severity: report.severity,
        hostname: report.hostname.as_deref().unwrap_or(&hostname),
        project: dsn.as_ref().map(Dsn::project),
    };
    let chain = report.chain.into_iter().map(|link| exception(link, &report.root)).collect();
    let event = Event {
        message: report.message,
        arguments: report.arguments,
        extra: report.extra,
        timestamp: Timestamp::from_nanos(report.timestamp.saturating_mul(1_000_000)),
        ..Event::new("node", chain)
    };
    let (event, payload) = bounded_payload(event, &about).map_err(failed)?;
    Ok(Sentry { payload, epoch_timestamp: event.epoch_timestamp(), message: event.message })
}

/// Checks a DSN.
#[napi(catch_unwind)]
pub fn check_dsn(dsn: String) -> napi::Result<()> {
    Dsn::parse(&dsn).map(drop).map_err(failed)
}

fn exception(link: Link, root: &str) -> Exception {
    let mut frames = stack::frames(&link.stack, root);
    SOURCES.with_borrow_mut(|sources| {
        frames.iter_mut().filter(|frame| stack::is_source(&frame.file)).for_each(|frame| sources.fill(frame));
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

fn failed(error: impl ToString) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
