//! Errors and events as an application reports them, read back as an output would.
#![cfg(feature = "exceptions")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, which clippy does not know for tests"
)]

use std::{collections::BTreeSet, error::Error as StdError, fmt, time::Duration};

use metlog_core::{
    Client, Fields, Message, Options, Severity, Value,
    client::FieldSet,
    config::Settings,
    exception::{Dsn, Event, Exception, Frame, Pending, raven},
    fields, sender,
    stats::Reason,
    value::{Encode, Encoded},
};
use proptest::prelude::*;

const SOON: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct LoginFailed {
    source: StoreError,
}

#[derive(Debug)]
enum StoreError {
    BadNumber(std::num::ParseIntError),
}

impl fmt::Display for LoginFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot log in with password=hunter2")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("row 7 is bad")
    }
}

impl StdError for LoginFailed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let Self::BadNumber(source) = self;
        Some(source)
    }
}

fn login_failed() -> LoginFailed {
    LoginFailed { source: StoreError::BadNumber("12x".parse::<i32>().unwrap_err()) }
}

/// Sends the event and gives back the message and the event in it.
fn sent(event: Event, dsn: Option<&Dsn>, options: Options<'_>) -> (Message, Fields) {
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().logger("app").sender(memory).build();
    client.exception_event(event, dsn, options);
    client.close(SOON);
    let message = captured.messages().pop().unwrap();
    let decoded = raven::decode(message.payload.as_text().unwrap()).unwrap();
    (message, decoded)
}

/// The value at a path of names and places, `/` between them.
fn at<'a>(fields: &'a Fields, path: &str) -> &'a Value {
    let mut parts = path.split('/');
    let first = fields.get(parts.next().unwrap()).unwrap_or_else(|| panic!("no {path}"));
    parts.fold(first, |value, part| match value {
        Value::Map(map) => map.get(part).unwrap_or_else(|| panic!("no {path}")),
        Value::List(items) => &items[part.parse::<usize>().unwrap()],
        other => panic!("{path}: {other:?}"),
    })
}

#[test]
fn a_chain_of_errors_tells_every_cause() {
    let chain = Event::from_typed(&login_failed()).chain;
    let told: Vec<_> =
        chain.iter().map(|link| (link.module.as_deref(), link.kind.as_str(), link.value.as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("exception"), "LoginFailed", "cannot log in with password=hunter2"),
            (None, "BadNumber", "row 7 is bad"),
            (Some("core::num::error"), "ParseIntError", "invalid digit found in string"),
        ]
    );
    let boxed: Box<dyn StdError + Send + Sync> = login_failed().into();
    assert_eq!(Event::from_error(boxed.as_ref()).chain[0].kind, "LoginFailed");
}

#[inline(never)]
fn capture_here() -> Pending {
    Pending::from_error(&login_failed()) // the captured line
}

#[test]
fn a_captured_error_is_resolved_on_another_thread() {
    let pending = capture_here();
    let event = std::thread::spawn(move || pending.resolve()).join().unwrap();
    let frames = &event.chain[0].frames;
    let inner = frames.last().unwrap();
    assert_eq!(inner.function.as_deref(), Some("capture_here"));
    assert!(inner.file.ends_with("tests/exception.rs"), "{}", inner.file);
    assert!(inner.context_line.as_deref().unwrap().ends_with("// the captured line"), "{inner:?}");
    assert_eq!((inner.pre_context.len(), inner.post_context.len()), (5, 5));
    let outer = &frames[frames.len() - 2];
    assert!(outer.function.as_deref().unwrap().contains("a_captured_error_is_resolved"), "{outer:?}");
    // The module is missing from the name where the program has line tables alone.
    assert!(event.place().unwrap().ends_with(" in capture_here"), "{event:?}");
    assert!(event.chain[1].frames.is_empty());
}

/// The names of a map.
fn names(fields: &Fields) -> Vec<&str> {
    fields.iter().map(|(name, _)| name).collect()
}

/// An event with frames, and what it becomes with a DSN and a logger.
fn reported() -> (Event, Message, Fields) {
    let dsn = Dsn::parse("udp://user:pw@127.0.0.1:9000/2").unwrap();
    let event = Event { message: "login".to_owned(), ..capture_here().resolve() };
    let (message, decoded) =
        sent(event.clone(), Some(&dsn), Options { logger: Some("web"), ..Options::default() });
    (event, message, decoded)
}

#[test]
fn a_sentry_message_has_the_columns_of_the_original() {
    let (event, message, _) = reported();
    let columns = (message.kind.as_str(), message.logger.as_str(), message.severity, message.timestamp);
    assert_eq!(columns, ("sentry", "web", Severity::ERROR, event.timestamp));
    assert_eq!(names(&message.fields), ["epoch_timestamp", "msg", "dsn"]);
    let epoch = at(&message.fields, "epoch_timestamp").as_number().unwrap();
    assert!((epoch - event.timestamp.as_nanos() as f64 / 1e9).abs() < 1e-5, "{epoch}");
    assert_eq!(at(&message.fields, "msg"), &"login".into());
    assert_eq!(at(&message.fields, "dsn"), &"udp://user:pw@127.0.0.1:9000/2".into());
}

#[test]
fn an_event_has_the_keys_of_the_original() {
    let (_, _, decoded) = reported();
    #[rustfmt::skip]
    let expected = [
        "checksum", "culprit", "event_id", "extra", "level", "message", "modules", "platform", "project",
        "sentry.interfaces.Exception", "sentry.interfaces.Stacktrace", "server_name", "tags", "time_spent", "timestamp",
    ];
    assert_eq!(BTreeSet::from_iter(names(&decoded)), BTreeSet::from(expected));
    let Value::List(frames) = at(&decoded, "sentry.interfaces.Stacktrace/frames") else { panic!() };
    let Some(Value::Map(frame)) = frames.last() else { panic!() };
    #[rustfmt::skip]
    let expected = [
        "abs_path", "context_line", "filename", "function", "lineno", "module", "post_context", "pre_context", "vars",
    ];
    assert_eq!(BTreeSet::from_iter(names(frame)), BTreeSet::from(expected));
    for path in ["checksum", "event_id"] {
        let id = at(&decoded, path).as_text().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{path} {id}");
    }
}

#[test]
fn an_event_says_what_happened_and_where() {
    let (event, message, decoded) = reported();
    let values = [
        ("level", Value::Int(40)),
        ("message", "LoginFailed: cannot log in with password=********".into()),
        ("culprit", event.place().unwrap().into()),
        ("platform", "rust".into()),
        ("project", "2".into()),
        ("time_spent", Value::Null),
        ("timestamp", format!("{}Z", &event.timestamp.to_string()[..19]).into()),
        ("server_name", message.hostname.as_str().into()),
        ("extra/msg", "login".into()),
        ("extra/logger", "web".into()),
        ("extra/severity", Value::Int(3)),
        ("extra/causes/1/type", "ParseIntError".into()),
        ("sentry.interfaces.Exception/type", "LoginFailed".into()),
    ];
    for (path, expected) in values {
        assert_eq!(at(&decoded, path), &expected, "{path}");
    }
}

#[test]
fn without_a_dsn_the_project_is_one() {
    let (message, decoded) = sent(Event::new("python", vec![]), None, Options::default());
    assert_eq!(message.fields.get("dsn"), Some(&Value::Null));
    assert_eq!(at(&decoded, "project"), &Value::Int(1));
    assert_eq!(at(&decoded, "sentry.interfaces.Exception"), &Value::Null);
}

#[test]
fn fields_of_the_caller_come_along() {
    let mut pairs = Vec::new();
    "userid".encode(&mut pairs);
    25.encode(&mut pairs);
    let sets = [fields(&[("userid", &25)]), FieldSet::Encoded { count: 1, pairs: Encoded(&pairs) }];
    for fields in sets {
        let options = Options { fields, severity: Some(Severity::CRITICAL), ..Options::default() };
        let (message, decoded) = sent(Event::new("node", vec![]), None, options);
        assert_eq!(names(&message.fields), ["userid", "epoch_timestamp", "msg", "dsn"]);
        assert_eq!((message.severity, at(&decoded, "extra/severity")), (Severity::CRITICAL, &Value::Int(2)));
    }
}

/// Text that does not compress: a generator of pseudo-random printable characters.
fn noise(length: usize, seed: &mut u64) -> String {
    let mut next = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((*seed >> 33) % 94).unwrap())
    };
    (0..length).map(|_| next()).collect()
}

/// An event of so many frames, each with 20 KB of variables that do not compress.
fn noisy(frames: u32) -> Event {
    let mut seed = 1;
    let frame = |number: u32| Frame {
        file: format!("/app/{number}.py"),
        line: Some(number),
        locals: (0..50).map(|name| (format!("v{name}"), noise(400, &mut seed))).collect(),
        ..Frame::default()
    };
    let frames: Vec<Frame> = (0..frames).map(frame).collect();
    Event::new("python", vec![Exception { kind: "E".to_owned(), frames, ..Exception::default() }])
}

#[test]
fn an_event_that_does_not_compress_still_fits_a_message() {
    let (message, decoded) = sent(noisy(100), None, Options::default());
    let payload = message.payload.as_text().unwrap().len();
    assert!((300_000..=900 * 1024).contains(&payload), "{payload}");
    let Value::List(frames) = at(&decoded, "sentry.interfaces.Stacktrace/frames") else { panic!() };
    let Some(Value::Map(inner)) = frames.last() else { panic!() };
    assert_eq!(inner.get("abs_path"), Some(&"/app/99.py".into()));
}

/// It once held its own room while its message looked for some.
#[test]
fn an_event_of_more_than_half_the_hand_off_does_not_refuse_itself() {
    let settings = Settings { queue_bytes: 160 * 1024, ..Settings::default() };
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().sender(memory).settings(settings).build();
    client.exception_event(noisy(5), None, Options::default());
    client.close(SOON);
    assert_eq!(captured.messages().len(), 1, "{:?}", client.stats());
    let payload = captured.messages()[0].payload.as_text().unwrap().len();
    assert!(payload > 80 * 1024, "{payload} proves nothing");
}

/// It once halved the room of the event for ever, where the event took none.
#[test]
fn an_event_of_a_huge_logger_is_refused_as_too_big() {
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().sender(memory).build();
    let logger = noise(1_200_000, &mut 1);
    let options = Options { logger: Some(&logger), ..Options::default() };
    client.exception_event(Event::new("rust", vec![]), None, options);
    client.close(Duration::from_secs(60));
    assert_eq!(client.stats().refused.get(Reason::TooBig), 1, "{:?}", client.stats());
    assert!(captured.messages().is_empty());
}

/// An error whose text cannot be made.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("an error that cannot be written")
    }
}

impl StdError for Unspeakable {}

#[test]
fn an_error_that_panics_is_refused_and_harms_no_caller() {
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().sender(memory).build();
    client.exception(&Unspeakable);
    client.exception(&login_failed());
    client.close(SOON);
    let stats = client.stats();
    assert_eq!((stats.attempted, stats.refused.get(Reason::Encode)), (2, 1), "{stats:?}");
    assert_eq!(captured.messages().len(), 1);
}

#[test]
fn broken_payloads_are_told_apart() {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    let pack = |bytes: &[u8]| BASE64.encode(miniz_oxide::deflate::compress_to_vec_zlib(bytes, 6));
    let cases = [
        ("!".to_owned(), "no base64"),
        (BASE64.encode("no zlib"), "no zlib stream"),
        (pack(b"[]"), "no JSON object"),
        (pack(&vec![b' '; 9 * 1024 * 1024]), "over 8388608 bytes"),
    ];
    for (payload, expected) in cases {
        let error = raven::decode(&payload).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn no_payload_panics_the_reader(payload in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
        let _any_outcome = raven::decode(&payload);
        let _any_outcome = raven::decode(&BASE64.encode(bytes));
    }
}

/// Names and lines are looked up elsewhere, and the end of the process must know of it.
#[test]
fn a_call_only_keeps_the_error_and_flush_waits_for_its_message() {
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().logger("app").sender(memory).build();
    for _ in 0..20 {
        client.exception(&login_failed());
    }
    assert!(client.flush(Duration::from_secs(60)));
    let messages = captured.messages();
    assert_eq!(messages.len(), 20);
    let event = raven::decode(messages[19].payload.as_text().unwrap()).unwrap();
    assert_eq!(
        at(&event, "extra/logger"),
        &Value::from("app"),
        "the client's logger where the call names none"
    );
    assert_eq!(messages[19].logger, "app");
    client.close(Duration::from_secs(2));
}

#[test]
fn exceptions_that_find_no_room_are_refused_and_counted() {
    let settings = Settings { queue_bytes: 64 * 1024, ..Settings::default() };
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().sender(memory).settings(settings).build();
    let mut event = Event::from_error(&login_failed());
    event.message = "x".repeat(40 * 1024);
    for _ in 0..50 {
        client.exception_event(event.clone(), None, Options::default());
    }
    client.close(Duration::from_secs(60));
    let stats = client.stats();
    assert_eq!(stats.attempted, 50);
    assert!(stats.refused.get(Reason::Full) > 0, "{stats:?}");
    assert_eq!(u64::try_from(captured.messages().len()).unwrap(), stats.accepted);
}

/// They once stood in no book until the thread came to them, which the end of a process does not wait for.
#[test]
fn exceptions_given_up_at_the_deadline_of_close_are_counted_at_once() {
    let (memory, _captured) = sender::memory::channel();
    let client = Client::builder().sender(memory).build();
    for _ in 0..100 {
        client.exception_event(noisy(20), None, Options::default());
    }
    client.close(Duration::ZERO);
    let stats = client.stats();
    // All but the one that is being looked up at that moment.
    assert!(stats.attempted >= 99 && stats.refused.get(Reason::Closed) > 0, "{stats:?}");
    let deadline = std::time::Instant::now() + SOON;
    while client.stats().attempted < 100 {
        assert!(std::time::Instant::now() < deadline, "{:?}", client.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
}
