//! What a call costs the application's thread, against floors and peers of the same run.
//!
//! The message: type `services`, a payload of 20 bytes, fields `{userid: 25, req_time: 4, path: "/1.1/bookmarks"}`.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod support;

use std::{
    collections::HashSet,
    hint::black_box,
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metlog_core::{
    Client, Error, Options, Severity,
    client::{Count, FieldSet},
    config::Settings,
    fields,
    filter::{SeverityMax, TypeBlacklist},
    sample::Rate,
    sender::{Delivery, Outgoing, Sender, Target},
    value::Encode,
};
use slog::Drain;
use support::{
    in_this_process, measure,
    message::{encode, send},
    on_this_thread, run,
};

/// Calls of one burst: small enough for the hand-off to hold them, so that no call is refused.
const BURST: u32 = 8_000;

/// Takes every batch and does nothing with it, or never takes any.
#[derive(Clone)]
struct Sink {
    busy: Arc<AtomicBool>,
}

impl Sink {
    fn new(busy: bool) -> Self {
        Self { busy: Arc::new(AtomicBool::new(busy)) }
    }
}

impl Target for Sink {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Sink {
    fn send(&mut self, frame: &Outgoing) -> Result<Delivery, Error> {
        if self.busy.load(Ordering::Relaxed) {
            return Ok(Delivery::Busy);
        }
        black_box(&**frame);
        Ok(Delivery::ALL)
    }
}

fn client(sink: &Sink) -> Client {
    Client::builder().logger("syncstorage").sender(sink.clone()).build()
}

/// A burst of calls, and then time for the worker to catch up.
fn burst(client: &Client, work: impl Fn(&Client)) -> f64 {
    let nanos = on_this_thread(BURST, || (0..BURST).for_each(|_| work(client)));
    assert!(client.flush(Duration::from_secs(10)));
    nanos
}

/// Gives the peers' threads time to empty their queues, so that their bursts are not refused either.
fn settle() {
    std::thread::sleep(Duration::from_millis(200));
}

thread_local! {
    static KEPT: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn floors() -> Vec<support::Measure<'static>> {
    let mut kept = Vec::with_capacity(4096);
    let bytes = [7_u8; 200];
    vec![
        measure("rmp encode", move || {
            on_this_thread(BURST, || {
                for _ in 0..BURST {
                    kept.clear();
                    let _infallible = encode(black_box(&mut kept));
                }
            })
        }),
        measure("append 200 bytes to a thread-local Vec", move || {
            KEPT.with_borrow_mut(Vec::clear);
            let nanos = on_this_thread(BURST, || {
                (0..BURST)
                    .for_each(|_| KEPT.with_borrow_mut(|kept| kept.extend_from_slice(black_box(&bytes))));
            });
            KEPT.with_borrow_mut(|kept| black_box(kept.len()));
            nanos
        }),
        measure("one quanta reading", || {
            on_this_thread(BURST, || {
                (0..BURST).for_each(|_| {
                    black_box(quanta::Instant::now());
                });
            })
        }),
    ]
}

/// The peers' asynchronous loggers, each writing JSON to nowhere on a thread of its own.
fn peers() -> Vec<support::Measure<'static>> {
    let (writer, guard) = tracing_appender::non_blocking(io::sink());
    let tracing = tracing::Dispatch::new(tracing_subscriber::fmt().json().with_writer(writer).finish());
    let drain = slog_json::Json::default(io::sink()).ignore_res();
    let drain = slog_async::Async::new(drain).chan_size(BURST as usize * 2).build().fuse();
    let context =
        slog::o!("logger" => "syncstorage", "env_version" => "0.8", "pid" => 4711, "hostname" => "web1");
    let slog = slog::Logger::root(drain, context);

    vec![
        measure("tracing JSON, tracing-appender", move || {
            let _writes_until_the_end = &guard;
            settle();
            tracing::dispatcher::with_default(&tracing, || {
                on_this_thread(BURST, || {
                    for _ in 0..BURST {
                        tracing::info!(
                            userid = 25,
                            req_time = 4,
                            path = "/1.1/bookmarks",
                            "this is the payload!"
                        );
                    }
                })
            })
        }),
        measure("slog-async JSON", move || {
            settle();
            on_this_thread(BURST, || {
                for _ in 0..BURST {
                    slog::info!(slog, "this is the payload!"; "type" => "services", "userid" => 25, "req_time" => 4, "path" => "/1.1/bookmarks");
                }
            })
        }),
    ]
}

fn main() -> ExitCode {
    let (sink, stuck) = (Sink::new(false), Sink::new(true));
    let ours = client(&sink);
    let refused = Client::builder().sender(sink.clone()).filter(SeverityMax(Severity::ERROR)).build();
    let blacklist = TypeBlacklist(HashSet::from(["services".to_owned()]));
    let filtered = Client::builder().sender(sink.clone()).filter(blacklist).build();
    let settings = Settings { queue_bytes: 64 * 1024, ..Settings::default() };
    let full = Client::builder().sender(stuck.clone()).settings(settings).build();
    (0..2_000).for_each(|_| send(&full));

    let rate = Rate::ALL.get();
    let pairs: [(&str, &dyn Encode); 2] = [("name", &"sync.auth.ok"), ("rate", &rate)];
    let counter = ours.template("counter", &Options { fields: fields(&pairs), ..Options::default() });

    let mut measures = floors();
    measures.extend([
        measure("metlog: message with three fields", || burst(&ours, send)),
        measure("metlog: message, whole process", || {
            in_this_process(BURST, || {
                (0..BURST).for_each(|_| send(&ours));
                assert!(ours.flush(Duration::from_secs(10)));
            })
        }),
        measure("metlog: counter as a message", || burst(&ours, |client| client.incr("sync.auth.ok"))),
        measure("metlog: counter from a template", || {
            burst(&ours, |client| client.send_template(&counter, &Count::Int(1), &FieldSet::default()))
        }),
        measure("metlog: refused by its severity", || burst(&refused, |client| client.info("x"))),
        measure("metlog: refused by a filter of types", || burst(&filtered, send)),
        measure("metlog: refused by a full hand-off", || {
            on_this_thread(BURST, || (0..BURST).for_each(|_| send(&full)))
        }),
    ]);
    measures.extend(peers());
    let medians = run(measures);
    println!();
    let message = "metlog: message with three fields";
    medians.at_most(
        message,
        1.5,
        &["rmp encode", "append 200 bytes to a thread-local Vec", "one quanta reading"],
    );
    medians.cheaper(message, 8.0, "tracing JSON, tracing-appender");
    medians.cheaper(message, 3.0, "slog-async JSON");
    medians.cheaper("metlog: refused by a full hand-off", 1.0, message);
    stuck.busy.store(false, Ordering::Relaxed);
    for client in [ours, refused, filtered, full] {
        client.close(Duration::from_secs(2));
    }
    medians.exit_code()
}
