//! What a flush gives: the figures of one name, and the carbon lines they print as.

use std::borrow::Cow;
use std::fmt::Write as _;

use metlog_core::sketch::Sketch;

use super::key::clean_key;
use super::members::Members;
use super::options::{Naming, Prefixes, RollupOptions};

/// What a rolled-up name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sums per interval.
    Counter,
    /// Spreads of observations.
    Timer,
    /// Present values.
    Gauge,
    /// Numbers of distinct members.
    Set,
    /// The roll-up's figures about itself.
    Own,
}

impl Kind {
    /// The kind as a word, for fields and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Timer => "timer",
            Self::Gauge => "gauge",
            Self::Set => "set",
            Self::Own => "own",
        }
    }
}

/// The name of one figure: `rate`, `upper_90`; empty for a gauge, which has one figure and no suffix.
pub type Suffix = Cow<'static, str>;

/// The figures of one name over one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// What the name is.
    pub kind: Kind,
    /// The cleaned name, with graphite tags behind a `;` if it has any. Empty for the roll-up's own figures.
    pub name: String,
    /// Figures in the order in which etsy's statsd writes them, each finite.
    pub values: Vec<(Suffix, f64)>,
    /// What an aggregator needs to merge it with others of its name, beyond the figures.
    pub part: Option<Part>,
}

/// What figures alone do not tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The times of a timer.
    Times(Box<Sketch>),
    /// The members of a set.
    Members(Box<Members>),
}

impl Rollup {
    /// The figures as carbon lines, one per figure, each ending in a newline: `stats.timers.x.upper_90 9 1700000000`.
    pub fn lines(&self, options: &RollupOptions, unix_seconds: u64) -> String {
        let mut text = String::new();
        self.append_lines(options, unix_seconds, &mut text);
        text
    }

    /// The same as [`Rollup::lines`], behind what `text` already holds.
    pub fn append_lines(&self, options: &RollupOptions, unix_seconds: u64, text: &mut String) {
        let mut scratch = String::new();
        let name = clean_key(&self.name, &mut scratch);
        let (name, tags) = match name.split_once(';') {
            Some((word, _)) => (word, name.get(word.len()..).unwrap_or_default()),
            None => (name, ""),
        };
        for (figure, value) in &self.values {
            let words = match options.naming {
                Naming::Etsy | Naming::Heka => self.words(&options.prefixes, name, figure),
                Naming::Legacy => self.legacy_words(name, figure),
            };
            for (place, word) in words.into_iter().filter(|word| !word.is_empty()).enumerate() {
                text.push_str(if place > 0 { "." } else { "" });
                text.push_str(word);
            }
            // Display writes the shortest decimal without an exponent; adding zero turns -0 into 0.
            // Writing to a String cannot fail.
            let suffix = options.suffix.as_str();
            let dot = if suffix.is_empty() { "" } else { "." };
            let _ = writeln!(text, "{dot}{suffix}{tags} {} {unix_seconds}", value + 0.0);
        }
    }

    fn words<'a>(&self, prefixes: &'a Prefixes, name: &'a str, figure: &'a str) -> [&'a str; 4] {
        let prefix = match self.kind {
            Kind::Counter => &prefixes.counters,
            Kind::Timer => &prefixes.timers,
            Kind::Gauge => &prefixes.gauges,
            Kind::Set => &prefixes.sets,
            Kind::Own => &prefixes.own,
        };
        [prefixes.global.as_str(), prefix.as_str(), name, figure]
    }

    fn legacy_words<'a>(&self, name: &'a str, figure: &'a str) -> [&'a str; 4] {
        match (self.kind, figure) {
            (Kind::Counter, "count") => ["stats_counts", name, "", ""],
            (Kind::Counter, _) => ["stats", name, "", ""],
            (Kind::Timer, _) => ["stats", "timers", name, figure],
            (Kind::Gauge, _) => ["stats", "gauges", name, ""],
            (Kind::Set, _) => ["stats", "sets", name, figure],
            (Kind::Own, _) => ["statsd", figure, "", ""],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Naming, Rollup, RollupOptions};

    fn one(kind: Kind, name: &str, suffix: &'static str, value: f64) -> Rollup {
        Rollup { kind, name: name.to_owned(), values: vec![(suffix.into(), value)], part: None }
    }

    #[test]
    fn each_kind_prints_under_its_prefix() {
        for (kind, name, suffix, line) in [
            (Kind::Counter, "a.b", "rate", "stats.counters.a.b.rate 2 1700000000\n"),
            (Kind::Timer, "a.b", "upper_90", "stats.timers.a.b.upper_90 2 1700000000\n"),
            (Kind::Gauge, "a.b", "", "stats.gauges.a.b 2 1700000000\n"),
            (Kind::Set, "a.b", "count", "stats.sets.a.b.count 2 1700000000\n"),
            (Kind::Own, "", "numStats", "stats.statsd.numStats 2 1700000000\n"),
            (Kind::Counter, "a;x=1;y=2", "rate", "stats.counters.a.rate;x=1;y=2 2 1700000000\n"),
            (Kind::Gauge, "a;x=1", "", "stats.gauges.a;x=1 2 1700000000\n"),
        ] {
            assert_eq!(one(kind, name, suffix, 2.0).lines(&RollupOptions::default(), 1_700_000_000), line);
        }
    }

    #[test]
    fn numbers_print_as_the_shortest_decimal_without_exponent() {
        for (value, printed) in [
            (9.0, "9"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
        ] {
            let line = one(Kind::Gauge, "x", "", value).lines(&RollupOptions::default(), 1);
            assert_eq!(line, format!("stats.gauges.x {printed} 1\n"));
        }
    }

    #[test]
    fn empty_prefixes_leave_no_dot_behind() {
        let options: RollupOptions =
            toml::from_str("[prefixes]\nglobal = ''\ncounters = ''\ngauges = 'g'").unwrap();
        assert_eq!(one(Kind::Counter, "a", "count", 1.0).lines(&options, 1), "a.count 1 1\n");
        assert_eq!(one(Kind::Gauge, "a", "", 1.0).lines(&options, 1), "g.a 1 1\n");
    }

    #[test]
    fn legacy_names_are_those_of_etsys_first_years() {
        let options = RollupOptions { naming: Naming::Legacy, ..RollupOptions::default() };
        for (kind, name, suffix, line) in [
            (Kind::Counter, "a.b", "rate", "stats.a.b 2 1\n"),
            (Kind::Counter, "a.b;x=1", "count", "stats_counts.a.b;x=1 2 1\n"),
            (Kind::Timer, "a.b", "upper_90", "stats.timers.a.b.upper_90 2 1\n"),
            (Kind::Gauge, "a.b", "", "stats.gauges.a.b 2 1\n"),
            (Kind::Set, "a.b", "count", "stats.sets.a.b.count 2 1\n"),
            (Kind::Own, "", "numStats", "statsd.numStats 2 1\n"),
        ] {
            assert_eq!(one(kind, name, suffix, 2.0).lines(&options, 1), line);
        }
    }

    #[test]
    fn a_suffix_stands_before_the_tags_and_names_are_clean_whatever_they_were_kept_as() {
        let options: RollupOptions = toml::from_str("suffix = 'web1'").unwrap();
        let rollup = one(Kind::Gauge, "a b;x=1", "", 1.0);
        assert_eq!(rollup.lines(&options, 1), "stats.gauges.a_b.web1;x=1 1 1\n");
    }
}
