//! Roll-up: many samples of one name become a few figures per flush interval, as etsy's statsd computes them.
//!
//! Pure arithmetic: no threads, no clock, no I/O. The owner adds samples, flushes once per interval, and keeps
//! [`Accumulators`] (they serialise) over a restart. Every sample is either taken or refused with a reason
//! ([`Added`]); whatever was sent, no figure is ever infinite or not a number.

mod accumulators;
mod key;
mod lines;
mod options;
#[cfg(test)]
mod properties;
mod sample;
mod spread;
mod timers;

pub use accumulators::{Accumulators, Added, Overflow};
pub use key::{clean_key, message_key};
pub use lines::{Kind, Rollup, Suffix};
pub use options::{OptionError, PercentThreshold, Prefix, Prefixes, RollupOptions};
pub use sample::{Sample, SampleRate};
