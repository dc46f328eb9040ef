//! `calls.json` through the Rust face.

use std::time::Duration;

use metlog_core::{
    Client, Encode, Fields, Message, Options, Severity, Value,
    client::{Count, FieldSet},
    process,
    sample::Rate,
    sender::memory,
};
use serde_json::Value as Json;

use crate::{cases, text_of};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn every_call_sends_what_the_contract_says() {
    for case in cases("calls.json") {
        let name = text_of(&case, "name");
        let (target, captured) = memory::channel();
        let severity = severity(&case["client"]["severity"]).unwrap();
        let logger = text_of(&case["client"], "logger");
        let client = Client::builder().logger(logger).severity(severity).sender(target).build();
        for _ in 0..case["repeat"].as_u64().unwrap_or(1) {
            call(&client, text_of(&case, "call"), &case["args"]);
        }
        client.close(SOON);
        match (captured.messages().first(), &case["message"]) {
            (None, Json::Null) => {}
            (Some(message), expected @ Json::Object(_)) => check(name, message, expected),
            (found, expected) => panic!("{name}: {found:?}, expected {expected}"),
        }
    }
}

/// Makes the call that `args` describe.
fn call(client: &Client, name: &str, args: &Json) {
    let fields: Fields =
        serde_json::from_value(args.get("fields").cloned().unwrap_or_default()).unwrap_or_default();
    let pairs: Vec<(&str, &dyn Encode)> =
        fields.iter().map(|(name, value)| (name, value as &dyn Encode)).collect();
    let payload: Option<Value> =
        args.get("payload").map(|value| serde_json::from_value(value.clone()).unwrap());
    let misfit: Option<Value> = args
        .get("severity")
        .filter(|value| severity(value).is_none())
        .map(|value| serde_json::from_value(value.clone()).unwrap());
    let original: Vec<(&str, &dyn Encode)> =
        misfit.iter().map(|value| ("severity", value as &dyn Encode)).collect();
    let options = Options {
        logger: args["logger"].as_str(),
        severity: severity(&args["severity"]),
        payload: payload.as_ref().map(|value| value as &dyn Encode),
        fields: FieldSet::Pairs(&pairs),
        original: &original,
        ..Options::default()
    };
    let rate = args["rate"].as_f64().map_or(Rate::ALL, Rate::new);
    let text = |key| text_of(args, key);
    match name {
        "metlog" => client.metlog(text("type"), options),
        "incr" => {
            client.incr_with(text("name"), count(&args["count"]).unwrap_or(Count::Int(1)), rate, options);
        }
        "gauge" => client.gauge_with(text("name"), count(&args["value"]).unwrap(), rate, options),
        "timer_send" => {
            let elapsed = Duration::from_secs_f64(args["elapsed_ms"].as_f64().unwrap() / 1_000.0);
            let millis = metlog_core::timer::whole_millis(elapsed);
            client.timer_send_with(text("name"), millis, rate, options);
        }
        level => log(client, level, text("text")),
    }
}

fn log(client: &Client, level: &str, text: &str) {
    let method = match level {
        "debug" => Client::debug,
        "info" => Client::info,
        "notice" => Client::notice,
        "warning" => Client::warning,
        "error" => Client::error,
        "critical" => Client::critical,
        "alert" => Client::alert,
        "emergency" => Client::emergency,
        other => panic!("no such call: {other}"),
    };
    method(client, text);
}

fn severity(value: &Json) -> Option<Severity> {
    value.as_i64().and_then(|number| Severity::try_from(number).ok())
}

fn count(value: &Json) -> Option<Count> {
    value.as_i64().map(Count::Int).or_else(|| value.as_f64().map(Count::Float))
}

fn check(name: &str, message: &Message, expected: &Json) {
    let sent = serde_json::to_value(message).unwrap();
    for (key, value) in expected.as_object().unwrap() {
        let is_number_text = key == "payload"
            && ["counter", "gauge", "timer"].contains(&text_of(expected, "type"))
            && sent["payload"].is_string();
        let equal =
            if is_number_text { number(&sent[key]) == number(value) } else { same(&sent[key], value) };
        assert!(equal, "{name}: {key} is {}, expected {value}", sent[key]);
    }
    let timestamp = text_of(&sent, "timestamp");
    assert!(timestamp.len() == 27 && timestamp.ends_with('Z'), "{name}: {timestamp}");
    assert_eq!(message.pid, i64::from(std::process::id()), "{name}");
    assert_eq!(message.hostname, process::hostname(), "{name}");
}

fn number(text: &Json) -> f64 {
    text.as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{text} is no text of a number"))
}

/// Equal as JSON, numbers as numbers.
fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|theirs| same(value, theirs)))
        }
        _ => one == other,
    }
}
