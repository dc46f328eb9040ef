//! Property tests of the roll-up against naive implementations.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{Accumulators, Added, Kind, PercentThreshold, Rollup, RollupOptions, Sample, SampleRate};

const INTERVAL: Duration = Duration::from_secs(10);

fn figures(rollups: &[Rollup], kind: Kind, name: &str) -> HashMap<String, f64> {
    let rollup = rollups.iter().find(|rollup| rollup.kind == kind && rollup.name == name).unwrap();
    rollup.values.iter().map(|(suffix, value)| (suffix.to_string(), *value)).collect()
}

fn options(percents: &[f64]) -> RollupOptions {
    let percent_thresholds =
        percents.iter().map(|percent| PercentThreshold::try_from(*percent).unwrap()).collect();
    RollupOptions { percent_thresholds, ..RollupOptions::default() }
}

fn timer(value: f64) -> Sample<'static> {
    Sample::Timer { value, rate: SampleRate::ONE }
}

/// Any sample a caller can make, the numbers no input should let through included.
fn any_sample() -> impl Strategy<Value = (String, Sample<'static>)> {
    let number = prop_oneof![any::<f64>(), -10.0..10.0f64, Just(f64::MAX), Just(f64::NAN)];
    let rate =
        prop_oneof![Just(1.0), Just(0.1), Just(5e-324)].prop_map(|rate| SampleRate::new(rate).unwrap());
    let sample = prop_oneof![
        (number.clone(), rate.clone()).prop_map(|(value, rate)| Sample::Counter { value, rate }),
        (number.clone(), rate).prop_map(|(value, rate)| Sample::Timer { value, rate }),
        (number, any::<bool>()).prop_map(|(value, delta)| Sample::Gauge { value, delta }),
        prop::sample::select(vec!["x", "y", "__proto__"]).prop_map(|member| Sample::Set { member }),
    ];
    (prop_oneof!["[ab]", Just("constructor".to_owned()), ".{0,5}"], sample)
}

proptest! {
    #[test]
    fn a_counter_is_the_sum_of_what_was_added(
        added in prop::collection::vec(("[a-c]", -1_000_000..1_000_000i32), 1..200),
    ) {
        let options = RollupOptions::default();
        let mut rollup = Accumulators::default();
        let mut sums: HashMap<&str, i64> = HashMap::new();
        for (name, value) in &added {
            *sums.entry(name).or_default() += i64::from(*value);
            let sample = Sample::Counter { value: f64::from(*value), rate: SampleRate::ONE };
            prop_assert_eq!(rollup.add(name, sample, &options), Added::Yes);
        }
        let rollups = rollup.flush(&options, INTERVAL);
        for (name, sum) in sums {
            let figures = figures(&rollups, Kind::Counter, name);
            prop_assert_eq!(figures["count"], sum as f64);
            prop_assert_eq!(figures["rate"], sum as f64 / 10.0);
        }
    }

    #[test]
    fn percentiles_agree_with_a_naive_implementation(
        values in prop::collection::vec(0..100_000u32, 1..120),
        percent in prop_oneof![1..=100i32, -100..=-1i32],
    ) {
        let options = options(&[f64::from(percent)]);
        let mut rollup = Accumulators::default();
        for value in &values {
            prop_assert_eq!(rollup.add("t", timer(f64::from(*value)), &options), Added::Yes);
        }
        let figures = figures(&rollup.flush(&options, INTERVAL), Kind::Timer, "t");
        let name = if percent > 0 { format!("{percent}") } else { format!("top{}", -percent) };
        let count = figures.get(&format!("count_{name}")).copied().unwrap_or(0.0);
        let covered = (0..=values.len()).find(|number| *number as f64 == count).unwrap();
        // Rounded to the nearest; which way a tie goes is for the table in timers.rs.
        let exact = usize::try_from(percent.unsigned_abs()).unwrap() * values.len();
        prop_assert!(values.len() == 1 || (covered * 100).abs_diff(exact) <= 50, "{} of {}", covered, values.len());

        let mut sorted = values.clone();
        sorted.sort_unstable();
        if percent < 0 {
            sorted.reverse();
        }
        let part = &sorted[..covered];
        let sum: u64 = part.iter().copied().map(u64::from).sum();
        let squares: u64 = part.iter().map(|value| u64::from(*value).pow(2)).sum();
        let boundary = format!("{}_{name}", if percent > 0 { "upper" } else { "lower" });
        prop_assert_eq!(figures.get(&boundary).copied(), part.last().copied().map(f64::from));
        if covered > 0 {
            prop_assert_eq!(figures[&format!("sum_{name}")], sum as f64);
            prop_assert_eq!(figures[&format!("sum_squares_{name}")], squares as f64);
            prop_assert_eq!(figures[&format!("mean_{name}")], sum as f64 / covered as f64);
        }
        prop_assert_eq!(figures["count"], values.len() as f64);
        prop_assert_eq!(figures["sum"], values.iter().copied().map(u64::from).sum::<u64>() as f64);
    }

    #[test]
    fn the_second_of_two_flushes_is_idle(samples in prop::collection::vec(any_sample(), 0..60)) {
        let options = RollupOptions::default();
        let mut rollup = Accumulators::default();
        for (name, sample) in &samples {
            let _ = rollup.add(name, *sample, &options);
        }
        let first = rollup.flush(&options, INTERVAL);
        let second = rollup.flush(&options, INTERVAL);
        prop_assert_eq!(first.len(), second.len());
        for (first, second) in first.iter().zip(&second) {
            prop_assert_eq!((first.kind, &first.name), (second.kind, &second.name));
            match second.kind {
                Kind::Gauge | Kind::Own => prop_assert_eq!(&first.values, &second.values),
                Kind::Counter | Kind::Timer => {
                    prop_assert_eq!(second.values.len(), 2);
                    prop_assert!(second.values.iter().all(|(_, value)| *value == 0.0));
                }
                Kind::Set => prop_assert_eq!(&second.values, &[("count".into(), 0.0)]),
            }
        }
    }

    #[test]
    fn no_sample_makes_a_figure_infinite_and_a_refused_one_changes_nothing(
        samples in prop::collection::vec(any_sample(), 0..60),
    ) {
        let options = RollupOptions { max_names: 3, max_timer_values: 2, ..options(&[90.0, -100.0]) };
        let mut all = Accumulators::default();
        let mut taken = Accumulators::default();
        for (name, sample) in &samples {
            if all.add(name, *sample, &options) == Added::Yes {
                prop_assert_eq!(taken.add(name, *sample, &options), Added::Yes);
            }
        }
        let rollups = all.flush(&options, INTERVAL);
        prop_assert_eq!(&rollups, &taken.flush(&options, INTERVAL));
        prop_assert!(rollups.iter().flat_map(|rollup| &rollup.values).all(|(_, value)| value.is_finite()));
    }

    #[test]
    fn a_saved_roll_up_goes_on_where_it_was(
        before in prop::collection::vec(any_sample(), 0..40),
        after in prop::collection::vec(any_sample(), 0..40),
    ) {
        let options = RollupOptions { max_names: 4, max_kept: 10, ..RollupOptions::default() };
        let mut whole = Accumulators::default();
        for (name, sample) in &before {
            let _ = whole.add(name, *sample, &options);
        }
        let saved = rmp_serde::to_vec(&whole).unwrap();
        let mut restored: Accumulators = rmp_serde::from_slice(&saved).unwrap();
        for (name, sample) in &after {
            prop_assert_eq!(whole.add(name, *sample, &options), restored.add(name, *sample, &options));
        }
        prop_assert_eq!(whole.overflow(), restored.overflow());
        prop_assert_eq!(whole.flush(&options, INTERVAL), restored.flush(&options, INTERVAL));
    }
    #[test]
    fn what_was_added_aside_and_merged_reads_as_added_in_place(
        before in prop::collection::vec(tame_sample(), 0..40),
        after in prop::collection::vec(tame_sample(), 0..40),
        max_timer_values in 0..4_usize,
    ) {
        let options = RollupOptions { max_timer_values, ..options(&[90.0]) };
        let (mut whole, mut base, mut later) = Default::default();
        let add = |rollup: &mut Accumulators, (name, sample): &(String, Sample<'static>)| {
            assert_eq!(rollup.add(name, *sample, &options), Added::Yes);
        };
        before.iter().for_each(|sample| { add(&mut whole, sample); add(&mut base, sample); });
        after.iter().for_each(|sample| { add(&mut whole, sample); add(&mut later, sample); });
        prop_assert!(base.merge(later, &options).is_empty());
        // A value that is kept on one side may be sketched on the other, 1% off; its square is 2% off.
        let near = |one: f64, other: f64| (one - other).abs() <= one.abs() * 0.03 + 0.1;
        for (one, other) in whole.flush(&options, INTERVAL).iter().zip(base.flush(&options, INTERVAL)) {
            prop_assert_eq!((one.kind, &one.name), (other.kind, &other.name));
            for (one, other) in one.values.iter().zip(&other.values) {
                prop_assert_eq!(&one.0, &other.0);
                let exact = ["count", "rate", "", "upper", "lower", "sum"].contains(&one.0.as_ref());
                prop_assert!(if exact { one.1 == other.1 } else { near(one.1, other.1) }, "{}: {} {}", one.0, one.1, other.1);
            }
        }
    }
}

/// A sample that is taken, of whole numbers: their sums do not depend on their order.
fn tame_sample() -> impl Strategy<Value = (String, Sample<'static>)> {
    let (value, rate) = (5.0, SampleRate::ONE);
    let sample = prop_oneof![
        (1..100_u8).prop_map(move |value| Sample::Counter { value: value.into(), rate }),
        Just(Sample::Timer { value, rate }),
        (any::<i8>(), any::<bool>()).prop_map(|(value, delta)| Sample::Gauge { value: value.into(), delta }),
        prop::sample::select(vec!["x", "y"]).prop_map(|member| Sample::Set { member }),
    ];
    ("[ab]", sample)
}
