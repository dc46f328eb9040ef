//! Roll-up: many samples of one name become a few figures per flush interval, as etsy's statsd computes them.
//!
//! Pure arithmetic: no threads, no clock, no I/O. The owner adds samples, flushes once per interval, and keeps
//! [`Accumulators`] (they serialise) over a restart. Every sample is either taken or refused with a reason
//! ([`Added`]); whatever was sent, no figure is ever infinite or not a number.

mod accumulators;
mod books;
mod guard;
mod key;
mod lines;
mod members;
mod message;
mod options;
#[cfg(test)]
mod properties;
mod sample;
mod spread;
mod table;
mod timers;

pub use accumulators::{Accumulators, Added};
pub use books::Overflow;
pub use guard::{SourceId, Sources};
pub use key::{clean_key, message_key};
pub use lines::{Kind, Part, Rollup, Suffix};
pub use members::Members;
pub use message::{Content, Flush, ROLLUP_TYPE, Share};
pub use options::{Bin, Histogram, Naming, OptionError, PercentThreshold, Prefix, Prefixes, RollupOptions};
pub use sample::{Sample, SampleRate};
