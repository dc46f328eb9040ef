//! HTTP requests as timers and counters: a real server over loopback, and services that fail.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not know for tests"
)]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Ready, ready},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::MatchedPath,
    http::{Request, Response, StatusCode},
    routing::{get, post},
};
use metlog_core::{
    Client, Message, Value,
    config::Settings,
    integration::tower::RequestLayer,
    sender::{self, memory::Captured},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::Notify};
use tower_layer::Layer;
use tower_service::Service;

const SOON: Duration = Duration::from_secs(10);

fn client(settings: Settings) -> (Client, Captured) {
    let (memory, captured) = sender::memory::channel();
    (Client::builder().settings(settings).sender(memory).build(), captured)
}

fn matched_path(request: &http::request::Parts) -> Option<String> {
    request.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned())
}

/// The fields but `name` and `rate` of each timer `name`, as one line each, and how many there are.
fn timers(messages: &[Message], name: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let timers = messages.iter().filter(|message| message.kind == "timer");
    for timer in timers.filter(|timer| timer.fields.get("name") == Some(&name.into())) {
        let own = timer.fields.iter().filter(|(name, _)| !["name", "rate"].contains(name));
        let line: Vec<_> = own.map(|(name, value)| format!("{name}={}", shown(value))).collect();
        *lines.entry(line.join(" ")).or_default() += 1;
    }
    lines
}

fn shown(value: &Value) -> String {
    value.as_text().map_or_else(|| format!("{}", value.as_number().unwrap()), ToOwned::to_owned)
}

/// What the counters have reached.
fn counters(messages: &[Message]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    let counters = messages.iter().filter(|message| message.kind == "counter");
    for counter in counters {
        let name = counter.fields.get("name").and_then(Value::as_text).unwrap();
        let sum: i64 = counter.payload.as_text().unwrap().parse().unwrap();
        *sums.entry(name.to_owned()).or_default() += sum;
    }
    sums.retain(|name, _| !name.starts_with("metlog."));
    sums
}

fn table<V: Copy>(rows: &[(&str, V)]) -> BTreeMap<String, V> {
    rows.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// A server of `app` on a free port; it ends with the runtime.
fn serve(app: Router) -> (Runtime, SocketAddr) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app).await });
    (runtime, address)
}

fn request(address: SocketAddr, method: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn response(mut stream: TcpStream) -> String {
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn requests_of_a_real_server_are_measured_and_counted() {
    let (client, captured) = client(Settings::default());
    let started = Arc::new(Notify::new());
    let never = {
        let started = Arc::clone(&started);
        move || async move {
            started.notify_one();
            std::future::pending::<&str>().await
        }
    };
    let app = Router::new()
        .route("/bookmarks/{number}", get(|| async { "found" }))
        .route("/bookmarks", post(|body: Bytes| async move { (StatusCode::CREATED, body) }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/never", get(never))
        .layer(RequestLayer::new(client.clone()).route(matched_path));
    let (runtime, address) = serve(app);

    let gone = request(address, "GET", "/never");
    runtime.block_on(started.notified());
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    let path = format!("/bookmarks/{}", thread * 10 + round);
                    assert!(response(request(address, "GET", &path)).ends_with("found"));
                }
                let added = response(request(address, "POST", "/bookmarks"));
                assert!(added.starts_with("HTTP/1.1 201") && added.ends_with("hi"), "{added}");
                assert!(response(request(address, "GET", "/broken")).starts_with("HTTP/1.1 502"));
                assert!(response(request(address, "BREW", "/bookmarks")).starts_with("HTTP/1.1 405"));
            });
        }
    });
    let cancelled =
        || timers(&captured.messages(), "http.request").keys().any(|line| line.contains("cancelled"));
    assert!(!cancelled(), "it is still under way");
    drop(gone);
    until("the dropped request is measured", cancelled);

    client.close(SOON);
    let messages = captured.messages();
    let expected = table(&[
        ("method=GET outcome=cancelled route=/never", 1),
        ("method=GET outcome=response status=200 route=/bookmarks/{number}", 40),
        ("method=POST outcome=response status=201 route=/bookmarks", 4),
        ("method=GET outcome=response status=502 route=/broken", 4),
        ("method=other outcome=response status=405 route=/bookmarks", 4),
    ]);
    assert_eq!(timers(&messages, "http.request"), expected);
    let expected =
        [("http.status.2xx", 44), ("http.status.5xx", 4), ("http.status.4xx", 4), ("http.cancelled", 1)];
    assert_eq!(counters(&messages), table(&expected));
}

#[test]
fn plain_timers_are_summed_where_the_client_sums() {
    let (client, captured) = client(Settings { aggregate: true, ..Settings::default() });
    let layer = RequestLayer::new(client.clone()).prefix("api").without_fields();
    let (_runtime, address) = serve(Router::new().route("/", get(|| async { "" })).layer(layer));
    (0..5).for_each(|_| drop(response(request(address, "GET", "/"))));
    client.close(SOON);
    let messages = captured.messages();
    let sketch = messages.iter().find(|message| message.kind == "timer_sketch").unwrap();
    let fields = ["name", "count"].map(|name| sketch.fields.get(name).cloned().unwrap());
    assert_eq!(fields, ["api.request".into(), 5.into()]);
    assert_eq!(counters(&messages), table(&[("api.status.2xx", 5)]));
}

/// Answers at once with what it was made with.
#[derive(Clone)]
struct Always(Result<u16, &'static str>);

impl Service<Request<()>> for Always {
    type Response = Response<()>;
    type Error = &'static str;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(self.0.map(|status| Response::builder().status(status).body(()).unwrap()))
    }
}

/// What has become of one request.
struct Called<T> {
    /// Nothing when the service has panicked.
    answer: Option<T>,
    timers: BTreeMap<String, usize>,
    counters: BTreeMap<String, i64>,
}

/// Calls `service` once through a layer that `setup` has set up.
fn called<S>(
    setup: impl FnOnce(RequestLayer) -> RequestLayer,
    service: S,
) -> Called<Result<S::Response, S::Error>>
where
    S: Service<Request<()>, Response = Response<()>>,
{
    let (client, captured) = client(Settings::default());
    let mut service = setup(RequestLayer::new(client.clone())).layer(service);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let call = AssertUnwindSafe(|| runtime.block_on(service.call(Request::new(()))));
    let answer = catch_unwind(call).ok();
    client.close(SOON);
    let messages = captured.messages();
    Called { answer, timers: timers(&messages, "http.request"), counters: counters(&messages) }
}

#[test]
fn an_answer_passes_unchanged_and_an_error_is_counted() {
    let rows = [
        (Ok(101), "method=GET outcome=response status=101", Some("http.status.1xx")),
        (Ok(304), "method=GET outcome=response status=304", Some("http.status.3xx")),
        (Ok(599), "method=GET outcome=response status=599", Some("http.status.5xx")),
        (Ok(999), "method=GET outcome=response status=999", None),
        (Err("refused"), "method=GET outcome=error", Some("http.errors")),
    ];
    for (made, timer, counter) in rows {
        let Called { answer, timers, counters } = called(|layer| layer, Always(made));
        assert_eq!(answer.unwrap().map(|response| response.status().as_u16()), made);
        assert_eq!(timers, table(&[(timer, 1)]));
        assert_eq!(counters, counter.map(|name| (name.to_owned(), 1)).into_iter().collect());
    }
}

#[test]
fn a_naming_of_routes_that_panics_leaves_the_route_out() {
    let Called { answer, timers, .. } = called(|layer| layer.route(|_| panic!("no name")), Always(Ok(200)));
    assert!(answer.unwrap().is_ok());
    assert_eq!(timers, table(&[("method=GET outcome=response status=200", 1)]));
}

/// Panics when it is called, or when its future is polled.
#[derive(Clone)]
enum Angry {
    Called,
    Polled,
}

impl Service<Request<()>> for Angry {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        match self {
            Self::Called => panic!("called"),
            Self::Polled => Box::pin(async { panic!("polled") }),
        }
    }
}

#[test]
fn a_handler_that_panics_is_an_error() {
    for service in [Angry::Called, Angry::Polled] {
        let Called { answer, timers, counters } = called(|layer| layer, service);
        assert!(answer.is_none(), "the panic goes on");
        assert_eq!(timers, table(&[("method=GET outcome=panic", 1)]));
        assert_eq!(counters, table(&[("http.errors", 1)]));
    }
}

#[test]
fn a_future_that_is_never_polled_is_a_cancelled_request() {
    let (client, captured) = client(Settings::default());
    let mut service = RequestLayer::new(client.clone()).layer(Always(Ok(200)));
    drop(service.call(Request::new(())));
    client.close(SOON);
    assert_eq!(counters(&captured.messages()), table(&[("http.cancelled", 1)]));
}
