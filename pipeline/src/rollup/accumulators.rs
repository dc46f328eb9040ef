//! The roll-up's state: one accumulator per kind and name, fed by samples, emptied by a flush.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::clean_key;
use super::lines::{Kind, Rollup, Suffix};
use super::options::RollupOptions;
use super::sample::Sample;
use super::timers::{ThresholdNames, Timer};

/// Everything the roll-up remembers. It serialises, so that an interval survives a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accumulators {
    counters: HashMap<String, f64>,
    timers: HashMap<String, Timer>,
    gauges: HashMap<String, f64>,
    sets: HashMap<String, HashSet<String>>,
    /// Timer values and set members held now.
    kept: usize,
    overflow: Overflow,
    /// Where names that need cleaning are written; empty between calls but for its memory.
    #[serde(skip)]
    scratch: String,
}

/// What became of a sample.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is part of the roll-up.
    Yes,
    /// It has a new name and there are `max_names` already; nothing changed.
    NameOverflow,
    /// It has a new set member and there are `max_set_members` or `max_kept` already; nothing changed.
    MemberOverflow,
    /// It is not a finite number, or would have made a figure infinite; nothing changed.
    NotFinite,
    /// Nothing of its name is left once cleaned; nothing changed.
    EmptyName,
}

impl Added {
    /// Why the sample was refused, as a counter label; nothing when it was taken.
    pub fn refused(self) -> Option<&'static str> {
        match self {
            Self::Yes => None,
            Self::NameOverflow => Some("name_overflow"),
            Self::MemberOverflow => Some("member_overflow"),
            Self::NotFinite => Some("not_finite"),
            Self::EmptyName => Some("empty_name"),
        }
    }
}

/// How often a bound was met, in running totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Samples refused because `max_names` was reached.
    pub names: u64,
    /// Timer samples that count, but whose value is in no other figure (`max_timer_values`, `max_kept`).
    pub timer_values: u64,
    /// Set members refused (`max_set_members`, `max_kept`).
    pub set_members: u64,
}

impl Accumulators {
    /// Takes a sample in, under its cleaned name, or says why not.
    pub fn add(&mut self, name: &str, sample: Sample<'_>, options: &RollupOptions) -> Added {
        let mut scratch = std::mem::take(&mut self.scratch);
        let key = clean_key(name, &mut scratch);
        let added = self.add_clean(key, sample, options);
        self.scratch = scratch;
        match added {
            Added::NameOverflow => self.overflow.names += 1,
            Added::MemberOverflow => self.overflow.set_members += 1,
            Added::Yes | Added::NotFinite | Added::EmptyName => {}
        }
        added
    }

    /// The figures of the interval that ends now, sorted by kind and name, then the roll-up's own; begins the next
    /// interval. Counters, timers and sets without a sample report zeros and gauges repeat, unless `delete_idle`.
    pub fn flush(&mut self, options: &RollupOptions, interval: Duration) -> Vec<Rollup> {
        let seconds = interval.as_secs_f64();
        let names: Vec<_> =
            options.percent_thresholds.iter().map(|percent| ThresholdNames::of(*percent)).collect();
        let mut rollups = Vec::with_capacity(self.names() + 1);
        collect(Kind::Counter, &mut self.counters, &mut rollups, |total| counter_figures(total, seconds));
        collect(Kind::Timer, &mut self.timers, &mut rollups, |timer| {
            std::mem::take(timer).figures(&names, seconds)
        });
        collect(Kind::Gauge, &mut self.gauges, &mut rollups, |value| vec![("".into(), *value)]);
        collect(Kind::Set, &mut self.sets, &mut rollups, |members| {
            vec![("count".into(), std::mem::take(members).len() as f64)]
        });
        let total = rollups.len() as f64;
        rollups.push(Rollup {
            kind: Kind::Own,
            name: String::new(),
            values: vec![("numStats".into(), total)],
        });
        self.kept = 0;
        if options.delete_idle {
            self.forget();
        }
        rollups
    }

    /// How many names of all kinds there are.
    pub fn names(&self) -> usize {
        self.counters.len() + self.timers.len() + self.gauges.len() + self.sets.len()
    }

    /// How often a bound was met since these accumulators were first made.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn add_clean(&mut self, name: &str, sample: Sample<'_>, options: &RollupOptions) -> Added {
        if name.is_empty() || name.starts_with(';') {
            return Added::EmptyName;
        }
        let room = self.names() < options.max_names;
        match sample {
            Sample::Counter { value, rate } => update(&mut self.counters, name, room, |total| {
                // The product, not the quotient: etsy's last digit.
                set(total, *total + value * rate.weight())
            }),
            Sample::Gauge { value, delta } => update(&mut self.gauges, name, room, |gauge| {
                set(gauge, if delta { *gauge + value } else { value })
            }),
            Sample::Timer { value, .. } if !value.is_finite() => Added::NotFinite,
            Sample::Timer { value, rate } => update(&mut self.timers, name, room, |timer| {
                let count = timer.count + rate.weight();
                if set(&mut timer.count, count) == Added::NotFinite {
                    return Added::NotFinite;
                }
                if self.kept < options.max_kept && timer.values.len() < options.max_timer_values {
                    timer.values.push(value);
                    self.kept += 1;
                } else {
                    self.overflow.timer_values += 1;
                }
                Added::Yes
            }),
            Sample::Sketch { sketch } => update(&mut self.timers, name, room, |timer| {
                let count = timer.count + sketch.count() as f64;
                if set(&mut timer.count, count) == Added::NotFinite {
                    return Added::NotFinite;
                }
                match timer.merge(sketch, options.max_kept.saturating_sub(self.kept)) {
                    Some(kept) => self.kept += kept,
                    None => {
                        let left_out = sketch.count();
                        self.overflow.timer_values = self.overflow.timer_values.saturating_add(left_out);
                    }
                }
                Added::Yes
            }),
            Sample::Set { member } => update(&mut self.sets, name, room, |members| {
                if members.contains(member) {
                    return Added::Yes;
                }
                if self.kept >= options.max_kept || members.len() >= options.max_set_members {
                    return Added::MemberOverflow;
                }
                members.insert(member.to_owned());
                self.kept += 1;
                Added::Yes
            }),
        }
    }

    fn forget(&mut self) {
        self.counters.clear();
        self.timers.clear();
        self.gauges.clear();
        self.sets.clear();
    }
}

/// Changes the accumulator of a name; makes it first if there is room, and only for a sample that is taken.
fn update<T: Default>(
    accumulators: &mut HashMap<String, T>,
    name: &str,
    room: bool,
    change: impl FnOnce(&mut T) -> Added,
) -> Added {
    if let Some(accumulator) = accumulators.get_mut(name) {
        return change(accumulator);
    }
    if !room {
        return Added::NameOverflow;
    }
    let mut accumulator = T::default();
    let added = change(&mut accumulator);
    if added == Added::Yes {
        accumulators.insert(name.to_owned(), accumulator);
    }
    added
}

/// Stores the next value of a figure unless it is infinite or not a number.
fn set(figure: &mut f64, next: f64) -> Added {
    if !next.is_finite() {
        return Added::NotFinite;
    }
    *figure = next;
    Added::Yes
}

/// Appends one roll-up per name in order of the names; `take` gives the figures and resets the accumulator.
fn collect<T>(
    kind: Kind,
    accumulators: &mut HashMap<String, T>,
    rollups: &mut Vec<Rollup>,
    mut take: impl FnMut(&mut T) -> Vec<(Suffix, f64)>,
) {
    let from = rollups.len();
    for (name, accumulator) in accumulators {
        rollups.push(Rollup { kind, name: name.clone(), values: take(accumulator) });
    }
    if let Some(added) = rollups.get_mut(from..) {
        added.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    }
}

fn counter_figures(total: &mut f64, seconds: f64) -> Vec<(Suffix, f64)> {
    let count = std::mem::take(total);
    let mut figures = vec![("rate".into(), count / seconds), ("count".into(), count)];
    figures.retain(|(_, value)| value.is_finite());
    figures
}

#[cfg(test)]
mod tests;
