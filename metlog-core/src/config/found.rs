//! What one source has been found to say: settings with the place they stand at, and what is wrong with it.

use super::{
    keys::{self, Setting},
    raw::Raw,
    text::nearest,
    values::Config,
};

/// A value of a known setting.
struct Entry {
    /// For errors: where it stands, and how it is called there.
    place: String,
    shown: String,
    setting: &'static Setting,
    raw: Raw,
}

/// What one source says.
#[derive(Default)]
pub(super) struct Found {
    entries: Vec<Entry>,
    /// What is wrong, a line each.
    pub(super) problems: Vec<String>,
    /// What is odd, a line each.
    pub(super) warnings: Vec<String>,
}

impl Found {
    /// A source that cannot be read at all.
    pub(super) fn unreadable(problem: String) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }

    /// Takes over the value of the key `name`; `show` turns a key into what it is called in this source.
    pub(super) fn add(&mut self, place: &str, name: &str, raw: Raw, show: impl Fn(&str) -> String) {
        match keys::find(name) {
            Some(setting) => {
                self.entries.push(Entry { place: place.to_owned(), shown: show(name), setting, raw });
            }
            None => {
                let hint =
                    nearest(name, keys::keys()).map(|known| format!("; did you mean `{}`?", show(&known)));
                let hint = hint.unwrap_or_default();
                self.problems.push(format!("{place}: unknown key `{}`{hint}", show(name)));
            }
        }
    }

    /// Sets what this source says over what is there. Filters of one kind replace those of a source before it; within
    /// one source they add up.
    pub(super) fn apply(&self, config: &mut Config) -> Vec<String> {
        let mentions = |key: &str| self.entries.iter().any(|entry| entry.setting.name == key);
        config.filters.retain(|rule| !mentions(rule.key()));
        let refused = self.entries.iter().filter(|entry| (entry.setting.set)(config, &entry.raw).is_none());
        let refused: Vec<String> = refused.map(Entry::refusal).collect();
        self.problems.iter().cloned().chain(refused).collect()
    }
}

impl Entry {
    fn refusal(&self) -> String {
        let Self { place, shown, setting, raw } = self;
        format!("{place}: {shown} is {raw}, expected {}", setting.expected)
    }
}
