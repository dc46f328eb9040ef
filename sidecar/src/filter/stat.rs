//! Samples of the roll-up made from messages: Heka's StatFilter.

use metlog_core::wire::{batch::Batch, record::Record};
use metlog_pipeline::{
    matcher::{Matcher, MessageView},
    rollup::{Sample, SampleRate, message_key},
    template::Template,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::statsd::MAX_WORD;

/// What kind of sample is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StatKind {
    /// Its value is added.
    Counter,
    /// Its value is observed.
    Timer,
    /// Its value stands until the next.
    Gauge,
}

/// What is made of the messages that match.
pub(super) struct Stat {
    pub(super) matcher: Matcher,
    pub(super) kind: StatKind,
    pub(super) name: Template,
    pub(super) value: Template,
}

/// All samples that are made of messages.
#[derive(Default)]
pub struct Stats(pub(super) Vec<Stat>);

impl Stats {
    /// Gives `add` a name and a sample for each rule that a message fits. A message that has not what the rule's texts ask
    /// for, or whose value is no finite number, makes none.
    pub fn of(&self, batch: &Batch<'_>, record: Record<'_>, mut add: impl FnMut(&str, Sample<'_>)) {
        if self.0.is_empty() {
            return;
        }
        let mut view = MessageView::new(record, batch.header.identity());
        let (mut name, mut value, mut key) = (String::new(), String::new(), String::new());
        for stat in &self.0 {
            if !stat.matcher.matches(&mut view)
                || !stat.name.fill(&mut view, &mut name)
                || !stat.value.fill(&mut view, &mut value)
            {
                continue;
            }
            message_key("", &name, &mut key);
            if let Some(value) = value.trim().parse::<f64>().ok().filter(|value| value.is_finite())
                && key.len() <= MAX_WORD
            {
                add(&key, stat.kind.sample(value));
            }
        }
    }
}

impl StatKind {
    fn sample(self, value: f64) -> Sample<'static> {
        match self {
            Self::Counter => Sample::Counter { value, rate: SampleRate::ONE },
            Self::Timer => Sample::Timer { value, rate: SampleRate::ONE },
            Self::Gauge => Sample::Gauge { value, delta: false },
        }
    }
}
