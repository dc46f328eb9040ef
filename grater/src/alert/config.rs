//! The sections `[[alert]]`, and what is wrong with them.

use std::time::Duration;

use metlog_pipeline::{config, matcher::Matcher, template::Template};
use schemars::JsonSchema;
use serde::Deserialize;

use super::judge::{Direction, Thresholds};

/// One alert.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct AlertConfig {
    /// What it is called in its messages, unique; states are kept under this name.
    pub name: String,
    /// Only messages that fit this expression; all by default.
    #[serde(rename = "matcher")]
    matches: Option<String>,
    /// What has a state of its own: a text with `%Field%`s, such as `%Hostname%`. One for all messages by default.
    #[serde(default)]
    by: String,
    /// From here on it warns.
    warning: Option<f64>,
    /// From here on it is critical.
    critical: Option<f64>,
    /// Which way is worse.
    #[serde(default)]
    worse: Direction,
    /// How far a value must come back behind a threshold before the state is left.
    #[serde(default)]
    hysteresis: f64,
    /// How long a new state must last before it is told.
    #[serde(default, deserialize_with = "time")]
    hold: Duration,
    /// How much later than its time a message may come, and how long after a start nothing is concluded from silence.
    #[serde(default = "ten_seconds", deserialize_with = "time")]
    lateness: Duration,
    /// `fields.service` of its messages; its name by default.
    service: Option<String>,
    /// `fields.host` of its messages; the key by default, or this host when there is none.
    host: Option<String>,
    #[serde(flatten)]
    source: SourceConfig,
}

/// Where its values come from.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum SourceConfig {
    /// A figure of roll-ups, as they come.
    Rollup {
        /// The roll-up's name, such as `bookmarks.store`.
        rollup: String,
        /// Which figure, such as `upper_90`; `value` for gauges, by default.
        #[serde(default = "value")]
        figure: String,
        /// Watch the change in so long rather than the figure.
        change_per: Option<Span>,
        /// When nothing comes for so long its state is unknown.
        unknown_after: Option<Span>,
    },
    /// How many messages there are in each window.
    Count {
        /// The window.
        window: Span,
        /// Watch the change in so long rather than the count.
        change_per: Option<Span>,
    },
    /// For how many seconds no message has come.
    Absence {},
}

/// A duration that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Span(#[serde(deserialize_with = "config::duration")] Duration);

fn value() -> String {
    "value".to_owned()
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// A duration that may be zero.
fn time<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom(format!("{text:?} is no duration, expected for example \"10s\""))
    })
}

/// A compiled alert.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) matcher: Option<Matcher>,
    /// Nothing when all messages have one state.
    pub(super) by: Option<Template>,
    pub(super) thresholds: Thresholds,
    /// In nanoseconds, as all times below.
    pub(super) lateness: i64,
    pub(super) service: String,
    pub(super) host: Option<String>,
    pub(super) source: Source,
}

#[derive(Debug)]
pub(super) enum Source {
    Rollup { rollup: String, figure: String, change_per: Option<i64>, unknown_after: Option<i64> },
    Count { window: i64, change_per: Option<i64> },
    Absence,
}

impl AlertConfig {
    pub(super) fn compile(&self) -> Result<Alert, Vec<String>> {
        let mut problems = Vec::new();
        let name = &self.name;
        let matcher = self.matches.as_deref().map(Matcher::compile).transpose();
        let by = Template::parse(&self.by);
        problems.extend(matcher.as_ref().err().map(|error| format!("alert {name:?}: {error}")));
        problems.extend(by.as_ref().err().map(|why| format!("alert {name:?}: by: {why}")));
        let thresholds =
            Thresholds::new(self.worse, (self.warning, self.critical), self.hysteresis, nanos(self.hold));
        problems.extend(thresholds.as_ref().err().map(|why| format!("alert {name:?}: {why}")));
        let (Ok(matcher), Ok(by), Ok(thresholds)) = (matcher, by, thresholds) else { return Err(problems) };
        Ok(Alert {
            name: name.clone(),
            matcher,
            by: (!self.by.is_empty()).then_some(by),
            thresholds,
            lateness: nanos(self.lateness),
            service: self.service.clone().unwrap_or_else(|| name.clone()),
            host: self.host.clone(),
            source: self.source.compile(),
        })
    }
}

impl SourceConfig {
    fn compile(&self) -> Source {
        let span = |span: &Option<Span>| span.map(|span| nanos(span.0));
        match self {
            Self::Rollup { rollup, figure, change_per, unknown_after } => Source::Rollup {
                rollup: rollup.clone(),
                figure: figure.clone(),
                change_per: span(change_per),
                unknown_after: span(unknown_after),
            },
            Self::Count { window, change_per } => {
                Source::Count { window: nanos(window.0).max(1), change_per: span(change_per) }
            }
            Self::Absence {} => Source::Absence,
        }
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// Everything that is wrong with the alerts, a line each.
#[must_use]
pub fn check(alerts: &[AlertConfig]) -> Vec<String> {
    let taken = alerts
        .iter()
        .enumerate()
        .filter(|(position, alert)| alerts.iter().take(*position).any(|earlier| earlier.name == alert.name));
    let taken = taken.map(|(_, alert)| format!("alert {:?}: name is taken by an earlier alert", alert.name));
    taken.chain(alerts.iter().filter_map(|alert| alert.compile().err()).flatten()).collect()
}
