//! Values that say something while they are written.
//!
//! Here and not beside the other tests: while any thread of a process has a subscriber of its own, `tracing` itself
//! keeps nested events from being seen. The subscriber of these is the program's.

use std::{fmt, time::Duration};

use tracing::{field, info, info_span};
use tracing_subscriber::{layer::SubscriberExt, registry};

use super::MetlogLayer;
use crate::{Client, Message, Value, sender, stats::Reason};

/// Says that it is written.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(target: "chatty", "written");
        f.write_str("chatty")
    }
}

/// Is written by the event about its being written.
struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(target: "endless", who = ?Self, "written");
        f.write_str("endless")
    }
}

fn of<'a>(target: &str, messages: &'a [Message]) -> Vec<&'a Message> {
    let mine = |message: &&Message| message.fields.get("target") == Some(&target.into());
    messages.iter().filter(mine).collect()
}

#[test]
fn a_value_may_log_while_it_is_written() {
    let (memory, captured) = sender::memory::channel();
    let client = Client::builder().sender(memory).build();
    let layers = registry().with(MetlogLayer::new(client.clone()).without_timers());
    tracing::subscriber::set_global_default(layers).unwrap();

    let span = info_span!(target: "chatty", "span", first = ?Chatty, later = field::Empty).entered();
    span.record("later", field::debug(Chatty));
    info!(target: "chatty", who = ?Chatty, "event");
    info!(target: "endless", who = ?Endless, "event");
    drop(span);

    assert!(client.flush(Duration::from_secs(5)));
    let messages = captured.messages();
    let chatty = of("chatty", &messages);
    let payloads: Vec<_> = chatty.iter().filter_map(|message| message.payload.as_text()).collect();
    assert_eq!(payloads, ["written", "written", "written", "event"]);
    for name in ["first", "later", "who"] {
        assert_eq!(chatty[3].fields.get(name), Some(&Value::from("chatty")), "{name}");
    }
    // Cut off at the fourth one.
    assert_eq!(of("endless", &messages).len(), 4);
    assert_eq!(client.stats().refused.get(Reason::Encode), 1);
}
