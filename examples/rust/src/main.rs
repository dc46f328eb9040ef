//! A bookmarks service that says with metlog what it does: `PORT=8000 bookmarks-rust` (port 0 takes a free one).
//!
//! Where messages go is the client's default: `METLOG_ENDPOINT`, or else the sidecar of this host.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    net::SocketAddr,
    num::ParseIntError,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use metlog_core::{
    Client, Encode, Options, Severity,
    cef::{self, AUTH_FAILURE, CefMeta, Device},
    fields,
    filter::SeverityMax,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

const NAME: &str = "bookmarks-rust";
const MOST_BOOKMARKS: u64 = 1000;

/// Who may log in, with the password; a real service keeps none.
const USER: (&str, &str) = ("jane", "correct horse");

/// What every request may use; clones share it.
#[derive(Clone)]
struct App {
    metlog: Client,
    /// The newest bookmarks, by number.
    bookmarks: Arc<Mutex<BTreeMap<u64, String>>>,
}

impl App {
    fn new() -> Self {
        // Lines for debugging stay here.
        let metlog = Client::builder().logger(NAME).filter(SeverityMax(Severity::INFORMATIONAL)).build();
        let bookmarks = BTreeMap::from([(1, "https://www.rust-lang.org/".to_owned())]);
        metlog.info(&format!("loaded with {} bookmark", bookmarks.len()));
        Self { metlog, bookmarks: Arc::new(Mutex::new(bookmarks)) }
    }

    fn bookmarks(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.bookmarks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn router(self) -> Router {
        Router::new()
            .route("/bookmarks", get(list).post(add))
            .route("/bookmarks/{number}", get(show))
            .route("/bookmarks/{number}/preview", get(preview))
            .route("/login", post(login))
            .route("/crash", get(crash))
            .layer(from_fn_with_state(self.clone(), observe))
            .with_state(self)
    }
}

/// Tells about a request: how long it took, how it ended, and which it was.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let _measured_until_the_end = app.metlog.timer("request");
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let request_id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let request_id = request_id.unwrap_or_default().to_owned();

    let response = next.run(request).await;

    let status = u32::from(response.status().as_u16());
    app.metlog.incr(&format!("status.{status}"));
    let told: [(&str, &dyn Encode); 4] =
        [("request_id", &request_id), ("method", &method), ("path", &path), ("status", &status)];
    app.metlog.metlog("services", Options { fields: fields(&told), ..Options::default() });
    response
}

/// A bookmark that is not there.
struct NotFound;

impl IntoResponse for NotFound {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, Json(json!({"error": "no such bookmark"}))).into_response()
    }
}

async fn list(State(app): State<App>) -> Json<Value> {
    let bookmarks = app.bookmarks();
    let newest = bookmarks.iter().rev().take(10);
    Json(newest.map(|(number, url)| (number.to_string(), json!(url))).collect())
}

async fn add(State(app): State<App>, Json(body): Json<Value>) -> Response {
    let Some(url) = body.get("url").and_then(Value::as_str) else {
        app.metlog.error("a bookmark without url was refused");
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "expected {\"url\": ...}"}))).into_response();
    };
    let mut bookmarks = app.bookmarks();
    let number = bookmarks.last_key_value().map_or(0, |(number, _)| *number) + 1;
    bookmarks.insert(number, url.to_owned());
    bookmarks.remove(&number.saturating_sub(MOST_BOOKMARKS));
    app.metlog.info(&format!("bookmark {number} added"));
    (StatusCode::CREATED, Json(json!({"number": number}))).into_response()
}

async fn show(State(app): State<App>, Path(number): Path<u64>) -> Result<Json<Value>, NotFound> {
    let Some(url) = app.bookmarks().get(&number).cloned() else {
        app.metlog.warning(&format!("no bookmark {number}"));
        return Err(NotFound);
    };
    app.metlog.debug(&format!("bookmark {number} found"));
    Ok(Json(json!({"url": url})))
}

/// Stands for a page that takes its time: 5 to 45 ms, by the bookmark's number.
async fn preview(state: State<App>, number: Path<u64>) -> Result<Json<Value>, NotFound> {
    let millis = 5 * (1 + number.0 % 9);
    let answer = show(state, number).await?;
    sleep(Duration::from_millis(millis)).await;
    Ok(answer)
}

async fn login(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let given = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let user = given("user");
    if (user, given("password")) == USER {
        app.metlog.info(&format!("{user} logged in"));
        return Json(json!({"user": user})).into_response();
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let peer = peer.ip().to_string();
    let request = cef::Request {
        method: Some("POST".into()),
        path: Some("/login".into()),
        user_agent: header("user-agent").map(Into::into),
        host: header("host").map(Into::into),
        ..cef::Request::default()
    };
    let device = device();
    let event = cef::Event {
        username: user,
        signature: Some(AUTH_FAILURE),
        request: request.with_source(header("x-forwarded-for"), Some(&peer)),
        ..cef::Event::new(&device, "Login failed", 5)
    };
    app.metlog.cef(&event, &CefMeta::default());
    (StatusCode::UNAUTHORIZED, Json(json!({"error": "wrong user or password"}))).into_response()
}

/// The product that reports security events.
fn device() -> Device {
    Device {
        version: "0".to_owned(),
        vendor: "metlog".to_owned(),
        product: NAME.to_owned(),
        device_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Stands for a page with a bug: the counter it shows is no number.
async fn crash(State(app): State<App>) -> Response {
    match visits("12x") {
        Ok(visits) => Json(json!({"visits": visits})).into_response(),
        Err(error) => {
            app.metlog.exception(&error);
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "this page has a bug"}))).into_response()
        }
    }
}

fn visits(counter: &str) -> Result<u64, BadCounter> {
    counter.parse().map_err(BadCounter)
}

/// A counter that cannot be read.
#[derive(Debug)]
struct BadCounter(ParseIntError);

impl fmt::Display for BadCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot read the counter of visits")
    }
}

impl Error for BadCounter {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new();
    serve(app.clone())?;
    app.metlog.close(Duration::from_secs(2));
    Ok(report(&app.metlog)?)
}

/// Serves until SIGTERM, and then what is under way.
#[tokio::main]
async fn serve(app: App) -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    writeln!(io::stdout(), "listening at http://{}", listener.local_addr()?)?;
    let service = app.router().into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move {
            terminated.recv().await;
        })
        .await
}

/// For the demo: writes down what this process thinks it has sent.
fn report(metlog: &Client) -> io::Result<()> {
    let Ok(path) = env::var("METLOG_DEMO_REPORT") else { return Ok(()) };
    let stats = metlog.stats();
    let books = json!({
        "logger": NAME, "pid": std::process::id(), "attempted": stats.attempted, "sent": stats.sent,
    });
    OpenOptions::new().create(true).append(true).open(path)?.write_all(format!("{books}\n").as_bytes())
}
