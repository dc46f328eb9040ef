//! statsd packets: whatever is read, the lines around it count, and every figure is a number.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use metlog_pipeline::rollup::{Accumulators, RollupOptions};
use metlog_sidecar::statsd::{Item, lines};

fuzz_target!(|bytes: &[u8]| {
    let packet = [b"before:1|c\n", bytes, b"\nafter:2|g"].concat();
    let (options, mut sums, mut series) = (RollupOptions::default(), Accumulators::default(), String::new());
    for item in lines(&packet).flatten() {
        match item {
            Item::Metric(metric) => {
                let _refused = sums.add(metric.series(&mut series), metric.sample, &options);
            }
            Item::Event(event) => drop((event.payload(), event.fields(), event.severity())),
            Item::Check(check) => drop((check.payload(), check.fields(), check.severity())),
        }
    }
    let text: String =
        sums.flush(&options, Duration::from_secs(1)).iter().map(|rollup| rollup.lines(&options, 1)).collect();
    assert!(text.contains("stats.counters.before.count "));
    assert!(text.contains("stats.gauges.after "));
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        assert!(words.len() == 3 && words[1].parse::<f64>().is_ok_and(f64::is_finite), "{line:?}");
    }
});
