//! The bounds of the roll-up: what is held, who made which names, and what was refused.

use std::collections::HashSet;

use metlog_core::sketch::Sketch;
use serde::{Deserialize, Serialize};

use super::accumulators::{Added, count};
use super::guard::{Families, SourceId};
use super::options::RollupOptions;
use super::table::Table;
use super::timers::{Timer, VALUES_PER_TABLE};

/// What all names hold together, and what found no room.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Books {
    /// Timer values and set members held now.
    kept: usize,
    overflow: Overflow,
    /// How many names each source has made, by its number.
    #[serde(skip)]
    made: Vec<usize>,
    /// What the names looked like of which samples were refused since the last flush.
    #[serde(skip)]
    refused: Families,
}

/// How often a bound was met, in running totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Samples refused because `max_names` or `max_names_per_source` was reached.
    pub names: u64,
    /// Timer samples that count, but whose value is in no other figure (`max_kept`).
    pub timer_values: u64,
    /// Set members refused (`max_set_members`, `max_kept`).
    pub set_members: u64,
}

/// The name that a sample goes to, which may be new.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) source: SourceId,
    pub(super) name: &'a str,
    /// Names of all kinds there are already.
    pub(super) names: usize,
    pub(super) options: &'a RollupOptions,
}

impl Place<'_> {
    /// Changes the accumulator of the name; makes it first if there is room, and only for a sample that is taken.
    pub(super) fn update<T: Default>(
        self,
        table: &mut Table<T>,
        books: &mut Books,
        change: impl Fn(&mut T, &mut Books) -> Added,
    ) -> Added {
        if let Some(added) = table.change(self.name, |value| change(value, books)) {
            return added;
        }
        let admitted = books.admit(&self);
        if admitted != Added::Yes {
            return admitted;
        }
        let mut value = T::default();
        let added = change(&mut value, books);
        if added == Added::Yes {
            table.insert(self.name, value, self.source);
            books.make(self.source);
        }
        added
    }
}

impl Books {
    /// Whether a source may make another name.
    fn admit(&mut self, place: &Place<'_>) -> Added {
        let made = self.made.get(place.source.index()).copied().unwrap_or(0);
        let refused = if place.names >= place.options.max_names {
            Added::NameOverflow
        } else if made >= place.options.max_names_per_source {
            Added::SourceOverflow
        } else {
            return Added::Yes;
        };
        self.overflow.names += 1;
        self.refused.add(place.name);
        refused
    }

    fn make(&mut self, source: SourceId) {
        if self.made.len() <= source.index() {
            self.made.resize(source.index() + 1, 0);
        }
        if let Some(made) = self.made.get_mut(source.index()) {
            *made += 1;
        }
    }

    /// A name of this source is forgotten.
    pub(super) fn unmake(&mut self, source: SourceId) {
        if let Some(made) = self.made.get_mut(source.index()) {
            *made = made.saturating_sub(1);
        }
    }

    pub(super) fn is_any_source_full(&self, options: &RollupOptions) -> bool {
        self.made.iter().any(|made| *made >= options.max_names_per_source)
    }

    /// Adds one observation: kept as it is up to the bound, sketched beyond.
    pub(super) fn time(
        &mut self,
        timer: &mut Timer,
        value: f64,
        weight: f64,
        options: &RollupOptions,
    ) -> Added {
        if !value.is_finite() || count(&mut timer.count, weight) == Added::NotFinite {
            return Added::NotFinite;
        }
        self.keep(timer, value, options);
        Added::Yes
    }

    #[inline]
    fn keep(&mut self, timer: &mut Timer, value: f64, options: &RollupOptions) {
        if self.kept < options.max_kept && timer.values.len() < options.max_timer_values {
            timer.values.push(value);
            self.kept += 1;
        } else {
            let room = options.max_kept.saturating_sub(self.kept);
            match timer.sketch_one(value, room) {
                Some(kept) => self.kept += kept,
                None => self.overflow.timer_values += 1,
            }
        }
    }

    /// Adds the observations of a sketch.
    pub(super) fn sketch(
        &mut self,
        timer: &mut Timer,
        (sketch, events): (&Sketch, f64),
        options: &RollupOptions,
    ) -> Added {
        if count(&mut timer.count, events) == Added::NotFinite {
            return Added::NotFinite;
        }
        self.keep_sketch(timer, sketch, options);
        Added::Yes
    }

    fn keep_sketch(&mut self, timer: &mut Timer, sketch: &Sketch, options: &RollupOptions) {
        match timer.merge(sketch, options.max_kept.saturating_sub(self.kept)) {
            Some(kept) => self.kept += kept,
            None => self.overflow.timer_values = self.overflow.timer_values.saturating_add(sketch.count()),
        }
    }

    /// Adds what a later timer of the same name has.
    pub(super) fn append(&mut self, timer: &mut Timer, later: &Timer, options: &RollupOptions) -> Added {
        if count(&mut timer.count, later.count) == Added::NotFinite {
            return Added::NotFinite;
        }
        later.values.iter().for_each(|value| self.keep(timer, *value, options));
        if let Some(sketch) = &later.sketch {
            self.keep_sketch(timer, sketch, options);
        }
        Added::Yes
    }

    /// Adds a member of a set.
    pub(super) fn join(&mut self, set: &mut HashSet<String>, member: &str, options: &RollupOptions) -> Added {
        if set.contains(member) {
            return Added::Yes;
        }
        if self.kept >= options.max_kept || set.len() >= options.max_set_members {
            self.overflow.set_members += 1;
            return Added::MemberOverflow;
        }
        set.insert(member.to_owned());
        self.kept += 1;
        Added::Yes
    }

    pub(super) fn begin_interval(&mut self) {
        self.kept = 0;
        self.refused.clear();
    }

    pub(super) fn merge(&mut self, later: &Self) {
        let Overflow { names, timer_values, set_members } = later.overflow;
        self.overflow.names += names;
        self.overflow.timer_values += timer_values;
        self.overflow.set_members += set_members;
        self.refused.merge(&later.refused);
    }

    pub(super) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(super) fn offenders(&self) -> Vec<(String, u64)> {
        self.refused.worst()
    }
}

/// Room that one table of a sketch takes, in values.
pub(super) const fn room_of(tables: usize) -> usize {
    tables * VALUES_PER_TABLE
}
