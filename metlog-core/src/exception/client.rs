//! Sends an event through the client as any other message.

use super::{Dsn, Event, bound, fingerprint, raven};
use crate::{
    client::{Client, FieldSet, Options},
    error::Error,
    message::Severity,
    process,
    stats::{Reason, complain},
    value::{Encode, Encoded},
};

/// The largest payload; with the other columns it stays under the bound of a message. Text that compresses badly may
/// exceed it within the bounds of an event.
const MAX_PAYLOAD_BYTES: usize = 900 * 1024;

impl Client {
    /// Sends the event as a `sentry` message: the payload of [`raven`], and the fields `epoch_timestamp`, `msg` and
    /// `dsn` after those of `options`. The severity is 3 (error) unless `options` says otherwise; `options.payload` is
    /// not used.
    ///
    /// It compresses on the calling thread, one to two milliseconds for an event of 50 frames.
    pub fn exception_event(&self, event: Event, dsn: Option<&Dsn>, options: Options<'_>) {
        let severity = options.severity.unwrap_or(Severity::ERROR);
        let hostname = process::hostname();
        let about = raven::About {
            logger: options.logger,
            severity: severity.as_u8(),
            hostname: options.hostname.unwrap_or(&hostname),
            project: dsn.map(Dsn::project),
        };
        let (event, payload) = match bounded_payload(event, &about) {
            Ok(made) => made,
            Err(error) => {
                complain("exception", &error.to_string());
                return self.refuse(Reason::Encode);
            }
        };
        let own: [(&str, &dyn Encode); 3] = [
            ("epoch_timestamp", &event.epoch_timestamp()),
            ("msg", &event.message),
            ("dsn", &dsn.map_or(crate::Value::Null, |dsn| dsn.as_str().into())),
        ];
        let mut pairs = Vec::new();
        let count = encode_pairs(&options.fields, &own, &mut pairs);
        self.metlog(
            "sentry",
            Options {
                severity: Some(severity),
                payload: Some(&payload),
                fields: FieldSet::Encoded { count, pairs: Encoded(&pairs) },
                timestamp: Some(event.timestamp),
                ..options
            },
        );
    }
}

/// Takes the fingerprint, bounds the event, more tightly where its payload would not fit a message, and packs it. What
/// [`Client::exception_event`] does first, for faces that send the message another way.
///
/// # Errors
/// As [`raven::payload`].
pub fn bounded_payload(mut event: Event, about: &raven::About<'_>) -> Result<(Event, String), Error> {
    event.fingerprint = Some(fingerprint::checksum(&event));
    let mut bytes = bound::MAX_BYTES;
    loop {
        bound::tidy(&mut event, bytes);
        let payload = raven::payload(&event, about)?;
        if payload.len() <= MAX_PAYLOAD_BYTES {
            return Ok((event, payload));
        }
        bytes /= 2;
    }
}

/// The caller's fields first: a field given twice keeps its last value.
fn encode_pairs(given: &FieldSet<'_>, own: &[(&str, &dyn Encode)], out: &mut Vec<u8>) -> usize {
    given.encode_pairs(out);
    FieldSet::Pairs(own).encode_pairs(out);
    given.len() + own.len()
}
