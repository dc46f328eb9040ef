//! A call allocates nothing once its thread's buffer has grown.

mod support;

use std::time::Duration;

use metlog_core::{
    Client, Options, Severity, client::Count, fields, filter::SeverityMax, sample::Rate, sender::Delivery,
};
use support::Answers;

/// One call of an application.
type Call<'a> = &'a dyn Fn(&Client);

/// Allocations of this thread in a burst of calls, after bursts that grew the buffers to their size.
fn allocations(client: &Client, call: impl Fn(&Client)) -> u64 {
    let burst = || {
        (0..1_000).for_each(|_| call(client));
    };
    for _ in 0..10 {
        burst();
        assert!(client.flush(Duration::from_secs(5)));
    }
    allocation_counter::measure(burst).count_total
}

#[test]
fn a_call_allocates_nothing_in_steady_state() {
    let client = Client::builder()
        .logger("app")
        .sender(Answers(Ok(Delivery::ALL)))
        .filter(SeverityMax(Severity::INFORMATIONAL))
        .build();
    let handle = client.counter("handle");
    let calls: [(&str, Call<'_>); 7] = [
        ("message with fields", &|client| {
            let fields = fields(&[("userid", &25), ("path", &"/1.1/bookmarks"), ("share", &0.5)]);
            client.metlog(
                "services",
                Options { payload: Some(&"what happened"), fields, ..Options::default() },
            );
        }),
        ("counter", &|client| client.incr("sync.ok")),
        ("counter of a float", &|client| {
            client.incr_with("bytes", Count::Float(2.5), Rate::ALL, Options::default());
        }),
        ("time", &|client| client.timer_send("request", Duration::from_millis(7))),
        ("log line", &|client| client.info("what happened")),
        ("refused log line", &|client| client.debug("what happened")),
        ("counter by handle", &|_| handle.incr()),
    ];
    for (name, call) in calls {
        assert_eq!(allocations(&client, call), 0, "{name}");
    }
    client.close(Duration::from_secs(5));
}
