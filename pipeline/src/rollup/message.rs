//! A roll-up as a message: carbon lines in the payload, the figures in the fields, and what an aggregator needs to merge it.

use std::time::Duration;

use metlog_core::{Fields, Message, Severity, Timestamp, Value, sketch::Sketch, wire::record::Identity};

use super::{Kind, Members, Rollup, RollupOptions, lines::Part};

/// The type of messages that carry the figures of one name over one interval.
pub const ROLLUP_TYPE: &str = "statmetric";

/// One flush: the interval that ends at `tick`.
#[derive(Debug, Clone, Copy)]
pub struct Flush<'a> {
    /// How lines are named.
    pub options: &'a RollupOptions,
    /// How long it was.
    pub interval: Duration,
    /// When it ends, in seconds since the epoch.
    pub tick: i64,
    /// Who made it: the logger of the messages.
    pub logger: &'static str,
}

impl Flush<'_> {
    /// One message for one name; nothing when the tick is before the epoch.
    #[must_use]
    pub fn message(&self, rollup: &Rollup, identity: &Identity<'_>) -> Option<Message> {
        let payload = rollup.lines(self.options, u64::try_from(self.tick).ok()?);
        let values: Fields =
            rollup.values.iter().map(|(suffix, value)| (suffix_name(suffix), *value)).collect();
        let mut fields: Fields = [
            ("name", Value::from(rollup.name.as_str())),
            ("kind", rollup.kind.as_str().into()),
            ("interval", self.interval.as_secs_f64().into()),
            ("values", values.into()),
        ]
        .into_iter()
        .collect();
        match &rollup.part {
            Some(Part::Times(sketch)) => fields.insert("sketch", sketch_fields(sketch, &rollup.name)),
            Some(Part::Members(members)) => fields.insert("members", members.to_bytes()),
            None => {}
        }
        Some(Message {
            kind: ROLLUP_TYPE.to_owned(),
            timestamp: Timestamp::from_nanos(self.tick.saturating_mul(1_000_000_000)),
            logger: self.logger.to_owned(),
            severity: Severity::default(),
            payload: payload.into(),
            fields,
            env_version: identity.env_version.to_owned(),
            pid: identity.pid,
            hostname: identity.hostname.to_owned(),
        })
    }
}

/// A gauge is its name's only figure and has no suffix.
fn suffix_name(suffix: &str) -> &str {
    if suffix.is_empty() { "value" } else { suffix }
}

/// As in a message of type `timer_sketch`.
fn sketch_fields(sketch: &Sketch, name: &str) -> Fields {
    let mut bytes = Vec::new();
    sketch.encode_fields(name, &mut bytes);
    // What has just been written can be read.
    rmp_serde::from_slice(&bytes).unwrap_or_default()
}

/// What a roll-up's message brings to a merged one.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The name, tags included.
    pub name: String,
    /// What is merged.
    pub content: Content,
}

/// What is merged.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Added up.
    Counter(f64),
    /// One of several present values.
    Gauge(f64),
    /// Times, and how many events they stand for; none of an idle timer.
    Times(Option<Box<Sketch>>, f64),
    /// Members of a set.
    Set(Box<Members>),
}

impl Share {
    /// Reads a message; nothing when it is no roll-up that can be merged: a timer or a set without what a sidecar sends with
    /// `rollup.options.mergeable`, or the roll-up's figures about itself.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let fields = &message.fields;
        let name = fields.get("name")?.as_text().filter(|name| !name.is_empty())?;
        let Value::Map(values) = fields.get("values")? else { return None };
        let figure =
            |name| values.get(name).and_then(Value::as_number).filter(|value: &f64| value.is_finite());
        let content = match fields.get("kind")?.as_text()? {
            kind if kind == Kind::Counter.as_str() => {
                let seconds = fields.get("interval").and_then(Value::as_number);
                let count = figure("count").or_else(|| Some(figure("rate")? * seconds?))?;
                Content::Counter(count)
            }
            kind if kind == Kind::Gauge.as_str() => Content::Gauge(figure("value")?),
            kind if kind == Kind::Set.as_str() => Content::Set(Box::new(members(fields)?)),
            kind if kind == Kind::Timer.as_str() => times(fields, figure("count")?)?,
            _ => return None,
        };
        Some(Self { name: name.to_owned(), content })
    }
}

fn members(fields: &Fields) -> Option<Members> {
    match fields.get("members")? {
        Value::Bytes(bytes) => Members::from_bytes(bytes),
        _ => None,
    }
}

fn times(fields: &Fields, count: f64) -> Option<Content> {
    match fields.get("sketch") {
        Some(Value::Map(sketch)) => {
            Some(Content::Times(Some(Box::new(Sketch::from_fields(sketch).ok()?)), count))
        }
        None if count == 0.0 => Some(Content::Times(None, 0.0)),
        _ => None,
    }
}
