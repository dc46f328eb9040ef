//! The sections `[[route]]`.

use std::collections::BTreeMap;

use metlog_core::Value;
use schemars::JsonSchema;
use serde::Deserialize;

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What the route is called in messages and counters. Two routes cannot share a name.
    pub name: String,
    /// The messages it takes, as an expression of [`metlog_pipeline::matcher`].
    pub matcher: Option<String>,
    /// The messages it takes, as logstash-metlog's taggers say it: a path, with `/` between its keys, and the text to be
    /// found there, or `*` for any. One that fits is enough.
    #[serde(default)]
    pub pattern: BTreeMap<String, String>,
    /// Only messages that an earlier route has given one of these tags.
    #[serde(default)]
    pub tagged: Vec<String>,
    /// Only messages that no earlier route has given one of these tags.
    #[serde(default)]
    pub untagged: Vec<String>,
    /// Tags that later routes ask for. They are not part of the message.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The share of its messages that goes to its outputs: above 0, at most 1. All of them by default.
    pub sample: Option<f64>,
    /// Values to write, by key (`type`, `logger`, `severity`, `payload`, `hostname`, `fields.<name>`): a text with `%Field%`s,
    /// or any other value.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, Value>,
    /// Values to move, from one key to another.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Values to take out, by key.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Where they go: names of outputs; none for a route that only gives tags.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Whether later routes no longer see what this one took. `false` by default.
    #[serde(default, rename = "final")]
    pub is_final: bool,
}

impl RouteConfig {
    /// Whether it says which messages it takes.
    pub(super) fn is_selective(&self) -> bool {
        self.matcher.is_some()
            || !(self.pattern.is_empty() && self.tagged.is_empty() && self.untagged.is_empty())
    }
}

/// Everything that is wrong with the routes, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct RouteError {
    /// What is wrong; each names the route and the key.
    pub problems: Vec<String>,
}
