//! Messages sent from a template are those sent without one.
#![expect(clippy::unwrap_used, reason = "a helper of tests, which clippy does not know for tests")]

use std::{collections::HashSet, time::Duration};

use metlog_core::{
    Client, Message, Options, Severity, Timestamp,
    client::{Count, FieldSet},
    fields,
    filter::{Filter, TypeBlacklist},
    sample::Rate,
    sender::{self, memory::Captured},
    stats::Reason,
    value::Encode,
    wire::{batch::Batch, record::Head},
};
use proptest::prelude::*;

const SOON: Duration = Duration::from_secs(5);

fn client() -> (Client, Captured) {
    let (memory, captured) = sender::memory::channel();
    (Client::builder().logger("app").severity(Severity::NOTICE).sender(memory).build(), captured)
}

/// The records that have left, as bytes, but for their time.
fn records(client: &Client, captured: &Captured) -> Vec<Vec<u8>> {
    assert!(client.flush(SOON));
    let mut records = Vec::new();
    for frame in captured.frames() {
        for (_, record) in Batch::parse(&frame).unwrap().records() {
            let nanos = record.head().unwrap().timestamp.as_nanos();
            let mut time = Vec::new();
            nanos.encode(&mut time);
            let bytes = record.as_bytes();
            let place = bytes.windows(time.len()).position(|window| window == time).unwrap();
            let (front, rest) = bytes.split_at(place);
            records.push([front, rest.split_at(time.len()).1].concat());
        }
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_of_a_template_has_the_bytes_of_one_without(
        kind in ".{0,40}",
        logger in proptest::option::of(".{0,40}"),
        severity in proptest::option::of(0..8_i64),
        payload in ".{0,40}",
        name in ".{0,40}",
        number in any::<i64>(),
        own in 0..=2_usize,
    ) {
        let (client, captured) = client();
        let pairs: [(&str, &dyn Encode); 2] = [("name", &name), ("number", &number)];
        let options = Options {
            logger: logger.as_deref(),
            severity: severity.map(|level| Severity::try_from(level).unwrap()),
            payload: Some(&payload),
            fields: fields(&pairs),
            ..Options::default()
        };
        client.metlog(&kind, options);
        client.send_template(&client.template(&kind, &options), &payload, &FieldSet::default());
        let (own, more) = pairs.split_at(own);
        let template = client.template(&kind, &Options { fields: fields(own), ..options });
        client.send_template(&template, &payload, &fields(more));
        let records = records(&client, &captured);
        prop_assert_eq!(records.len(), 3);
        prop_assert_eq!(&records[0], &records[1]);
        prop_assert_eq!(&records[0], &records[2]);
    }
}

#[test]
fn a_counter_of_a_template_is_a_counter() {
    let (client, captured) = client();
    client.incr_with("clicks", Count::Int(-70_000), Rate::ALL, Options::default());
    let rate = Rate::ALL.get();
    let pairs: [(&str, &dyn Encode); 2] = [("name", &"clicks"), ("rate", &rate)];
    let options = Options { fields: fields(&pairs), ..Options::default() };
    let template = client.template("counter", &options);
    client.send_template(&template, &Count::Int(-70_000), &FieldSet::default());
    let records = records(&client, &captured);
    assert_eq!((records.len(), &records[0]), (2, &records[1]));
}

#[test]
fn the_time_is_that_of_each_call() {
    let (client, captured) = client();
    let template = client.template("x", &Options::default());
    let before = Timestamp::now();
    std::thread::sleep(Duration::from_millis(20));
    client.send_template(&template, &"", &FieldSet::default());
    assert!(client.flush(SOON));
    let messages: Vec<Message> = captured.messages();
    let passed = messages[0].timestamp.as_nanos() - before.as_nanos();
    assert!(passed > 15_000_000, "{passed} ns");
}

struct OnlyLogger(&'static str);

impl Filter for OnlyLogger {
    fn keep(&self, head: &Head<'_>) -> bool {
        head.logger == self.0
    }
}

#[test]
fn filters_see_each_of_them() {
    let (memory, captured) = sender::memory::channel();
    let blacklist = TypeBlacklist(HashSet::from(["unwanted".to_owned()]));
    let client = Client::builder().filter(blacklist).filter(OnlyLogger("app")).sender(memory).build();
    for (kind, logger) in [("unwanted", "app"), ("wanted", "other"), ("wanted", "app")] {
        let options = Options { logger: Some(logger), ..Options::default() };
        client.send_template(&client.template(kind, &options), &"", &FieldSet::default());
    }
    assert!(client.flush(SOON));
    assert_eq!((captured.messages().len(), client.stats().refused.get(Reason::Filtered)), (1, 2));
}

#[test]
fn after_the_close_it_is_refused_and_counted() {
    let (client, _captured) = client();
    let template = client.template("x", &Options::default());
    client.close(SOON);
    client.send_template(&template, &"", &FieldSet::default());
    assert_eq!(client.stats().refused.get(Reason::Closed), 1);
}
