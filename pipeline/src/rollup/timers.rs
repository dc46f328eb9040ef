//! The figures of one timer, computed exactly as etsy's statsd does, from every value of the interval.

use serde::{Deserialize, Serialize};

use metlog_core::sketch::Sketch;

use super::books::room_of;
use super::lines::Suffix;
use super::options::{Bin, Histogram, Naming, PercentThreshold, RollupOptions};
use super::spread;

/// Timer values that take as much memory as one table of a sketch.
pub(super) const VALUES_PER_TABLE: usize = 50;

/// What is kept of one timer during an interval.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Timer {
    /// Values in order of arrival.
    pub(super) values: Vec<f64>,
    /// How many events the samples stand for, corrected by their rates; exact also when values were left out.
    pub(super) count: f64,
    /// Values that arrived as sketches; empty in most timers.
    #[serde(default)]
    pub(super) sketch: Option<Box<Sketch>>,
}

impl Timer {
    /// Takes in the values of a sketch; gives back the room it took, or nothing when it is more than `room`. Figures
    /// that would be infinite are found by the flush.
    pub(super) fn merge(&mut self, more: &Sketch, room: usize) -> Option<usize> {
        let own = self.sketch.get_or_insert_default();
        let taken = room_of(own.tables_with(more) - own.tables());
        if taken > room {
            return None;
        }
        own.merge(more);
        Some(taken)
    }

    /// Its times as a sketch; nothing when there is none, or one that no sketch holds.
    pub(super) fn part(&self) -> Option<super::lines::Part> {
        let mut sketch = self.sketch.clone().unwrap_or_default();
        let is_whole = self.values.iter().all(|value| sketch.add(*value));
        (is_whole && !sketch.is_empty()).then_some(super::lines::Part::Times(sketch))
    }

    /// Takes in one value more than are kept exactly; gives back the room it took, or nothing when there is none or the
    /// value is none for a sketch.
    pub(super) fn sketch_one(&mut self, value: f64, room: usize) -> Option<usize> {
        if room < VALUES_PER_TABLE {
            return None;
        }
        let own = self.sketch.get_or_insert_default();
        let before = own.tables();
        own.add(value).then(|| room_of(own.tables() - before))
    }
}

/// What is computed of each timer at a flush.
pub(super) struct Figures<'a> {
    names: Vec<ThresholdNames>,
    options: &'a RollupOptions,
    seconds: f64,
}

impl<'a> Figures<'a> {
    pub(super) fn of(options: &'a RollupOptions, seconds: f64) -> Self {
        let names = options.percent_thresholds.iter().map(|percent| ThresholdNames::of(*percent)).collect();
        Self { names, options, seconds }
    }

    /// The figures in etsy's order, each finite; an idle timer has only `count` and `count_ps`. The timer is empty then.
    pub(super) fn of_timer(&self, name: &str, timer: &mut Timer) -> Vec<(Suffix, f64)> {
        let timer = std::mem::take(timer);
        let bins = self.options.histogram.iter().find(|histogram| histogram.is_for(name));
        let mut figures = self.all(timer, bins.map_or(&[], Histogram::bins));
        // A receiver could only choke on what overflowed (squares of values above 1e154).
        figures.retain(|(name, value)| value.is_finite() && self.is_wanted(name));
        figures
    }

    fn is_wanted(&self, suffix: &str) -> bool {
        let named = |known: &[&str]| known.contains(&suffix);
        match self.options.naming {
            Naming::Etsy | Naming::Legacy => true,
            Naming::Heka => {
                named(&["count", "count_ps", "lower", "upper", "sum", "mean"])
                    || ["mean_", "upper_", "lower_"].iter().any(|percentile| suffix.starts_with(percentile))
            }
        }
    }

    fn all(&self, mut timer: Timer, bins: &[Bin]) -> Vec<(Suffix, f64)> {
        let rate = timer.count / self.seconds;
        if let Some(sketch) = timer.sketch.take().filter(|sketch| !sketch.is_empty()) {
            return spread::figures(&timer, &sketch, &self.names, bins, rate);
        }
        timer.values.sort_unstable_by(f64::total_cmp);
        let (Some(&lower), Some(&upper)) = (timer.values.first(), timer.values.last()) else {
            return vec![("count".into(), timer.count), ("count_ps".into(), rate)];
        };
        let sums = Sums::of(&timer.values);
        let all = timer.values.len();
        let mean = sums.plain(all) / all as f64;
        let mut figures = Vec::with_capacity(9 + 5 * self.names.len() + bins.len());
        for name in &self.names {
            name.push_figures(&timer.values, &sums, &mut figures);
        }
        figures.extend([
            ("std".into(), deviation(&timer.values, mean)),
            ("upper".into(), upper),
            ("lower".into(), lower),
            ("count".into(), timer.count),
            ("count_ps".into(), rate),
            ("sum".into(), sums.plain(all)),
            ("sum_squares".into(), sums.squares(all)),
            ("mean".into(), mean),
            ("median".into(), median(&timer.values)),
        ]);
        push_histogram(bins, timer.values.iter().map(|value| (*value, 1)), &mut figures);
        figures
    }
}

/// Appends how many values fall below each bin and not below the one before it. As in etsy, values above the last bin are
/// in none.
pub(super) fn push_histogram(
    bins: &[Bin],
    sorted: impl Iterator<Item = (f64, u64)>,
    figures: &mut Vec<(Suffix, f64)>,
) {
    let mut sorted = sorted.peekable();
    for bin in bins {
        let mut frequency = 0;
        while let Some((_, times)) = sorted.next_if(|(value, _)| *value < bin.edge()) {
            frequency += times;
        }
        figures.push((bin.suffix().to_owned().into(), frequency as f64));
    }
}
/// A percentile with the names of its five figures, written once per flush.
pub(super) struct ThresholdNames {
    percent: PercentThreshold,
    count: String,
    mean: String,
    boundary: String,
    sum: String,
    sum_squares: String,
}

impl ThresholdNames {
    pub(super) fn of(percent: PercentThreshold) -> Self {
        // As etsy: 99.9 is `99_9`, -10 is `top10`.
        let text = percent.get().to_string().replace('.', "_").replace('-', "top");
        let side = if percent.get() > 0.0 { "upper" } else { "lower" };
        Self {
            percent,
            count: format!("count_{text}"),
            mean: format!("mean_{text}"),
            boundary: format!("{side}_{text}"),
            sum: format!("sum_{text}"),
            sum_squares: format!("sum_squares_{text}"),
        }
    }

    /// Appends the figures over the part of the sorted values that the percentile covers; none when it covers none.
    fn push_figures(&self, sorted: &[f64], sums: &Sums, figures: &mut Vec<(Suffix, f64)>) {
        let all = sorted.len();
        let covered = covered(self.percent, all);
        let lowest = self.percent.get() > 0.0;
        let boundary = if lowest { covered.checked_sub(1) } else { all.checked_sub(covered) };
        let Some(&boundary) = boundary.and_then(|place| sorted.get(place)) else { return };
        // The upper part is the whole less the rest, as in etsy: the same rounding in the last digit.
        let rest = if lowest { 0 } else { all - covered };
        let end = if lowest { covered } else { all };
        let sum = sums.plain(end) - sums.plain(rest);
        let squares = sums.squares(end) - sums.squares(rest);
        self.push(&Part { covered, boundary, sum, squares }, figures);
    }

    /// Appends the figures of the part that the percentile covers, which is not empty.
    pub(super) fn push(&self, part: &Part, figures: &mut Vec<(Suffix, f64)>) {
        let covered = part.covered as f64;
        figures.extend([
            (self.count.clone().into(), covered),
            (self.mean.clone().into(), part.sum / covered),
            (self.boundary.clone().into(), part.boundary),
            (self.sum.clone().into(), part.sum),
            (self.sum_squares.clone().into(), part.squares),
        ]);
    }

    /// The percentile itself.
    pub(super) fn percent(&self) -> PercentThreshold {
        self.percent
    }
}

/// The part of a timer's values that a percentile covers.
pub(super) struct Part {
    /// How many they are.
    pub(super) covered: usize,
    /// The value at their edge.
    pub(super) boundary: f64,
    /// All of them together.
    pub(super) sum: f64,
    /// Their squares together.
    pub(super) squares: f64,
}

/// How many of `all` values a percentile covers: rounded, half up; a single value is always covered.
/// The order of the operations is etsy's, because it decides ties: 58% of 25 is 14.499999999999998.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded number from 0 to `all`, because a percentile is at most 100"
)]
pub(super) fn covered(percent: PercentThreshold, all: usize) -> usize {
    if all == 1 {
        return 1;
    }
    ((percent.get().abs() / 100.0 * all as f64).round() as usize).min(all)
}

/// Running sums of the sorted values: entry `n` is over the first `n`.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn of(sorted: &[f64]) -> Self {
        let mut running = (0.0, 0.0);
        let mut sums = Vec::with_capacity(sorted.len() + 1);
        sums.push(running);
        for value in sorted {
            running = (running.0 + value, running.1 + value * value);
            sums.push(running);
        }
        Self(sums)
    }

    fn plain(&self, first: usize) -> f64 {
        self.0.get(first).map_or(f64::NAN, |sums| sums.0)
    }

    fn squares(&self, first: usize) -> f64 {
        self.0.get(first).map_or(f64::NAN, |sums| sums.1)
    }
}

/// Standard deviation of the population, in two passes.
fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / values.len() as f64).sqrt()
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::{Figures, Naming, PercentThreshold, RollupOptions, Timer};

    fn figures(values: &[f64], percents: &[f64]) -> Vec<(String, f64)> {
        let percent_thresholds = percents.iter().map(|p| PercentThreshold::try_from(*p).unwrap()).collect();
        figures_with(values, &RollupOptions { percent_thresholds, ..RollupOptions::default() })
    }

    fn figures_with(values: &[f64], options: &RollupOptions) -> Vec<(String, f64)> {
        let mut timer = Timer { values: values.to_vec(), count: values.len() as f64, sketch: None };
        let figures = Figures::of(options, 10.0).of_timer("t", &mut timer);
        figures.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }

    /// Literal results of npm statsd 0.9 (`process_metrics`, interval 10 s), in its order.
    #[test]
    fn figures_are_those_of_etsy() {
        let expected = [
            ("count_90", 9.0),
            ("mean_90", 5.0),
            ("upper_90", 9.0),
            ("sum_90", 45.0),
            ("sum_squares_90", 285.0),
            ("std", 2.872_281_323_269_014_3),
            ("upper", 10.0),
            ("lower", 1.0),
            ("count", 10.0),
            ("count_ps", 1.0),
            ("sum", 55.0),
            ("sum_squares", 385.0),
            ("mean", 5.5),
            ("median", 5.5),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let values = [10.0, 1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0];
        assert_eq!(figures(&values, &[90.0]), expected);
    }

    /// Percentile, values, then etsy's count, mean, boundary, sum and sum of squares, and their names.
    #[test]
    fn each_percentile_covers_the_part_that_etsy_takes() {
        let ten = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        let ones = [1.0; 25];
        for (percent, values, suffix, boundary, expected) in [
            (50.0, &ten[..], "50", "upper", [5.0, 3.0, 5.0, 15.0, 55.0]),
            (100.0, &ten, "100", "upper", [10.0, 5.5, 10.0, 55.0, 385.0]),
            (99.9, &ten, "99_9", "upper", [10.0, 5.5, 10.0, 55.0, 385.0]),
            (25.0, &ten, "25", "upper", [3.0, 2.0, 3.0, 6.0, 14.0]), // 2.5 rounds up
            (58.0, &ones, "58", "upper", [14.0, 1.0, 1.0, 14.0, 14.0]), // 14.499999999999998 in binary
            (-10.0, &ten, "top10", "lower", [1.0, 10.0, 10.0, 10.0, 100.0]),
            (-25.0, &ten, "top25", "lower", [3.0, 9.0, 8.0, 27.0, 245.0]),
            (-2.5, &[4.0], "top2_5", "lower", [1.0, 4.0, 4.0, 4.0, 16.0]), // one value is always covered
            (1.0, &[4.0], "1", "upper", [1.0, 4.0, 4.0, 4.0, 16.0]),
            // Etsy writes NaN for mean, sum and sum_squares when a negative percentile covers every value.
            (-100.0, &[4.0, 6.0], "top100", "lower", [2.0, 5.0, 4.0, 10.0, 52.0]),
        ] {
            let names =
                ["count", "mean", boundary, "sum", "sum_squares"].map(|name| format!("{name}_{suffix}"));
            let expected: Vec<_> = names.into_iter().zip(expected).collect();
            assert_eq!(figures(values, &[percent])[..5], expected, "{percent}");
        }
    }

    #[test]
    fn a_percentile_that_covers_no_value_is_left_out() {
        let figures = figures(&[1.0, 2.0], &[10.0, -10.0]);
        assert_eq!(figures[0].0, "std");
    }

    #[test]
    fn an_idle_timer_has_only_its_counts() {
        assert_eq!(figures(&[], &[90.0]), [("count".to_owned(), 0.0), ("count_ps".to_owned(), 0.0)]);
    }

    #[test]
    fn figures_that_overflow_are_left_out() {
        let figures = figures(&[1e200, 1e200], &[90.0]);
        let names: Vec<_> = figures.iter().map(|(name, _)| name.as_str()).collect();
        let left = ["count_90", "mean_90", "upper_90", "sum_90", "std", "upper", "lower"];
        assert_eq!(names, [&left[..], &["count", "count_ps", "sum", "mean", "median"]].concat());
    }

    #[test]
    fn histograms_count_what_is_below_each_bin_as_etsy_does() {
        for (toml, expected) in [
            (
                "metric = ''\nbins = [0.01, 5, 'inf']",
                vec![("bin_0_01", 1.0), ("bin_5", 2.0), ("bin_inf", 2.0)],
            ),
            ("metric = 't'\nbins = [2, 8]", vec![("bin_2", 2.0), ("bin_8", 2.0)]),
            ("metric = 'x'\nbins = [2]", vec![]),
        ] {
            let options: RollupOptions = toml::from_str(&format!("[[histogram]]\n{toml}")).unwrap();
            let figures = figures_with(&[0.0, 1.0, 2.0, 5.0, 9.0], &options);
            let found: Vec<_> = figures
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix("histogram.")?, *value)))
                .collect();
            assert_eq!(found, expected, "{toml}");
        }
    }

    #[test]
    fn heka_has_fewer_figures() {
        let options = RollupOptions { naming: Naming::Heka, ..RollupOptions::default() };
        let figures = figures_with(&[1.0, 2.0], &options);
        let names: Vec<_> = figures.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["mean_90", "upper_90", "upper", "lower", "count", "count_ps", "sum", "mean"]);
    }
}
