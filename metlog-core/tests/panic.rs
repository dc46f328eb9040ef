//! Panics as `sentry` messages, in processes of their own: a hook is the whole process's, and the main thread's panic
//! ends it.
//!
//! This program starts itself again with the scenario's name in the environment and reads what the scenario has sent
//! from a file.
#![expect(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose runner is its own"
)]

use std::{
    env, panic,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use metlog_core::{
    Client, Fields, Message, Value,
    exception::{install_panic_hook, raven},
    filter::Filter,
    sender::stream::Stream,
    wire::{json, record::Head},
};

/// Names the scenario and, with `_FILE`, where it writes.
const SCENARIO: &str = "METLOG_TEST_SCENARIO";

const SOON: Duration = Duration::from_secs(20);

struct Scenario {
    name: &'static str,
    run: fn(&Client),
    exit_code: i32,
    /// Texts of the panics that must have been sent.
    panics: &'static [&'static str],
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_panic_of_the_main_thread_is_sent_before_the_process_ends",
        run: |_| fail("main went down"),
        exit_code: 101,
        panics: &["main went down"],
    },
    Scenario {
        name: "a_panic_of_a_thread_is_sent_and_the_others_go_on",
        run: |client| {
            let joined =
                thread::Builder::new().name("login".to_owned()).spawn(|| fail("thread went down")).unwrap();
            assert!(joined.join().is_err());
            until_accepted(client, 1);
        },
        exit_code: 0,
        panics: &["thread went down"],
    },
    Scenario {
        name: "a_filter_that_panics_neither_aborts_nor_recurses",
        run: |client| {
            let angry = Client::builder().filter(Angry).sender(Stream::Stderr).build();
            install_panic_hook(angry.clone());
            assert!(panic::catch_unwind(|| fail("caught")).is_err());
            until_accepted(client, 1);
            let start = Instant::now();
            while angry.stats().attempted < 1 && start.elapsed() < SOON {
                thread::sleep(Duration::from_millis(2));
            }
            // A second report would have come from the filter's own panic.
            assert_eq!((angry.stats().attempted, client.stats().attempted), (1, 1));
        },
        exit_code: 0,
        panics: &["caught"],
    },
];

struct Angry;

impl Filter for Angry {
    fn keep(&self, _: &Head<'_>) -> bool {
        panic!("a filter that fails")
    }
}

#[inline(never)]
fn fail(text: &str) {
    panic!("{text}"); // the panicking line
}

fn until_accepted(client: &Client, count: u64) {
    let start = Instant::now();
    while client.stats().accepted < count {
        assert!(start.elapsed() < SOON, "{:?}", client.stats());
        thread::sleep(Duration::from_millis(2));
    }
}

fn main() {
    if let Ok(name) = env::var(SCENARIO) {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let file = env::var(format!("{SCENARIO}_FILE")).unwrap();
        let client = Client::builder().sender(Stream::File(file.into())).build();
        install_panic_hook(client.clone());
        return (scenario.run)(&client);
    }
    for scenario in SCENARIOS {
        prove(scenario);
        println!("test {} ... ok", scenario.name);
    }
}

fn prove(scenario: &Scenario) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("messages");
    let ended = Command::new(env::current_exe().unwrap())
        .env(SCENARIO, scenario.name)
        .env(format!("{SCENARIO}_FILE"), &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(scenario.exit_code), "{}: {said}", scenario.name);
    let messages = messages(&file);
    assert_eq!(messages.len(), scenario.panics.len(), "{}: {said}", scenario.name);
    for (message, text) in messages.iter().zip(scenario.panics) {
        check(message, text);
        assert!(said.contains(text), "the hook before ours says it as well: {said}");
    }
}

fn messages(file: &Path) -> Vec<Message> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| json::from_json(line.as_bytes()).unwrap().message).collect()
}

fn check(message: &Message, text: &str) {
    assert_eq!((message.kind.as_str(), message.severity.as_u8()), ("sentry", 1));
    let event = raven::decode(message.payload.as_text().unwrap()).unwrap();
    let at = |name: &str| event.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    assert_eq!(at("message"), format!("panic: {text}"));
    assert!(at("culprit").ends_with(" in fail"), "{}", at("culprit"));
    let inner = innermost(&event);
    let line = inner.get("context_line").and_then(Value::as_text).unwrap_or_default();
    assert!(line.ends_with("// the panicking line"), "{inner:?}");
}

fn innermost(event: &Fields) -> &Fields {
    let Some(Value::Map(stacktrace)) = event.get("sentry.interfaces.Stacktrace") else { panic!("{event:?}") };
    let Some(Value::List(frames)) = stacktrace.get("frames") else { panic!("{event:?}") };
    let Some(Value::Map(frame)) = frames.last() else { panic!("{event:?}") };
    frame
}
