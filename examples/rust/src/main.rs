//! A bookmarks service that says with metlog what it does: `PORT=8000 bookmarks-rust` (port 0 takes a free one).
//!
//! Where messages go is the client's default: `METLOG_ENDPOINT`, or else the sidecar of this host.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs::OpenOptions,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use metlog_core::{Client, Encode, Options, Severity, fields, filter::SeverityMax};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

const NAME: &str = "bookmarks-rust";
const MOST_BOOKMARKS: u64 = 1000;

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
    axum::serve(listener, app.router())
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
