//! `/metrics`: the counters, and what is measured at the moment, in the text format of Prometheus.

use prometheus_client::{
    encoding::text,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Admin;

type Labels = Vec<(String, String)>;

/// Gauges that live as long as one answer.
struct Page(Registry);

impl Page {
    fn one(&mut self, name: &str, help: &str, value: u64) {
        let gauge = Gauge::<i64>::default();
        gauge.set(number(value));
        self.0.register(name, help, gauge);
    }

    /// A gauge for each set of labels.
    fn many(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Gauge>::default();
        self.0.register(name, help, family.clone());
        for (labels, value) in values {
            family.get_or_create(&labels).set(number(value));
        }
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn label(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl Admin {
    pub(super) fn metrics(&self) -> String {
        let mut page = Page(Registry::with_prefix("metlog"));
        self.add_ledger(&mut page);
        let stalled = self.watchdog.stalled().into_iter();
        page.many(
            "stalled_seconds",
            "How long a part has had work and not moved; only while it does not",
            stalled.map(|(part, time)| (vec![label("part", &part)], time.as_secs())),
        );
        let stats = self.intake.spool().stats();
        for (name, help, value) in [
            ("spool_bytes", "Bytes of all segments", stats.bytes),
            ("spool_appended_records", "Records appended since the start", stats.appended_records),
            ("spool_syncs", "Syncs since the start", stats.syncs),
            ("spool_failed_syncs", "Failed syncs since the start", stats.failed_syncs),
            ("spool_refused_full", "Appends refused because there was no room", stats.refused_full),
        ] {
            page.one(name, help, value);
        }
        let mut gauges = String::new();
        let _infallible_into_a_string = text::encode_registry(&mut gauges, &page.0);
        format!("{}{gauges}# EOF\n", self.counters.render())
    }

    fn add_ledger(&self, page: &mut Page) {
        let audit = self.audit();
        let sums = [("application", &audit.sent), ("daemon", &audit.created)];
        let states = sums.iter().flat_map(|(made_by, figures)| {
            figures
                .by_state()
                .map(|(state, count)| (vec![label("made_by", made_by), label("state", state)], count))
        });
        page.many("ledger_messages", "Messages by what has become of them, as the audit counts", states);
        let dropped = self.intake.ledger().dropped_by_clients().into_iter();
        page.many(
            "client_dropped_messages",
            "Messages that clients say they dropped after they had accepted them, by reason",
            dropped.map(|(reason, count)| (vec![label("reason", &reason)], count)),
        );
    }
}
