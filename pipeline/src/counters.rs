//! Counters of a daemon for Prometheus: what came in, what was refused and why, what the link does.

use std::{collections::HashMap, fmt, sync::Arc};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

type Labels = Vec<(String, String)>;

/// Every counter there is: name without the prefix `metlog_` and the suffix `_total`, and what it counts.
const KNOWN: &[(&str, &str)] = &[
    ("received_batches", "Batches taken in, by input"),
    ("received_messages", "Messages taken in that came without a batch, by input"),
    ("input_malformed", "Frames, datagrams and lines that made no sense, by input and reason"),
    ("input_refused", "Batches an input could not put into the spool, by input"),
    ("input_misfits", "Values that did not fit their column and were kept under fields.original"),
    ("input_kernel_dropped", "Datagrams the kernel had no room for in the socket, by input"),
    ("link_sent_batches", "Batches sent to the next hop, repeats included"),
    ("link_batch_bytes", "Bytes of these batches as the spool has them"),
    ("link_sent_bytes", "Bytes of these batches as they were sent, compressed where the next hop takes that"),
    ("link_skipped_records", "Spool records that were no batches and were not sent on"),
    ("link_repeats", "Batches that arrived again over a link and were dropped"),
    ("link_refusals", "Link frames refused, by kind"),
    ("link_reconnects", "Links that broke and were begun again"),
    ("curve_refusals", "Peers that were not let in, by kind (key, handshake) and key"),
    ("rollup_refused", "Samples the roll-up did not take, by reason"),
    ("rollup_flushes", "Roll-up flushes made"),
    ("output_retries", "Deliveries that failed and were tried again, by output"),
    ("delivered_messages", "Messages delivered, by output"),
    ("lag_dropped_messages", "Messages dropped because the output lagged too far behind, by output"),
    ("replayed_messages", "Dead letters sent again with success, by output"),
    ("aggregate_refused", "Roll-ups the aggregator could not merge, by reason: late, early, too many names"),
    ("alert_missed", "Messages an alert could not watch, by alert and reason: late, or too many keys"),
    ("dead_lettered_messages", "Messages a back end refused for good, by output"),
];

/// The counters of one daemon. Cheap to clone.
#[derive(Clone)]
pub struct Counters(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: HashMap<&'static str, Family<Labels, Counter>>,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Default for Counters {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("metlog");
        let mut families = HashMap::new();
        for (name, help) in KNOWN {
            let family = Family::<Labels, Counter>::default();
            registry.register(*name, *help, family.clone());
            families.insert(*name, family);
        }
        Self(Arc::new(Inner { registry, families }))
    }
}

impl Counters {
    /// Adds to the counter `name`, one of those this module names.
    pub fn add(&self, name: &'static str, labels: &[(&str, &str)], count: u64) {
        let family = self.0.families.get(name);
        debug_assert!(family.is_some(), "counter {name} is not known");
        if let Some(family) = family {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            family.get_or_create(&labels).inc_by(count);
        }
    }

    /// What the counter has come to, 0 when it has not been counted yet.
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.0.families.get(name).and_then(|family| Some(family.get(&labels)?.get())).unwrap_or(0)
    }

    /// All counters in the text format of Prometheus, without the closing `# EOF`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        let _infallible_into_a_string = text::encode_registry(&mut out, &self.0.registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_rendered_with_their_labels() {
        let counters = Counters::default();
        counters.add("input_malformed", &[("input", "statsd"), ("reason", "bad_value")], 2);
        assert_eq!(counters.get("input_malformed", &[("input", "statsd"), ("reason", "bad_value")]), 2);
        assert_eq!(counters.get("input_malformed", &[("input", "json_udp"), ("reason", "bad_value")]), 0);
        let text = counters.render();
        assert!(
            text.contains(r#"metlog_input_malformed_total{input="statsd",reason="bad_value"} 2"#),
            "{text}"
        );
    }
}
