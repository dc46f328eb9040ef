//! Records of the `log` crate as messages.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not know for tests"
)]

mod support;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use log::{Level, LevelFilter, Log, Metadata};
use metlog_core::{
    Client, Error, ErrorKind, Message, Severity, Value,
    filter::SeverityMax,
    integration::log::Logger,
    sender::{
        self, Delivery, Outgoing, Sender, Target,
        memory::{Captured, Memory},
    },
    stats::Reason,
};
use support::Answers;

const SOON: Duration = Duration::from_secs(5);

/// A logger that is not the program's, so that tests do not disturb one another; the macros take it by name.
fn logger() -> (Logger, Client, Captured) {
    logger_within(Severity::DEBUG)
}

fn logger_within(bound: Severity) -> (Logger, Client, Captured) {
    log::set_max_level(LevelFilter::Trace);
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().logger("app").filter(SeverityMax(bound)).sender(memory).build();
    (Logger::new(client.clone()), client, captured)
}

fn sent(client: &Client, captured: &Captured) -> Vec<Message> {
    assert!(client.flush(SOON));
    captured.messages()
}

fn payloads(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.payload.as_text()).collect()
}

#[test]
fn a_record_becomes_a_message() {
    let (logger, client, captured) = logger();
    log::warn!(logger: logger, target: "app::login", user = 25; "no user {}", 25);
    let line = line!() - 1;
    let messages = sent(&client, &captured);
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.kind.as_str(), message.logger.as_str()), ("log", "app"));
    assert_eq!((message.severity, &message.payload), (Severity::WARNING, &Value::from("no user 25")));
    let fields = [
        ("target", Value::from("app::login")),
        ("module", "log".into()),
        ("file", file!().into()),
        ("line", line.into()),
        ("user", 25.into()),
    ];
    assert_eq!(message.fields, fields.into_iter().collect());
}

#[test]
fn levels_are_severities_and_the_type_is_a_setting() {
    let (logger, client, captured) = logger();
    let logger = logger.kind("oldstyle");
    for level in Level::iter() {
        log::log!(logger: logger, level, "{level}");
    }
    let messages = sent(&client, &captured);
    let told: Vec<_> = messages.iter().map(|message| message.severity.as_u8()).collect();
    assert_eq!(told, [3, 4, 6, 7, 7]);
    assert!(messages.iter().all(|message| message.kind == "oldstyle"));
}

#[test]
fn key_values_keep_their_types() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "printed")]
    struct Point(i32, i32);
    let (logger, client, captured) = logger();
    let error = Error::new(ErrorKind::Io, "cannot load").with_source(std::io::Error::other("disk on fire"));
    log::info!(
        logger: logger,
        int = -5, unsigned = u64::MAX, wide = i128::MIN, widest = u128::MAX, float = 0.5, flag = true, text = "x",
        letter = 'ä', nothing = None::<i32>, point:? = Point(1, 2), shown:% = format_args!("{}", 7), err:err = error,
        line = "the application's";
        ""
    );
    let messages = sent(&client, &captured);
    let field = |name: &str| messages[0].fields.get(name).cloned().unwrap();
    let table = [
        ("int", Value::Int(-5)),
        ("unsigned", Value::Int(u64::MAX.into())),
        // Beyond 64 bits the wire has the nearest double.
        ("wide", Value::Float(-(2_f64.powi(127)))),
        ("widest", Value::Float(2_f64.powi(128))),
        ("float", Value::Float(0.5)),
        ("flag", Value::Bool(true)),
        ("text", "x".into()),
        ("letter", "ä".into()),
        ("nothing", Value::Null),
        ("point", "Point(1, 2)".into()),
        ("shown", "7".into()),
        ("err", "cannot load: disk on fire".into()),
        ("line", "the application's".into()),
    ];
    for (name, expected) in table {
        assert_eq!(field(name), expected, "{name}");
    }
}

#[test]
fn what_the_clients_bound_refuses_is_not_written() {
    let (logger, client, captured) = logger_within(Severity::WARNING);
    let enabled = |level| logger.enabled(&Metadata::builder().level(level).build());
    assert_eq!(Level::iter().map(enabled).collect::<Vec<_>>(), [true, true, false, false, false]);
    log::info!(logger: logger, "{Angry}");
    log::warn!(logger: logger, "kept");
    assert_eq!(payloads(&sent(&client, &captured)), ["kept"]);
    let stats = client.stats();
    assert_eq!((stats.attempted, stats.refused.get(Reason::Filtered)), (2, 1));
}

/// Panics when it is written.
struct Angry;

impl fmt::Display for Angry {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a value that fails")
    }
}

#[test]
fn a_value_that_panics_costs_its_own_record() {
    let (logger, client, captured) = logger();
    log::info!(logger: logger, "before");
    log::info!(logger: logger, "{Angry}");
    log::info!(logger: logger, shown:% = Angry; "field");
    log::info!(logger: logger, "after");
    assert_eq!(payloads(&sent(&client, &captured)), ["before", "after"]);
    assert_eq!(client.stats().refused.get(Reason::Encode), 2);
}

/// The logger of the program, for values that log while they are written.
fn program() -> &'static (Client, Captured) {
    static PROGRAM: OnceLock<(Client, Captured)> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let (logger, client, captured) = logger();
        logger.clone().init().unwrap();
        assert!(logger.init().is_err(), "a program has one logger");
        (client, captured)
    })
}

/// Logs when it is written, and is written by what it logs as often as it says.
struct Chatty(u32);

impl fmt::Display for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(1) {
            Some(left) => log::info!(who:% = Chatty(left); "inner {left}"),
            None => log::info!("innermost"),
        }
        write!(f, "chatty {}", self.0)
    }
}

#[test]
fn a_value_may_log_while_it_is_written() {
    let (client, captured) = program();
    log::info!(who:% = Chatty(1); "outer");
    assert_eq!(payloads(&sent(client, captured)), ["innermost", "inner 0", "outer"]);

    // One that would never end is cut off at the fourth record.
    let refused = client.stats().refused.get(Reason::Encode);
    log::info!(who:% = Chatty(u32::MAX); "endless");
    assert_eq!(client.stats().refused.get(Reason::Encode), refused + 1);
    assert_eq!(payloads(&sent(client, captured))[3..].last(), Some(&"endless"));
    assert_eq!(sent(client, captured).len(), 3 + 4);
}

#[test]
fn a_text_without_end_is_cut() {
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("äöü")?;
            }
        }
    }
    let (logger, client, captured) = logger();
    log::info!(logger: logger, who:% = Endless; "{Endless}");
    let messages = sent(&client, &captured);
    assert_eq!(messages[0].payload.as_text().map(str::len), Some(64 * 1024));
    assert_eq!(messages[0].fields.get("who").and_then(Value::as_text).map(str::len), Some(64 * 1024));
}

#[test]
fn flush_waits_no_longer_than_its_bound() {
    let client = Client::builder().sender(Answers(Ok(Delivery::Busy))).build();
    let logger = Logger::new(client.clone()).flush_timeout(Duration::from_millis(50));
    log::set_max_level(LevelFilter::Trace);
    log::info!(logger: logger, "waits");
    let start = Instant::now();
    logger.flush();
    let waited = start.elapsed();
    assert!(Duration::from_millis(50) <= waited && waited < SOON, "{waited:?}");
}

/// Logs about each batch it takes.
#[derive(Clone)]
struct Talkative {
    memory: Memory,
    logger: Arc<OnceLock<Logger>>,
}

impl Target for Talkative {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Talkative {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        log::info!(logger: self.logger.get().unwrap(), "sending");
        self.logger.get().unwrap().flush();
        self.memory.send(batch)
    }
}

#[test]
fn a_sender_that_logs_causes_no_further_batch() {
    log::set_max_level(LevelFilter::Trace);
    let (memory, captured) = sender::memory::channel();
    let target = Talkative { memory, logger: Arc::default() };
    let client = Client::builder().sender(target.clone()).build();
    let logger = target.logger.get_or_init(|| Logger::new(client.clone()));
    log::info!(logger: logger, "one");
    // What the first batch had caused would be in the second one.
    assert!(client.flush(SOON) && client.flush(SOON));
    client.close(SOON);
    let messages = captured.messages();
    let logged: Vec<_> = messages.iter().filter(|message| message.kind == "log").cloned().collect();
    assert_eq!(payloads(&logged), ["one"]);
    assert!(client.stats().refused.get(Reason::Filtered) > 0);
}

#[test]
fn a_record_allocates_nothing_in_steady_state() {
    log::set_max_level(LevelFilter::Trace);
    let client = Client::builder().sender(Answers(Ok(Delivery::ALL))).build();
    let logger = Logger::new(client.clone());
    let burst =
        || (0..100).for_each(|n| log::info!(logger: logger, user = n, path = "/x", shown:? = n; "what {n}"));
    let bursts = (0..100).map(|_| {
        assert!(client.flush(SOON));
        allocation_counter::measure(burst).count_total
    });
    // The buffers of the hand-off grow in some of them.
    assert_eq!(bursts.min(), Some(0));
}
