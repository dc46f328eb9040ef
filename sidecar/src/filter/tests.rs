//! Tests of the filters: what of a batch is left, how it is counted, and what is told.

use metlog_core::{
    Value,
    wire::{
        batch::{Builder, Header, ProducerId},
        json::from_json,
        record::Identity,
    },
};
use metlog_pipeline::{rollup::Sample, spool::SpoolOptions};

use super::*;

fn batch(json: &[&str]) -> Vec<u8> {
    let identity = Identity { env_version: "0.8", pid: 7, hostname: "h" };
    let mut batch = Builder::new(Header::new(ProducerId([1; 16]), identity, "app"));
    for json in json {
        batch.push(&from_json(json.as_bytes()).unwrap().message).unwrap();
    }
    batch.finish()
}

fn filters(toml: &str) -> (Filters, Stats) {
    let configs: FilterConfigs = toml::from_str(toml).unwrap();
    assert_eq!(check(&configs), Vec::<String>::new(), "{toml}");
    compile(&configs)
}

/// The batch after the filters; the frame itself when they change nothing.
fn filtered(filters: &Filters, frame: &[u8]) -> Vec<u8> {
    let batch = Batch::parse(frame).unwrap();
    let changed = batch.rework(|sequence, record| filters.judge(&batch, sequence, *record));
    changed.unwrap_or_else(|| frame.to_vec())
}

fn payloads(frame: &[u8]) -> Vec<String> {
    let batch = Batch::parse(frame).unwrap();
    batch.messages().map(|(_, message)| message.unwrap().payload.as_text().unwrap().to_owned()).collect()
}

const MESSAGES: [&str; 4] = [
    r#"{"type":"log","severity":7,"logger":"a","payload":"0","fields":{"user":"ann"}}"#,
    r#"{"type":"log","severity":3,"logger":"a","payload":"1","fields":{"user":"joe"}}"#,
    r#"{"type":"audit","severity":7,"logger":"b","payload":"2","fields":{"user":"ann"}}"#,
    r#"{"type":"log","severity":3,"logger":"b","payload":"3","fields":{}}"#,
];

#[test]
fn what_is_taken_out_is_counted_under_the_name_of_its_filter() {
    for (toml, left, removed) in [
        ("[noise]\ntype = 'drop'\nmatch = 'Severity == 7'", "13", vec![("filtered:noise", 2)]),
        ("[logs]\ntype = 'keep'\nmatch = 'Type == \"log\"'", "013", vec![("filtered:logs", 1)]),
        (
            "[b]\ntype = 'drop'\nmatch = 'Severity == 7'\n[a]\ntype = 'drop'\nmatch = 'Type == \"audit\"'",
            "13",
            vec![("filtered:a", 1), ("filtered:b", 1)],
        ),
        ("[all]\ntype = 'drop'", "", vec![("filtered:all", 4)]),
        (
            "[few]\ntype = 'rate_limit'\nkey = '%Type%'\ncount = 1\nper = '1h'",
            "02",
            vec![("filtered:few", 2)],
        ),
        (
            "[few]\ntype = 'rate_limit'\nkey = '%user%'\ncount = 1\nper = '1h'",
            "013",
            vec![("filtered:few", 1)],
        ),
        ("[none]\ntype = 'sample'\nrate = 0.000000001", "", vec![("filtered:none", 4)]),
        ("[whole]\ntype = 'sample'\nrate = 1", "0123", vec![]),
    ] {
        let frame = filtered(&filters(toml).0, &batch(&MESSAGES));
        assert_eq!(payloads(&frame).concat(), left, "{toml}");
        let header = Batch::parse(&frame).unwrap().header;
        let counted: Vec<_> =
            header.removed.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        assert_eq!((counted, header.span), (removed, 4), "{toml}");
    }
}

#[test]
fn what_this_daemon_made_itself_does_not_pass_the_filters() {
    let identity = Identity { env_version: "0.8", pid: 7, hostname: "h" };
    let header = Header { role: Role::Daemon, ..Header::new(ProducerId([1; 16]), identity, "app") };
    let mut own = Builder::new(header);
    own.push(&from_json(MESSAGES[0].as_bytes()).unwrap().message).unwrap();
    let frame = own.finish();
    assert_eq!(filtered(&filters("[all]\ntype = 'drop'").0, &frame), frame);
}

#[test]
fn a_sample_is_its_share_and_the_same_when_asked_again() {
    let (filters, _) = filters("[some]\ntype = 'sample'\nrate = 0.25");
    let frame = batch(&vec![MESSAGES[0]; 4_000]);
    let left = filtered(&filters, &frame);
    let count = Batch::parse(&left).unwrap().header.count();
    assert!((900..1_100).contains(&count), "{count}");
    assert_eq!(filtered(&filters, &frame), left);
}

#[test]
fn scrubbed_fields_are_gone_or_replaced_wherever_they_lie() {
    let message = r#"{"type":"t","payload":"x","fields":{"password":"p","user":{"card":1,"name":"n"},
        "cookies":[{"card":2}],"x_token":"t","x_trace":"u","plain":5}}"#;
    for (toml, expected) in [
        (
            "fields = ['password', 'user.card', 'x_*']",
            r#"{"user":{"name":"n"},"cookies":[{"card":2}],"plain":5}"#,
        ),
        (
            "fields = ['user', 'cookies.card']\nreplace = '***'",
            r#"{"password":"p","user":"***","cookies":[{"card":"***"}],"x_token":"t","x_trace":"u","plain":5}"#,
        ),
    ] {
        let (filters, _) = filters(&format!("[s]\ntype = 'scrub'\n{toml}"));
        let frame = filtered(&filters, &batch(&[message, MESSAGES[0]]));
        let messages: Vec<_> = Batch::parse(&frame)
            .unwrap()
            .messages()
            .map(|(sequence, message)| (sequence, message.unwrap()))
            .collect();
        assert_eq!((messages[0].0, messages[1].0), (0, 1));
        let line = format!(r#"{{"type":"t","fields":{expected}}}"#);
        assert_eq!(messages[0].1.fields, from_json(line.as_bytes()).unwrap().message.fields, "{toml}");
    }
    let (filters, _) = filters("[s]\ntype = 'scrub'\nfields = ['none']");
    let frame = batch(&MESSAGES);
    assert_eq!(filtered(&filters, &frame), frame, "nothing to scrub");
}

#[test]
fn what_a_rate_limit_suppressed_is_told_once_its_window_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let intake = Intake::open(dir.path(), SpoolOptions::default()).unwrap();
    let (filters, _) = filters("[few]\ntype = 'rate_limit'\nkey = '%Logger%'\ncount = 1\nper = '1h'");
    assert!(filters.has_limits());
    let _ = filtered(&filters, &batch(&MESSAGES[..3]));
    let mut producer = OwnProducer::new(&intake, "metlog.filter", Role::Daemon);
    filters.tell(&mut producer, &intake, Instant::now());
    assert_eq!(intake.spool().appended(), 0, "the window is open");
    filters.tell(&mut producer, &intake, Instant::now() + Duration::from_secs(3_600));
    assert_eq!(intake.spool().appended(), 1);
    let records = intake.spool().reader(1).next(1 << 20, Duration::from_secs(10));
    let batch = Batch::parse(&records[0].frame).unwrap();
    let messages: Vec<_> = batch.messages().map(|(_, message)| message.unwrap()).collect();
    assert_eq!(messages.len(), 1, "of b nothing was suppressed");
    assert_eq!(messages[0].kind, SUPPRESSED_TYPE);
    for (field, value) in [("filter", Value::from("few")), ("key", "a".into()), ("count", 1.into())] {
        assert_eq!(messages[0].fields.get(field), Some(&value), "{field}");
    }
    assert_eq!(
        payloads(&filtered(&filters, &super::tests::batch(&MESSAGES[..1]))),
        ["0"],
        "a window of its own"
    );
    intake.spool().close();
}

#[test]
fn samples_are_made_of_messages_that_say_enough() {
    let toml = "[s]\ntype = 'stat'\nkind = 'timer'\nname = 'req.%Logger%.%user.id%'\nvalue = '%took%'\n\
        [t]\ntype = 'stat'\nkind = 'counter'\nname = 'all:%Type%'\nmatch = 'Type == \"t\"'";
    let (_, stats) = filters(toml);
    for (json, expected) in [
        (
            r#"{"type":"t","logger":"a","fields":{"user":{"id":4},"took":2.5}}"#,
            vec!["req.a.4=2.5", "all_t=1"],
        ),
        (r#"{"type":"x","logger":"a","fields":{"user":{"id":"j|q"},"took":"7"}}"#, vec!["req.a.j_q=7"]),
        (r#"{"type":"x","logger":"a","fields":{"took":7}}"#, vec![]),
        (r#"{"type":"x","logger":"a","fields":{"user":{"id":4},"took":"soon"}}"#, vec![]),
        (r#"{"type":"x","logger":"a","fields":{"user":{"id":4},"took":"inf"}}"#, vec![]),
    ] {
        let frame = batch(&[json]);
        let batch = Batch::parse(&frame).unwrap();
        let mut found = Vec::new();
        stats.of(&batch, batch.records().next().unwrap().1, |name, sample| {
            let (Sample::Timer { value, .. } | Sample::Counter { value, .. }) = sample else { panic!() };
            found.push(format!("{name}={value}"));
        });
        assert_eq!(found, expected, "{json}");
    }
}

#[test]
fn what_is_wrong_with_a_filter_names_it() {
    for (toml, said) in [
        ("[a]\ntype = 'drop'\nmatch = 'Type = 1'", "filter.a.match: "),
        ("[a]\ntype = 'sample'\nrate = 0", "filter.a.rate: is 0, expected a number above 0"),
        ("[a]\ntype = 'scrub'\nfields = []", "filter.a.fields: is empty"),
        (
            "[a]\ntype = 'rate_limit'\nkey = '%Type'\ncount = 1\nper = '1s'",
            "filter.a.key: \"%Type\" has a single %",
        ),
    ] {
        let configs: FilterConfigs = toml::from_str(toml).unwrap();
        let wrong = check(&configs);
        assert!(wrong.len() == 1 && wrong[0].starts_with(said), "{toml}: {wrong:?}");
    }
    for toml in ["[a]\ntype = 'drop'\nmatchs = 'TRUE'", "[a]\ntype = 'sink'", "[a]\nmatch = 'TRUE'"] {
        assert!(toml::from_str::<FilterConfigs>(toml).is_err(), "{toml}");
    }
}
