//! The client as an application uses it: every kind of call, the books, the end.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for tests")]

mod support;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use metlog_core::{
    Client, Fields, Message, Options, Severity, Value,
    client::Count,
    config::Settings,
    fields,
    filter::TypeBlacklist,
    sample::Rate,
    sender::{self, Delivery, Outgoing, Sender, Target, memory::Captured},
    stats::Reason,
    wire::batch::Batch,
};
use support::Answers;

const SOON: Duration = Duration::from_secs(5);

fn client() -> (Client, Captured) {
    let (memory, captured) = sender::memory::channel();
    (Client::builder().logger("app").sender(memory).build(), captured)
}

fn field<'a>(message: &'a Message, name: &str) -> &'a Value {
    message.fields.get(name).unwrap()
}

#[test]
fn every_call_sends_its_message() {
    let (client, captured) = client();
    client.metlog(
        "services",
        Options { fields: fields(&[("userid", &25), ("path", &"/x")]), ..Options::default() },
    );
    client.incr("sync.ok");
    client.incr_with("bytes", Count::Float(2.5), Rate::ALL, Options::default());
    client.gauge("depth", 3.0);
    client.timer_send("req", Duration::from_micros(1_500));
    client.timer("guard").cancel();
    drop(client.timer("dropped"));
    client.error("no such user");
    assert!(client.flush(SOON));

    let seen: Vec<_> = captured
        .messages()
        .iter()
        .map(|message| (message.kind.clone(), message.severity.as_u8(), message.payload.clone()))
        .collect();
    let text = |kind: &str, severity, payload: &str| (kind.to_owned(), severity, Value::from(payload));
    assert_eq!(
        seen,
        [
            text("services", 6, ""),
            text("counter", 6, "1"),
            text("counter", 6, "2.5"),
            text("gauge", 6, "3.0"),
            text("timer", 6, "2"),
            text("timer", 6, "0"),
            text("oldstyle", 3, "no such user"),
        ]
    );
    let messages = captured.messages();
    assert_eq!(field(&messages[0], "userid"), &Value::Int(25));
    assert_eq!((field(&messages[1], "name"), field(&messages[1], "rate")), (&"sync.ok".into(), &1.0.into()));
    assert_eq!((messages[0].logger.as_str(), messages[0].env_version.as_str()), ("app", "0.8"));
    assert_eq!(messages[0].pid, i64::from(std::process::id()));
}

#[test]
fn options_go_over_the_defaults() {
    let (client, captured) = client();
    let options = Options {
        logger: Some(""),
        severity: Some(Severity::ALERT),
        payload: Some(&7),
        pid: Some(1),
        hostname: Some("elsewhere"),
        timestamp: Some("2012-03-30T20:45:15Z".parse().unwrap()),
        original: &[("severity", &99)],
        ..Options::default()
    };
    client.metlog("a", options);
    client.flush(SOON);
    let message = &captured.messages()[0];
    assert_eq!((message.logger.as_str(), message.severity), ("", Severity::ALERT));
    assert_eq!((message.pid, message.hostname.as_str(), &message.payload), (1, "elsewhere", &Value::Int(7)));
    assert_eq!(message.timestamp.to_string(), "2012-03-30T20:45:15.000000Z");
    assert_eq!(serde_json::to_string(&message.fields).unwrap(), r#"{"original":{"severity":99}}"#);
}

#[test]
fn sequences_are_contiguous_and_the_last_batch_says_so() {
    let (client, captured) = client();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || (0..1_000).for_each(|_| client.incr("n")))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let report = client.close(SOON);
    assert_eq!((report.sent, report.waiting, report.dropped), (4_000, 0, 0));

    let frames = captured.frames();
    let mut next = 0;
    for frame in &frames {
        let batch = Batch::parse(frame).unwrap();
        assert_eq!(batch.header.first_sequence, next);
        assert!(batch.header.span <= 1_024);
        next = batch.header.end();
    }
    assert_eq!(next, 4_000);
    let last = Batch::parse(frames.last().unwrap()).unwrap().header;
    assert!(last.last);
    assert_eq!((last.attempted, last.refused.len()), (4_000, 0));
}

#[test]
fn after_close_calls_are_refused_and_counted() {
    let (client, captured) = client();
    client.incr("a");
    client.close(SOON);
    client.incr("b");
    let stats = client.stats();
    assert_eq!((stats.attempted, stats.sent, stats.refused.get(Reason::Closed)), (2, 1, 1));
    assert_eq!(captured.messages().len(), 1);
}

#[test]
fn a_client_that_is_never_used_closes_at_once() {
    let (client, captured) = client();
    assert_eq!(client.close(SOON).sent, 0);
    assert!(captured.frames().is_empty());
}

#[test]
fn a_filter_that_says_no_is_counted_and_one_that_panics_harms_nobody() {
    let (memory, captured) = sender::memory::channel();
    struct Panics;
    impl metlog_core::filter::Filter for Panics {
        fn keep(&self, head: &metlog_core::wire::record::Head<'_>) -> bool {
            assert!(head.kind != "boom", "a filter of the application fails");
            true
        }
    }
    let blacklist = TypeBlacklist(HashSet::from(["noise".to_owned()]));
    let client = Client::builder().sender(memory).filter(blacklist).filter(Panics).build();
    for kind in ["noise", "boom", "kept"] {
        client.metlog(kind, Options::default());
    }
    client.close(SOON);
    let stats = client.stats();
    assert_eq!(
        (stats.refused.get(Reason::Filtered), stats.refused.get(Reason::FilterError), stats.sent),
        (1, 1, 1)
    );
    assert_eq!(captured.messages()[0].kind, "kept");
}

/// A face that changed its filters closed the client it had, with what was queued, and began new books.
#[test]
fn a_client_beside_another_has_filters_of_its_own_and_the_same_hand_off() {
    let (client, captured) = client();
    client.metlog("noise", Options::default());
    let beside = Client::builder().filter(TypeBlacklist(["noise".to_owned()].into())).beside(&client).build();
    beside.metlog("noise", Options::default());
    beside.metlog("kept", Options::default());
    assert!(beside.flush(SOON));
    let kinds: Vec<_> = captured.messages().iter().map(|message| message.kind.clone()).collect();
    assert_eq!(kinds, ["noise", "kept"]);
    let stats = client.stats();
    assert_eq!((stats.attempted, stats.sent, stats.refused.get(Reason::Filtered)), (3, 2, 1));
}

#[test]
fn a_message_over_the_bound_is_refused_and_its_neighbours_arrive() {
    let (client, captured) = client();
    client.info("before");
    client.info(&"x".repeat(2 << 20));
    client.info("after");
    client.close(SOON);
    assert_eq!(captured.messages().len(), 2);
    assert_eq!(client.stats().refused.get(Reason::TooBig), 1);
}

#[test]
fn a_busy_sender_fills_the_queue_and_the_books_balance_at_any_time() {
    let settings = Settings { queue_bytes: 64 * 1024, ..Settings::default() };
    let client = Client::builder().sender(Answers(Ok(Delivery::Busy))).settings(settings).build();
    for n in 0..10_000 {
        client.incr("n");
        if n % 100 == 0 {
            let stats = client.stats();
            assert_eq!(stats.attempted, stats.accepted + stats.refused.total());
            assert_eq!(stats.accepted, stats.sent + stats.dropped.total() + stats.waiting);
        }
    }
    assert!(client.stats().refused.get(Reason::Full) > 5_000);
    let report = client.close(Duration::from_millis(100));
    let stats = client.stats();
    assert_eq!((report.sent, report.waiting, report.dropped), (0, 0, stats.accepted));
}

#[test]
fn a_sender_that_fails_drops_and_counts() {
    let client = Client::builder().sender(Answers(Err(()))).build();
    client.incr("n");
    assert!(client.flush(SOON));
    assert_eq!(client.stats().dropped.get(Reason::Send), 1);
}

/// The registry for the end of the process forgot clients that were dropped, and their workers waited for ever.
#[test]
fn a_dropped_client_sends_what_is_left_and_its_worker_ends() {
    let (client, captured) = client();
    let other = client.clone();
    client.incr("n");
    drop(client);
    other.incr("n");
    drop(other);
    let deadline = Instant::now() + SOON;
    let ends = |frame: &Vec<u8>| Batch::parse(frame).unwrap().header.last;
    while !captured.frames().iter().any(ends) {
        assert!(Instant::now() < deadline, "no last batch");
        std::thread::yield_now();
    }
    assert_eq!(captured.messages().len(), 2);
}

#[test]
fn a_client_dropped_while_another_lives_sends_what_it_had() {
    let (living, kept) = client();
    let (dropped, captured) = client();
    (0..300).for_each(|_| dropped.incr("n"));
    drop(dropped);
    living.incr("n");
    let deadline = Instant::now() + SOON;
    while captured.messages().len() < 300 {
        assert!(Instant::now() < deadline, "{} of 300", captured.messages().len());
        std::thread::yield_now();
    }
    living.close(SOON);
    assert_eq!(kept.messages().len(), 1);
}

/// The worker locked its state twice when it woke from its first rest, and hung with everyone who asked it something.
#[test]
fn a_client_that_has_rested_goes_on() {
    let (client, captured) = client();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..3 {
            client.incr("n");
            // Longer than a batch gathers: the worker lies down.
            std::thread::sleep(Settings::default().batch_age * 5);
        }
        done.send(client.flush(SOON)).unwrap();
    });
    assert_eq!(is_done.recv_timeout(SOON), Ok(true));
    assert_eq!(captured.messages().len(), 3);
}

#[test]
fn a_sampled_counter_sends_its_share() {
    let (client, captured) = client();
    for _ in 0..2_000 {
        client.incr_with("n", Count::Int(1), Rate::new(0.1), Options::default());
    }
    client.close(SOON);
    let sent = captured.messages().len();
    assert!((100..400).contains(&sent), "{sent}");
    assert_eq!(
        client.stats().attempted,
        u64::try_from(sent).unwrap(),
        "what was not sampled was never attempted"
    );
}

#[test]
fn calls_that_are_summed_leave_as_one_message_a_name() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { aggregate: true, ..Settings::default() };
    let client = Client::builder().logger("app").sender(memory).settings(settings).build();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                let handle = client.counter("clicks");
                (0..1_000).for_each(|_| handle.incr());
                (0..1_000).for_each(|_| client.incr("clicks"));
                client.timer_send("request", Duration::from_millis(5));
                drop(client.timer("guard"));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.gauge("depth", 3.0);
    // A call that says more than its name is a message of its own.
    client.incr_with(
        "clicks",
        Count::Int(1),
        Rate::ALL,
        Options { logger: Some("other"), ..Options::default() },
    );
    assert!(client.flush(SOON));
    client.incr("late");
    client.close(SOON);

    let messages = captured.messages();
    let payloads = |kind: &str, name: &str| -> Vec<String> {
        let named = |message: &&Message| message.kind == kind && field(message, "name") == &Value::from(name);
        let texts = messages.iter().filter(named).filter_map(|message| message.payload.as_text());
        let mut payloads: Vec<_> = texts.map(str::to_owned).collect();
        payloads.sort();
        payloads
    };
    assert_eq!(payloads("counter", "clicks"), ["1", "8000"], "the single one and the sum");
    assert_eq!(payloads("gauge", "depth"), ["3.0"]);
    assert_eq!(payloads("counter", "late"), ["1"], "what was summed last leaves with the close");
    let sketch =
        messages.iter().find(|m| m.kind == "timer_sketch" && field(m, "name") == &"request".into()).unwrap();
    assert_eq!(field(sketch, "count"), &Value::Int(4));
    assert!(messages.iter().any(|m| field(m, "name") == &"guard".into()));
    let stats = client.stats();
    assert_eq!((stats.attempted, stats.sent), (u64::try_from(messages.len()).unwrap(), stats.accepted));
}

#[test]
fn sums_leave_by_themselves_each_interval_though_nobody_sends() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { aggregate_interval: Duration::from_millis(20), ..Settings::default() };
    let client = Client::builder().sender(memory).settings(settings).build();
    let handle = client.counter("clicks");
    let deadline = std::time::Instant::now() + SOON;
    for sum in 1..=3 {
        handle.add(sum);
        while captured.messages().len() < usize::try_from(sum).unwrap() {
            assert!(std::time::Instant::now() < deadline, "sum {sum} did not leave");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let payloads: Vec<_> = captured.messages().into_iter().map(|message| message.payload).collect();
    assert_eq!(payloads, ["1".into(), "2".into(), "3".into()]);
    client.close(SOON);
}

#[test]
fn the_books_are_sent_each_interval() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { stats_interval: Duration::from_millis(20), ..Settings::default() };
    let quiet = TypeBlacklist(HashSet::from(["noise".to_owned()]));
    let client = Client::builder().logger("app").sender(memory).settings(settings).filter(quiet).build();
    (0..3).for_each(|_| client.incr("n"));
    client.metlog("noise", Options::default());
    // The first ones may have been told before the last call.
    let whole = |message: &Message| {
        message.kind == "metlog.stats" && field(message, "attempted").as_number() >= Some(4.0)
    };
    let books = || captured.messages().into_iter().find(whole);
    let deadline = Instant::now() + SOON;
    while books().is_none() {
        assert!(Instant::now() < deadline, "no books");
        std::thread::yield_now();
    }
    let message = books().unwrap();
    assert_eq!(message.logger, "app");
    let names: Vec<_> = message.fields.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["attempted", "accepted", "sent", "waiting", "refused", "dropped"]);
    assert_eq!(field(&message, "refused"), &Value::Map(Fields::from_iter([("filtered", 1)])));
    client.close(SOON);
}

#[test]
fn books_that_are_never_due_are_not_sent() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { stats_interval: Duration::ZERO, ..Settings::default() };
    let client = Client::builder().sender(memory).settings(settings).build();
    client.incr("n");
    assert!(client.flush(SOON));
    client.close(SOON);
    assert_eq!(captured.messages().len(), 1);
}

#[test]
fn settings_that_cannot_work_are_told_of_and_the_defaults_stand_in() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { queue_bytes: 0, ..Settings::default() };
    let client = Client::builder().sender(memory).settings(settings).build();
    client.incr("n");
    client.close(SOON);
    assert_eq!(captured.messages().len(), 1);
}

/// The worker ended with it: nothing was dropped, and flush and close waited for nobody.
#[test]
fn a_sender_that_panics_closes_its_client_and_the_books_balance() {
    struct Faulty;
    impl Target for Faulty {
        fn connect(&self) -> Result<Box<dyn Sender>, metlog_core::Error> {
            Ok(Box::new(Self))
        }
    }
    impl Sender for Faulty {
        fn send(&mut self, _: &Outgoing) -> Result<Delivery, metlog_core::Error> {
            panic!("a sender that fails")
        }
    }
    let client = Client::builder().sender(Faulty).build();
    (0..10).for_each(|_| client.incr("n"));
    assert!(!client.flush(SOON), "nothing has left");
    let start = Instant::now();
    client.close(SOON);
    assert!(start.elapsed() < SOON, "nobody is waited for");
    client.incr("n");
    let stats = client.stats();
    assert_eq!((stats.sent, stats.waiting), (0, 0), "{stats:?}");
    assert_eq!(stats.accepted, stats.dropped.get(Reason::Send));
    assert!(stats.refused.get(Reason::Closed) > 0);
}

/// It waited for ever, or panicked.
#[test]
fn a_worker_that_starts_after_the_close_ends_in_time() {
    let client = Client::builder().sender(Answers(Ok(Delivery::Busy))).build();
    client.close(Duration::from_millis(10));
    client.counter("late").incr();
    client.incr("late");
    let start = Instant::now();
    client.close(Duration::from_millis(10));
    assert!(start.elapsed() < SOON);
    assert_eq!(client.stats().waiting, 0);
}

#[test]
fn flush_says_when_messages_were_dropped_at_the_end() {
    let client = Client::builder().sender(Answers(Ok(Delivery::Busy))).build();
    client.incr("n");
    assert_eq!(client.close(Duration::from_millis(10)).dropped, 1);
    assert!(!client.flush(SOON));
}

/// The worker looked again at once, a thousand times a second.
#[test]
fn without_an_age_a_batch_leaves_at_once_and_the_worker_rests() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { batch_age: Duration::ZERO, ..Settings::default() };
    let client = Client::builder().sender(memory).settings(settings).build();
    for n in 1..=20 {
        client.incr("n");
        let deadline = Instant::now() + SOON;
        while captured.messages().len() < n {
            assert!(Instant::now() < deadline, "message {n} never leaves");
            std::thread::yield_now();
        }
    }
    client.close(SOON);
}

#[test]
fn what_was_given_up_is_told_in_the_next_header() {
    /// Fails once, then keeps what it gets.
    struct Once(Option<()>, sender::memory::Memory);
    impl Target for Once {
        fn connect(&self) -> Result<Box<dyn Sender>, metlog_core::Error> {
            Ok(Box::new(Self(self.0, self.1.clone())))
        }
    }
    impl Sender for Once {
        fn send(&mut self, batch: &Outgoing) -> Result<Delivery, metlog_core::Error> {
            match self.0.take() {
                Some(()) => Err(metlog_core::Error::new(metlog_core::ErrorKind::Io, "broken pipe")),
                None => self.1.send(batch),
            }
        }
    }
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().sender(Once(Some(()), memory)).build();
    (0..2).for_each(|_| {
        client.incr("n");
        client.flush(SOON);
    });
    client.close(SOON);
    let header = Batch::parse(&captured.frames()[0]).unwrap().header;
    assert_eq!(header.dropped, [("send".to_owned(), 1)].into());
    assert_eq!(header.first_sequence, 1, "the gap is where it was");
}
