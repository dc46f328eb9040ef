//! The event of a legacy payload in the form Sentry's servers read today.
//!
//! Interfaces get their names of today, the exceptions that clients of ours put under `extra.causes` become the chain
//! they are, and what groups events (`checksum`) becomes their fingerprint. Nothing is left out: what has no other
//! place stays in `extra`.

use metlog_core::{Fields, Message, Value};

use super::target::CLIENT;

/// Fields of a message that say where and how its event travels, and nothing about it.
const CARRIER_FIELDS: [&str; 3] = ["dsn", "epoch_timestamp", "msg"];

/// Keys of a legacy event's `extra` that have a place of their own.
const PLACED: [&str; 3] = ["msg", "logger", "causes"];

/// Made of a decoded legacy event and the message that brought it.
#[must_use]
pub(super) fn modern(legacy: &Fields, message: &Message) -> Fields {
    let extra = map(legacy.get("extra"));
    let mut event = Fields::new();
    event.insert("event_id", event_id(legacy, message));
    event.insert("timestamp", text(legacy, "timestamp").unwrap_or(message.timestamp.to_string()));
    event.insert("platform", text(legacy, "platform").unwrap_or("other".to_owned()));
    event.insert("level", level(legacy));
    event.insert("logger", text(extra, "logger").unwrap_or_else(|| message.logger.clone()));
    event.insert("server_name", text(legacy, "server_name").unwrap_or_else(|| message.hostname.clone()));
    if let Some(culprit) = text(legacy, "culprit") {
        event.insert("transaction", culprit);
    }
    if let Some(checksum) = text(legacy, "checksum") {
        event.insert("fingerprint", vec![Value::Text(checksum)]);
    }
    let exceptions = exceptions(legacy, extra);
    if let Some(said) = said(legacy, extra, exceptions.is_empty()) {
        event.insert("logentry", [("formatted", said)].into_iter().collect::<Fields>());
    }
    if !exceptions.is_empty() {
        event.insert("exception", [("values", exceptions)].into_iter().collect::<Fields>());
    }
    for name in ["tags", "modules", "release", "environment", "request", "user", "contexts"] {
        if let Some(value) = legacy.get(name).filter(|value| !is_empty(value)) {
            event.insert(name, value.clone());
        }
    }
    event.insert("extra", all_extra(extra, message));
    event.insert("sdk", sdk());
    event
}

/// Its own, or else one made of its content, so that what is sent twice is the same event.
fn event_id(legacy: &Fields, message: &Message) -> String {
    let plain = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    text(legacy, "event_id")
        .map(|id| id.replace('-', ""))
        .filter(plain)
        .unwrap_or_else(|| format!("{:x}", md5::compute(message.payload.as_text().unwrap_or_default())))
}

/// What the application said about it. The title of an exception is made by the server from the exception itself.
fn said(legacy: &Fields, extra: &Fields, is_message: bool) -> Option<String> {
    let title = is_message.then(|| text(legacy, "message")).flatten();
    text(extra, "msg").filter(|said| !said.is_empty()).or(title)
}

/// Levels were those of Python's logging.
fn level(legacy: &Fields) -> &'static str {
    let number = legacy.get("level").and_then(Value::as_number).unwrap_or(40.0);
    match number {
        ..=10.0 => "debug",
        ..=20.0 => "info",
        ..=30.0 => "warning",
        ..=40.0 => "error",
        _ => "fatal",
    }
}

/// The chain, the first cause first and what was reported last, as servers want it.
fn exceptions(legacy: &Fields, extra: &Fields) -> Vec<Value> {
    let Some(Value::Map(reported)) = legacy.get("sentry.interfaces.Exception") else { return Vec::new() };
    let trace = legacy.get("sentry.interfaces.Stacktrace");
    let mut chain = vec![exception(reported, trace, 0)];
    if let Some(Value::List(causes)) = extra.get("causes") {
        let causes = causes.iter().filter_map(as_map).zip(1..);
        chain.extend(causes.map(|(cause, place)| exception(cause, cause.get("stacktrace"), place)));
    }
    chain.reverse();
    chain
}

fn exception(found: &Fields, trace: Option<&Value>, place: i32) -> Value {
    let mut exception = Fields::new();
    for name in ["type", "value", "module"] {
        if let Some(text) = text(found, name) {
            exception.insert(name, text);
        }
    }
    if let Some(Value::List(frames)) = map(trace).get("frames").filter(|frames| !is_empty(frames)) {
        let frames: Vec<Value> = frames.iter().filter_map(as_map).map(frame).collect();
        exception.insert("stacktrace", [("frames", frames)].into_iter().collect::<Fields>());
    }
    exception.insert("mechanism", mechanism(found, place));
    Value::Map(exception)
}

/// Which exception of the chain it is, and of which other it is the cause.
fn mechanism(found: &Fields, place: i32) -> Fields {
    let mut mechanism: Fields = [("type", "metlog")].into_iter().collect();
    mechanism.insert("exception_id", place);
    if place > 0 {
        mechanism.insert("type", "chained");
        mechanism.insert("parent_id", found.get("parent").cloned().unwrap_or(Value::from(place - 1)));
        if let Some(relation) = text(found, "relation") {
            mechanism.insert("source", relation);
        }
    }
    mechanism
}

/// A frame has its names of today already; what is null says nothing.
fn frame(found: &Fields) -> Value {
    let said = found.iter().filter(|(_, value)| **value != Value::Null);
    Value::Map(said.map(|(name, value)| (name, value.clone())).collect())
}

fn all_extra(extra: &Fields, message: &Message) -> Fields {
    let own = extra.iter().filter(|(name, value)| !PLACED.contains(name) && **value != Value::Null);
    let carried = message.fields.iter().filter(|(name, _)| !CARRIER_FIELDS.contains(name));
    let mut all: Fields = carried.map(|(name, value)| (name, value.clone())).collect();
    own.for_each(|(name, value)| all.insert(name, value.clone()));
    all.insert("metlog_pid", message.pid);
    all
}

fn sdk() -> Fields {
    let (name, version) = CLIENT.split_once('/').unwrap_or((CLIENT, "0"));
    [("name", name), ("version", version)].into_iter().collect()
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_text).map(str::to_owned)
}

fn map(value: Option<&Value>) -> &Fields {
    const NOTHING: &Fields = &Fields::new();
    value.and_then(as_map).unwrap_or(NOTHING)
}

fn as_map(value: &Value) -> Option<&Fields> {
    if let Value::Map(map) = value { Some(map) } else { None }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Map(map) => map.is_empty(),
        Value::List(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use metlog_core::exception::{Event, Exception, Frame, Relation, raven};
    use serde_json::{Value as Json, json};

    use super::*;

    fn message(payload: &str) -> Message {
        let text = json!({"type": "sentry", "logger": "web", "severity": 3, "payload": payload,
            "timestamp": "2026-11-22T10:00:00Z", "env_version": "0.8", "metlog_pid": 7, "metlog_hostname": "h1",
            "fields": {"dsn": "http://key@h/1", "msg": "m", "epoch_timestamp": 1.0, "request": "r-9"}});
        metlog_core::wire::json::from_json(text.to_string().as_bytes()).unwrap().message
    }

    fn json(event: &Fields) -> Json {
        serde_json::to_value(event).unwrap()
    }

    #[test]
    fn our_own_event_keeps_its_chain_stack_and_locals() {
        let frame = |function: &str| Frame {
            file: "/srv/app/shop.py".to_owned(),
            function: Some(function.to_owned()),
            line: Some(7),
            context_line: Some("pay(total)".to_owned()),
            locals: [("total", 42)].into_iter().collect(),
            ..Frame::default()
        };
        let reported = Exception {
            kind: "PaymentError".into(),
            value: "declined".into(),
            frames: vec![frame("main"), frame("pay")],
            ..Exception::default()
        };
        let cause = Exception {
            kind: "OSError".into(),
            value: "reset".into(),
            relation: Relation::Context,
            ..Exception::default()
        };
        let mut event = Event::new("python", vec![reported, cause]);
        event.message = "while paying".to_owned();
        let about = raven::About { logger: Some("shop"), severity: 3, hostname: "h2", project: Some("1") };
        let payload = raven::payload(&event, &about).unwrap();

        let made = json(&modern(&raven::decode(&payload).unwrap(), &message(&payload)));
        let values = &made["exception"]["values"];
        assert_eq!((&values[0]["type"], &values[1]["type"]), (&json!("OSError"), &json!("PaymentError")));
        assert_eq!(
            values[0]["mechanism"],
            json!({"type": "chained", "exception_id": 1, "parent_id": 0, "source": "context"})
        );
        let frames = &values[1]["stacktrace"]["frames"];
        assert_eq!((&frames[1]["function"], &frames[1]["vars"]["total"]), (&json!("pay"), &json!(42)));
        assert!(frames[1].get("module").is_none(), "nulls are left out: {frames}");
        assert_eq!(made["logentry"]["formatted"], "while paying");
        assert_eq!(
            (&made["logger"], &made["server_name"], &made["level"]),
            (&json!("shop"), &json!("h2"), &json!("error"))
        );
        assert_eq!((&made["extra"]["request"], &made["extra"]["metlog_pid"]), (&json!("r-9"), &json!(7)));
        assert!(!made.to_string().contains("key@h"), "the DSN stays out of the event: {made}");
    }

    #[test]
    fn an_event_of_an_original_client_is_grouped_as_it_was() {
        let legacy = json!({"checksum": "c0ffee", "culprit": "shop in pay", "event_id": "0".repeat(32), "level": 50,
            "message": "PaymentError: declined", "platform": "python", "extra": {"msg": "", "logger": null, "sys.argv": ["x"]},
            "tags": {}, "modules": {}, "time_spent": null,
            "sentry.interfaces.Exception": {"type": "PaymentError", "module": "shop", "value": "declined"},
            "sentry.interfaces.Stacktrace": {"frames": []}, "timestamp": "2012-11-22T10:00:00Z"});
        let made = json(&modern(&serde_json::from_value(legacy).unwrap(), &message("x")));
        assert_eq!((&made["fingerprint"], &made["transaction"]), (&json!(["c0ffee"]), &json!("shop in pay")));
        assert_eq!((&made["level"], &made["logger"]), (&json!("fatal"), &json!("web")));
        assert_eq!(made["extra"]["sys.argv"], json!(["x"]));
        for absent in ["tags", "modules", "logentry"] {
            assert!(made.get(absent).is_none(), "{absent}: {made}");
        }
        assert!(made["exception"]["values"][0].get("stacktrace").is_none());
    }

    #[test]
    fn whatever_lies_in_the_event_makes_one_of_today() {
        for (legacy, formatted) in [
            (json!({}), Json::Null),
            (json!({"message": "out of paper", "event_id": "short"}), json!("out of paper")),
            (
                json!({"message": 7, "extra": [1], "level": "high", "sentry.interfaces.Exception": "x"}),
                Json::Null,
            ),
            (
                json!({"extra": {"causes": {"a": 1}}, "sentry.interfaces.Exception": {"type": null}}),
                Json::Null,
            ),
        ] {
            let made = json(&modern(&serde_json::from_value(legacy.clone()).unwrap(), &message("p")));
            assert_eq!(made["logentry"]["formatted"], formatted, "{legacy}");
            // Made of the payload, and so the same each time.
            assert_eq!(made["event_id"], "83878c91171338902e0fe0fb97a8c47a", "{legacy}");
            assert_eq!(made["level"], "error");
        }
    }
}
