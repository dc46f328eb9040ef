//! The figures of a timer that has sketches: from all exact values and all buckets together.
//!
//! Count, sum, mean, upper and lower are exact. Percentiles and the median are those of a value that is at most 1% off,
//! the sums over part of the values and the squares follow from such values.

use metlog_core::sketch::Sketch;

use super::lines::Suffix;
use super::options::Bin;
use super::timers::{Part, ThresholdNames, Timer, covered, push_histogram};

/// The figures in the order of those of exact values.
pub(super) fn figures(
    timer: &Timer,
    sketch: &Sketch,
    names: &[ThresholdNames],
    bins: &[Bin],
    rate: f64,
) -> Vec<(Suffix, f64)> {
    let spread = Spread::of(&timer.values, sketch);
    let mean = spread.sum / spread.all as f64;
    let mut figures = Vec::with_capacity(9 + 5 * names.len());
    for name in names {
        if let Some(part) = spread.part(name.percent().get() > 0.0, covered(name.percent(), spread.all)) {
            name.push(&part, &mut figures);
        }
    }
    figures.extend([
        ("std".into(), spread.deviation(mean)),
        ("upper".into(), spread.upper),
        ("lower".into(), spread.lower),
        ("count".into(), timer.count),
        ("count_ps".into(), rate),
        ("sum".into(), spread.sum),
        ("sum_squares".into(), spread.first(spread.all).squares),
        ("mean".into(), mean),
        ("median".into(), spread.median()),
    ]);
    push_histogram(bins, spread.points.iter().copied(), &mut figures);
    figures
}

/// Values from the smallest with how often they occur.
struct Spread {
    points: Vec<(f64, u64)>,
    /// How many values there are.
    all: usize,
    sum: f64,
    lower: f64,
    upper: f64,
}

impl Spread {
    fn of(values: &[f64], sketch: &Sketch) -> Self {
        let mut points: Vec<_> = values.iter().map(|value| (*value, 1)).chain(sketch.points()).collect();
        points.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        Self {
            points,
            all: usize::try_from(sketch.count()).unwrap_or(usize::MAX).saturating_add(values.len()),
            sum: values.iter().sum::<f64>() + sketch.sum(),
            lower: values.iter().copied().fold(sketch.min(), f64::min),
            upper: values.iter().copied().fold(sketch.max(), f64::max),
        }
    }

    /// The `count` smallest, with the largest of them at the edge. All together have the exact sum.
    fn first(&self, count: usize) -> Part {
        let mut part = Part { covered: 0, boundary: self.lower, sum: 0.0, squares: 0.0 };
        for (value, times) in &self.points {
            let times = usize::try_from(*times).unwrap_or(usize::MAX).min(count - part.covered);
            if times == 0 {
                break;
            }
            part.covered += times;
            part.boundary = *value;
            part.sum += value * times as f64;
            part.squares += value * value * times as f64;
        }
        if count == self.all {
            part.sum = self.sum;
        }
        part
    }

    /// The `count` smallest or largest; nothing when that is none.
    fn part(&self, lowest: bool, count: usize) -> Option<Part> {
        if count == 0 {
            return None;
        }
        if lowest {
            return Some(self.first(count));
        }
        let (whole, rest) = (self.first(self.all), self.first(self.all - count));
        let boundary = self.first(self.all - count + 1).boundary;
        let (sum, squares) = (whole.sum - rest.sum, whole.squares - rest.squares);
        Some(Part { covered: count, boundary, sum, squares })
    }

    /// Standard deviation of the population.
    fn deviation(&self, mean: f64) -> f64 {
        let squares =
            self.points.iter().map(|(value, times)| (value - mean) * (value - mean) * *times as f64);
        (squares.sum::<f64>() / self.all as f64).sqrt()
    }

    fn median(&self) -> f64 {
        let upper = self.first(self.all / 2 + 1).boundary;
        if self.all % 2 == 1 { upper } else { (self.first(self.all / 2).boundary + upper) / 2.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::rollup::{Accumulators, Added, Overflow, PercentThreshold, RollupOptions, Sample, SampleRate};

    fn options(max_kept: usize) -> RollupOptions {
        let percents = [50.0, 90.0, 99.0, -10.0, 100.0];
        let percent_thresholds =
            percents.map(|percent| PercentThreshold::try_from(percent).unwrap()).to_vec();
        RollupOptions { percent_thresholds, max_kept, ..RollupOptions::default() }
    }

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| assert!(sketch.add(*value)));
        sketch
    }

    /// The figures of one timer that got `values` one by one and `sketches`.
    fn rolled_up(values: &[f64], sketches: &[&[f64]]) -> Vec<(Suffix, f64)> {
        let options = options(1_000_000);
        let mut rollup = Accumulators::default();
        for value in values {
            let sample = Sample::Timer { value: *value, rate: SampleRate::ONE };
            assert_eq!(rollup.add("t", sample, &options), Added::Yes);
        }
        for values in sketches {
            let sketch = &sketch(values);
            assert_eq!(
                rollup.add("t", Sample::Sketch { sketch, events: sketch.count() as f64 }, &options),
                Added::Yes
            );
        }
        rollup.flush(&options, Duration::from_secs(10)).swap_remove(0).values
    }

    /// Values of a fleet: some sent one by one, some in two sketches, against all sent one by one.
    fn check(parts: &[Vec<f64>; 3]) -> Result<(), TestCaseError> {
        let exact = rolled_up(&parts.concat(), &[]);
        let found = rolled_up(&parts[0], &[&parts[1], &parts[2]]);
        for ((name, exact), (also, found)) in exact.iter().zip(&found) {
            prop_assert_eq!(name, also);
            // Differences of values near each other lose digits: what is left says how much at most.
            let allowed = match name.as_ref() {
                "count" | "count_ps" | "upper" | "lower" => 0.0,
                name if name.starts_with("count_") => 0.0,
                "sum" | "mean" | "sum_100" | "mean_100" => exact.abs() * 1e-12,
                name if name.contains("squares") => exact.abs() * 0.021 + 1e-6,
                name if name.starts_with("sum_top") || name.starts_with("mean_top") || name == "std" => {
                    continue;
                }
                _ => exact.abs() * 0.01,
            };
            prop_assert!((exact - found).abs() <= allowed, "{name}: {found} for {exact}");
        }
        prop_assert_eq!(exact.len(), found.len());
        Ok(())
    }

    proptest! {
        #[test]
        fn figures_are_those_of_all_values_within_one_percent(
            parts in prop::array::uniform3(prop::collection::vec(0.01..10_000.0f64, 1..60)),
        ) {
            check(&parts)?;
        }

        #[test]
        fn equal_values_and_steps_are_ranked_as_exact_ones(
            parts in prop::array::uniform3(prop::collection::vec((0..5_u8).prop_map(|n| f64::from(n) * 100.0), 1..20)),
        ) {
            check(&parts)?;
        }
    }

    #[test]
    fn a_sketch_alone_reads_as_documented() {
        let found = rolled_up(&[], &[&[100.0; 10]]);
        let figure = |name: &str| found.iter().find(|(known, _)| known == name).unwrap().1;
        for (name, expected) in [
            ("count", 10.0),
            ("count_ps", 1.0),
            ("count_90", 9.0),
            ("upper_90", 100.0),
            ("lower_top10", 100.0),
            ("sum", 1_000.0),
            ("mean", 100.0),
            ("median", 100.0),
            ("std", 0.0),
        ] {
            assert_eq!(figure(name), expected, "{name}");
        }
    }

    #[test]
    fn a_sketch_beyond_the_bound_still_counts_exactly() {
        let (sketch, options) = (sketch(&[1.0, 1_000.0]), options(100));
        let mut rollup = Accumulators::default();
        for name in ["a", "a", "b"] {
            assert_eq!(
                rollup.add(name, Sample::Sketch { sketch: &sketch, events: 2.0 }, &options),
                Added::Yes
            );
        }
        let overflow = Overflow { timer_values: 2, ..Overflow::default() };
        assert_eq!(rollup.overflow(), overflow, "the second for `a` needs no more room, `b` finds none");
        let saved = rmp_serde::to_vec_named(&rollup).unwrap();
        let mut restored: Accumulators = rmp_serde::from_slice(&saved).unwrap();
        let rollups = rollup.flush(&options, Duration::from_secs(10));
        assert_eq!(restored.flush(&options, Duration::from_secs(10)), rollups);
        let counts: Vec<_> = rollups[..2]
            .iter()
            .map(|rollup| rollup.values.iter().find(|(name, _)| name == "count").unwrap().1)
            .collect();
        assert_eq!(counts, [4.0, 2.0]);
    }

    #[test]
    fn hostile_counts_make_no_figure_infinite() {
        let mut huge = sketch(&[f64::MAX / 4.0]);
        for _ in 0..70 {
            let more = huge.clone();
            huge.merge(&more);
        }
        let (options, mut rollup) = (options(1_000), Accumulators::default());
        let _ = rollup.add("t", Sample::Sketch { sketch: &huge, events: 1e300 }, &options);
        let rollups = rollup.flush(&options, Duration::from_secs(10));
        assert!(rollups.iter().flat_map(|rollup| &rollup.values).all(|(_, value)| value.is_finite()));
    }
}
