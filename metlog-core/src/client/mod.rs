//! The client: what an application calls.

#[cfg(feature = "exceptions")]
use crate::queue::Room;

mod builder;
mod options;
mod template;

use std::{
    collections::HashSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use crate::{
    aggregate::{Aggregates, Counter},
    channel::{Channel, Live},
    error::Error,
    filter::{Filter, Front},
    message::Severity,
    sample::Rate,
    stats::{Reason, Stats},
    timer::Timer,
    value::Encode,
    wire::record::{self, Head},
};

pub use builder::ClientBuilder;
use options::{Call, given_identity};
pub use options::{FieldSet, Options, fields};
pub use template::Template;

pub use crate::{channel::close_all, value::Count};

/// What a close has left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Messages that have left: taken by the sender, and acknowledged where it waits for that.
    pub sent: u64,
    /// Messages still in the hand-off.
    pub waiting: u64,
    /// Messages given up after they were accepted.
    pub dropped: u64,
}

/// A cheap handle: clones share one hand-off and one worker. It has no duty on drop: [`Client::close`], the end of the
/// process, or the worker after the last handle is gone, sends what is left.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    logger: String,
    severity: Severity,
    /// Plain rules, looked at before anything else.
    front: Front,
    disabled_timers: HashSet<String>,
    /// Whether calls by name are summed.
    aggregate: bool,
    filters: Vec<Box<dyn Filter>>,
    channel: Arc<Channel>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("logger", &self.0.logger).finish_non_exhaustive()
    }
}

/// A counter, gauge or timer.
struct Metric<'a> {
    kind: &'a str,
    name: &'a str,
    payload: &'a Count,
    rate: Rate,
}

/// Log levels by name: severity and method.
macro_rules! levels {
    ($($name:ident $severity:ident),+ $(,)?) => {$(
        #[doc = concat!("Sends `text` as an `oldstyle` message of severity ", stringify!($severity), ".")]
        pub fn $name(&self, text: &str) {
            self.log(Severity::$severity, text, Options::default());
        }
    )+};
}

impl Client {
    /// Starts to set one up.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The logger of messages that name no other.
    #[must_use]
    pub fn logger(&self) -> &str {
        &self.0.logger
    }

    /// False when messages of this severity are refused whatever they say.
    #[must_use]
    pub fn is_enabled(&self, severity: Severity) -> bool {
        !self.0.front.refuses_severity(severity)
    }

    /// Sends a message of any type. Never waits, never fails: what is refused is counted.
    #[inline]
    pub fn metlog(&self, kind: &str, options: Options<'_>) {
        let severity = options.severity.unwrap_or(self.0.severity);
        if !self.refuses(severity, kind) {
            let payload = options.payload.unwrap_or(&"");
            self.send(&Call { kind, severity, payload, options: &options, own: &[] });
        }
    }

    /// Counts one.
    pub fn incr(&self, name: &str) {
        self.incr_with(name, Count::Int(1), Rate::ALL, Options::default());
    }

    /// Counts `count`, sending a share `rate` of the calls. `options.payload` is not used.
    pub fn incr_with(&self, name: &str, count: Count, rate: Rate, options: Options<'_>) {
        if let Some(aggregates) = self.summed(&options) {
            return aggregates.incr_count(name, count);
        }
        if rate.sample() {
            self.send_metric(&Metric { kind: "counter", name, payload: &count, rate }, &options);
        }
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: f64) {
        self.gauge_with(name, Count::Float(value), Rate::ALL, Options::default());
    }

    /// Sets a gauge, sending a share `rate` of the calls. `options.payload` is not used.
    pub fn gauge_with(&self, name: &str, value: Count, rate: Rate, options: Options<'_>) {
        if let Some(aggregates) = self.summed(&options) {
            return aggregates.set(name, value.as_f64());
        }
        if rate.sample() {
            self.send_metric(&Metric { kind: "gauge", name, payload: &value, rate }, &options);
        }
    }

    /// Measures until the guard is dropped.
    pub fn timer(&self, name: &str) -> Timer {
        self.timer_sampled(name, Rate::ALL)
    }

    /// Measures a share `rate` of the calls until the guard is dropped.
    pub fn timer_sampled(&self, name: &str, rate: Rate) -> Timer {
        Timer::start(self.clone(), name, if self.measures(name) { rate } else { Rate::NONE })
    }

    /// False for a timer that the configuration has switched off.
    fn measures(&self, name: &str) -> bool {
        let disabled = &self.0.disabled_timers;
        disabled.is_empty() || !(disabled.contains(name) || disabled.contains("*"))
    }

    /// Sends a time that was measured elsewhere, in whole milliseconds.
    pub fn timer_send(&self, name: &str, elapsed: Duration) {
        self.timer_send_sampled(name, elapsed, Rate::ALL);
    }

    /// Sends a time of which a share `rate` is measured.
    pub(crate) fn timer_send_sampled(&self, name: &str, elapsed: Duration, rate: Rate) {
        match self.summed(&Options::default()) {
            Some(aggregates) => aggregates.record(name, elapsed),
            None => self.timer_send_with(name, crate::timer::whole_millis(elapsed), rate, Options::default()),
        }
    }

    /// Sends a time in milliseconds. The rate says how it was sampled; this call always sends. `options.payload` is not
    /// used.
    pub fn timer_send_with(&self, name: &str, millis: i64, rate: Rate, options: Options<'_>) {
        if let Some(aggregates) = self.summed(&options) {
            return aggregates.record_millis(name, Count::Int(millis).as_f64());
        }
        self.send_metric(&Metric { kind: "timer", name, payload: &Count::Int(millis), rate }, &options);
    }

    /// A handle that counts for the cost of a load and a store, and leaves once per interval as one message.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        self.0.channel.aggregates.counter(name)
    }

    /// Counters, gauges and timers that are summed in the process, by handle and by name.
    #[must_use]
    pub fn aggregates(&self) -> &Aggregates {
        &self.0.channel.aggregates
    }

    /// The sums, when calls are to be summed and this one says nothing but its name and value.
    fn summed(&self, options: &Options<'_>) -> Option<&Aggregates> {
        (self.0.aggregate && options.is_plain()).then_some(&self.0.channel.aggregates)
    }

    /// Sends `text` as an `oldstyle` message.
    pub fn log(&self, severity: Severity, text: &str, options: Options<'_>) {
        if self.0.front.refuses_severity(severity) {
            return self.0.channel.filter();
        }
        let kind = "oldstyle";
        if !self.refuses(severity, kind) {
            self.send(&Call { kind, severity, payload: &text, options: &options, own: &[] });
        }
    }

    levels! {
        debug DEBUG,
        info INFORMATIONAL,
        notice NOTICE,
        warning WARNING,
        error ERROR,
        critical CRITICAL,
        alert ALERT,
        emergency EMERGENCY,
    }

    fn send_metric(&self, metric: &Metric<'_>, options: &Options<'_>) {
        let severity = options.severity.unwrap_or(self.0.severity);
        if !self.refuses(severity, metric.kind) {
            let own: [(&str, &dyn Encode); 2] = [("name", &metric.name), ("rate", &metric.rate.get())];
            self.send(&Call { kind: metric.kind, severity, payload: metric.payload, options, own: &own });
        }
    }

    /// Plain rules first, before anything is set up for the rest; what they refuse is counted.
    #[inline]
    fn refuses(&self, severity: Severity, kind: &str) -> bool {
        let refused = self.0.front.refuses(severity, kind);
        if refused {
            self.0.channel.filter();
        }
        refused
    }

    /// All that the call says goes by one reference: copied from place to place it cost 35 ns, most of that because what
    /// was just stored piece by piece was loaded as one.
    #[inline(never)]
    fn send(&self, call: &Call<'_>) {
        let head = || call.head(&self.0.logger);
        self.hand_off(head, |live, out| {
            let identity = given_identity(call.options, live.identity());
            record::write(out, &head(), identity.as_ref(), |out| call.encode_content(out))
        });
    }

    /// Hands over the record that `write` appends, when the filters let `head` pass.
    #[inline]
    fn hand_off<'a>(
        &self,
        head: impl FnOnce() -> Head<'a>,
        write: impl Fn(&Live, &mut Vec<u8>) -> Result<(), Error>,
    ) {
        let inner = &self.0;
        let passed = inner.pass(head);
        inner.channel.seated(|seat| {
            // Nothing is built, and no clock read, for a hand-off that takes nothing.
            if let Err(reason) = passed.and_then(|()| seat.live.queue.admit()) {
                return seat.writer.refuse(reason);
            }
            let pushed = seat.live.queue.push(&seat.writer, |out| write(&seat.live, out));
            // The worker also tells of what was refused.
            if pushed.is_ok() || pushed == Err(Reason::TooBig) {
                seat.live.start_worker(&inner.channel);
            }
        });
    }

    /// Has `work` done on a thread of its own, with this client and `bytes` of the hand-off's room, which it lets go of
    /// just before it sends; refuses and counts what finds none, panics, or is given up.
    #[cfg(feature = "exceptions")]
    pub(crate) fn defer(&self, bytes: usize, work: impl FnOnce(&Self, Room) + Send + 'static) {
        let live = self.0.channel.live();
        let client = self.clone();
        let pushed = Room::take(&live.queue, bytes).and_then(|room| {
            // Before the work is, so that the end of the process knows of it.
            live.start_worker(&client.0.channel);
            live.deferred.push(Box::new(move |word| {
                let work = || catch_unwind(AssertUnwindSafe(|| work(&client, room)));
                if let Err(reason) = word.and_then(|()| work().map_err(|_| Reason::Encode)) {
                    client.refuse(reason);
                }
            }))
        });
        if let Err(reason) = pushed {
            self.refuse(reason);
        }
    }

    /// Waits until what was deferred has become messages, at most `timeout`.
    #[cfg(feature = "exceptions")]
    pub(crate) fn finish_deferred(&self, timeout: Duration) {
        self.0.channel.live().deferred.finish(timeout);
    }

    /// Counts a message that a language's face could not convert.
    pub fn refuse(&self, reason: Reason) {
        self.0.channel.seated(|seat| seat.writer.refuse(reason));
    }

    /// The books at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let live = self.0.channel.live();
        live.shared.stats(&live.queue)
    }

    /// Waits until what was sent before this call has left, at most `timeout`; true when it has.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.0.channel.live().flush(timeout)
    }

    /// Sends what is left, sums included, at most `timeout` long, and ends the worker. Later calls are refused and counted,
    /// but for those that sum: what handles and summed calls add after the end goes nowhere. All clones share this end.
    pub fn close(&self, timeout: Duration) -> Report {
        let live = self.0.channel.live();
        live.close(timeout);
        let stats = live.shared.stats(&live.queue);
        Report { sent: stats.sent, waiting: stats.waiting, dropped: stats.dropped.total() }
    }
}

impl Inner {
    /// Runs the filters; one that panics has refused.
    fn pass<'a>(&self, head: impl FnOnce() -> Head<'a>) -> Result<(), Reason> {
        if self.filters.is_empty() {
            return Ok(());
        }
        let head = head();
        let all = || self.filters.iter().all(|filter| filter.keep(&head));
        match catch_unwind(AssertUnwindSafe(all)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Reason::Filtered),
            Err(_) => Err(Reason::FilterError),
        }
    }
}
