//! What the roll-up can be told: percentiles, prefixes, and the bounds that keep its memory finite.

use schemars::JsonSchema;
use serde::Deserialize;
use thiserror::Error;

use super::key::clean_key;

/// Settings of the roll-up.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollupOptions {
    /// Percentiles of timers, 90 by default. A negative one looks at the largest values: -10 at the upper tenth.
    pub percent_thresholds: Vec<PercentThreshold>,
    /// How carbon lines are named, `etsy` by default.
    pub naming: Naming,
    /// The words in front of every name in a carbon line; `legacy` naming has its own.
    pub prefixes: Prefixes,
    /// What every path ends with, nothing by default.
    pub suffix: Prefix,
    /// Report a counter's `count` beside its `rate`. On by default.
    pub flush_counts: bool,
    /// Sum names under what [`clean_key`] makes of them, as etsy does. On by default. Off, names that differ in what is
    /// cleaned stay apart in messages, and only carbon lines are cleaned.
    pub key_name_sanitize: bool,
    /// Send with each timer and each set what an aggregator (`[aggregate]` of the grater) needs to merge it with those of
    /// other sidecars: a sketch of its times or members, some 100 bytes to 4 KiB a name. Off by default.
    pub mergeable: bool,
    /// Bins of timers: the first entry whose `metric` is part of a timer's name is taken.
    pub histogram: Vec<Histogram>,
    /// Forget a name once flushed, instead of repeating gauges and reporting zeros. Off by default.
    pub delete_idle: bool,
    /// The same for counters alone; as `delete_idle` when left out.
    pub delete_counters: Option<bool>,
    /// The same for timers alone; as `delete_idle` when left out.
    pub delete_timers: Option<bool>,
    /// The same for gauges alone; as `delete_idle` when left out.
    pub delete_gauges: Option<bool>,
    /// The same for sets alone; as `delete_idle` when left out.
    pub delete_sets: Option<bool>,
    /// Most names of all kinds together, 200,000 by default. Samples of further names are refused and counted. While it is
    /// reached, names other than gauges that are idle for a whole interval are forgotten.
    pub max_names: usize,
    /// Most names that one source may make (a statsd input and, beyond loopback, the sender's address; a logger),
    /// 150,000 by default, so that none can take the room of all others.
    pub max_names_per_source: usize,
    /// Most values kept exactly per timer and interval, 100,000 by default. Further ones are sketched: `count`, `sum`,
    /// `mean`, `upper` and `lower` stay exact, percentiles are at most 1% off.
    pub max_timer_values: usize,
    /// Most members kept per set and interval, 100,000 by default. Further members are refused and counted.
    pub max_set_members: usize,
    /// Most timer values and set members kept over all names in one interval, 1,000,000 by default: 8 MiB of
    /// values. Without it the bounds above would multiply. Sketches of clients count 50 for each power of two that
    /// their times fall into.
    pub max_kept: usize,
}

impl Default for RollupOptions {
    fn default() -> Self {
        Self {
            percent_thresholds: vec![PercentThreshold(90.0)],
            naming: Naming::Etsy,
            prefixes: Prefixes::default(),
            suffix: Prefix(String::new()),
            flush_counts: true,
            key_name_sanitize: true,
            mergeable: false,
            histogram: Vec::new(),
            delete_idle: false,
            delete_counters: None,
            delete_timers: None,
            delete_gauges: None,
            delete_sets: None,
            max_names: 200_000,
            max_names_per_source: 150_000,
            max_timer_values: 100_000,
            max_set_members: 100_000,
            max_kept: 1_000_000,
        }
    }
}

/// Which names are forgotten once flushed.
pub(super) struct Delete {
    pub(super) counters: bool,
    pub(super) timers: bool,
    pub(super) gauges: bool,
    pub(super) sets: bool,
}

impl RollupOptions {
    pub(super) fn delete(&self) -> Delete {
        let or_idle = |own: Option<bool>| own.unwrap_or(self.delete_idle);
        Delete {
            counters: or_idle(self.delete_counters),
            timers: or_idle(self.delete_timers),
            gauges: or_idle(self.delete_gauges),
            sets: or_idle(self.delete_sets),
        }
    }
}

/// How carbon lines are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// As etsy's statsd with `legacyNamespace: false`: `stats.counters.<name>.rate`.
    #[default]
    Etsy,
    /// As etsy's statsd with `legacyNamespace: true`: `stats.<name>` and `stats_counts.<name>`. Prefixes are not used.
    Legacy,
    /// As Heka: etsy's names, and of a timer only what Heka had: no `std`, `median`, `sum_squares` and no sums of
    /// percentiles.
    Heka,
}

/// How often a timer's values fell into which bin.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Part of the names of the timers; an empty text is part of all.
    metric: String,
    /// Upper edges of its bins, which are not part of them: numbers, and `"inf"`.
    bins: Vec<Bin>,
}

impl Histogram {
    pub(super) fn is_for(&self, name: &str) -> bool {
        name.contains(&self.metric)
    }

    pub(super) fn bins(&self) -> &[Bin] {
        &self.bins
    }
}

/// The upper edge of a bin, which is not part of it: a number or `"inf"`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "Edge")]
pub struct Bin {
    edge: f64,
    suffix: String,
}

impl Bin {
    pub(super) fn edge(&self) -> f64 {
        self.edge
    }

    pub(super) fn suffix(&self) -> &str {
        &self.suffix
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Edge {
    Number(f64),
    Text(String),
}

impl TryFrom<Edge> for Bin {
    type Error = OptionError;

    fn try_from(edge: Edge) -> Result<Self, OptionError> {
        let edge = match edge {
            Edge::Number(number) if !number.is_nan() => number,
            Edge::Text(text) if text == "inf" => f64::INFINITY,
            Edge::Number(number) => return Err(OptionError::Bin(number.to_string())),
            Edge::Text(text) => return Err(OptionError::Bin(text)),
        };
        Ok(Self { edge, suffix: format!("histogram.bin_{}", edge.to_string().replacen('.', "_", 1)) })
    }
}

/// The words in front of every name in a carbon line; an empty one is left out with its dot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prefixes {
    /// In front of everything, `stats` by default.
    pub global: Prefix,
    /// In front of counters, `counters` by default.
    pub counters: Prefix,
    /// In front of timers, `timers` by default.
    pub timers: Prefix,
    /// In front of gauges, `gauges` by default.
    pub gauges: Prefix,
    /// In front of sets, `sets` by default.
    pub sets: Prefix,
    /// In front of the roll-up's figures about itself, `statsd` by default.
    pub own: Prefix,
}

impl Default for Prefixes {
    fn default() -> Self {
        let prefix = |text: &str| Prefix(text.to_owned());
        Self {
            global: prefix("stats"),
            counters: prefix("counters"),
            timers: prefix("timers"),
            gauges: prefix("gauges"),
            sets: prefix("sets"),
            own: prefix("statsd"),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum OptionError {
    /// A percentile that no value can have.
    #[error("percent threshold {0} is no percentile, expected a number from -100 to 100 other than 0")]
    PercentThreshold(f64),
    /// A bin whose edge is neither a number nor `"inf"`.
    #[error("histogram bin {0:?} is neither a number nor \"inf\"")]
    Bin(String),
    /// A prefix that would break a carbon line.
    #[error("prefix {0:?} has characters outside a-z A-Z 0-9 _ - . and =, leave them out")]
    Prefix(String),
}

/// A percentile of timers: above 0 and up to 100 from the smallest value, below 0 from the largest.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
pub struct PercentThreshold(f64);

impl PercentThreshold {
    /// The percentile as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for PercentThreshold {
    type Error = OptionError;

    fn try_from(percent: f64) -> Result<Self, OptionError> {
        // Written so that NaN is refused too.
        if percent != 0.0 && percent.abs() <= 100.0 {
            return Ok(Self(percent));
        }
        Err(OptionError::PercentThreshold(percent))
    }
}

/// One or more words of a metric's path, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Prefix(String);

impl Prefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Prefix {
    type Error = OptionError;

    fn try_from(text: String) -> Result<Self, OptionError> {
        // A `;` starts the tags of a carbon path, so that a prefix with one would swallow the name.
        if text.contains(';') || clean_key(&text, &mut String::new()) != text {
            return Err(OptionError::Prefix(text));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{PercentThreshold, Prefix, RollupOptions};

    #[test]
    fn settings_are_read_from_toml_and_the_rest_keeps_its_default() {
        let text = "percent_thresholds = [50, 99.9, -10]\ndelete_idle = true\n[prefixes]\nglobal = ''";
        let options: RollupOptions = toml::from_str(text).unwrap();
        let percents: Vec<f64> = options.percent_thresholds.iter().map(|percent| percent.get()).collect();
        assert_eq!(percents, [50.0, 99.9, -10.0]);
        assert!(options.delete_idle);
        assert_eq!(options.prefixes.global.as_str(), "");
        assert_eq!(options.prefixes.timers.as_str(), "timers");
        assert_eq!(options.max_names, 200_000);
    }

    #[test]
    fn unusable_settings_are_refused_with_the_reason() {
        for (text, said) in [
            ("percent_threshold = [90]", "unknown field `percent_threshold`"),
            ("percent_thresholds = [0]", "percent threshold 0 is no percentile"),
            ("percent_thresholds = [101]", "percent threshold 101 is no percentile"),
            ("percent_thresholds = [nan]", "percent threshold NaN is no percentile"),
            ("[prefixes]\nglobal = 'my stats'", "prefix \"my stats\" has characters outside"),
            ("[[histogram]]\nmetric = ''\nbins = ['many']", "histogram bin \"many\" is neither"),
            ("[[histogram]]\nmetric = ''\nbins = [nan]", "histogram bin \"NaN\" is neither"),
            ("naming = 'graphite'", "unknown variant `graphite`"),
            ("[prefixes]\nglobal = 'a;b'", "prefix \"a;b\" has characters outside"),
        ] {
            let error = toml::from_str::<RollupOptions>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn edges_of_the_range_are_percentiles() {
        for percent in [100.0, -100.0, 0.001] {
            assert!(PercentThreshold::try_from(percent).is_ok(), "{percent}");
        }
        assert!(Prefix::try_from("a.b-c".to_owned()).is_ok());
    }
}
