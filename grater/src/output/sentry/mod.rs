//! Exceptions to Sentry, or to any server that speaks its protocol: events of original clients and of ours.
//!
//! A `sentry` message goes to the project that its own `fields.dsn` names, when the host of that is on a list, or else
//! to the project of the configuration. An event keeps its id, so servers recognise one that comes twice.
//!
//! What the server refuses for good becomes a dead letter with the server's reason. A key or a project of the
//! configuration that is refused is the operator's to mend: it is tried again until then. A server that asks to be left
//! alone for a while is.

mod event;
mod limits;
mod target;
mod verdict;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use metlog_core::{Message, Value, exception::raven};
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::warn;
use ureq::Agent;

use self::{
    target::{Host, Target},
    verdict::{Fault, verdict},
};
use super::{
    Delivered, Halted, Item, Output, OutputError, OutputState, TlsConfig,
    http::{self, Answer},
    net,
    secret::{self, Secret},
};

/// The type of a message that carries an event.
const EVENT_TYPE: &str = "sentry";

/// Projects whose rate limits are remembered; more than a server of this list has.
const MAX_LIMITED: usize = 1024;

/// An `[[output]]` of `type = "sentry"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentryConfig {
    /// The project for messages that name none: `https://key@host/project`.
    pub dsn: Option<Secret>,
    /// A file with the DSN, instead of `dsn`.
    pub dsn_file: Option<PathBuf>,
    /// Whether the DSN in a message counts: `use`, by default, or `ignore`, so that everything goes to `dsn`.
    #[serde(default)]
    pub message_dsn: MessageDsn,
    /// Hosts that the DSN of a message may name, with their port when it is not that of the scheme; the host of `dsn`
    /// is one anyway.
    #[serde(default)]
    pub allowed_hosts: Vec<Host>,
    /// How events are sent: `envelope` by default.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long one request may take; 5 s by default.
    #[serde(default = "net::default_timeout", deserialize_with = "net::timeout")]
    pub timeout: Duration,
    /// TLS of `https`.
    #[serde(default)]
    pub tls: TlsConfig,
}

/// What the DSN of a message is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageDsn {
    /// The event goes there.
    #[default]
    Use,
    /// Nothing: the event goes to the project of the configuration.
    Ignore,
}

/// How events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// As envelopes of one event to `/api/<project>/envelope/`: what servers of today want.
    #[default]
    Envelope,
    /// The same event to `/api/<project>/store/`, for servers older than envelopes.
    Store,
    /// The payload as the client made it (base64 of zlib) to `/api/<project>/store/`, for servers of the originals' time.
    Raven,
}

/// The output.
#[derive(Debug)]
pub struct SentryOutput {
    config: SentryConfig,
    own: Option<Target>,
    agent: Agent,
    /// Until when which project wants nothing.
    limited: HashMap<Target, Instant>,
}

impl SentryOutput {
    /// An output that is not connected yet. Reads the files that its settings name.
    ///
    /// # Errors
    /// When there is no DSN and no host that a message may name, or a file or DSN that cannot be used.
    pub fn new(config: SentryConfig) -> Result<Self, OutputError> {
        let dsn = secret::read("dsn", config.dsn.as_ref(), config.dsn_file.as_deref())?;
        let own = dsn
            .map(|dsn| Target::parse(dsn.reveal()).map_err(|why| OutputError::setting("dsn", why)))
            .transpose()?;
        let takes_messages_dsn = config.message_dsn == MessageDsn::Use && !config.allowed_hosts.is_empty();
        if own.is_none() && !takes_messages_dsn {
            let message = "is missing, expected a project, or allowed_hosts that messages may name";
            return Err(OutputError::setting("dsn", message));
        }
        let agent = http::agent(config.timeout, &config.tls)?;
        Ok(Self { config, own, agent, limited: HashMap::new() })
    }

    fn send(&mut self, message: &Message) -> Result<(), Fault> {
        if message.kind != EVENT_TYPE {
            let kind = &message.kind;
            return Err(Fault::Dead(format!("type is {kind:?}, sentry takes {EVENT_TYPE:?} only")));
        }
        let Value::Text(payload) = &message.payload else {
            return Err(Fault::Dead("payload is no text, expected base64 of a compressed event".to_owned()));
        };
        let target = self.target(message).map_err(Fault::Dead)?;
        self.wait_for_limit(&target)?;
        let answer = match self.config.protocol {
            Protocol::Raven => self.post_raven(&target, payload, message)?,
            Protocol::Store => self.post_event(&target, payload, message, false)?,
            Protocol::Envelope => self.post_event(&target, payload, message, true)?,
        };
        self.remember_limit(&target, &answer);
        verdict(&answer, &target, self.own.as_ref() == Some(&target))
    }

    /// The project of the message, or else that of the configuration.
    fn target(&self, message: &Message) -> Result<Target, String> {
        let named = message.fields.get("dsn").and_then(Value::as_text).filter(|dsn| !dsn.is_empty());
        let Some(dsn) = named.filter(|_| self.config.message_dsn == MessageDsn::Use) else {
            let none = "the message names no dsn and the output has none: set dsn";
            return self.own.clone().ok_or_else(|| none.to_owned());
        };
        let target = Target::parse(dsn).map_err(|why| format!("fields.dsn: {why}"))?;
        let is_own_host = self.own.as_ref().is_some_and(|own| own.host() == target.host());
        if is_own_host || target.is_allowed(&self.config.allowed_hosts) {
            return Ok(target);
        }
        Err(format!("fields.dsn names {}, which is not in allowed_hosts", target.host()))
    }

    fn post_raven(&self, target: &Target, payload: &str, message: &Message) -> Result<Answer, OutputError> {
        let seconds = message.fields.get("epoch_timestamp").and_then(Value::as_number);
        let auth = target.auth("2.0", seconds);
        let headers = [("X-Sentry-Auth", auth.as_str()), ("Content-Type", "application/octet-stream")];
        http::post(&self.agent, &target.url("store"), &headers, payload.as_bytes())
    }

    fn post_event(
        &self,
        target: &Target,
        payload: &str,
        message: &Message,
        as_envelope: bool,
    ) -> Result<Answer, Fault> {
        let legacy = raven::decode(payload).map_err(|error| Fault::Dead(error.to_string()))?;
        let event = event::modern(&legacy, message);
        let json = serde_json::to_vec(&event).map_err(|error| Fault::Dead(error.to_string()))?;
        let (endpoint, content_type, body) = if as_envelope {
            let id = event.get("event_id").and_then(Value::as_text).unwrap_or_default();
            ("envelope", "application/x-sentry-envelope", envelope(id, &json))
        } else {
            ("store", "application/json", json)
        };
        let packed = gzip(&body).map_err(OutputError::network("pack an event for", &target.to_string()))?;
        let auth = target.auth("7", None);
        let headers =
            [("X-Sentry-Auth", auth.as_str()), ("Content-Type", content_type), ("Content-Encoding", "gzip")];
        Ok(http::post(&self.agent, &target.url(endpoint), &headers, &packed)?)
    }

    /// Refuses as long as the project wants nothing.
    fn wait_for_limit(&mut self, target: &Target) -> Result<(), OutputError> {
        let now = Instant::now();
        let Some(until) = self.limited.get(target).filter(|until| **until > now) else {
            self.limited.remove(target);
            return Ok(());
        };
        let seconds = until.saturating_duration_since(now).as_secs() + 1;
        let reason = format!("it asked to be left alone for its rate limit, {seconds} s more");
        Err(OutputError::Refused { address: target.to_string(), reason })
    }

    fn remember_limit(&mut self, target: &Target, answer: &Answer) {
        let said = answer.header("x-sentry-rate-limits").and_then(limits::of_header);
        let refused = || (answer.status == 429).then(|| unsaid_limit(answer));
        let Some(pause) = said.or_else(refused) else { return };
        let now = Instant::now();
        if self.limited.len() >= MAX_LIMITED {
            self.limited.retain(|_, until| *until > now);
        }
        if self.limited.len() < MAX_LIMITED {
            warn!(project = %target, seconds = pause.as_secs(), "sentry asks for a pause: events wait");
            self.limited.insert(target.clone(), now + pause);
        }
    }
}

fn unsaid_limit(answer: &Answer) -> Duration {
    answer.header("retry-after").map_or(limits::UNSAID, limits::of_retry_after)
}

/// One event in an envelope: a line about the envelope, a line about the item, the item.
fn envelope(event_id: &str, json: &[u8]) -> Vec<u8> {
    let mut lines = format!(
        "{{\"event_id\":\"{event_id}\"}}\n{{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":{}}}\n",
        json.len()
    )
    .into_bytes();
    lines.extend_from_slice(json);
    lines.push(b'\n');
    lines
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::default());
    packer.write_all(bytes)?;
    packer.finish()
}

impl Output for SentryOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        let (began, mut dead) = (Instant::now(), Vec::new());
        for (position, item) in items.iter().enumerate() {
            // A call that lasts holds up the end of the daemon.
            if began.elapsed() > self.config.timeout {
                let slow = format!("{position} of {} events in {:?}", items.len(), began.elapsed());
                let error = OutputError::network("keep up with", "the server")(io::Error::new(
                    io::ErrorKind::TimedOut,
                    slow,
                ));
                return Err(Halted::after(position, dead, error));
            }
            match self.send(&item.message) {
                Ok(()) => {}
                Err(Fault::Dead(reason)) => dead.push((position, reason)),
                Err(Fault::Later(error)) => return Err(Halted::after(position, dead, error)),
            }
        }
        Ok(Delivered { dead })
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        Ok(OutputState::Nothing)
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        Ok(())
    }

    /// Sends an envelope without any item, which servers check as any other and forget.
    fn probe(&self) -> Result<String, OutputError> {
        let Some(own) = &self.own else {
            return Ok("no dsn of its own: messages name the server".to_owned());
        };
        let auth = own.auth("7", None);
        let headers = [("X-Sentry-Auth", auth.as_str()), ("Content-Type", "application/x-sentry-envelope")];
        let answer = http::post(&self.agent, &own.url("envelope"), &headers, b"{}\n")?;
        match verdict(&answer, own, true) {
            Err(Fault::Later(error)) => Err(error),
            Ok(()) | Err(Fault::Dead(_)) => Ok(format!("{own} answers, key and project are known")),
        }
    }
}

#[cfg(test)]
mod tests;
