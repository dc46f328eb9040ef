//! The sections `[filter.<name>]`, and what is wrong with them.

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    sync::{Arc, Mutex},
    time::Duration,
};

use metlog_pipeline::{
    config::duration, matcher::Matcher, rollup::SampleRate, share::Share, template::Template,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Action, Filter,
    limit::Limiter,
    scrub::Scrub,
    stat::{Stat, StatKind, Stats},
};

/// One filter.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct FilterConfig {
    /// What it is about, in the matcher's language; everything by default.
    #[serde(rename = "match", default = "everything")]
    matches: String,
    #[serde(flatten)]
    action: ActionConfig,
}

fn everything() -> String {
    "TRUE".to_owned()
}

/// What it does with what matches.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum ActionConfig {
    /// Takes it out.
    Drop {},
    /// Takes out everything else.
    Keep {},
    /// Lets a share of it pass, by the origin of each message.
    Sample {
        /// The share.
        rate: f64,
    },
    /// Lets so many pass of each key and window.
    RateLimit {
        /// What is counted together: a text with `%Field%`s.
        #[serde(default = "by_type")]
        key: String,
        /// How many pass.
        count: NonZeroU64,
        /// The window.
        #[serde(deserialize_with = "duration")]
        per: Duration,
    },
    /// Takes fields out of it, or writes something else in their place.
    Scrub {
        /// Names of fields, with dots for fields inside fields; a `*` at the end stands for any rest.
        fields: Vec<String>,
        /// What to write instead; without it the field goes.
        replace: Option<String>,
    },
    /// Makes samples of the roll-up from it; the messages themselves travel on.
    Stat {
        /// What kind of sample.
        kind: StatKind,
        /// Its name: a text with `%Field%`s.
        name: String,
        /// Its value: a text with `%Field%`s that becomes a number.
        #[serde(default = "one")]
        value: String,
    },
}

fn by_type() -> String {
    "%Type%".to_owned()
}

fn one() -> String {
    "1".to_owned()
}

/// All filters, by name.
pub type Filters = BTreeMap<String, FilterConfig>;

/// What a configuration becomes.
enum Compiled {
    Filter(Filter),
    Stat(Stat),
}

impl FilterConfig {
    fn compile(&self, name: &str) -> Result<Compiled, String> {
        let wrong = |setting: &str, why: String| format!("filter.{name}.{setting}: {why}");
        let matcher = Matcher::compile(&self.matches).map_err(|error| wrong("match", error.to_string()))?;
        let template = |setting: &str, text: &str| Template::parse(text).map_err(|why| wrong(setting, why));
        let action = match &self.action {
            ActionConfig::Drop {} => Action::Drop,
            ActionConfig::Keep {} => Action::Keep,
            ActionConfig::Sample { rate } => {
                let rate = SampleRate::new(*rate).ok_or_else(|| {
                    wrong("rate", format!("is {rate}, expected a number above 0 and at most 1"))
                })?;
                Action::Sample(Share::new(rate, ""))
            }
            ActionConfig::RateLimit { key, count, per } => {
                Action::Limit(Limiter::new(template("key", key)?, *count, *per))
            }
            ActionConfig::Scrub { fields, replace } => {
                Action::Scrub(Scrub::new(fields, replace.as_deref()).map_err(|why| wrong("fields", why))?)
            }
            ActionConfig::Stat { kind, name: key, value } => {
                let (name, value) = (template("name", key)?, template("value", value)?);
                return Ok(Compiled::Stat(Stat { matcher, kind: *kind, name, value }));
            }
        };
        Ok(Compiled::Filter(Filter { reason: format!("filtered:{name}"), matcher, action }))
    }
}

/// Everything that is wrong with the filters, a line each.
#[must_use]
pub fn check(filters: &Filters) -> Vec<String> {
    filters.iter().filter_map(|(name, filter)| filter.compile(name).err()).collect()
}

/// The filters, and the samples that are made of messages. What is wrong has been told by [`check`] and is left out.
#[must_use]
pub fn compile(filters: &Filters) -> (super::Filters, Stats) {
    let (mut compiled, mut stats) = (Vec::new(), Vec::new());
    for (name, filter) in filters {
        match filter.compile(name) {
            Ok(Compiled::Filter(filter)) => compiled.push(filter),
            Ok(Compiled::Stat(stat)) => stats.push(stat),
            Err(_) => {}
        }
    }
    (super::Filters(Arc::new(Mutex::new(compiled))), Stats(stats))
}
