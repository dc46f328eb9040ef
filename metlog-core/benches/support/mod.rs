//! What the benchmarks share: rounds that are interleaved, medians, and a table of ratios against the peers and floors of
//! the same run. Machines are noisy; ratios within a run are not.
#![allow(dead_code, reason = "each benchmark uses its share")]

pub(crate) mod message;

use std::{cell::Cell, process::ExitCode, time::Duration};

use cpu_time::{ProcessTime, ThreadTime};

/// How often everything is measured; the median counts.
pub(crate) const ROUNDS: usize = 7;

/// One thing that is measured: its name, and what gives nanoseconds per operation for one round.
pub(crate) struct Measure<'a> {
    name: String,
    round: Box<dyn FnMut() -> f64 + 'a>,
}

/// A measure of `round`.
pub(crate) fn measure<'a>(name: impl Into<String>, round: impl FnMut() -> f64 + 'a) -> Measure<'a> {
    Measure { name: name.into(), round: Box::new(round) }
}

/// CPU time of the calling thread per operation.
pub(crate) fn on_this_thread(count: u32, work: impl FnOnce()) -> f64 {
    let start = ThreadTime::now();
    work();
    per_operation(start.elapsed(), count)
}

/// CPU time of the whole process per operation.
pub(crate) fn in_this_process(count: u32, work: impl FnOnce()) -> f64 {
    let start = ProcessTime::now();
    work();
    per_operation(start.elapsed(), count)
}

/// Nanoseconds of each of `count` operations that took `time` together.
pub(crate) fn per_operation(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(count)
}

/// Medians by name, in the order of the measures. The rounds are interleaved, so that a slow moment of the machine
/// meets all measures alike.
pub(crate) struct Medians {
    nanos: Vec<(String, f64)>,
    missed: Cell<bool>,
}

/// Measures everything [`ROUNDS`] times, after one round that does not count.
pub(crate) fn run(mut measures: Vec<Measure<'_>>) -> Medians {
    let mut figures = vec![Vec::new(); measures.len()];
    for round in 0..=ROUNDS {
        for (measure, figures) in measures.iter_mut().zip(&mut figures) {
            let figure = (measure.round)();
            if round > 0 {
                figures.push(figure);
            }
        }
    }
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let nanos = measures.into_iter().zip(&mut figures).map(|(m, figures)| (m.name, median(figures)));
    let medians = Medians { nanos: nanos.collect(), missed: Cell::new(false) };
    for (name, nanos) in &medians.nanos {
        println!("{name:<58} {nanos:>9.1} ns");
    }
    medians
}

impl Medians {
    /// The median of a measure.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.nanos.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, nanos)| *nanos)
    }

    /// Prints `of` as a multiple of `to`, and whether it keeps its bar.
    pub(crate) fn at_most(&self, of: &str, bar: f64, to: &[&str]) {
        let floor: f64 = to.iter().map(|name| self.get(name)).sum();
        let ratio = self.get(of) / floor;
        self.verdict(ratio <= bar, &format!("{of}: {ratio:.2} x of ({}), bar at most {bar}", to.join(" + ")));
    }

    /// Prints how many times cheaper `of` is than `than`, and whether it keeps its bar.
    pub(crate) fn cheaper(&self, of: &str, bar: f64, than: &str) {
        let ratio = self.get(than) / self.get(of);
        self.verdict(ratio >= bar, &format!("{of}: {ratio:.2} x cheaper than {than}, bar at least {bar}"));
    }

    /// Prints how fast `of` is as a share of `than`, and whether it keeps its bar.
    pub(crate) fn as_fast(&self, of: &str, bar: f64, than: &str) {
        let (share, rate) = (self.get(than) / self.get(of), |name| 1e3 / self.get(name));
        let (ours, theirs) = (rate(of), rate(than));
        self.verdict(
            share >= bar,
            &format!("{of}: {ours:.2} M/s, {share:.2} of {than} ({theirs:.2} M/s), bar at least {bar}"),
        );
    }

    /// Prints one line of the table of bars.
    fn verdict(&self, kept: bool, line: &str) {
        println!("{:<7} {line}", if kept { "ok" } else { "MISSED" });
        self.missed.set(self.missed.get() || !kept);
    }

    /// A failure when a bar was missed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.missed.get() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
