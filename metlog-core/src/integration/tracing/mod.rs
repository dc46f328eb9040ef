//! Events and spans of `tracing` as messages (feature `tracing`): a layer for `tracing-subscriber`.
//!
//! | of the event | in the message |
//! |---|---|
//! | | `type` is `log`, or what [`MetlogLayer::kind`] says |
//! | level error, warn, info, debug, trace | `severity` 3, 4, 6, 7, 7 |
//! | the text | `payload`, cut at 64 KiB |
//! | target, module, file, line | fields `target`, `module`, `file`, `line` |
//! | names of the spans around it, outermost first | field `span`, a list; left out when there is none |
//! | fields of these spans | fields of their names; the nearest span wins |
//! | its own fields | fields of their names: integers, floats, booleans, text, bytes; an error is text with its sources; anything else is text as its `Debug` prints. They win over all the above. |
//!
//! A span that closes is a timer of its name, from its opening to its closing, with what it waited for in between. It
//! goes the way of `Client::timer`: a `timer` message, or summed where the client sums. With
//! [`MetlogLayer::timers_with_fields`] each carries the span's fields and how long a thread was in it. As with any
//! timer, keep the names of spans few and put what varies into fields.
//!
//! The layer asks for every level. Bound it with a filter of its own, which other layers do not feel:
//!
//! ```
//! use metlog_core::{Client, integration::tracing::MetlogLayer, sender};
//! use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};
//!
//! let (memory, captured) = sender::memory::channel();
//! let client = Client::builder().logger("bookmarks").sender(memory).build();
//! tracing_subscriber::registry().with(MetlogLayer::new(client.clone()).with_filter(LevelFilter::INFO)).init();
//!
//! tracing::info_span!("import", user = 25).in_scope(|| tracing::info!(added = 3, "done"));
//!
//! client.close(std::time::Duration::from_secs(2));
//! let messages = captured.messages();
//! assert_eq!((messages[0].kind.as_str(), messages[0].payload.as_text()), ("log", Some("done")));
//! assert_eq!(messages[0].fields.get("user"), Some(&25.into()));
//! assert_eq!(messages[1].fields.get("name"), Some(&"import".into())); // the timer
//! ```

mod span;
#[cfg(test)]
mod tests;
mod visit;

use tracing_core::{
    Event, Level, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::{LookupSpan, Scope, SpanRef},
};

use self::{
    span::{KeptFields, OpenSpan},
    visit::{EventFields, SpanFields},
};
use super::draft::{self, Draft};
use crate::{
    client::{Client, Options},
    message::Severity,
    sample::Rate,
    stats::{Reason, complain},
    timer::whole_millis,
};

/// Spans around an event that are told, the nearest ones: recursion opens any number.
const MAX_SPANS: usize = 64;

/// A layer that sends events as messages and spans as timers.
#[derive(Debug, Clone)]
pub struct MetlogLayer {
    client: Client,
    kind: String,
    timers: Timers,
}

/// What becomes of a span that closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timers {
    Off,
    Plain,
    WithFields,
}

impl MetlogLayer {
    /// A layer that sends with `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, kind: "log".to_owned(), timers: Timers::Plain }
    }

    /// The `type` of the messages that events become; `log` by default.
    #[must_use]
    pub fn kind(self, kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..self }
    }

    /// Each timer carries `target`, the span's fields, and `busy`: how long a thread was in the span, in milliseconds.
    /// A call that has fields is never summed, so each span is a message of its own.
    #[must_use]
    pub fn timers_with_fields(self) -> Self {
        Self { timers: Timers::WithFields, ..self }
    }

    /// Spans become no timers; their fields are those of the events within all the same.
    #[must_use]
    pub fn without_timers(self) -> Self {
        Self { timers: Timers::Off, ..self }
    }

    fn write<S>(&self, event: &Event<'_>, context: &Context<'_, S>, draft: &mut Draft)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        draft.field("target", metadata.target());
        metadata.module_path().into_iter().for_each(|module| draft.field("module", module));
        metadata.file().into_iter().for_each(|file| draft.field("file", file));
        metadata.line().into_iter().for_each(|line| draft.field("line", &line));
        // Values first: what they run must not find a span locked.
        let own = draft.end();
        event.record(&mut EventFields(draft));
        if let Some(spans) = context.event_scope(event) {
            add_spans(draft, own, spans);
        }
        draft.send(&self.client, &self.kind, severity(*metadata.level()));
    }

    /// The fields are looked at under the span's lock: they are encoded already and run no code.
    fn send_timer<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>, draft: &mut Draft) {
        let total = {
            let extensions = span.extensions();
            let Some(open) = extensions.get::<OpenSpan>() else { return };
            draft.field("target", span.metadata().target());
            draft.field("busy", &(open.busy().as_secs_f64() * 1e3));
            draft.insert(draft.end(), open.fields.lengths.len(), &open.fields.pairs);
            open.total()
        };
        let options = Options { fields: draft.fields(), ..Options::default() };
        self.client.timer_send_with(span.name(), whole_millis(total), Rate::ALL, options);
    }
}

impl<S> Layer<S> for MetlogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let fields = kept_fields(|fields| attributes.record(fields));
        // Not `insert`, which panics when another layer was here before.
        span.extensions_mut().replace(OpenSpan::new(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let fields = kept_fields(|fields| values.record(fields));
        with_open(&span, |open| open.fields.merge(fields));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if self.timers == Timers::WithFields
            && let Some(span) = context.span(id)
        {
            with_open(&span, OpenSpan::enter);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if self.timers == Timers::WithFields
            && let Some(span) = context.span(id)
        {
            with_open(&span, OpenSpan::exit);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !self.client.is_enabled(severity(*event.metadata().level())) {
            return self.client.refuse(Reason::Filtered);
        }
        if let Err(reason) = draft::compose(|draft| self.write(event, &context, draft)) {
            self.client.refuse(reason);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        match self.timers {
            Timers::Plain if !draft::is_own_thread() => {
                let total = span.extensions().get::<OpenSpan>().map(OpenSpan::total);
                total.into_iter().for_each(|total| self.client.timer_send(span.name(), total));
            }
            Timers::WithFields => {
                if let Err(reason) = draft::compose(|draft| self.send_timer(&span, draft)) {
                    self.client.refuse(reason);
                }
            }
            Timers::Off | Timers::Plain => {}
        }
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::ERROR,
        Level::WARN => Severity::WARNING,
        Level::INFO => Severity::INFORMATIONAL,
        _ => Severity::DEBUG,
    }
}

/// Puts names and fields of the spans before the fields from `own` on, so that the nearer ones come later and win.
fn add_spans<'a, S: LookupSpan<'a>>(draft: &mut Draft, own: usize, spans: Scope<'a, S>) {
    let mut told = 0;
    for span in spans.take(MAX_SPANS) {
        draft.list_first(span.name());
        if let Some(open) = span.extensions().get::<OpenSpan>() {
            draft.insert(own, open.fields.lengths.len(), &open.fields.pairs);
        }
        told += 1;
    }
    draft.insert_list(own, "span", told);
}

/// The fields that `record` visits; none when a value panicked.
fn kept_fields(record: impl FnOnce(&mut SpanFields<'_>)) -> KeptFields {
    let composed = draft::compose(|draft| {
        let mut lengths = Vec::new();
        record(&mut SpanFields { draft, lengths: &mut lengths });
        KeptFields { lengths, pairs: draft.encoded().to_vec() }
    });
    composed.unwrap_or_else(|reason| {
        if reason == Reason::Encode {
            complain("span", "a value panicked while it was written: a span goes on without these fields");
        }
        KeptFields::default()
    })
}

/// Changes what is kept of a span; `change` runs no code of the application, for the span is locked.
fn with_open<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, change: impl FnOnce(&mut OpenSpan)) {
    if let Some(open) = span.extensions_mut().get_mut::<OpenSpan>() {
        change(open);
    }
}
