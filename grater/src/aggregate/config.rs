//! The section `[aggregate]`.

use std::time::Duration;

use metlog_pipeline::{config::duration, link::ForwardConfig, rollup::RollupOptions};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is merged, and how.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AggregateConfig {
    /// How long an interval is; whole seconds, aligned to the clock. As long as the sidecars' or a multiple of it.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// How long after its end an interval waits for roll-ups. Those that come later still are counted and left out.
    #[serde(deserialize_with = "duration")]
    pub lateness: Duration,
    /// What becomes of several gauges of one name.
    pub gauges: GaugeFunction,
    /// Tags that are taken out of names (`host` of `requests;host=web1;path=a`), so that names which differ in them become
    /// one.
    pub without_tags: Vec<String>,
    /// Percentiles, names of carbon lines, and bounds.
    pub options: RollupOptions,
    /// The next hop, which gets everything that is not merged, and what is made of the rest. Without outputs and routes only.
    pub forward: Option<ForwardConfig>,
}

impl Default for AggregateConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            lateness: Duration::from_secs(20),
            gauges: GaugeFunction::Last,
            without_tags: Vec::new(),
            options: RollupOptions::default(),
            forward: None,
        }
    }
}

/// What several gauges of one name come to: of each sidecar the newest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GaugeFunction {
    /// The newest of all.
    #[default]
    Last,
    /// All together.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Mean,
}

impl AggregateConfig {
    /// Everything that is wrong with it, a line each.
    pub fn check(&self) -> Vec<String> {
        let interval = self.interval;
        let wrong = (interval.is_zero() || interval.subsec_nanos() != 0).then(|| {
            format!("aggregate.interval is {interval:?}, expected whole seconds, for example \"10s\"")
        });
        let forward = self.forward.iter().flat_map(|forward| forward.check("aggregate.forward"));
        wrong.into_iter().chain(forward).collect()
    }

    /// The interval in seconds.
    pub(super) fn seconds(&self) -> i64 {
        i64::try_from(self.interval.as_secs()).unwrap_or(i64::MAX).max(1)
    }
}
