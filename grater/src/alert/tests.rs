//! Tests of alerts: thresholds, windows, silence, and that no change is lost or told twice over a crash.

use std::time::Duration;

use metlog_core::{
    Message, Value,
    wire::{
        batch::{Batch, Builder, Header, ProducerId},
        json::from_json,
        record::Identity,
    },
};
use metlog_pipeline::{
    counters::Counters,
    intake::Intake,
    spool::{Reader, SpoolOptions},
};
use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
/// When the tests begin, in seconds: a multiple of every window.
const START: i64 = 1_700_000_040;
const PATIENCE: Duration = Duration::from_secs(20);

fn alerts(text: &str) -> Vec<AlertConfig> {
    #[derive(serde::Deserialize)]
    struct File {
        alert: Vec<AlertConfig>,
    }
    toml::from_str::<File>(text).unwrap().alert
}

/// Alerts over a spool of their own, at times that the test names.
struct Bench {
    dir: tempfile::TempDir,
    intake: Intake,
    configs: Vec<AlertConfig>,
    consumer: AlertConsumer,
    reader: Reader,
    sent: u64,
}

impl Bench {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let intake = Intake::open(dir.path(), SpoolOptions::default()).unwrap();
        let configs = alerts(text);
        assert_eq!(check(&configs), Vec::<String>::new());
        let consumer = Self::open(&configs, &intake, dir.path());
        let reader = consumer.cursor.reader();
        Self { dir, intake, configs, consumer, reader, sent: 0 }
    }

    fn open(configs: &[AlertConfig], intake: &Intake, dir: &std::path::Path) -> AlertConsumer {
        let mut consumer = AlertConsumer::open(configs, intake, dir, Counters::default()).unwrap();
        consumer.began = 0;
        consumer
    }

    /// What a crash leaves: what was saved last.
    fn crash(&mut self) {
        self.consumer = Self::open(&self.configs, &self.intake, self.dir.path());
        self.reader = self.consumer.cursor.reader();
    }

    fn send(&mut self, second: i64, text: &str) {
        let mut message = from_json(text.as_bytes()).unwrap().message;
        message.timestamp = metlog_core::Timestamp::from_nanos((START + second) * SECOND);
        let identity = Identity { env_version: "0.8", pid: 1, hostname: "web1" };
        let header =
            Header { first_sequence: self.sent, ..Header::new(ProducerId([7; 16]), identity, "app") };
        let mut batch = Builder::new(header);
        batch.push(&message).unwrap();
        self.intake.take(&batch.finish()).unwrap();
        self.sent += 1;
    }

    /// Reads all there is, then lets the time pass.
    fn look(&mut self, second: i64) {
        let appended = self.intake.spool().appended();
        assert!(appended == 0 || self.intake.spool().wait_synced(appended, PATIENCE));
        loop {
            let records = self.reader.next(1 << 20, Duration::ZERO);
            self.settle();
            self.consumer.step(&records, (START + second) * SECOND);
            if records.is_empty() {
                break;
            }
        }
        self.settle();
    }

    /// As the loop of the thread does before it reads on.
    fn settle(&mut self) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.consumer.is_outbox_empty() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    /// Every alert in the spool.
    fn told(&self) -> Vec<Message> {
        let appended = self.intake.spool().appended();
        assert!(appended == 0 || self.intake.spool().wait_synced(appended, PATIENCE));
        let mut reader = self.intake.spool().reader(1);
        let mut told = Vec::new();
        loop {
            let records = reader.next(1 << 20, Duration::ZERO);
            if records.is_empty() {
                return told;
            }
            for record in records {
                let batch = Batch::parse(&record.frame).unwrap();
                let messages = batch.messages().map(|(_, message)| message.unwrap());
                told.extend(messages.filter(|message| message.kind == ALERT_TYPE));
            }
        }
    }

    fn payloads(&self) -> Vec<String> {
        self.told().iter().map(|message| message.payload.as_text().unwrap().to_owned()).collect()
    }
}

const COUNT: &str = r#"
    [[alert]]
    name = "errors"
    type = "count"
    matcher = "Severity < 4"
    window = "60s"
    warning = 2
    critical = 4
    lateness = "5s"
"#;

#[test]
fn windows_of_messages_are_counted_by_their_times_and_told_when_they_change() {
    let mut bench = Bench::new(COUNT);
    bench.look(0);
    // The last of the first window comes when the next has begun, and one that is no error at all.
    for (second, severity) in [(1, 3), (2, 3), (61, 0), (59, 3), (3, 6)] {
        bench.send(second, &format!("{{\"type\":\"x\",\"severity\":{severity}}}"));
    }
    bench.look(64);
    assert_eq!(bench.payloads(), Vec::<String>::new(), "late messages are waited for");
    bench.look(65);
    assert_eq!(bench.payloads(), ["WARNING: errors is 3, threshold 2"]);
    // Too late to change what was told.
    bench.send(30, r#"{"type":"x","severity":3}"#);
    bench.look(66);
    bench.look(200);
    assert_eq!(bench.payloads(), ["WARNING: errors is 3, threshold 2", "OK: errors is 1"]);
    let told = bench.told();
    let field = |name: &str| told[0].fields.get(name).cloned().unwrap();
    for (name, value) in [
        ("name", Value::from("errors")),
        ("state", "WARNING".into()),
        ("previous", "OK".into()),
        ("value", 3.0.into()),
        ("threshold", 2.0.into()),
        ("service", "errors".into()),
        ("host", told[0].hostname.as_str().into()),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    assert_eq!((told[0].severity.as_u8(), told[1].severity.as_u8()), (4, 5));
    assert_eq!(told[0].timestamp.as_seconds(), START + 60);
}

fn rollup(name: &str, figure: &str, value: f64) -> String {
    format!(
        r#"{{"type":"statmetric","metlog_hostname":"web1","fields":{{"name":"{name}","values":{{"{figure}":{value}}}}}}}"#
    )
}

#[test]
fn figures_of_rollups_are_watched_by_host_with_hysteresis() {
    let mut bench = Bench::new(
        r#"
        [[alert]]
        name = "latency"
        type = "rollup"
        rollup = "store"
        figure = "upper_90"
        by = "%Hostname%"
        warning = 100
        critical = 200
        hysteresis = 20
        unknown_after = "5m"
        service = "Bookmarks"
        "#,
    );
    let steps = [
        (150.0, vec!["WARNING: latency of web1 is 150, threshold 100"]),
        (195.0, vec![]),
        (200.0, vec!["CRITICAL: latency of web1 is 200, threshold 200"]),
        (181.0, vec![]),
        (179.0, vec!["WARNING: latency of web1 is 179, threshold 100"]),
        (81.0, vec![]),
        (79.0, vec!["OK: latency of web1 is 79"]),
    ];
    let mut expected = Vec::new();
    for (second, (value, told)) in (0..).zip(steps) {
        bench.send(second * 10, &rollup("store", "upper_90", value));
        bench.send(second * 10, &rollup("other", "upper_90", 999.0));
        bench.look(second * 10);
        expected.extend(told);
        assert_eq!(bench.payloads(), expected, "{value}");
    }
    bench.look(400);
    expected.push("UNKNOWN: latency of web1 is not known");
    assert_eq!(bench.payloads(), expected);
    let last = bench.told().pop().unwrap();
    assert_eq!(last.fields.get("host"), Some(&"web1".into()));
    assert_eq!(last.fields.get("service"), Some(&"Bookmarks".into()));
}

#[test]
fn silence_is_told_and_its_end() {
    let text = "[[alert]]\nname = 'alive'\ntype = 'absence'\nmatcher = \"Type == 'beat'\"\nwarning = 60\ncritical = 120\n";
    let mut bench = Bench::new(text);
    bench.look(0);
    bench.look(59);
    assert_eq!(bench.payloads(), Vec::<String>::new());
    bench.look(60);
    bench.look(130);
    bench.send(131, r#"{"type":"beat"}"#);
    bench.look(132);
    let told =
        ["WARNING: alive is 60, threshold 60", "CRITICAL: alive is 130, threshold 120", "OK: alive is 0"];
    assert_eq!(bench.payloads(), told);
}

#[test]
fn silence_says_nothing_just_after_a_start() {
    let text = "[[alert]]\nname = 'alive'\ntype = 'absence'\ncritical = 60\nlateness = '30s'\n";
    let mut bench = Bench::new(text);
    bench.send(0, r#"{"type":"x"}"#);
    bench.look(0);
    bench.crash();
    bench.consumer.began = (START + 3_600) * SECOND;
    bench.look(3_629);
    assert_eq!(bench.payloads(), Vec::<String>::new());
    bench.look(3_630);
    assert_eq!(bench.payloads(), ["CRITICAL: alive is 3630, threshold 60"]);
}

#[test]
fn a_rate_of_change_is_watched_either_way() {
    let mut bench = Bench::new(
        r#"
        [[alert]]
        name = "disk"
        type = "rollup"
        rollup = "disk.free"
        change_per = "1m"
        worse = "below"
        warning = -50
        "#,
    );
    for (second, value) in [(0, 1_000.0), (10, 995.0), (20, 985.0), (30, 985.0)] {
        bench.send(second, &rollup("disk.free", "value", value));
        bench.look(second);
    }
    assert_eq!(bench.payloads(), ["WARNING: disk is -60, threshold -50", "OK: disk is 0"]);
}

#[test]
fn a_state_must_last_before_it_is_told() {
    let text = "[[alert]]\nname = 'a'\ntype = 'rollup'\nrollup = 'x'\ncritical = 10\nhold = '30s'\n";
    let mut bench = Bench::new(text);
    for (second, value) in [(0, 20.0), (10, 5.0), (20, 20.0), (40, 30.0)] {
        bench.send(second, &rollup("x", "value", value));
        bench.look(second);
    }
    assert_eq!(bench.payloads(), Vec::<String>::new());
    bench.look(49);
    assert_eq!(bench.payloads(), Vec::<String>::new());
    bench.look(50);
    assert_eq!(bench.payloads(), ["CRITICAL: a is 30, threshold 10"]);
}

#[test]
fn what_an_alert_cannot_do_is_named() {
    for (keys, said) in [
        ("type = 'absence'", "alert \"a\": no threshold, expected warning, critical or both"),
        ("type = 'absence'\nwarning = 9\ncritical = 5", "critical is 5 and better than warning, which is 9"),
        ("type = 'absence'\nwarning = 1\nhysteresis = -1.0", "hysteresis is at least 0"),
        ("type = 'absence'\nwarning = 1\nmatcher = 'x'", "matcher, column 1: unknown variable x"),
        ("type = 'absence'\nwarning = 1\nby = '%a'", "by: \"%a\" has a single %"),
    ] {
        let wrong = check(&alerts(&format!("[[alert]]\nname = 'a'\n{keys}\n")));
        assert!(wrong.len() == 1 && wrong[0].contains(said), "{said}: {wrong:?}");
    }
    let twice = "[[alert]]\nname = 'a'\ntype = 'absence'\nwarning = 1\n".repeat(2);
    assert_eq!(check(&alerts(&twice)), ["alert \"a\": name is taken by an earlier alert"]);
    let text = "name = 'a'\ntype = 'count'\nwindow = '0s'\nwarning = 1\n";
    assert!(toml::from_str::<AlertConfig>(text).unwrap_err().to_string().contains("\"0s\" is no duration"));
    let text = "name = 'a'\ntype = 'absence'\nwindows = '1s'\nwarning = 1\n";
    assert!(toml::from_str::<AlertConfig>(text).unwrap_err().to_string().contains("windows"));
}

/// One step of a day: a value, a pause, or a crash.
#[derive(Debug, Clone)]
enum Event {
    Value(f64),
    Errors(u8),
    Pause(i64),
    Crash,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..30_u8).prop_map(|value| Event::Value(f64::from(value))),
        (0..6_u8).prop_map(Event::Errors),
        (1..90_i64).prop_map(Event::Pause),
        Just(Event::Crash),
    ];
    prop::collection::vec(event, 1..25)
}

/// The day, with or without its crashes; gives back what was told.
fn live(events: &[Event], with_crashes: bool) -> Vec<Message> {
    let mut bench = Bench::new(&format!(
        "{COUNT}[[alert]]\nname = 'x'\ntype = 'rollup'\nrollup = 'x'\nwarning = 10\ncritical = 20\nhysteresis = 3\nhold = '20s'\n\
         unknown_after = '100s'\n[[alert]]\nname = 'silent'\ntype = 'absence'\nmatcher = \"Severity < 4\"\nwarning = 60\n"
    ));
    let mut second = 0;
    bench.look(second);
    for event in events {
        match event {
            Event::Value(value) => bench.send(second, &rollup("x", "value", *value)),
            Event::Errors(count) => {
                (0..*count).for_each(|_| bench.send(second, r#"{"type":"x","severity":3}"#));
            }
            Event::Pause(seconds) => second += seconds,
            Event::Crash if with_crashes => bench.crash(),
            Event::Crash => {}
        }
        bench.look(second);
    }
    bench.look(second + 200);
    bench.told()
}

/// What one alert told, without its order among the others.
fn states(told: &[Message], name: &str) -> Vec<(String, String, Option<Value>)> {
    let of = |message: &Message, field: &str| {
        message.fields.get(field).and_then(Value::as_text).unwrap_or_default().to_owned()
    };
    let its = told.iter().filter(|message| of(message, "name") == name);
    its.map(|message| (of(message, "previous"), of(message, "state"), message.fields.get("value").cloned()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_state_is_told_twice_in_a_row_and_no_crash_loses_or_repeats_one(events in events()) {
        let (told, whole) = (live(&events, true), live(&events, false));
        for name in ["errors", "x", "silent"] {
            let (told, whole) = (states(&told, name), states(&whole, name));
            let mut before = "OK".to_owned();
            for (previous, state, _) in &whole {
                prop_assert_eq!(previous, &before);
                prop_assert_ne!(state, &before);
                before.clone_from(state);
            }
            prop_assert_eq!(told, whole, "{}", name);
        }
    }
}
