//! Tests of the accumulators: what a flush prints, and what is refused.

use std::time::Duration;

use super::{Accumulators, Added, RollupOptions, Sample};
use crate::rollup::{Overflow, Rollup, SampleRate, Sources};

fn counter(value: f64, rate: f64) -> Sample<'static> {
    Sample::Counter { value, rate: SampleRate::new(rate).unwrap() }
}

fn timer(value: f64) -> Sample<'static> {
    Sample::Timer { value, rate: SampleRate::ONE }
}

fn gauge(value: f64, delta: bool) -> Sample<'static> {
    Sample::Gauge { value, delta }
}

fn add_all(rollup: &mut Accumulators, samples: &[(&str, Sample<'_>)], options: &RollupOptions) {
    for (name, sample) in samples {
        assert_eq!(rollup.add(name, *sample, options), Added::Yes, "{name}");
    }
}

/// The carbon lines of a flush after 10 seconds, without the time at their end.
fn flushed(rollup: &mut Accumulators, options: &RollupOptions) -> Vec<String> {
    let text: String = rollup
        .flush(options, Duration::from_secs(10))
        .iter()
        .map(|rollup: &Rollup| rollup.lines(options, 17))
        .collect();
    text.lines().map(|line| line.strip_suffix(" 17").unwrap().to_owned()).collect()
}

/// What npm statsd 0.9 sent to Graphite for the same lines (`legacyNamespace: false`, 10 s).
#[test]
fn a_busy_then_an_idle_flush_read_as_from_etsy() {
    let options = RollupOptions::default();
    let mut rollup = Accumulators::default();
    let samples = [
        ("hits", counter(3.0, 1.0)),
        ("hits", counter(1.0, 0.1)),
        ("hits", counter(-0.5, 1.0)),
        ("temp", gauge(20.0, false)),
        ("temp", gauge(-1.5, true)),
        ("fresh", gauge(-4.0, true)),
        ("users", Sample::Set { member: "joe" }),
        ("users", Sample::Set { member: "ann" }),
        ("users", Sample::Set { member: "joe" }),
        ("t", Sample::Timer { value: 20.0, rate: SampleRate::new(0.5).unwrap() }),
    ];
    add_all(&mut rollup, &samples, &options);
    let busy = [
        "stats.counters.hits.rate 1.25",
        "stats.counters.hits.count 12.5",
        "stats.timers.t.count_90 1",
        "stats.timers.t.mean_90 20",
        "stats.timers.t.upper_90 20",
        "stats.timers.t.sum_90 20",
        "stats.timers.t.sum_squares_90 400",
        "stats.timers.t.std 0",
        "stats.timers.t.upper 20",
        "stats.timers.t.lower 20",
        "stats.timers.t.count 2",
        "stats.timers.t.count_ps 0.2",
        "stats.timers.t.sum 20",
        "stats.timers.t.sum_squares 400",
        "stats.timers.t.mean 20",
        "stats.timers.t.median 20",
        "stats.gauges.fresh -4",
        "stats.gauges.temp 18.5",
        "stats.sets.users.count 2",
        "stats.statsd.numStats 5",
    ];
    assert_eq!(flushed(&mut rollup, &options), busy);
    let idle = [
        "stats.counters.hits.rate 0",
        "stats.counters.hits.count 0",
        "stats.timers.t.count 0",
        "stats.timers.t.count_ps 0",
        "stats.gauges.fresh -4",
        "stats.gauges.temp 18.5",
        "stats.sets.users.count 0",
        "stats.statsd.numStats 5",
    ];
    assert_eq!(flushed(&mut rollup, &options), idle);
    assert_eq!(flushed(&mut rollup, &options), idle);
}

#[test]
fn delete_idle_forgets_every_name_once_flushed() {
    let options = RollupOptions { delete_idle: true, ..RollupOptions::default() };
    let mut rollup = Accumulators::default();
    let samples = [("a", counter(1.0, 1.0)), ("a", gauge(5.0, false)), ("a", timer(1.0))];
    add_all(&mut rollup, &samples, &options);
    add_all(&mut rollup, &[("a", Sample::Set { member: "m" })], &options);
    assert_eq!(flushed(&mut rollup, &options).last().unwrap(), "stats.statsd.numStats 4");
    assert_eq!(rollup.names(), 0);
    assert_eq!(flushed(&mut rollup, &options), ["stats.statsd.numStats 0"]);
    add_all(&mut rollup, &[("a", gauge(1.0, true))], &options);
    assert_eq!(flushed(&mut rollup, &options)[0], "stats.gauges.a 1");
}

#[test]
fn names_are_cleaned_and_ordinary_whatever_javascript_makes_of_them() {
    let options = RollupOptions::default();
    let mut rollup = Accumulators::default();
    for name in ["a b", "a_b", "a\tb", "__proto__", "constructor", "x;env=prod"] {
        add_all(&mut rollup, &[(name, counter(1.0, 1.0))], &options);
    }
    let lines = flushed(&mut rollup, &options);
    let counts: Vec<_> =
        lines.iter().filter(|line| line.contains(".count ") || line.contains(".count;")).collect();
    assert_eq!(
        counts,
        [
            "stats.counters.__proto__.count 1",
            "stats.counters.a_b.count 3",
            "stats.counters.constructor.count 1",
            "stats.counters.x.count;env=prod 1",
        ]
    );
}

#[test]
fn refused_samples_change_nothing_and_say_why() {
    let options = RollupOptions { max_names: 2, max_set_members: 1, ..RollupOptions::default() };
    let mut rollup = Accumulators::default();
    let samples = [("c", counter(f64::MAX, 1.0)), ("s", Sample::Set { member: "one" })];
    add_all(&mut rollup, &samples, &options);
    for (name, sample, reason) in [
        ("new", counter(1.0, 1.0), "name_overflow"),
        ("new", timer(1.0), "name_overflow"),
        ("c", gauge(1.0, false), "name_overflow"),
        ("s", Sample::Set { member: "two" }, "member_overflow"),
        ("c", counter(f64::MAX, 1.0), "not_finite"),
        ("c", counter(1.0, 5e-324), "not_finite"),
        ("c", counter(f64::NAN, 1.0), "not_finite"),
        ("c", timer(f64::INFINITY), "name_overflow"),
        ("%", counter(1.0, 1.0), "empty_name"),
        (";tag=1", counter(1.0, 1.0), "empty_name"),
    ] {
        assert_eq!(rollup.add(name, sample, &options).refused(), Some(reason), "{name} {sample:?}");
    }
    add_all(&mut rollup, &[("s", Sample::Set { member: "one" })], &options);
    assert_eq!(rollup.overflow(), Overflow { names: 4, timer_values: 0, set_members: 1 });
    assert_eq!(rollup.names(), 2);
    let count = rollup.flush(&options, Duration::from_secs(10))[0].values[1].1;
    assert_eq!(count, f64::MAX);
}

#[test]
fn a_timer_beyond_its_bound_is_sketched() {
    let options = RollupOptions { max_timer_values: 2, ..RollupOptions::default() };
    let mut rollup = Accumulators::default();
    for value in [1.0, 2.0, 500.0, 500.0, 900.0] {
        add_all(&mut rollup, &[("t", timer(value))], &options);
    }
    assert_eq!(rollup.overflow().timer_values, 0);
    let lines = flushed(&mut rollup, &options);
    for line in ["lower 1", "upper 900", "count 5", "sum 1903", "mean 380.6"] {
        assert!(lines.contains(&format!("stats.timers.t.{line}")), "{line}: {lines:?}");
    }
    let median = lines.iter().find_map(|line| line.strip_prefix("stats.timers.t.median ")).unwrap();
    assert!((median.parse::<f64>().unwrap() - 500.0).abs() <= 5.0, "{median}");
    add_all(&mut rollup, &[("t", timer(700.0))], &options);
    assert!(flushed(&mut rollup, &options).contains(&"stats.timers.t.sum_squares 490000".to_owned()));
}

#[test]
fn each_kind_can_be_deleted_alone() {
    let samples = [("c", counter(1.0, 1.0)), ("t", timer(1.0)), ("g", gauge(1.0, false))];
    for (setting, left) in [
        ("delete_counters = true", "gst"),
        ("delete_timers = true", "cgs"),
        ("delete_gauges = true", "cst"),
        ("delete_sets = true", "cgt"),
        ("delete_idle = true", ""),
        ("delete_idle = true\ndelete_gauges = false", "g"),
    ] {
        let options: RollupOptions = toml::from_str(setting).unwrap();
        let mut rollup = Accumulators::default();
        add_all(&mut rollup, &samples, &options);
        add_all(&mut rollup, &[("s", Sample::Set { member: "m" })], &options);
        let _ = flushed(&mut rollup, &options);
        let rollups = rollup.flush(&options, Duration::from_secs(10));
        let mut names: Vec<_> = rollups.iter().map(|rollup| rollup.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names.concat(), left, "{setting}");
    }
}

#[test]
fn counts_can_be_left_out_and_names_kept_as_they_are() {
    let options: RollupOptions = toml::from_str("flush_counts = false\nkey_name_sanitize = false").unwrap();
    let mut rollup = Accumulators::default();
    add_all(&mut rollup, &[("a b", counter(10.0, 1.0)), ("a/b", counter(20.0, 1.0))], &options);
    let lines = flushed(&mut rollup, &options);
    assert_eq!(lines, ["stats.counters.a_b.rate 1", "stats.counters.a-b.rate 2", "stats.statsd.numStats 2"]);
}

#[test]
fn a_source_that_makes_too_many_names_is_refused_and_its_names_are_shown() {
    let options = RollupOptions { max_names: 10, max_names_per_source: 3, ..RollupOptions::default() };
    let (mut rollup, mut sources) = (Accumulators::default(), Sources::default());
    let (flood, other) = (sources.id("flood"), sources.id("other"));
    for number in 0..1_000 {
        let added = rollup.add_from(flood, &format!("flood.{number}.hits"), counter(1.0, 1.0), &options);
        assert_eq!(added == Added::Yes, number < 3, "{number}: {added:?}");
    }
    assert_eq!(rollup.add_from(other, "fine", counter(1.0, 1.0), &options), Added::Yes);
    assert_eq!(rollup.add_from(flood, "fine", counter(1.0, 1.0), &options), Added::Yes, "the name is known");
    assert_eq!(rollup.offenders(), [("flood.#.hits".to_owned(), 997)]);

    // The first flush ends the interval in which they were made; after the second they are idle and make room.
    for names in [4, 0] {
        let _ = flushed(&mut rollup, &options);
        assert_eq!(rollup.names(), names);
    }
    assert!(rollup.offenders().is_empty());
    assert_eq!(rollup.add_from(flood, "new", counter(1.0, 1.0), &options), Added::Yes);
}

#[test]
fn what_is_merged_finds_no_more_room_than_what_is_added() {
    let options = RollupOptions { max_names: 2, max_set_members: 1, ..RollupOptions::default() };
    let (mut rollup, mut later) = (Accumulators::default(), Accumulators::default());
    add_all(&mut rollup, &[("a", counter(f64::MAX, 1.0)), ("s", Sample::Set { member: "m" })], &options);
    add_all(&mut later, &[("a", counter(f64::MAX, 1.0)), ("b", counter(1.0, 1.0))], &options);
    assert_eq!(
        rollup.merge(later, &options).into_iter().collect::<Vec<_>>(),
        [("name_overflow", 1), ("not_finite", 1)]
    );
    let mut later = Accumulators::default();
    add_all(&mut later, &[("s", Sample::Set { member: "m" }), ("b", timer(1.0))], &options);
    add_all(&mut later, &[("b", timer(1.0))], &options);
    assert_eq!(rollup.merge(later, &options).into_iter().collect::<Vec<_>>(), [("name_overflow", 2)]);
}

#[test]
fn max_kept_bounds_timer_values_and_set_members_together_until_the_flush() {
    let options = RollupOptions { max_kept: 2, ..RollupOptions::default() };
    let mut rollup = Accumulators::default();
    add_all(
        &mut rollup,
        &[("t", timer(1.0)), ("s", Sample::Set { member: "a" }), ("u", timer(1.0))],
        &options,
    );
    assert_eq!(rollup.add("s", Sample::Set { member: "b" }, &options), Added::MemberOverflow);
    assert_eq!(rollup.overflow(), Overflow { names: 0, timer_values: 1, set_members: 1 });
    rollup.flush(&options, Duration::from_secs(10));
    add_all(&mut rollup, &[("s", Sample::Set { member: "b" })], &options);
}
