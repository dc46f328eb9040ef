//! Parser of statsd packets: `name:value|type[|@rate][:value|type..][|#tags]`, one or more lines to a packet.
//!
//! One pass over the bytes, borrowed and without allocation. It reads etsy's lines and dogstatsd's additions: `h` and
//! `d`, tags, packed values (`a:1:2:3|ms`), container ids, timestamps, events (`_e{`) and service checks (`_sc|`). What
//! makes etsy's daemon count wrongly or stop (`1e999`, `@0`, `@ 5`, an unknown type taken for a counter) is malformed
//! here, has a reason, and spoils nothing else in its packet.

mod event;
mod line;
mod malformed;
mod metric;
mod number;

pub use event::{Check, Event, Meta};
pub use line::lines;
pub use malformed::Malformed;
pub use metric::Metric;

/// Longest name or set member: both are kept in memory, and Graphite makes a path of at most 4,096 bytes from a name.
pub const MAX_WORD: usize = 1_024;

/// One well-formed item of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// A value to be rolled up.
    Metric(Metric<'a>),
    /// A dogstatsd event, which becomes a message.
    Event(Event<'a>),
    /// A dogstatsd service check, which becomes a message.
    Check(Check<'a>),
}

#[cfg(test)]
mod tests;
