//! What a statsd packet costs in allocations: none, once its names are known.

use metlog_pipeline::rollup::{Accumulators, RollupOptions};
use metlog_sidecar::statsd::{Item, lines};

/// A packet of every shape that clients send.
const PACKET: &str = "web.requests:1|c\nweb.requests:1|c|@0.1\nweb.load:0.75|g\nweb.load:+2|g\nusers:joe|s\n\
    web.time.tagged:3:4.25:5|ms|@0.5|#env:prod,canary|c:in-9|T1700000000\nbad\nweb requests/x:17|c\n\
    web.time:320|ms:12345.678|h:7|d\n_e{5,4}:title|text|t:error|#a:b\n_sc|redis|2|m:down\n";

/// Adds every metric of a packet; how many there were.
fn take(packet: &[u8], sums: &mut Accumulators, series: &mut String, options: &RollupOptions) -> usize {
    let mut taken = 0;
    for item in lines(packet).flatten() {
        if let Item::Metric(metric) = item {
            taken += usize::from(sums.add(metric.series(series), metric.sample, options).refused().is_none());
        }
    }
    taken
}

#[test]
fn a_packet_whose_names_are_known_costs_no_allocation() {
    // Values of timers are kept: room for them is made beforehand, as it is in the long run.
    let options = RollupOptions { max_timer_values: 100, ..RollupOptions::default() };
    let (mut sums, mut series) = (Accumulators::default(), String::new());
    for _ in 0..200 {
        assert_eq!(take(PACKET.as_bytes(), &mut sums, &mut series, &options), 12);
    }
    let allocations = allocation_counter::measure(|| {
        take(PACKET.as_bytes(), &mut sums, &mut series, &options);
    });
    assert_eq!(allocations.count_total, 0);
}
