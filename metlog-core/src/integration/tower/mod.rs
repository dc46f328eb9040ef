//! A `tower` layer that measures and counts HTTP requests (feature `tower`): for axum, hyper, tonic and the like.
//!
//! | what | message |
//! |---|---|
//! | each request | `timer` named `http.request`, with fields `method`, `route`, `status`, `outcome` |
//! | a response | counter `http.status.2xx`, by the class of its status |
//! | an error of the service within | counter `http.errors` |
//! | a request dropped before its response, as when the client has gone | counter `http.cancelled` |
//!
//! **Measured** is from the call of the service to the head of its response; what the body takes to stream is not in it.
//! The `outcome` is `response`, `error`, `cancelled` or `panic` (counted with the errors). Requests that were cancelled
//! are measured too: left out, the slowest would be those that make the figures look best.
//!
//! **Names stay few.** A path is never told, since every number in it would be another value: `route` is what
//! [`RequestLayer::route`] makes of a request, and left out otherwise. A method that is none of HTTP's own is `other`.
//!
//! Counters are kept handles, which are summed and leave once per interval. Timers have fields, and so are messages of
//! their own even where the client sums; [`RequestLayer::without_fields`] makes them plain ones.
//!
//! ```
//! use axum::{Router, extract::MatchedPath, routing::get};
//! use metlog_core::{Client, integration::tower::RequestLayer};
//!
//! let client = Client::builder().logger("bookmarks").build();
//! let requests = RequestLayer::new(client).route(|request| {
//!     request.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned())
//! });
//! let app: Router = Router::new().route("/bookmarks/{number}", get(|| async { "..." })).layer(requests);
//! ```

mod future;
mod meter;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::RequestFuture;
use self::meter::{Meter, Running};
use crate::client::Client;

/// Names a request's route, the same for all requests that one handler serves.
type Route = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// Measures and counts the requests of a service.
#[derive(Clone)]
pub struct RequestLayer {
    client: Client,
    prefix: String,
    route: Option<Arc<Route>>,
    timers: Timers,
}

/// What a timer says beyond its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timers {
    Plain,
    WithFields,
}

impl RequestLayer {
    /// A layer that sends with `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, prefix: "http".to_owned(), route: None, timers: Timers::WithFields }
    }

    /// What the names of timer and counters begin with; `http` by default.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Names the route of a request for the field `route`: the pattern that matched, not the path.
    #[must_use]
    pub fn route(self, route: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { route: Some(Arc::new(route)), ..self }
    }

    /// Timers are plain ones, which a client that sums sums.
    #[must_use]
    pub fn without_fields(self) -> Self {
        Self { timers: Timers::Plain, ..self }
    }
}

impl fmt::Debug for RequestLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLayer").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService { inner, meter: Arc::new(Meter::new(self)) }
    }
}

/// A service whose requests are measured.
#[derive(Clone)]
pub struct RequestService<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S: fmt::Debug> fmt::Debug for RequestService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for RequestService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RequestFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let running = Running::start(&self.meter, &parts);
        RequestFuture { inner: self.inner.call(Request::from_parts(parts, body)), running }
    }
}
