//! What becomes of an event, by what the server answered.

use super::{Answer, OutputError, target::Target};

/// Why one message was not delivered.
pub(super) enum Fault {
    /// It never will be.
    Dead(String),
    /// It may be later.
    Later(OutputError),
}

impl From<OutputError> for Fault {
    fn from(error: OutputError) -> Self {
        Self::Later(error)
    }
}

/// What an answer makes of the message; `is_own` when it was for the project of the configuration.
pub(super) fn verdict(answer: &Answer, target: &Target, is_own: bool) -> Result<(), Fault> {
    let reason = refusal(answer);
    let later = |reason| Err(Fault::Later(OutputError::Refused { address: target.to_string(), reason }));
    match answer.status {
        200..300 if is_of_sentry(answer) => Ok(()),
        200..300 => {
            later(format!("it took the event like no Sentry does ({reason}): see host and path of dsn"))
        }
        401 | 403 if is_own => later(format!("{reason}: see key and project of dsn")),
        300..=399 | 404 | 405 if is_own => later(format!("{reason}: see scheme, host and path of dsn")),
        408 | 429 | 500.. => later(reason),
        _ => Err(Fault::Dead(format!("{target} refuses: {reason}"))),
    }
}

/// Servers answer with the id of the event, as JSON or, of old, as text, or with nothing.
fn is_of_sentry(answer: &Answer) -> bool {
    let body = answer.body.trim();
    body.is_empty()
        || body.starts_with('{')
        || (body.len() == 32 && body.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn refusal(answer: &Answer) -> String {
    let said = answer.header("x-sentry-error").map_or_else(|| answer.reason(), str::to_owned);
    format!("status {}{}{said}", answer.status, if said.is_empty() { "" } else { ", " })
}
