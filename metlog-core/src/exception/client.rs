//! Sends an event through the client as any other message.

use std::{
    cell::RefCell,
    error::Error as StdError,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Dsn, Event, Exception, Frame, Pending, SourceCache, bound, fingerprint, raven};
use crate::{
    client::{Client, FieldSet, Options},
    error::Error,
    message::Severity,
    process,
    queue::Room,
    stats::{Reason, complain},
    timestamp::Timestamp,
    value::{Encode, Encoded, Fields, Value},
};

/// The largest payload; with the other columns it stays under the bound of a message. Text that compresses badly may
/// exceed it within the bounds of an event.
const MAX_PAYLOAD_BYTES: usize = 900 * 1024;

impl Client {
    /// Sends an error with its causes and the stack of the caller as a `sentry` message of severity 3 (error). An error
    /// that panics while it is written is refused and counted.
    pub fn exception(&self, error: &(dyn StdError + 'static)) {
        // The application's own code, in a call that never fails.
        match catch_unwind(AssertUnwindSafe(|| Pending::from_error(error))) {
            Ok(pending) => self.exception_event(pending, None, Options::default()),
            Err(_) => self.refuse(Reason::Encode),
        }
    }

    /// Sends the event as a `sentry` message: the payload of [`raven`], and the fields `epoch_timestamp`, `msg` and
    /// `dsn` after those of `options`. The severity is 3 (error) unless `options` says otherwise; `options.payload` is
    /// not used.
    ///
    /// The call only keeps what it is given; looking up frames, bounding and compressing (one to two milliseconds for 50
    /// frames) are done on a thread of their own. [`Client::flush`] and [`Client::close`] wait for it.
    pub fn exception_event(&self, event: impl Into<Pending>, dsn: Option<&Dsn>, options: Options<'_>) {
        let pending = event.into();
        let severity = options.severity.unwrap_or(Severity::ERROR);
        if !self.is_enabled(severity) {
            return self.refuse(Reason::Filtered);
        }
        let bytes = weight(pending.event());
        let report = Report::new(pending, severity, dsn, &options);
        self.defer(bytes, move |client, room| report.send(client, room));
    }
}

thread_local! {
    /// The source files read lately, on the thread that does deferred work.
    static SOURCES: RefCell<SourceCache> = RefCell::default();
}

/// An event with all that its message needs, on its way to another thread.
struct Report {
    pending: Pending,
    severity: Severity,
    dsn: Option<Dsn>,
    logger: Option<String>,
    timestamp: Option<Timestamp>,
    pid: Option<i64>,
    hostname: Option<String>,
    /// How many fields the caller gave, and they.
    fields: (usize, Vec<u8>),
}

impl Report {
    fn new(pending: Pending, severity: Severity, dsn: Option<&Dsn>, options: &Options<'_>) -> Self {
        let mut fields = Vec::new();
        options.fields.encode_pairs(&mut fields);
        options.encode_original(&mut fields);
        Self {
            pending,
            severity,
            dsn: dsn.cloned(),
            logger: options.logger.map(ToOwned::to_owned),
            timestamp: options.timestamp,
            pid: options.pid,
            hostname: options.hostname.map(ToOwned::to_owned),
            fields: (options.count_fields(), fields),
        }
    }

    fn send(self, client: &Client, room: Room) {
        let hostname = self.hostname.clone().unwrap_or_else(process::hostname);
        let about = raven::About {
            logger: Some(self.logger.as_deref().unwrap_or_else(|| client.logger())),
            severity: self.severity.as_u8(),
            hostname: &hostname,
            project: self.dsn.as_ref().map(Dsn::project),
        };
        let (event, payload) = match bounded_payload(
            SOURCES.with_borrow_mut(|sources| self.pending.resolve_with(sources)),
            &about,
        ) {
            Ok(made) => made,
            Err(error) => {
                complain("exception", &error.to_string());
                return client.refuse(Reason::Encode);
            }
        };
        // The caller's fields first: a field given twice keeps its last value.
        let (given, mut pairs) = self.fields;
        let own: [(&str, &dyn Encode); 3] = [
            ("epoch_timestamp", &event.epoch_timestamp()),
            ("msg", &event.message),
            ("dsn", &self.dsn.as_ref().map_or(Value::Null, |dsn| dsn.as_str().into())),
        ];
        FieldSet::Pairs(&own).encode_pairs(&mut pairs);
        // The message takes room of its own: beside this one, an event of half the hand-off would refuse itself.
        drop(room);
        client.metlog(
            "sentry",
            Options {
                logger: self.logger.as_deref(),
                severity: Some(self.severity),
                payload: Some(&payload),
                fields: FieldSet::Encoded { count: given + own.len(), pairs: Encoded(&pairs) },
                timestamp: Some(self.timestamp.unwrap_or(event.timestamp)),
                pid: self.pid,
                hostname: self.hostname.as_deref(),
                original: &[],
            },
        );
    }
}

/// Takes the fingerprint, bounds the event, more tightly where its payload would not fit a message, and packs it. What
/// [`Client::exception_event`] does first, for faces that send the message another way. A payload that is too large even
/// without the event is given back as it is.
///
/// # Errors
/// As [`raven::payload`].
pub fn bounded_payload(mut event: Event, about: &raven::About<'_>) -> Result<(Event, String), Error> {
    event.fingerprint = Some(fingerprint::checksum(&event));
    let mut bytes = bound::MAX_BYTES;
    loop {
        bound::tidy(&mut event, bytes);
        let payload = raven::payload(&event, about)?;
        // What is left at zero is not the event's (a logger, a name of the host): no message takes it.
        if payload.len() <= MAX_PAYLOAD_BYTES || bytes == 0 {
            return Ok((event, payload));
        }
        bytes /= 2;
    }
}

/// What an event takes in memory, about: its texts, and a word for each value.
fn weight(event: &Event) -> usize {
    let exceptions: usize = event.chain.iter().map(of_exception).sum();
    event.message.len() + of_fields(&event.extra) + exceptions + size_of::<Event>()
}

fn of_exception(exception: &Exception) -> usize {
    let frames: usize = exception.frames.iter().map(of_frame).sum();
    exception.kind.len() + exception.value.len() + frames + size_of::<Exception>()
}

fn of_frame(frame: &Frame) -> usize {
    let around = frame.pre_context.iter().chain(&frame.post_context).chain(&frame.context_line);
    let texts = around.chain(&frame.module).chain(&frame.function).map(String::len).sum::<usize>();
    frame.file.len() + texts + of_fields(&frame.locals) + size_of::<Frame>()
}

fn of_fields(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + of_value(value)).sum()
}

fn of_value(value: &Value) -> usize {
    let inner = match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(of_value).sum(),
        Value::Map(fields) => of_fields(fields),
        _ => 0,
    };
    inner + size_of::<Value>()
}
