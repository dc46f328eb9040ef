//! The sidecar: [`input`]s take what applications send, the [`rollup`] sums counters, timers and gauges, everything else
//! is forwarded to the next hop.

pub mod config;
pub mod daemon;
pub mod filter;
pub mod formatter;
pub mod input;
pub mod metric;
pub mod rollup;
pub mod statsd;
