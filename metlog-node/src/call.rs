//! One call of a JavaScript client, taken over.
//!
//! JavaScript has chosen the defaults, thrown the dice and written `fields` as JSON. A call gives back false when that
//! JSON cannot be read (a lone surrogate, nested too deep); JavaScript then offers a cleaned copy.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use metlog_core::{
    Client, Encode, Options, Severity, Timestamp,
    client::FieldSet,
    stats::{Reason, complain},
    value::{Encoded, Fields},
};
use napi::bindgen_prelude::{Either, External};
use napi_derive::napi;

use crate::{
    sender::Sender,
    value::{self, Pairs},
};

/// What the usual call does not say.
#[napi(object)]
#[derive(Default)]
pub struct Extras {
    /// Instead of the sender's logger.
    pub logger: Option<String>,
    /// Microseconds since the epoch, or a date as text.
    pub timestamp: Option<Either<i64, String>>,
    /// A payload that is no text, as JSON.
    pub payload: Option<String>,
    /// A JSON object.
    pub fields: Option<String>,
    /// A JSON object of the values that do not fit their column.
    pub original: Option<String>,
    /// Instead of this process.
    pub pid: Option<i64>,
    /// Instead of this host.
    pub hostname: Option<String>,
    /// The name of a counter, gauge or timer.
    pub name: Option<String>,
    /// The share of its calls that are sent.
    pub rate: Option<f64>,
}

/// Any message; the usual ones take the way of [`crate::written`].
#[napi(catch_unwind)]
pub fn metlog_with(
    sender: &External<Sender>,
    kind: String,
    severity: u32,
    payload: String,
    extras: Extras,
) -> bool {
    take(sender.client(), &kind, severity, &payload, extras)
}

/// Counts a message that JavaScript refused.
#[napi(catch_unwind)]
pub fn refuse(sender: &External<Sender>, reason: String) {
    sender.client().refuse(known(&reason));
}

/// Says one line on standard error, at most one per reason per ten seconds.
#[napi(catch_unwind)]
pub fn warn(reason: String, line: String) {
    complain(known(&reason).as_str(), &line);
}

fn known(reason: &str) -> Reason {
    let found = Reason::ALL.into_iter().find(|known| known.as_str() == reason);
    found.unwrap_or(Reason::Encode)
}

/// A panic ends here and counts as a refusal.
fn take(client: &Client, kind: &str, severity: u32, payload: &str, extras: Extras) -> bool {
    let call = |options: Options<'_>| client.metlog(kind, options);
    let send = || send(severity, payload, extras, call);
    match catch_unwind(AssertUnwindSafe(send)) {
        Ok(sent) => sent.is_ok(),
        Err(_) => {
            client.refuse(Reason::Encode);
            true
        }
    }
}

/// Converts what a call says and makes it.
pub(crate) fn send(
    severity: u32,
    payload: &str,
    extras: Extras,
    call: impl FnOnce(Options<'_>),
) -> Result<(), serde_json::Error> {
    let mut original = extras.original.as_deref().map_or(Ok(Fields::new()), serde_json::from_str)?;
    let timestamp = extras.timestamp.and_then(|given| timestamp(given, &mut original));
    let encoded_payload = extras.payload.as_deref().map(value::from_json).transpose()?;
    let pairs = pairs(extras.fields.as_deref(), extras.name.as_deref(), extras.rate)?;

    let encoded_payload = encoded_payload.as_deref().map(Encoded);
    let payload = encoded_payload.as_ref().map_or(&payload as &dyn Encode, |payload| payload);
    let misfits: Vec<(&str, &dyn Encode)> =
        original.iter().map(|(name, value)| (name, value as &dyn Encode)).collect();
    let options = Options {
        logger: extras.logger.as_deref(),
        severity: Severity::try_from(i64::from(severity)).ok(),
        payload: Some(payload),
        fields: FieldSet::Encoded { count: pairs.count, pairs: Encoded(&pairs.bytes) },
        timestamp,
        pid: extras.pid,
        hostname: extras.hostname.as_deref(),
        original: &misfits,
    };
    call(options);
    Ok(())
}

/// The instant given, or none when it is no date; it is then kept with the other misfits.
fn timestamp(given: Either<i64, String>, original: &mut Fields) -> Option<Timestamp> {
    match given {
        Either::A(micros) => {
            let nanos = micros.checked_mul(1_000).map(Timestamp::from_nanos);
            nanos.or_else(|| keep(original, micros))
        }
        Either::B(text) => text.parse().ok().or_else(|| keep(original, text)),
    }
}

fn keep(original: &mut Fields, given: impl Into<metlog_core::Value>) -> Option<Timestamp> {
    original.insert("timestamp", given);
    None
}

/// The caller's fields, then what makes the message a metric.
fn pairs(fields: Option<&str>, name: Option<&str>, rate: Option<f64>) -> Result<Pairs, serde_json::Error> {
    let mut pairs = fields.map_or_else(|| Ok(Pairs::default()), Pairs::from_json)?;
    if let Some(name) = name {
        pairs.push("name", &name);
        pairs.push("rate", &rate.unwrap_or(1.0));
    }
    Ok(pairs)
}
