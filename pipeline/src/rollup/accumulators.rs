//! The roll-up's state: one accumulator per kind and name, fed by samples, emptied by a flush.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::books::{Books, Overflow, Place};
use super::guard::SourceId;
use super::key::clean_key;
use super::lines::{Kind, Part, Rollup, Suffix};
use super::members::Members;
use super::options::RollupOptions;
use super::sample::Sample;
use super::table::Table;
use super::timers::{Figures, Timer};

/// Everything the roll-up remembers. It serialises, so that an interval survives a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accumulators {
    counters: Table<f64>,
    timers: Table<Timer>,
    gauges: Table<Gauge>,
    sets: Table<HashSet<String>>,
    books: Books,
    /// Where names that need cleaning are written; empty between calls but for its memory.
    #[serde(skip)]
    scratch: String,
}

/// The present value of something.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
struct Gauge {
    value: f64,
    /// True when all that was heard are changes: [`Accumulators::merge`] adds it to what was there before.
    is_change: bool,
}

impl Gauge {
    /// Changes of a gauge that nobody has set begin at zero.
    fn hear(&mut self, value: f64, delta: bool, is_new: bool) -> Added {
        let next = if delta { self.value + value } else { value };
        let added = set(&mut self.value, next);
        if added == Added::Yes {
            self.is_change = delta && (is_new || self.is_change);
        }
        added
    }
}

impl From<f64> for Gauge {
    fn from(value: f64) -> Self {
        Self { value, is_change: false }
    }
}

impl From<Gauge> for f64 {
    fn from(gauge: Gauge) -> Self {
        gauge.value
    }
}

/// What became of a sample.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is part of the roll-up.
    Yes,
    /// It has a new name and there are `max_names` already; nothing changed.
    NameOverflow,
    /// It has a new name and its source has made `max_names_per_source` already; nothing changed.
    SourceOverflow,
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
            Self::SourceOverflow => Some("source_overflow"),
            Self::MemberOverflow => Some("member_overflow"),
            Self::NotFinite => Some("not_finite"),
            Self::EmptyName => Some("empty_name"),
        }
    }
}

impl Accumulators {
    /// Takes a sample in, under its cleaned name, or says why not.
    pub fn add(&mut self, name: &str, sample: Sample<'_>, options: &RollupOptions) -> Added {
        self.add_from(SourceId::default(), name, sample, options)
    }

    /// Takes a sample of a source in, under its cleaned name, or says why not.
    #[inline]
    pub fn add_from(
        &mut self,
        source: SourceId,
        name: &str,
        sample: Sample<'_>,
        options: &RollupOptions,
    ) -> Added {
        let books = &mut self.books;
        // A name that is known has been cleaned: only others are looked at.
        let known = match sample {
            Sample::Counter { value, rate } => {
                self.counters.change(name, |total| count(total, value * rate.weight()))
            }
            Sample::Gauge { value, delta } => {
                self.gauges.change(name, |gauge| gauge.hear(value, delta, false))
            }
            Sample::Timer { value, rate } => {
                self.timers.change(name, |timer| books.time(timer, value, rate.weight(), options))
            }
            Sample::Sketch { sketch, events } => {
                self.timers.change(name, |timer| books.sketch(timer, (sketch, events), options))
            }
            Sample::Set { member } => self.sets.change(name, |set| books.join(set, member, options)),
        };
        known.unwrap_or_else(|| self.add_unknown(source, name, sample, options))
    }

    #[cold]
    fn add_unknown(
        &mut self,
        source: SourceId,
        name: &str,
        sample: Sample<'_>,
        options: &RollupOptions,
    ) -> Added {
        let mut scratch = std::mem::take(&mut self.scratch);
        let cleaned = clean_key(name, &mut scratch);
        let added = if cleaned.is_empty() || cleaned.starts_with(';') {
            Added::EmptyName
        } else {
            let name = if options.key_name_sanitize { cleaned } else { name };
            self.add_named(self.place(source, name, options), sample)
        };
        self.scratch = scratch;
        added
    }

    fn add_named(&mut self, place: Place<'_>, sample: Sample<'_>) -> Added {
        let options = place.options;
        let books = &mut self.books;
        match sample {
            // The product, not the quotient: etsy's last digit.
            Sample::Counter { value, rate } => {
                place.update(&mut self.counters, books, |total, _| count(total, value * rate.weight()))
            }
            Sample::Gauge { value, delta } => {
                let is_new = self.gauges.get(place.name).is_none();
                place.update(&mut self.gauges, books, |gauge, _| gauge.hear(value, delta, is_new))
            }
            Sample::Timer { value, rate } => place.update(&mut self.timers, books, |timer, books| {
                books.time(timer, value, rate.weight(), options)
            }),
            Sample::Sketch { sketch, events } => place.update(&mut self.timers, books, |timer, books| {
                books.sketch(timer, (sketch, events), options)
            }),
            Sample::Set { member } => {
                place.update(&mut self.sets, books, |set, books| books.join(set, member, options))
            }
        }
    }

    fn place<'a>(&self, source: SourceId, name: &'a str, options: &'a RollupOptions) -> Place<'a> {
        Place { source, name, names: self.names(), options }
    }

    /// The figures of the interval that ends now, sorted by kind and name, then the roll-up's own; begins the next
    /// interval. Counters, timers and sets without a sample report zeros and gauges repeat, unless they are to be deleted.
    pub fn flush(&mut self, options: &RollupOptions, interval: Duration) -> Vec<Rollup> {
        let seconds = interval.as_secs_f64();
        let figures = Figures::of(options, seconds);
        let mut rollups = Vec::with_capacity(self.names() + 1);
        collect(Kind::Counter, &mut self.counters, &mut rollups, |_, total| {
            (counter_figures(total, seconds, options), None)
        });
        collect(Kind::Timer, &mut self.timers, &mut rollups, |name, timer| {
            let part = options.mergeable.then(|| timer.part()).flatten();
            (figures.of_timer(name, timer), part)
        });
        collect(Kind::Gauge, &mut self.gauges, &mut rollups, |_, gauge| {
            gauge.is_change = false;
            (vec![("".into(), gauge.value)], None)
        });
        collect(Kind::Set, &mut self.sets, &mut rollups, |_, members| {
            let members = std::mem::take(members);
            let part = options.mergeable.then(|| part_of_set(&members));
            (vec![("count".into(), members.len() as f64)], part)
        });
        let total = rollups.len() as f64;
        let values = vec![("numStats".into(), total)];
        rollups.push(Rollup { kind: Kind::Own, name: String::new(), values, part: None });
        self.begin_interval(options);
        rollups
    }

    /// Forgets what is to be deleted. When there is no room for new names, those that were idle for a whole interval make
    /// some; gauges do not, because a gauge stands until it is set again.
    fn begin_interval(&mut self, options: &RollupOptions) {
        let is_full = self.names() >= options.max_names || self.books.is_any_source_full(options);
        let delete = options.delete();
        let books = &mut self.books;
        self.counters.begin_interval(delete.counters, is_full, books);
        self.timers.begin_interval(delete.timers, is_full, books);
        self.sets.begin_interval(delete.sets, is_full, books);
        self.gauges.begin_interval(delete.gauges, false, books);
        books.begin_interval();
    }

    /// Takes in what was added to others meanwhile, whose time comes after this one's. Gives back how many samples found
    /// no room here, by reason.
    #[must_use]
    pub fn merge(&mut self, later: Self, options: &RollupOptions) -> BTreeMap<&'static str, u64> {
        let mut refused = Refused::default();
        for (name, entry) in later.counters {
            let place = self.place(entry.source, &name, options);
            let add = |total: &mut f64, _: &mut Books| count(total, entry.value);
            refused.note(place.update(&mut self.counters, &mut self.books, add), entry.samples);
        }
        for (name, entry) in later.gauges {
            let (place, is_new) =
                (self.place(entry.source, &name, options), self.gauges.get(&name).is_none());
            let Gauge { value, is_change } = entry.value;
            let hear = |gauge: &mut Gauge, _: &mut Books| gauge.hear(value, is_change, is_new);
            refused.note(place.update(&mut self.gauges, &mut self.books, hear), entry.samples);
        }
        for (name, entry) in later.timers {
            let place = self.place(entry.source, &name, options);
            let append = |timer: &mut Timer, books: &mut Books| books.append(timer, &entry.value, options);
            refused.note(place.update(&mut self.timers, &mut self.books, append), entry.samples);
        }
        for (name, entry) in later.sets {
            let place = self.place(entry.source, &name, options);
            let join = |set: &mut HashSet<String>, books: &mut Books| {
                let joined = entry.value.iter().map(|member| books.join(set, member, options));
                joined.fold(Added::Yes, |all, one| if one == Added::Yes { all } else { one })
            };
            refused.note(place.update(&mut self.sets, &mut self.books, join), entry.samples);
        }
        self.books.merge(&later.books);
        refused.0
    }

    /// How many names of all kinds there are.
    pub fn names(&self) -> usize {
        self.counters.len() + self.timers.len() + self.gauges.len() + self.sets.len()
    }

    /// How often a bound was met since these accumulators were first made.
    pub fn overflow(&self) -> Overflow {
        self.books.overflow()
    }

    /// What the names look like of which most samples were refused since the last flush, the worst first: their parts that
    /// have a digit are written `#`.
    pub fn offenders(&self) -> Vec<(String, u64)> {
        self.books.offenders()
    }
}

/// Samples refused, by reason.
#[derive(Default)]
struct Refused(BTreeMap<&'static str, u64>);

impl Refused {
    fn note(&mut self, added: Added, samples: u32) {
        if let Some(reason) = added.refused() {
            *self.0.entry(reason).or_insert(0) += u64::from(samples);
        }
    }
}

/// Adds to a figure unless it would be infinite or not a number.
pub(super) fn count(figure: &mut f64, more: f64) -> Added {
    let next = *figure + more;
    set(figure, next)
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
    accumulators: &mut Table<T>,
    rollups: &mut Vec<Rollup>,
    mut take: impl FnMut(&str, &mut T) -> (Vec<(Suffix, f64)>, Option<Part>),
) {
    let from = rollups.len();
    for (name, accumulator) in accumulators.iter_mut() {
        let (values, part) = take(name, accumulator);
        rollups.push(Rollup { kind, name: name.to_owned(), values, part });
    }
    if let Some(added) = rollups.get_mut(from..) {
        added.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    }
}

fn part_of_set(members: &HashSet<String>) -> Part {
    let mut estimate = Members::default();
    members.iter().for_each(|member| estimate.add(member));
    Part::Members(Box::new(estimate))
}

fn counter_figures(total: &mut f64, seconds: f64, options: &RollupOptions) -> Vec<(Suffix, f64)> {
    let count = std::mem::take(total);
    let mut figures = vec![("rate".into(), count / seconds)];
    if options.flush_counts {
        figures.push(("count".into(), count));
    }
    figures.retain(|(_, value)| value.is_finite());
    figures
}

#[cfg(test)]
mod tests;
