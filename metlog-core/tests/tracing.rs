//! Events and spans of `tracing` as messages and timers.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not know for tests"
)]

mod support;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use metlog_core::{
    Client, Error, ErrorKind, Message, Severity, Value,
    config::Settings,
    filter::SeverityMax,
    integration::tracing::MetlogLayer,
    sender::{
        self, Delivery, Outgoing, Sender, Target,
        memory::{Captured, Memory},
    },
    stats::Reason,
};
use support::Answers;
use tracing::{
    Dispatch, debug_span, dispatcher, error, field::Empty, info, info_span, subscriber::with_default, trace,
    warn,
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt, registry};

const SOON: Duration = Duration::from_secs(5);

fn client() -> (Client, Captured) {
    let (memory, captured) = sender::memory::channel();
    (Client::builder().logger("app").sender(memory).build(), captured)
}

/// What `work` sends through a layer that `setup` has set up.
fn sent(setup: impl FnOnce(MetlogLayer) -> MetlogLayer, work: impl FnOnce()) -> Vec<Message> {
    let (client, captured) = client();
    with_default(registry().with(setup(MetlogLayer::new(client.clone()))), work);
    assert!(client.flush(SOON));
    captured.messages()
}

fn field<'a>(message: &'a Message, name: &str) -> &'a Value {
    message.fields.get(name).unwrap_or(&Value::Null)
}

/// Type and payload of each message.
fn told(messages: &[Message]) -> Vec<(&str, &str)> {
    let text = |message: &'_ Message| message.payload.as_text().map(ToOwned::to_owned);
    assert!(messages.iter().all(|message| text(message).is_some()), "{messages:?}");
    messages
        .iter()
        .map(|message| (message.kind.as_str(), message.payload.as_text().unwrap_or_default()))
        .collect()
}

fn list(names: &[&str]) -> Value {
    Value::List(names.iter().map(|name| Value::from(*name)).collect())
}

#[test]
fn an_event_becomes_a_message() {
    let messages = sent(|layer| layer, || warn!(target: "app::login", user = 25, "no user {}", 25));
    let line = line!() - 1;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.kind.as_str(), message.logger.as_str()), ("log", "app"));
    assert_eq!((message.severity, &message.payload), (Severity::WARNING, &Value::from("no user 25")));
    let fields = [
        ("target", Value::from("app::login")),
        ("module", "tracing".into()),
        ("file", file!().into()),
        ("line", line.into()),
        ("user", 25.into()),
    ];
    assert_eq!(message.fields, fields.into_iter().collect());
}

#[test]
fn levels_are_severities_and_the_type_is_a_setting() {
    let messages = sent(
        |layer| layer.kind("oldstyle"),
        || {
            error!("");
            warn!("");
            info!("");
            tracing::debug!("");
            trace!("");
        },
    );
    let severities: Vec<_> = messages.iter().map(|message| message.severity.as_u8()).collect();
    assert_eq!(severities, [3, 4, 6, 7, 7]);
    assert!(messages.iter().all(|message| message.kind == "oldstyle"));
}

#[test]
fn what_the_clients_bound_refuses_is_not_written() {
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().filter(SeverityMax(Severity::WARNING)).sender(memory).build();
    with_default(registry().with(MetlogLayer::new(client.clone())), || {
        info!(who = ?Angry, "refused");
        warn!("kept");
    });
    assert!(client.flush(SOON));
    assert_eq!(told(&captured.messages()), [("log", "kept")]);
    assert_eq!(client.stats().refused.get(Reason::Filtered), 1);
}

#[test]
fn fields_keep_their_types() {
    let error = Error::new(ErrorKind::Io, "cannot load").with_source(std::io::Error::other("disk on fire"));
    let error: &(dyn std::error::Error + 'static) = &error;
    let messages = sent(
        |layer| layer,
        || {
            info!(
                int = -5,
                unsigned = u64::MAX,
                wide = i128::MIN,
                widest = u128::MAX,
                float = 0.5,
                flag = true,
                text = "x",
                bytes = &b"\xff"[..],
                debug = ?Some(1),
                display = %7,
                error,
                r#type = "raw",
                dotted.name = 1,
                line = "the application's",
            );
        },
    );
    let table = [
        ("int", Value::Int(-5)),
        ("unsigned", Value::Int(u64::MAX.into())),
        // Beyond 64 bits the wire has the nearest double.
        ("wide", Value::Float(-(2_f64.powi(127)))),
        ("widest", Value::Float(2_f64.powi(128))),
        ("float", Value::Float(0.5)),
        ("flag", Value::Bool(true)),
        ("text", "x".into()),
        ("bytes", Value::Bytes(vec![0xff])),
        ("debug", "Some(1)".into()),
        ("display", "7".into()),
        ("error", "cannot load: disk on fire".into()),
        ("type", "raw".into()),
        ("dotted.name", 1.into()),
        ("line", "the application's".into()),
    ];
    for (name, expected) in table {
        assert_eq!(field(&messages[0], name), &expected, "{name}");
    }
    assert_eq!(messages[0].payload, "".into());
}

#[test]
fn events_carry_the_fields_of_the_spans_around_them() {
    let messages = sent(MetlogLayer::without_timers, || {
        let outer = info_span!("outer", user = 1, depth = "outer", own = "outer", later = Empty);
        let _outer = outer.clone().entered();
        let inner = info_span!("inner", depth = "inner", own = "inner").entered();
        outer.record("later", "unset");
        outer.record("later", 8);
        outer.record("user", 2);
        info!(own = "event");
        drop(inner);
        info!("outside the inner one");
        info!(parent: None, "on its own");
    });
    let first = &messages[0];
    assert_eq!(field(first, "span"), &list(&["outer", "inner"]));
    let values = ["depth", "own", "later", "user"].map(|name| field(first, name).clone());
    assert_eq!(values, ["inner".into(), "event".into(), 8.into(), 2.into()]);
    assert_eq!(
        (field(&messages[1], "span"), field(&messages[1], "depth")),
        (&list(&["outer"]), &"outer".into())
    );
    assert_eq!((field(&messages[2], "span"), field(&messages[2], "user")), (&Value::Null, &Value::Null));
}

#[test]
fn only_the_nearest_of_many_spans_are_told() {
    fn within(depth: u32) {
        let _span = info_span!("recursion", depth).entered();
        if depth < 200 { within(depth + 1) } else { info!("deep") }
    }
    let messages = sent(MetlogLayer::without_timers, || within(1));
    assert_eq!(field(&messages[0], "span"), &list(&["recursion"; 64]));
    assert_eq!(field(&messages[0], "depth"), &200.into());
}

#[test]
fn a_span_is_a_timer_when_it_closes() {
    let messages = sent(
        |layer| layer,
        || {
            let span = info_span!("import", user = 25);
            drop(span.enter());
            info!(parent: &span, "still open");
            drop(span);
            info!("closed");
        },
    );
    let kinds: Vec<_> = messages.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["log", "timer", "log"]);
    let expected = [("name", Value::from("import")), ("rate", 1.0.into())];
    assert_eq!(messages[1].fields, expected.into_iter().collect(), "as `Client::timer` sends it");
}

#[test]
fn timers_with_fields_tell_how_long_a_thread_was_in_the_span() {
    let messages = sent(MetlogLayer::timers_with_fields, || {
        let span = info_span!(target: "app::import", "import", user = 25);
        let stay = Duration::from_millis(20);
        let sleep = || thread::sleep(stay);
        // Entered twice at a time, here and in another thread, it is busy once.
        span.in_scope(|| {
            sleep();
            thread::scope(|scope| drop(scope.spawn(|| span.in_scope(sleep))));
        });
        thread::sleep(2 * stay);
    });
    let [timer] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((field(timer, "name"), field(timer, "user")), (&"import".into(), &25.into()));
    assert_eq!(field(timer, "target"), &"app::import".into());
    let total: f64 = timer.payload.as_text().and_then(|millis| millis.parse().ok()).unwrap();
    let busy = field(timer, "busy").as_number().unwrap();
    assert!(40.0 <= busy && busy + 39.0 <= total, "busy {busy} of {total} ms");
}

#[test]
fn spans_are_summed_where_the_client_sums() {
    let (memory, captured) = sender::memory::channel();
    let settings = Settings { aggregate: true, ..Settings::default() };
    let client = Client::builder().settings(settings).sender(memory).build();
    with_default(registry().with(MetlogLayer::new(client.clone())), || {
        (0..5).for_each(|_| drop(info_span!("import", user = 25)));
    });
    client.close(SOON);
    let messages = captured.messages();
    let timers: Vec<_> =
        messages.iter().filter(|message| field(message, "name") == &"import".into()).collect();
    let [timer] = timers.as_slice() else { panic!("{messages:?}") };
    assert_eq!((timer.kind.as_str(), field(timer, "count")), ("timer_sketch", &5.into()));
}

#[test]
fn a_filter_of_the_layer_is_the_layers_own() {
    let ((some, of_some), (all, of_all)) = (client(), client());
    let layers = registry()
        .with(MetlogLayer::new(some.clone()).with_filter(LevelFilter::INFO))
        .with(MetlogLayer::new(all.clone()));
    with_default(layers, || {
        let _outer = info_span!("outer", user = 25).entered();
        let _inner = debug_span!("inner", step = 1).entered();
        info!("event");
        tracing::debug!("detail");
    });
    assert!(some.flush(SOON) && all.flush(SOON));
    let of_some = of_some.messages();
    assert_eq!(of_some.iter().map(|message| message.kind.as_str()).collect::<Vec<_>>(), ["log", "timer"]);
    assert_eq!((field(&of_some[0], "span"), field(&of_some[0], "step")), (&list(&["outer"]), &Value::Null));
    // Both keep a span's fields in one place, once.
    let of_all = of_all.messages();
    assert_eq!(
        of_all.iter().map(|message| message.kind.as_str()).collect::<Vec<_>>(),
        ["log", "log", "timer", "timer"]
    );
    assert_eq!((field(&of_all[0], "user"), field(&of_all[0], "step")), (&25.into(), &1.into()));
}

/// Panics when it is written.
struct Angry;

impl fmt::Debug for Angry {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a value that fails")
    }
}

#[test]
fn a_value_that_panics_costs_its_own_event_or_its_spans_fields() {
    let (client, captured) = client();
    with_default(registry().with(MetlogLayer::new(client.clone())), || {
        let _span = info_span!("span", user = 25, who = ?Angry).entered();
        info!(who = ?Angry, "lost");
        info!("kept");
    });
    assert!(client.flush(SOON));
    let messages = captured.messages();
    assert_eq!(messages.iter().map(|message| message.kind.as_str()).collect::<Vec<_>>(), ["log", "timer"]);
    assert_eq!((field(&messages[0], "span"), field(&messages[0], "user")), (&list(&["span"]), &Value::Null));
    assert_eq!(client.stats().refused.get(Reason::Encode), 1);
}

/// Says about each batch it takes, in a span.
#[derive(Clone)]
struct Talkative {
    memory: Memory,
    dispatch: Arc<OnceLock<Dispatch>>,
}

impl Target for Talkative {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Talkative {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        dispatcher::with_default(self.dispatch.get().unwrap(), || {
            info_span!("send").in_scope(|| info!("sending"));
        });
        self.memory.send(batch)
    }
}

#[test]
fn a_sender_that_says_something_causes_no_further_batch() {
    let (memory, captured) = sender::memory::channel();
    let target = Talkative { memory, dispatch: Arc::default() };
    let client = Client::builder().sender(target.clone()).build();
    let layers = || Dispatch::new(registry().with(MetlogLayer::new(client.clone())));
    dispatcher::with_default(target.dispatch.get_or_init(layers), || info!("one"));
    // What the first batch had caused would be in the second one.
    assert!(client.flush(SOON) && client.flush(SOON));
    client.close(SOON);
    let messages = captured.messages();
    assert!(messages.iter().all(|message| message.kind != "timer"), "{messages:?}");
    let logged: Vec<_> = messages.iter().filter(|message| message.kind == "log").cloned().collect();
    assert_eq!(told(&logged), [("log", "one")]);
    assert!(client.stats().refused.get(Reason::Filtered) > 0);
}

#[test]
fn spans_and_events_of_many_threads_end_in_time() {
    let (client, captured) = client();
    let layers = Dispatch::new(registry().with(MetlogLayer::new(client.clone()).timers_with_fields()));
    let start = Instant::now();
    let shared = dispatcher::with_default(&layers, || info_span!("shared", last = Empty));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (layers, shared) = (&layers, &shared);
            scope.spawn(move || {
                dispatcher::with_default(layers, || {
                    for round in 0..500 {
                        let _in_both = (shared.enter(), info_span!("own", round).entered());
                        shared.record("last", round);
                        info!(thread, "event");
                    }
                });
            });
        }
    });
    drop(shared);
    assert!(client.flush(SOON) && start.elapsed() < 4 * SOON);
    let messages = captured.messages();
    let count = |kind: &str| messages.iter().filter(|message| message.kind == kind).count();
    assert_eq!((count("log"), count("timer")), (2_000, 2_001));
}

#[test]
fn an_event_in_spans_allocates_nothing_in_steady_state() {
    let client = Client::builder().sender(Answers(Ok(Delivery::ALL))).build();
    let burst = || (0..100).for_each(|n| info!(user = n, path = "/x", shown = ?n, "what {n}"));
    let bursts = (0..100).map(|_| {
        assert!(client.flush(SOON));
        allocation_counter::measure(burst).count_total
    });
    let least = with_default(registry().with(MetlogLayer::new(client.clone())), || {
        let _outer = info_span!("outer", user = 25).entered();
        let _inner = info_span!("inner", path = "/").entered();
        bursts.min()
    });
    // The buffers of the hand-off grow in some of them.
    assert_eq!(least, Some(0));
}
