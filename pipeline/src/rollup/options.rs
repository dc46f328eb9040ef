//! What the roll-up can be told: percentiles, prefixes, and the bounds that keep its memory finite.

use serde::Deserialize;
use thiserror::Error;

use super::key::clean_key;

/// Settings of the roll-up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollupOptions {
    /// Percentiles of timers, 90 by default. A negative one looks at the largest values: -10 at the upper tenth.
    pub percent_thresholds: Vec<PercentThreshold>,
    /// The words in front of every name in a carbon line.
    pub prefixes: Prefixes,
    /// Forget a name once flushed, instead of repeating gauges and reporting zeros. Off by default.
    pub delete_idle: bool,
    /// Most names of all kinds together, 100,000 by default. Samples of further names are refused and counted.
    pub max_names: usize,
    /// Most values kept per timer and interval, 100,000 by default. Beyond it a timer's `count` stays exact; its
    /// other figures describe the values kept.
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
            prefixes: Prefixes::default(),
            delete_idle: false,
            max_names: 100_000,
            max_timer_values: 100_000,
            max_set_members: 100_000,
            max_kept: 1_000_000,
        }
    }
}

/// The words in front of every name in a carbon line; an empty one is left out with its dot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// A prefix that would break a carbon line.
    #[error("prefix {0:?} has characters outside a-z A-Z 0-9 _ - . and =, leave them out")]
    Prefix(String),
}

/// A percentile of timers: above 0 and up to 100 from the smallest value, below 0 from the largest.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
        assert_eq!(options.max_names, 100_000);
    }

    #[test]
    fn unusable_settings_are_refused_with_the_reason() {
        for (text, said) in [
            ("percent_threshold = [90]", "unknown field `percent_threshold`"),
            ("percent_thresholds = [0]", "percent threshold 0 is no percentile"),
            ("percent_thresholds = [101]", "percent threshold 101 is no percentile"),
            ("percent_thresholds = [nan]", "percent threshold NaN is no percentile"),
            ("[prefixes]\nglobal = 'my stats'", "prefix \"my stats\" has characters outside"),
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
