//! One message's whole journey: from an application in each language to the grater's file.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{collections::BTreeMap, net::UdpSocket, path::PathBuf, process::Command, time::Duration};

use metlog_core::{Options, Severity, fields};
use metlog_pipeline::audit::Verdict;
use metlog_tests::{Setup, System, number, root, text, wait_until};
use serde_json::{Value, json};

const KEYS: [&str; 9] = [
    "type",
    "timestamp",
    "logger",
    "severity",
    "payload",
    "fields",
    "env_version",
    "metlog_pid",
    "metlog_hostname",
];

/// Runs a program that sends to `endpoint`, and gives back its process number.
fn run(mut program: Command, endpoint: &str) -> u64 {
    let child = program.env("METLOG_ENDPOINT", endpoint).current_dir(root()).spawn();
    let mut child =
        child.unwrap_or_else(|error| panic!("{program:?}: {error}; `make test` sets everything up"));
    assert!(child.wait().unwrap().success(), "{program:?}");
    child.id().into()
}

fn python(source: &str) -> Command {
    let mut command = Command::new(root().join(".venv/bin/python"));
    command.arg("-c").arg(source);
    command
}

fn node(source: &str) -> Command {
    let mut command = Command::new("node");
    command.arg("-e").arg(source);
    command
}

/// Exactly the nine keys, with what every language must agree on.
fn check_envelope(message: &Value, logger: &str, pid: u64) {
    let keys: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
    let mut sorted = KEYS.to_vec();
    sorted.sort_unstable();
    let mut found = keys.clone();
    found.sort_unstable();
    assert_eq!(found, sorted, "{message}");
    assert_eq!(text(message, "/logger"), logger);
    assert_eq!(number(message, "/severity"), 3);
    assert_eq!(text(message, "/payload"), "what happened");
    assert_eq!(
        message.pointer("/fields"),
        Some(&json!({"userid": 25, "path": "/1.1/bookmarks", "deep": {"a": [1, 2.5]}}))
    );
    assert_eq!(text(message, "/env_version"), "0.8");
    assert_eq!(number(message, "/metlog_pid"), pid);
    assert!(!text(message, "/metlog_hostname").is_empty());
    let timestamp = text(message, "/timestamp");
    assert!(timestamp.len() == 27 && timestamp.ends_with('Z'), "{timestamp}");
    assert!(timestamp.parse::<metlog_core::Timestamp>().is_ok(), "{timestamp}");
}

#[test]
fn a_message_of_each_language_arrives_with_exactly_the_nine_keys() {
    let system = System::start(Setup::default());
    let endpoint = system.push_endpoint();
    let python = run(
        python(
            "from metlog.config import client_from_dict_config\n\
             client = client_from_dict_config({'logger': 'python', 'sender': {'class': 'metlog.senders.zmq.ZmqPushSender'}})\n\
             client.metlog('services', severity=3, payload='what happened',\n\
                           fields={'userid': 25, 'path': '/1.1/bookmarks', 'deep': {'a': [1, 2.5]}})\n",
        ),
        &endpoint,
    );
    let node = run(
        node(
            "const { clientFromJsonConfig } = require('./metlog-node');\n\
             const client = clientFromJsonConfig(JSON.stringify({logger: 'node', sender: {factory: 'metlog/senders:zmqPushSenderFactory'}}));\n\
             client.metlog('services', {severity: 3, payload: 'what happened',\n\
                           fields: {userid: 25, path: '/1.1/bookmarks', deep: {a: [1, 2.5]}}});\n",
        ),
        &endpoint,
    );
    let client = system.client("rust");
    let list = metlog_core::Value::List(vec![1.into(), 2.5.into()]);
    let deep = metlog_core::Value::Map([("a", list)].into_iter().collect());
    client.metlog(
        "services",
        Options {
            severity: Some(Severity::ERROR),
            payload: Some(&"what happened"),
            fields: fields(&[("userid", &25), ("path", &"/1.1/bookmarks"), ("deep", &deep)]),
            ..Options::default()
        },
    );
    client.close(Duration::from_secs(5));

    let messages = system.wait_for("services", 3);
    for (logger, pid) in [("python", python), ("node", node), ("rust", u64::from(std::process::id()))] {
        let mine = messages.iter().find(|message| text(message, "/logger") == logger);
        check_envelope(mine.unwrap_or_else(|| panic!("{logger} is missing")), logger, pid);
    }
    wait_until("all three to be closed", || {
        system.grater.audit().origins.iter().filter(|o| o.closed).count() == 3
    });
    let audit = system.grater.audit();
    assert_eq!(
        (audit.verdict, audit.sent.attempted, audit.sent.delivered),
        (Verdict::Balanced, 3, 3),
        "{audit}"
    );
}

/// The figures of a roll-up, all intervals added.
fn sums(system: &System) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for rollup in system.delivered_of("statmetric") {
        let name = text(&rollup, "/fields/name").to_owned();
        for (figure, value) in
            rollup.pointer("/fields/values").and_then(Value::as_object).into_iter().flatten()
        {
            *sums.entry(format!("{name}.{figure}")).or_insert(0.0) += value.as_f64().unwrap_or(f64::NAN);
        }
    }
    sums
}

#[test]
fn a_roll_up_equals_the_sum_of_what_was_sent() {
    let setup =
        Setup { sidecar: "[rollup]\nflush_interval = \"1s\"\nnamespace = \"none\"\n", ..Setup::default() };
    let system = System::start(setup);
    let client = system.client("app");
    let statsd = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = system.sidecar.listening("statsd_udp");
    for n in 1..=500_u32 {
        client.incr("clicks");
        client.timer_send("request", Duration::from_millis(n.into()));
        let packet = format!("clicks:2|c\nrequest:{n}|ms\nvisitors:{}|s\n", n % 7);
        statsd.send_to(packet.as_bytes(), &address).unwrap();
    }
    client.gauge("depth", 42.0);
    client.metlog("other", Options::default());
    client.close(Duration::from_secs(5));

    // 1002 messages of the client but "other", and 1500 statsd metrics.
    wait_until("everything to be consumed", || system.grater.audit().sent.consumed == 1_001 + 1_500);
    let expected = 2.0 * (1..=500).sum::<u32>() as f64;
    wait_until("the sums", || {
        let sums = sums(&system);
        let figure = |name: &str| sums.get(name).copied().unwrap_or(0.0);
        figure("clicks.count") == 1_500.0
            && figure("request.count") == 1_000.0
            && figure("request.sum") == expected
    });
    assert_eq!(
        system.delivered_of("counter").len() + system.delivered_of("timer").len(),
        0,
        "summed, not forwarded"
    );
    assert_eq!(system.delivered_of("other").len(), 1);
    let lines: String =
        system.delivered_of("statmetric").iter().map(|m| text(m, "/payload").to_owned()).collect();
    assert!(lines.contains("stats.gauges.depth 42 "), "{lines}");
    assert!(lines.contains("stats.sets.visitors.count "), "{lines}");
    let audit = system.grater.audit();
    assert_eq!((audit.verdict, audit.sent.attempted), (Verdict::Balanced, 1_002 + 1_500), "{audit}");
}

#[test]
fn every_dialect_of_the_original_clients_is_accepted() {
    let system = System::start(Setup::default());
    let path: PathBuf = root().join("tests/contract/json.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = system.sidecar.listening("json_udp");
    // Counters and timers would go into the roll-up.
    let metric = |case: &&Value| matches!(text(case, "/message/type"), "counter" | "timer" | "gauge");
    let (good, bad): (Vec<_>, Vec<_>) =
        cases.iter().filter(|case| !metric(case)).partition(|case| case.get("message").is_some());
    assert!(good.len() >= 8 && bad.len() >= 3, "{} good and {} bad cases", good.len(), bad.len());
    for case in good.iter().chain(&bad) {
        socket.send_to(text(case, "/json").as_bytes(), &address).unwrap();
    }
    wait_until("all of it", || {
        let figures = system.grater.audit().sent;
        figures.delivered + figures.dropped == u64::try_from(good.len() + bad.len()).unwrap()
    });
    let delivered = system.delivered();
    for case in &good {
        let expected = case.get("message").unwrap();
        let found = delivered.iter().any(|message| agrees(message, expected));
        assert!(found, "{}: {expected} is not among {delivered:?}", text(case, "/name"));
    }
    let audit = system.grater.audit();
    assert_eq!(
        (audit.verdict, audit.sent.dropped),
        (Verdict::Balanced, u64::try_from(bad.len()).unwrap()),
        "{audit}"
    );
}

/// What the sender left out, the receiver fills in: time (`now` in the vectors) and host.
fn agrees(message: &Value, expected: &Value) -> bool {
    let filled_in = |key: &str, value: &Value| match key {
        "timestamp" => value == "now",
        "metlog_hostname" => value == "",
        _ => false,
    };
    let mut given = expected.as_object().into_iter().flatten();
    given.all(|(key, value)| filled_in(key, value) || message.get(key) == Some(value))
}
