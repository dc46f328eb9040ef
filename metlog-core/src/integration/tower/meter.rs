//! What is measured and counted of requests.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};

use http::{Method, StatusCode, request::Parts};

use super::{RequestLayer, Route, Timers};
use crate::{
    aggregate::Counter,
    client::{Client, Options, fields},
    sample::Rate,
    timer::whole_millis,
    value::Encode,
};

/// The names of one service, and where they go.
pub(super) struct Meter {
    client: Client,
    timer: String,
    timers: Timers,
    route: Option<Arc<Route>>,
    /// Responses by the first digit of their status, from 1 on.
    classes: [Counter; 5],
    errors: Counter,
    cancelled: Counter,
}

impl Meter {
    pub(super) fn new(layer: &RequestLayer) -> Self {
        let RequestLayer { client, prefix, route, timers } = layer;
        let counter = |name: &str| client.counter(&format!("{prefix}.{name}"));
        Self {
            client: client.clone(),
            timer: format!("{prefix}.request"),
            timers: *timers,
            route: route.clone(),
            classes: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| counter(&format!("status.{class}"))),
            errors: counter("errors"),
            cancelled: counter("cancelled"),
        }
    }

    /// The route by the application's own naming; none when that panics.
    fn route_of(&self, parts: &Parts) -> Option<String> {
        let route = self.route.as_ref()?;
        catch_unwind(AssertUnwindSafe(|| route(parts))).ok().flatten()
    }

    fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Response(status) => {
                let class = usize::from(status.as_u16() / 100);
                // Those beyond 599 are nobody's.
                class
                    .checked_sub(1)
                    .and_then(|class| self.classes.get(class))
                    .into_iter()
                    .for_each(Counter::incr);
            }
            Outcome::Error | Outcome::Panic => self.errors.incr(),
            Outcome::Cancelled => self.cancelled.incr(),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy)]
enum Outcome {
    Response(StatusCode),
    Error,
    Cancelled,
    Panic,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Response(_) => "response",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
        }
    }
}

/// A request under way; dropped before its end it was cancelled, or its handler has panicked.
pub(super) struct Running(Option<Open>);

struct Open {
    meter: Arc<Meter>,
    started: Instant,
    method: &'static str,
    route: Option<String>,
}

impl Running {
    pub(super) fn start(meter: &Arc<Meter>, parts: &Parts) -> Self {
        let (method, route) = match meter.timers {
            Timers::Plain => ("", None),
            Timers::WithFields => (method_name(&parts.method), meter.route_of(parts)),
        };
        Self(Some(Open { meter: Arc::clone(meter), started: Instant::now(), method, route }))
    }

    pub(super) fn responded(&mut self, status: StatusCode) {
        self.end(Outcome::Response(status));
    }

    pub(super) fn failed(&mut self) {
        self.end(Outcome::Error);
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(open) = self.0.take() {
            open.meter.count(outcome);
            open.send_timer(outcome);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(if thread::panicking() { Outcome::Panic } else { Outcome::Cancelled });
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.0.is_some()).finish()
    }
}

impl Open {
    fn send_timer(&self, outcome: Outcome) {
        let Meter { client, timer, timers, .. } = &*self.meter;
        let elapsed = self.started.elapsed();
        if *timers == Timers::Plain {
            return client.timer_send(timer, elapsed);
        }
        let status = match outcome {
            Outcome::Response(status) => Some(u32::from(status.as_u16())),
            Outcome::Error | Outcome::Cancelled | Outcome::Panic => None,
        };
        let outcome = outcome.as_str();
        let mut told: Vec<(&str, &dyn Encode)> = vec![("method", &self.method), ("outcome", &outcome)];
        told.extend(status.iter().map(|status| ("status", status as &dyn Encode)));
        told.extend(self.route.iter().map(|route| ("route", route as &dyn Encode)));
        let options = Options { fields: fields(&told), ..Options::default() };
        client.timer_send_with(timer, whole_millis(elapsed), Rate::ALL, options);
    }
}

/// The method, when it is one of HTTP's own: others are the client's to invent.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [(&Method, &str); 9] = [
        (&Method::GET, "GET"),
        (&Method::POST, "POST"),
        (&Method::PUT, "PUT"),
        (&Method::PATCH, "PATCH"),
        (&Method::DELETE, "DELETE"),
        (&Method::HEAD, "HEAD"),
        (&Method::OPTIONS, "OPTIONS"),
        (&Method::CONNECT, "CONNECT"),
        (&Method::TRACE, "TRACE"),
    ];
    KNOWN.iter().find(|(known, _)| *known == method).map_or("other", |(_, name)| name)
}
