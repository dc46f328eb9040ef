//! What has come of one interval.

use std::collections::BTreeMap;

use metlog_core::wire::batch::ProducerId;
use metlog_pipeline::rollup::{
    Accumulators, Content, Kind, Members, Part, Rollup, RollupOptions, Sample, SampleRate, Share,
};
use serde::{Deserialize, Serialize};

use super::config::{AggregateConfig, GaugeFunction};

/// Sums of one interval. Nothing in it depends on the order in which roll-ups come, but for the last digits of sums
/// of numbers that are no integers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Interval {
    /// Counters and timers.
    sums: Accumulators,
    sets: BTreeMap<String, Members>,
    /// By name and sidecar, the newest value and when it was.
    gauges: BTreeMap<String, BTreeMap<ProducerId, (i64, f64)>>,
}

/// Whose a share is, and of which time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) producer: ProducerId,
    /// In nanoseconds since the epoch.
    pub(super) at: i64,
}

impl Interval {
    /// Takes a share in, or says why not.
    pub(super) fn add(
        &mut self,
        share: Share,
        source: Source,
        config: &AggregateConfig,
    ) -> Result<(), &'static str> {
        let options = &config.options;
        let name = without_tags(&share.name, &config.without_tags);
        let added = match share.content {
            Content::Counter(value) => {
                self.sums.add(&name, Sample::Counter { value, rate: SampleRate::ONE }, options)
            }
            Content::Times(Some(sketch), events) => {
                self.sums.add(&name, Sample::Sketch { sketch: &sketch, events }, options)
            }
            Content::Times(None, _) => return Ok(()),
            Content::Gauge(value) => return self.add_gauge(name, value, source, options),
            Content::Set(members) => return self.add_set(name, &members, options),
        };
        added.refused().map_or(Ok(()), Err)
    }

    fn add_gauge(
        &mut self,
        name: String,
        value: f64,
        source: Source,
        options: &RollupOptions,
    ) -> Result<(), &'static str> {
        if !self.gauges.contains_key(&name) && self.gauges.len() >= options.max_names {
            return Err("name_overflow");
        }
        let newest =
            self.gauges.entry(name).or_default().entry(source.producer).or_insert((source.at, value));
        // Two of one time: the larger, whichever came first.
        if newest.0 < source.at || (newest.0 == source.at && newest.1 < value) {
            *newest = (source.at, value);
        }
        Ok(())
    }

    fn add_set(
        &mut self,
        name: String,
        members: &Members,
        options: &RollupOptions,
    ) -> Result<(), &'static str> {
        if !self.sets.contains_key(&name) && self.sets.len() >= options.max_names {
            return Err("name_overflow");
        }
        self.sets.entry(name).or_default().merge(members);
        Ok(())
    }

    /// The merged figures, sorted by kind and name.
    pub(super) fn finish(mut self, config: &AggregateConfig) -> Vec<Rollup> {
        let is_mergeable = config.options.mergeable;
        let mut rollups = self.sums.flush(&config.options, config.interval);
        // Figures about itself would be those of one interval alone.
        rollups.retain(|rollup| rollup.kind != Kind::Own);
        rollups.extend(self.gauges.into_iter().map(|(name, values)| {
            let value = config.gauges.of(&values);
            Rollup { kind: Kind::Gauge, name, values: vec![("".into(), value)], part: None }
        }));
        rollups.extend(self.sets.into_iter().map(|(name, members)| {
            let values = vec![("count".into(), members.count())];
            let part = is_mergeable.then(|| Part::Members(Box::new(members)));
            Rollup { kind: Kind::Set, name, values, part }
        }));
        rollups
    }
}

impl GaugeFunction {
    fn of(self, values: &BTreeMap<ProducerId, (i64, f64)>) -> f64 {
        let all = || values.values().map(|(_, value)| *value);
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        match self {
            Self::Last => {
                values.values().max_by(|left, right| left.0.cmp(&right.0)).map_or(0.0, |newest| newest.1)
            }
            Self::Sum => all().sum(),
            Self::Min => all().fold(f64::INFINITY, f64::min),
            Self::Max => all().fold(f64::NEG_INFINITY, f64::max),
            Self::Mean => all().sum::<f64>() / f64::from(count.max(1)),
        }
    }
}

/// The name without some of its tags (`name;tag=value;tag=value`).
fn without_tags(name: &str, tags: &[String]) -> String {
    if tags.is_empty() || !name.contains(';') {
        return name.to_owned();
    }
    let is_kept =
        |part: &&str| !part.split_once('=').is_some_and(|(tag, _)| tags.iter().any(|gone| gone == tag));
    let (word, rest) = name.split_once(';').unwrap_or((name, ""));
    let kept = rest.split(';').filter(is_kept).flat_map(|part| [";", part]);
    std::iter::once(word).chain(kept).collect()
}
