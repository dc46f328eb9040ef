//! One alert at work: what it remembers of each key, and what messages and time make of it.

use std::collections::BTreeMap;

use metlog_core::{Message, Value};
use metlog_pipeline::{matcher::MessageView, rollup::ROLLUP_TYPE};
use serde::{Deserialize, Serialize};

use super::{
    config::{Alert, Source},
    judge::{Standing, Turn},
};

/// Keys of one alert that have a state; messages of further ones are not watched.
const MAX_KEYS: usize = 10_000;

/// Windows of one key that wait for late messages, or that pass unseen while nothing is read.
const MAX_WINDOWS: i64 = 1_000;

/// What an alert keeps over a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    keys: BTreeMap<String, Key>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Key {
    standing: Standing,
    /// When it was heard of last, by its messages.
    seen: i64,
    /// The value before, and when, for changes.
    before: Option<(i64, f64)>,
    /// Messages by window.
    windows: BTreeMap<i64, u64>,
    /// The window that was closed last.
    closed: Option<i64>,
}

/// A change of state, with the key whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) key: String,
    pub(super) turn: Turn,
}

/// Why a message was not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    /// Its window is closed.
    Late,
    /// There are too many keys.
    Keys,
}

impl Memory {
    /// What a message makes of it. `now` bounds the time that a message may claim.
    pub(super) fn hear(
        &mut self,
        alert: &Alert,
        view: &mut MessageView<'_>,
        now: i64,
    ) -> Result<Option<Told>, Missed> {
        let Some(value) = alert.value(view) else { return Ok(None) };
        let mut name = String::new();
        if let Some(by) = &alert.by {
            by.fill(view, &mut name);
        }
        let at = view.head().map_or(now, |head| head.timestamp.as_nanos()).min(now);
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(&name) {
            return Err(Missed::Keys);
        }
        let key = self.keys.entry(name.clone()).or_default();
        key.seen = key.seen.max(at);
        let turn = match &alert.source {
            Source::Rollup { change_per, .. } => key.take(alert, value, at, *change_per),
            Source::Count { window, .. } => {
                let place = at.div_euclid(*window);
                if key.closed.is_some_and(|closed| place <= closed) {
                    return Err(Missed::Late);
                }
                *key.windows.entry(place).or_insert(0) += 1;
                None
            }
            Source::Absence => alert.thresholds.judge(&mut key.standing, 0.0, at),
        };
        Ok(turn.map(|turn| Told { key: name, turn }))
    }

    /// Begins to watch where there are no keys, so that silence is told of what was never heard. True when it had not.
    pub(super) fn begin(&mut self, alert: &Alert, now: i64) -> bool {
        if alert.by.is_some() || self.keys.contains_key("") {
            return false;
        }
        let closed = match &alert.source {
            Source::Count { window, .. } => Some(alert.ended(*window, now)),
            Source::Rollup { .. } | Source::Absence => None,
        };
        self.keys.insert(String::new(), Key { seen: now, closed, ..Key::default() });
        true
    }

    /// What the passing of time makes of it. Only when all that had come has been heard.
    pub(super) fn tick(&mut self, alert: &Alert, now: i64) -> Vec<Told> {
        let mut told = Vec::new();
        for (name, key) in &mut self.keys {
            let turns = key.tick(alert, now);
            told.extend(turns.into_iter().map(|turn| Told { key: name.clone(), turn }));
        }
        told
    }
}

impl Key {
    /// Judges a value, or its change.
    fn take(&mut self, alert: &Alert, value: f64, at: i64, change_per: Option<i64>) -> Option<Turn> {
        let Some(per) = change_per else { return alert.thresholds.judge(&mut self.standing, value, at) };
        let (then, before) = self.before.replace((at, value))?;
        let between = at.checked_sub(then).filter(|between| *between > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "times in seconds, far from the last digit")]
        let change = (value - before) * (per as f64 / between as f64);
        alert.thresholds.judge(&mut self.standing, change, at)
    }

    fn tick(&mut self, alert: &Alert, now: i64) -> Vec<Turn> {
        let thresholds = &alert.thresholds;
        match &alert.source {
            Source::Rollup { unknown_after, .. } => {
                let lost = unknown_after.map(|after| self.seen.saturating_add(after));
                let turn = match lost.filter(|lost| now >= *lost) {
                    Some(lost) => thresholds.lose(&mut self.standing, lost, now),
                    None => thresholds.wait(&mut self.standing, now),
                };
                turn.into_iter().collect()
            }
            Source::Count { window, change_per } => self.close_windows(alert, *window, *change_per, now),
            Source::Absence => {
                #[expect(clippy::cast_precision_loss, reason = "a silence in seconds")]
                let silence = now.saturating_sub(self.seen) as f64 / 1e9;
                thresholds.judge(&mut self.standing, silence, now).into_iter().collect()
            }
        }
    }

    /// Judges the windows that have ended, empty ones too, in order.
    fn close_windows(&mut self, alert: &Alert, window: i64, change_per: Option<i64>, now: i64) -> Vec<Turn> {
        let last = alert.ended(window, now);
        let first = self.windows.first_key_value().map(|(place, _)| *place);
        let next = self.closed.map_or(first.unwrap_or(last), |closed| closed + 1);
        let next = next.max(last - MAX_WINDOWS);
        let mut turns = Vec::new();
        for place in next..=last {
            let count = self.windows.remove(&place).unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
            let count = count as f64;
            turns.extend(self.take(alert, count, (place + 1).saturating_mul(window), change_per));
        }
        self.closed = Some(self.closed.map_or(last, |closed| closed.max(last)));
        self.windows.retain(|place, _| *place > last);
        turns
    }
}

impl Alert {
    /// The last window that ended so long ago that nothing of it is waited for.
    fn ended(&self, window: i64, now: i64) -> i64 {
        now.saturating_sub(self.lateness).div_euclid(window) - 1
    }

    /// What a message says to this alert: the roll-up's figure, or that it is there.
    fn value(&self, view: &mut MessageView<'_>) -> Option<f64> {
        if self.matcher.as_ref().is_some_and(|matcher| !matcher.matches(view)) {
            return None;
        }
        let Source::Rollup { rollup, figure, .. } = &self.source else { return Some(1.0) };
        let head = view.head()?;
        let is_rollup = head.kind == ROLLUP_TYPE;
        is_rollup.then(|| figure_of(view.message().ok()?, rollup, figure)).flatten()
    }
}

fn figure_of(message: &Message, rollup: &str, figure: &str) -> Option<f64> {
    if message.fields.get("name").and_then(Value::as_text) != Some(rollup) {
        return None;
    }
    let Value::Map(values) = message.fields.get("values")? else { return None };
    values.get(figure)?.as_number().filter(|value| value.is_finite())
}
