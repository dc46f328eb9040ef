//! What a route makes of its messages: `set`, `rename` and `drop`.
//!
//! Texts are filled from the message as it comes; then what is renamed moves, all of it at once, then values are set, then
//! dropped. A text that asks for what the message has not is not set.

use metlog_core::{Message, Severity, Value};
use metlog_pipeline::template::Template;

use super::{
    config::RouteConfig,
    key::{Key, put, take},
};

/// Compiled changes of one route.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Change {
    renames: Vec<(Key, Key)>,
    sets: Vec<(Key, Setting)>,
    drops: Vec<Key>,
}

/// A value to set.
#[derive(Debug, Clone, PartialEq)]
enum Setting {
    Text(Template),
    Value(Value),
}

impl Change {
    /// Compiles what the route says; each problem names the key.
    pub(super) fn compile(route: &RouteConfig) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut change = Self::default();
        for (key, value) in &route.set {
            let set = Key::parse(key, Key::can_be_set)
                .and_then(|parsed| Setting::of(&parsed, value).map(|setting| (parsed, setting)));
            push(&mut change.sets, set, &mut problems, "set");
        }
        for (from, to) in &route.rename {
            let rename = Key::parse(from, Key::can_be_moved)
                .and_then(|from| Key::parse(to, Key::can_be_target).map(|to| (from, to)));
            push(&mut change.renames, rename, &mut problems, "rename");
        }
        for key in &route.drop {
            push(&mut change.drops, Key::parse(key, Key::can_be_dropped), &mut problems, "drop");
        }
        if problems.is_empty() { Ok(change) } else { Err(problems) }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the message.
    pub(super) fn apply(&self, message: &mut Message) {
        let value = |(key, setting): &(Key, Setting)| match setting {
            Setting::Text(template) => template.value(message).map(|value| (key.clone(), value)),
            Setting::Value(value) => Some((key.clone(), value.clone())),
        };
        let values: Vec<_> = self.sets.iter().filter_map(value).collect();
        let taken = self.renames.iter().map(|(from, to)| (to, take(message, from)));
        let moved: Vec<_> = taken.filter_map(|(to, value)| Some((to, value?))).collect();
        moved.into_iter().for_each(|(to, value)| put(message, to, value));
        values.into_iter().for_each(|(key, value)| put(message, &key, value));
        for key in &self.drops {
            let _gone = take(message, key);
        }
    }

    /// What it does, a line each.
    pub(super) fn describe(route: &RouteConfig) -> Vec<String> {
        let value = |value: &Value| serde_json::to_string(value).unwrap_or_default();
        let renames = route.rename.iter().map(|(from, to)| format!("rename {from} to {to}"));
        let sets = route.set.iter().map(|(key, set)| format!("set {key} to {}", value(set)));
        let drops = route.drop.iter().map(|key| format!("drop {key}"));
        renames.chain(sets).chain(drops).collect()
    }
}

fn push<T>(all: &mut Vec<T>, one: Result<T, String>, problems: &mut Vec<String>, section: &str) {
    match one {
        Ok(one) => all.push(one),
        Err(why) => problems.push(format!("{section}: {why}")),
    }
}

impl Setting {
    fn of(key: &Key, value: &Value) -> Result<Self, String> {
        let literal = match (key, value) {
            (_, Value::Text(text)) => return Template::parse(text).map(Self::Text),
            (Key::Severity, Value::Int(level)) => {
                let level = i64::try_from(*level).unwrap_or(i64::MAX);
                Severity::try_from(level).is_ok().then(|| value.clone())
            }
            (Key::Severity | Key::Type | Key::Logger | Key::Hostname, _) => None,
            _ => Some(value.clone()),
        };
        let expected = if *key == Key::Severity { "0 to 7, or a text" } else { "a text" };
        literal
            .map(Self::Value)
            .ok_or_else(|| format!("{key} is set to what it cannot be, expected {expected}"))
    }
}
