//! Tests of the aggregator: against one roll-up that got everything, in any order, over crashes.

use std::time::Duration;

use metlog_core::{
    Message, Value,
    wire::{
        batch::{Batch, Builder, Header, ProducerId, Role},
        record::Identity,
    },
};
use metlog_pipeline::{
    counters::Counters,
    intake::Intake,
    rollup::{Accumulators, Flush, RollupOptions, Sample, SampleRate},
    spool::{Reader, SpoolOptions},
};
use proptest::prelude::*;

use super::*;

/// When the tests begin, in seconds: a multiple of every interval.
const START: i64 = 1_700_000_040;
const INTERVAL: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);

fn mergeable() -> RollupOptions {
    RollupOptions { mergeable: true, ..RollupOptions::default() }
}

/// One sample of a fleet.
#[derive(Debug, Clone)]
enum Event {
    Count(u8, u16),
    Time(u8, u16),
    Member(u8, u16),
}

impl Event {
    fn add(&self, sums: &mut Accumulators) {
        let (name, sample, member);
        (name, sample) = match self {
            Self::Count(name, value) => {
                (format!("c{name}"), Sample::Counter { value: f64::from(*value), rate: SampleRate::ONE })
            }
            Self::Time(name, value) => {
                (format!("t{name}"), Sample::Timer { value: f64::from(*value), rate: SampleRate::ONE })
            }
            Self::Member(name, number) => {
                member = number.to_string();
                (format!("s{name}"), Sample::Set { member: &member })
            }
        };
        assert_eq!(sums.add(&name, sample, &mergeable()).refused(), None);
    }
}

/// The roll-up messages of one sidecar that got `events`, for the interval that ends at `tick`.
fn rolled_up(events: &[Event], tick: i64) -> Vec<Message> {
    let mut sums = Accumulators::default();
    events.iter().for_each(|event| event.add(&mut sums));
    let options = mergeable();
    let flush = Flush { options: &options, interval: INTERVAL, tick, logger: "metlog.rollup" };
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "web" };
    let rollups = sums.flush(&options, INTERVAL);
    rollups.iter().map(|rollup| flush.message(rollup, &identity).unwrap()).collect()
}

/// An aggregator over a spool of its own, at times that the test names.
struct Bench {
    dir: tempfile::TempDir,
    intake: Intake,
    config: AggregateConfig,
    counters: Counters,
    aggregator: Aggregator,
    reader: Reader,
    sent: u64,
}

impl Bench {
    fn new(config: AggregateConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let intake = Intake::open(dir.path(), SpoolOptions::default()).unwrap();
        let counters = Counters::default();
        let aggregator = Aggregator::open(config.clone(), &intake, dir.path(), counters.clone()).unwrap();
        let reader = aggregator.cursor.reader();
        Self { dir, intake, config, counters, aggregator, reader, sent: 0 }
    }

    /// What a crash leaves: what was saved last.
    fn crash(&mut self) {
        let counters = self.counters.clone();
        self.aggregator =
            Aggregator::open(self.config.clone(), &self.intake, self.dir.path(), counters).unwrap();
        self.reader = self.aggregator.cursor.reader();
    }

    fn send(&mut self, sidecar: u8, message: &Message) {
        let identity = Identity { env_version: "0.8", pid: 1, hostname: "web" };
        // Each message is a batch of a producer's own numbers.
        let header = Header::new(ProducerId([sidecar; 16]), identity, "metlog.rollup");
        let header = Header { first_sequence: self.sent, role: Role::Daemon, ..header };
        let mut batch = Builder::new(header);
        batch.push(message).unwrap();
        self.intake.take(&batch.finish()).unwrap();
        self.sent += 1;
    }

    /// Reads all there is, then lets the time pass.
    fn look(&mut self, now: i64) {
        self.sync();
        loop {
            let records = self.reader.next(1 << 20, Duration::ZERO);
            self.aggregator.step(&records, now);
            let deadline = std::time::Instant::now() + PATIENCE;
            while !self.aggregator.is_outbox_empty() && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
            if records.is_empty() {
                break;
            }
        }
    }

    fn sync(&self) {
        let appended = self.intake.spool().appended();
        assert!(appended == 0 || self.intake.spool().wait_synced(appended, PATIENCE));
    }

    /// Every merged roll-up in the spool, by its time and name.
    fn merged(&self) -> Vec<Message> {
        self.sync();
        let mut reader = self.intake.spool().reader(1);
        let mut merged = Vec::new();
        loop {
            let records = reader.next(1 << 20, Duration::ZERO);
            if records.is_empty() {
                return merged;
            }
            for record in records {
                let batch = Batch::parse(&record.frame).unwrap();
                let messages = batch.messages().map(|(_, message)| message.unwrap());
                merged.extend(messages.filter(|message| message.logger == PRODUCER));
            }
        }
    }
}

fn text<'a>(message: &'a Message, field: &str) -> &'a str {
    message.fields.get(field).and_then(Value::as_text).unwrap_or_default()
}

fn figure(message: &Message, figure: &str) -> f64 {
    let Some(Value::Map(values)) = message.fields.get("values") else { panic!("{message:?}") };
    values.get(figure).and_then(Value::as_number).unwrap_or_else(|| panic!("{figure} of {message:?}"))
}

fn figures(message: &Message) -> Vec<String> {
    let Some(Value::Map(values)) = message.fields.get("values") else { panic!("{message:?}") };
    values.iter().map(|(name, _)| name.to_owned()).collect()
}

/// Merges what each sidecar got, its messages in the order that `order` gives; crashes after every third when asked.
fn merged(sidecars: &[Vec<Event>], order: &[usize], crashes: bool) -> Vec<Message> {
    let mut bench = Bench::new(AggregateConfig::default());
    let mut messages = Vec::new();
    for (sidecar, events) in (1_u8..).zip(sidecars) {
        messages.extend(rolled_up(events, START).into_iter().map(|message| (sidecar, message)));
    }
    for (place, pick) in order.iter().enumerate() {
        if messages.is_empty() {
            break;
        }
        let (sidecar, message) = messages.swap_remove(pick % messages.len());
        bench.send(sidecar, &message);
        if crashes && place % 3 == 2 {
            bench.look(START);
            bench.crash();
        }
    }
    messages.into_iter().for_each(|(sidecar, message)| bench.send(sidecar, &message));
    bench.look(START + 19);
    assert_eq!(bench.merged().len(), 0, "late roll-ups are waited for");
    bench.look(START + 20);
    bench.look(START + 100);
    bench.merged()
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..3_u8, 0..1_000_u16).prop_map(|(name, value)| Event::Count(name, value)),
        (0..3_u8, 1..1_000_u16).prop_map(|(name, value)| Event::Time(name, value)),
        (0..2_u8, 0..100_u16).prop_map(|(name, value)| Event::Member(name, value)),
    ];
    prop::collection::vec(event, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn merged_roll_ups_are_those_of_one_that_got_everything_in_any_order(
        sidecars in prop::collection::vec(events(), 1..4),
        order in prop::collection::vec(0..100_usize, 0..40),
    ) {
        let found = merged(&sidecars, &order, true);
        prop_assert_eq!(&found, &merged(&sidecars, &[], false));
        let whole = rolled_up(&sidecars.concat(), START);
        let whole: Vec<_> = whole.iter().filter(|message| text(message, "kind") != "own").collect();
        prop_assert_eq!(found.len(), whole.len());
        for (found, whole) in found.iter().zip(whole) {
            prop_assert_eq!(text(found, "name"), text(whole, "name"));
            prop_assert_eq!((found.timestamp, figures(found)), (whole.timestamp, figures(whole)));
            for name in figures(whole) {
                let (merged, exact) = (figure(found, &name), figure(whole, &name));
                let allowed = match (text(whole, "kind"), name.as_str()) {
                    ("counter", _) | (_, "count" | "count_ps" | "upper" | "lower") if text(whole, "kind") != "set" => 0.0,
                    ("set", _) => (exact * 0.05).max(1.0),
                    (_, "sum" | "mean") => exact * 1e-9,
                    (_, "std") => continue, // of values near each other nothing is left but what they are off
                    (_, name) if name.contains("squares") => exact * 0.021,
                    (_, name) if name.starts_with("count_") => 0.0,
                    _ => exact * 0.011,
                };
                prop_assert!((merged - exact).abs() <= allowed, "{name}: {merged} for {exact}");
            }
        }
    }
}

/// A gauge as a sidecar tells it.
fn gauge(name: &str, value: f64, tick: i64) -> Message {
    let mut sums = Accumulators::default();
    assert_eq!(sums.add(name, Sample::Gauge { value, delta: false }, &mergeable()).refused(), None);
    let options = mergeable();
    let flush = Flush { options: &options, interval: INTERVAL, tick, logger: "metlog.rollup" };
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "web" };
    flush.message(&sums.flush(&options, INTERVAL)[0], &identity).unwrap()
}

#[test]
fn gauges_come_to_what_the_configuration_says_of_the_newest_of_each_sidecar() {
    for (gauges, value) in [
        (GaugeFunction::Last, 7.0),
        (GaugeFunction::Sum, 12.0),
        (GaugeFunction::Min, 2.0),
        (GaugeFunction::Max, 7.0),
        (GaugeFunction::Mean, 4.0),
    ] {
        let interval = Duration::from_secs(60);
        let mut bench = Bench::new(AggregateConfig { gauges, interval, ..AggregateConfig::default() });
        for (sidecar, seconds, value) in [(1, 20, 3.0), (2, 10, 2.0), (1, 10, 99.0), (3, 30, 7.0)] {
            bench.send(sidecar, &gauge("g", value, START - 60 + seconds));
        }
        bench.look(START + 20);
        let merged = bench.merged();
        assert_eq!((merged.len(), figure(&merged[0], "value")), (1, value), "{gauges:?}");
        assert_eq!(merged[0].timestamp.as_seconds(), START);
    }
}

#[test]
fn names_that_differ_in_tags_which_are_taken_out_become_one() {
    let without_tags = vec!["host".to_owned()];
    let mut bench = Bench::new(AggregateConfig {
        without_tags,
        gauges: GaugeFunction::Sum,
        ..AggregateConfig::default()
    });
    for (sidecar, name) in [(1, "g;host=a;path=x"), (2, "g;path=x;host=b"), (3, "g;path=y"), (4, "g;host=c")]
    {
        bench.send(sidecar, &gauge(name, 1.0, START));
    }
    bench.look(START + 20);
    let found: Vec<_> = bench
        .merged()
        .iter()
        .map(|message| (text(message, "name").to_owned(), figure(message, "value")))
        .collect();
    assert_eq!(found, [("g".to_owned(), 1.0), ("g;path=x".to_owned(), 2.0), ("g;path=y".to_owned(), 1.0)]);
}

#[test]
fn what_comes_too_late_or_from_the_future_is_left_out_and_counted() {
    let mut bench = Bench::new(AggregateConfig::default());
    bench.send(1, &gauge("g", 1.0, START));
    bench.look(START + 20);
    bench.send(2, &gauge("g", 2.0, START));
    bench.send(2, &gauge("g", 3.0, START + 100_000));
    bench.look(START + 100);
    assert_eq!(bench.merged().len(), 1);
    let counted = bench.counters.render();
    for reason in ["late", "early"] {
        assert!(counted.contains(&format!("aggregate_refused_total{{reason=\"{reason}\"}} 1")), "{counted}");
    }
}

#[test]
fn only_roll_ups_of_other_daemons_that_can_be_merged_are() {
    let own = ProducerId([9; 16]);
    let shares = Shares::new(own);
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "web" };
    let events = [Event::Time(0, 5), Event::Member(0, 1), Event::Count(0, 1)];
    let plain = |message: Message| {
        let fields = message.fields.iter().filter(|(name, _)| !matches!(*name, "sketch" | "members"));
        Message { fields: fields.map(|(name, value)| (name, value.clone())).collect(), ..message }
    };
    let merges = |producer: ProducerId, role: Role, message: &Message| {
        let header = Header { role, ..Header::new(producer, identity, "x") };
        metlog_pipeline::matcher::look(message, |view| shares.of(&header, view).is_some()).unwrap()
    };
    let other = ProducerId([1; 16]);
    for message in rolled_up(&events, START) {
        let kind = text(&message, "kind").to_owned();
        assert_eq!(merges(other, Role::Daemon, &message), kind != "own", "{kind}");
        assert!(!merges(own, Role::Daemon, &message), "{kind}");
        assert!(!merges(other, Role::Application, &message), "{kind}");
        assert_eq!(merges(other, Role::Daemon, &plain(message)), kind == "counter", "{kind}");
    }
}
