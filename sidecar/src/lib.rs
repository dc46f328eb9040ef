//! The parts of `metlog-sidecar`: what enters a host and is rolled up and forwarded.

pub mod statsd;
