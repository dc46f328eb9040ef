//! Tests of the statsd parser: tables of lines, and packets made to break it.

use metlog_core::{Severity, Timestamp, Value};
use metlog_pipeline::rollup::{Accumulators, Added, RollupOptions, Sample, SampleRate};
use proptest::prelude::*;

use super::{Item, MAX_WORD, Malformed, Metric, lines};

const ONE: SampleRate = SampleRate::ONE;

fn counter(value: f64) -> Sample<'static> {
    Sample::Counter { value, rate: ONE }
}

fn read(packet: &[u8]) -> Vec<Result<Metric<'_>, Malformed>> {
    lines(packet).map(|read| read.map(metric)).collect()
}

fn metric(item: Item<'_>) -> Metric<'_> {
    let Item::Metric(metric) = item else { panic!("{item:?} is no metric") };
    metric
}

fn metrics(packet: &[u8]) -> impl Iterator<Item = Metric<'_>> {
    lines(packet)
        .flatten()
        .filter_map(|item| if let Item::Metric(metric) = item { Some(metric) } else { None })
}

#[test]
fn good_lines_give_name_type_value_rate_and_tags() {
    let timer = |value| Sample::Timer { value, rate: ONE };
    let tenth = SampleRate::new(0.1).unwrap();
    for (line, name, sample, tags) in [
        ("a:1|c", "a", counter(1.0), None),
        ("a:-1.5|c", "a", counter(-1.5), None),
        ("a:1e3|c", "a", counter(1000.0), None),
        ("a: 1 | c \r", "a", counter(1.0), None),
        ("a:2|c|@0.1", "a", Sample::Counter { value: 2.0, rate: tenth }, None),
        ("a:2|c|@0.1|x", "a", Sample::Counter { value: 2.0, rate: tenth }, None),
        ("a:320|ms|@0.1", "a", Sample::Timer { value: 320.0, rate: tenth }, None),
        ("a:0|h", "a", timer(0.0), None),
        ("a:.5|d", "a", timer(0.5), None),
        ("a:5|g", "a", Sample::Gauge { value: 5.0, delta: false }, None),
        ("a:+5|g", "a", Sample::Gauge { value: 5.0, delta: true }, None),
        ("a:-5|g", "a", Sample::Gauge { value: -5.0, delta: true }, None),
        ("a:joe|s", "a", Sample::Set { member: "joe" }, None),
        ("a:|s", "a", Sample::Set { member: "0" }, None),
        ("constructor:1|ms", "constructor", timer(1.0), None),
        ("__proto__:1|ms", "__proto__", timer(1.0), None),
        ("toString:1|s", "toString", Sample::Set { member: "1" }, None),
        ("a b/c:1|c", "a b/c", counter(1.0), None),
        ("a:1|c|#env:prod,x", "a", counter(1.0), Some("env:prod,x")),
        ("a:1|c|@0.1|#env:prod", "a", Sample::Counter { value: 1.0, rate: tenth }, Some("env:prod")),
        ("a:1|c|#env:prod|c:abc|T17", "a", counter(1.0), Some("env:prod")),
        ("a:1|c|#", "a", counter(1.0), Some("")),
        ("a:1|c|c:in-8|T1", "a", counter(1.0), None),
        ("a:1|g|T1656581400|#x|e:it-1|card:low", "a", Sample::Gauge { value: 1.0, delta: false }, Some("x")),
        ("_a:1|c", "_a", counter(1.0), None),
    ] {
        assert_eq!(read(line.as_bytes()), [Ok(Metric { name, sample, tags })], "{line}");
    }
}

#[test]
fn malformed_lines_give_their_reason() {
    let long_name = [&[b'a'; MAX_WORD + 1][..], b":1|c"].concat();
    let long_member = [b"a:", &[b'm'; MAX_WORD + 1][..], b"|s"].concat();
    for (line, reason) in [
        (&b"a"[..], "no_colon"),
        (b"a|1|c", "no_colon"),
        (b":1|c", "empty_name"),
        (&long_name, "too_long"),
        (&long_member, "too_long"),
        (b"a\xff:1|c", "not_utf8"),
        (b"a:1", "no_type"),
        (b"a:", "no_type"),
        (b"a:1|", "bad_type"),
        (b"a:1|x", "bad_type"),
        (b"a:1|C", "bad_type"),
        (b"a:|c", "bad_value"),
        (b"a:one|c", "bad_value"),
        (b"a:0x10|c", "bad_value"),
        (b"a:1,5|ms", "bad_value"),
        (b"a:--1|g", "bad_value"),
        (b"a:1e999|c", "not_finite"),
        (b"a:NaN|ms", "not_finite"),
        (b"a:-inf|g", "not_finite"),
        (b"a:-1|ms", "negative_timer"),
        (b"a:-0.1|d", "negative_timer"),
        (b"a:1|c|", "bad_rate"),
        (b"a:1|c|0.5", "bad_rate"),
        (b"a:1|c|@", "bad_rate"),
        (b"a:1|c|@0", "bad_rate"),
        (b"a:1|c|@-0.5", "bad_rate"),
        (b"a:1|c|@1.01", "bad_rate"),
        (b"a:1|c|@ 5", "bad_rate"),
        (b"a:1|c|@+5", "bad_rate"),
        (b"a:1|c|@nan", "bad_rate"),
        (b"a:1|c|@0.5|Tnow", "bad_timestamp"),
        (b"_e{5,4}:title", "bad_event"),
        (b"_e{5,9}:title|text", "bad_event"),
        (b"_e{5,2}:title|text", "bad_event"),
        (b"_e{5}:title|text", "bad_event"),
        (b"_e{0,4}:|text", "bad_event"),
        (b"_e{1,1}:\xc3\xa9|x", "bad_event"),
        (b"_sc|redis", "bad_check"),
        (b"_sc|redis|4", "bad_check"),
        (b"_sc||0", "bad_check"),
    ] {
        let reasons: Vec<_> = read(line).into_iter().map(|read| read.unwrap_err().reason()).collect();
        assert_eq!(reasons, [reason], "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::HashSet<_> =
        Malformed::ALL.iter().map(|malformed| malformed.reason()).collect();
    assert_eq!(words.len(), Malformed::ALL.len());
}

#[test]
fn a_bad_line_or_value_leaves_the_others_of_its_packet() {
    let packet = b"a:1|c\n\n \r\nbad\r\nb:2|c:x|c:3|c|#t\n\xff\nc:4|c";
    let good = |name, value, tags| Ok(Metric { name, sample: counter(value), tags });
    assert_eq!(
        read(packet),
        [
            good("a", 1.0, None),
            Err(Malformed::NoColon),
            good("b", 2.0, Some("t")),
            Err(Malformed::BadValue),
            good("b", 3.0, Some("t")),
            Err(Malformed::NotUtf8),
            good("c", 4.0, None),
        ]
    );
    assert_eq!(read(b""), []);
    assert_eq!(read(b"\n\n"), []);
    assert_eq!(read(b"a:1|c\n"), [good("a", 1.0, None)]);
}

#[test]
fn packed_values_have_the_type_that_the_last_of_them_names() {
    let half = SampleRate::new(0.5).unwrap();
    let timer = |value, rate| Ok(Sample::Timer { value, rate });
    let plain = |value| Ok(counter(value));
    for (line, samples) in [
        ("a:1:2:3|ms|@0.5|#t:x", vec![timer(1.0, half), timer(2.0, half), timer(3.0, half)]),
        ("a:1:2|c:3:4|ms", vec![plain(1.0), plain(2.0), timer(3.0, ONE), timer(4.0, ONE)]),
        ("a:1:x:3|c", vec![plain(1.0), Err(Malformed::BadValue), plain(3.0)]),
        ("a:x:y|s", vec![Ok(Sample::Set { member: "x" }), Ok(Sample::Set { member: "y" })]),
        ("a:1:2", vec![Err(Malformed::NoType), Err(Malformed::NoType)]),
        ("a:1|c:", vec![plain(1.0), Err(Malformed::NoType)]),
        ("a:1|c::2|c", vec![plain(1.0), Err(Malformed::BadValue), plain(2.0)]),
    ] {
        let found: Vec<_> =
            read(line.as_bytes()).into_iter().map(|read| read.map(|metric| metric.sample)).collect();
        assert_eq!(found, samples, "{line}");
    }
}

#[test]
fn events_and_checks_are_read_with_what_they_carry() {
    let one = |line: &'static str| lines(line.as_bytes()).next().unwrap().unwrap();
    let line = "_e{7,8}:up|down|a|b\\nc|x|d:1700000000|h:web1|p:low|t:error|s:deploy|k:k1|#a:1,b|c:in-8|z:?";
    let Item::Event(event) = one(line) else { panic!("no event") };
    assert_eq!((event.title, event.payload()), ("up|down", "a|b\nc|x".to_owned()));
    assert_eq!(event.severity(), Severity::ERROR);
    assert_eq!((event.meta.seconds, event.meta.hostname), (Some(1_700_000_000), Some("web1")));
    let fields = event.fields();
    for (key, value) in [
        ("title", "up|down"),
        ("aggregation_key", "k1"),
        ("priority", "low"),
        ("source", "deploy"),
        ("alert_type", "error"),
        ("container", "in-8"),
    ] {
        assert_eq!(fields.get(key).and_then(Value::as_text), Some(value), "{key}");
    }
    assert_eq!(fields.get("tags"), Some(&Value::List(vec!["a:1".into(), "b".into()])));

    let Item::Check(check) = one("_sc|redis.ok|2|d:never|#x|m:a|b") else { panic!("no check") };
    assert_eq!((check.name, check.status, check.payload()), ("redis.ok", 2, "a|b".to_owned()));
    assert_eq!((check.severity(), check.meta.seconds), (Severity::CRITICAL, None));
    assert_eq!(one("_sc|a|0"), one("_sc|a|0|"));
    let now = Timestamp::from_nanos(5);
    assert_eq!(check.meta.timestamp(now), now);
    assert_eq!(event.meta.timestamp(now), Timestamp::from_nanos(1_700_000_000_000_000_000));
}

#[test]
fn the_short_way_and_the_long_way_read_the_same() {
    for line in ["a:1|c", "a:0.5|ms", "a:3|g", "a:12|h", "_e{1,1}:1|c", "a|b:1|c", "a:1|ca", "a:1|m", ":1|c"]
    {
        let (short, long) = (format!("{line}\n"), format!("{line} \n"));
        let read = |line: &str| format!("{:?}", lines(line.as_bytes()).collect::<Vec<_>>());
        assert_eq!(read(&short), read(&long), "{line}");
    }
}

#[test]
fn tags_become_part_of_the_series_as_graphite_writes_them() {
    for (tags, series) in [
        (None, "a"),
        (Some(""), "a"),
        (Some("env:prod,canary"), "a;env=prod;canary"),
        (Some("url:http://x;y"), "a;url=http://x_y"),
    ] {
        let metric = Metric { name: "a", sample: counter(1.0), tags };
        assert_eq!(metric.series(&mut String::from("left over")), series);
    }
}

/// Text that looks like statsd here and there, so that every branch is met.
fn hostile_packet() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "a",
            ":",
            "|",
            "@",
            "#",
            "|#",
            "\n",
            "\r",
            "c",
            "ms",
            "g",
            "s",
            "1",
            "-",
            "+",
            "e999",
            "0.1",
            "_e{1,1}:",
            "|T",
            "|c:",
            "_sc|",
            "nan",
            ",",
            ";",
            "\u{e9}",
            "\0",
            "__proto__",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_hostile_packet_never_panics_and_good_lines_around_it_count(packet in hostile_packet()) {
        let options = RollupOptions::default();
        let mut rollup = Accumulators::default();
        let whole = [b"good.before:1|c\n", &packet[..], b"\ngood.after:2|g"].concat();
        let mut scratch = String::new();
        for metric in metrics(&whole) {
            let _ = rollup.add(metric.series(&mut scratch), metric.sample, &options);
        }
        let text: String = rollup
            .flush(&options, std::time::Duration::from_secs(1))
            .iter()
            .map(|rollup| rollup.lines(&options, 1))
            .collect();
        prop_assert!(text.contains("stats.counters.good.before.count 1 1\n"));
        prop_assert!(text.contains("stats.gauges.good.after 2 1\n"));
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            prop_assert_eq!(words.len(), 3, "{}", line);
            prop_assert!(words[1].parse::<f64>().is_ok_and(f64::is_finite), "{}", line);
        }
    }

    #[test]
    fn only_metrics_that_are_taken_make_names(packet in hostile_packet()) {
        let options = RollupOptions::default();
        let mut rollup = Accumulators::default();
        let mut taken = 0;
        for metric in metrics(&packet) {
            taken += usize::from(rollup.add(metric.name, metric.sample, &options) == Added::Yes);
        }
        prop_assert_eq!(rollup.names() == 0, taken == 0);
    }

    #[test]
    fn generated_good_lines_give_back_their_numbers(
        name in "[a-z][a-z0-9._-]{0,20}",
        values in prop::collection::vec(
            (-1e300..1e300f64, 0.000_001..=1.0f64, prop::sample::select(vec!["c", "ms", "h", "d", "g"])), 1..8),
    ) {
        let parts: Vec<_> = values
            .iter()
            .map(|(value, rate, kind)| {
                let value = if *kind == "c" { *value } else { value.abs() };
                format!("{value}|{kind}|@{rate}")
            })
            .collect();
        let packet = format!("{name}:{}\n", parts.join(":"));
        let read = read(packet.as_bytes());
        prop_assert_eq!(read.len(), values.len());
        for (read, (value, rate, kind)) in read.into_iter().zip(&values) {
            let metric = read.unwrap();
            let rate = SampleRate::new(*rate).unwrap();
            let expected = match *kind {
                "c" => Sample::Counter { value: *value, rate },
                "g" => Sample::Gauge { value: value.abs(), delta: false },
                _ => Sample::Timer { value: value.abs(), rate },
            };
            prop_assert_eq!(metric, Metric { name: &name, sample: expected, tags: None });
        }
    }
}
