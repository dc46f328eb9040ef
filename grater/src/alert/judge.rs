//! From values to states: thresholds that are left later than they are met, and states that must last before they are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How it stands, in Nagios' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Nothing to tell.
    #[default]
    Ok,
    /// Beyond the first threshold.
    Warning,
    /// Beyond the second.
    Critical,
    /// Nothing is known.
    Unknown,
}

impl State {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// Larger values are.
    #[default]
    Above,
    /// Smaller values are.
    Below,
}

/// Compiled thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Thresholds {
    worse: Direction,
    warning: Option<f64>,
    critical: Option<f64>,
    hysteresis: f64,
    /// In nanoseconds.
    hold: i64,
}

/// The state of one key.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Standing {
    /// What has been told.
    pub(super) told: State,
    /// A state that does not last long enough yet, and since when.
    pending: Option<(State, i64)>,
    /// The value that was judged last.
    pub(super) value: Option<f64>,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Turn {
    pub(super) state: State,
    pub(super) previous: State,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    /// When, in nanoseconds since the epoch.
    pub(super) at: i64,
}

impl Thresholds {
    pub(super) fn new(
        worse: Direction,
        (warning, critical): (Option<f64>, Option<f64>),
        hysteresis: f64,
        hold: i64,
    ) -> Result<Self, String> {
        let is_finite = [warning, critical, Some(hysteresis)].iter().flatten().all(|value| value.is_finite());
        if !is_finite || hysteresis < 0.0 {
            return Err("thresholds are finite numbers, and hysteresis is at least 0".to_owned());
        }
        let thresholds = Self { worse, warning, critical, hysteresis, hold };
        match (warning, critical) {
            (None, None) => Err("no threshold, expected warning, critical or both".to_owned()),
            (Some(warning), Some(critical)) if thresholds.excess(critical, warning) < 0.0 => {
                Err(format!("critical is {critical} and better than warning, which is {warning}"))
            }
            _ => Ok(thresholds),
        }
    }

    /// How far a value is beyond a threshold; negative when it is not.
    fn excess(&self, value: f64, threshold: f64) -> f64 {
        match self.worse {
            Direction::Above => value - threshold,
            Direction::Below => threshold - value,
        }
    }

    /// The state of a value, where `told` is left only once the value is back far enough.
    fn state(&self, value: f64, told: State) -> State {
        let meets = |threshold: Option<f64>, is_left: bool| {
            let margin = if is_left { self.hysteresis } else { 0.0 };
            threshold.is_some_and(|threshold| self.excess(value, threshold) >= -margin)
        };
        if meets(self.critical, told == State::Critical) {
            State::Critical
        } else if meets(self.warning, matches!(told, State::Warning | State::Critical)) {
            State::Warning
        } else {
            State::Ok
        }
    }

    fn threshold(&self, state: State) -> Option<f64> {
        match state {
            State::Critical => self.critical,
            State::Warning => self.warning,
            State::Ok | State::Unknown => None,
        }
    }

    /// Takes a value; gives back a change of state that is to be told.
    pub(super) fn judge(&self, standing: &mut Standing, value: f64, at: i64) -> Option<Turn> {
        standing.value = Some(value);
        let state = self.state(value, standing.told);
        self.meet(standing, (state, at), at)
    }

    /// Nothing is known any more, since some time.
    pub(super) fn lose(&self, standing: &mut Standing, since: i64, at: i64) -> Option<Turn> {
        standing.value = None;
        self.meet(standing, (State::Unknown, since), at)
    }

    /// Time has gone on without a value: a state may have lasted long enough.
    pub(super) fn wait(&self, standing: &mut Standing, at: i64) -> Option<Turn> {
        let pending = standing.pending?;
        self.meet(standing, pending, at)
    }

    /// A state is seen, for the first time since `began` unless it is pending.
    fn meet(&self, standing: &mut Standing, (state, began): (State, i64), at: i64) -> Option<Turn> {
        if state == standing.told {
            standing.pending = None;
            return None;
        }
        let since = match standing.pending {
            Some((pending, since)) if pending == state => since,
            _ => began,
        };
        if at.saturating_sub(since) < self.hold {
            standing.pending = Some((state, since));
            return None;
        }
        standing.pending = None;
        let previous = std::mem::replace(&mut standing.told, state);
        Some(Turn { state, previous, value: standing.value, threshold: self.threshold(state), at })
    }
}
