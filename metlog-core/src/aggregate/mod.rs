//! Aggregation in the client: counters, gauges and timers are summed where they happen and leave once per interval.
//!
//! Every thread adds to a cell of its own (`cells.rs`): a load and a store, no lock, no atomic addition. A cell is a
//! running total that only its thread writes and nobody resets, so the worker reads it at any time: [`Aggregates::flush`]
//! remembers what it has given away of every name and gives the difference. Nothing is lost when a thread ends (its
//! cells go on with the next thread), when a flush runs at the same time, or when what a flush gives is not taken.
//!
//! | what | leaves as | payload | fields |
//! |---|---|---|---|
//! | [`Counter`] | `counter` | the sum of the interval | `name`, `rate` 1 |
//! | [`Gauge`] | `gauge` | the last value | `name`, `rate` 1 |
//! | [`Timer`] | `timer_sketch` | empty | see [`crate::sketch`] |
//!
//! A name that did not move in an interval sends nothing.
//!
//! # Bound
//! A client has at most `max_names` names of all kinds, for its whole life. What is added to further names, and to names
//! of more than 1,024 bytes, goes to the series [`OVERFLOW_NAME`] of the same kind, and each such call counts one for
//! the counter [`OVERFLOW_CALLS`]. A name costs about 400 bytes, and 64 in each thread that counts it; a timer 1.5 KiB in
//! each thread, and 400 bytes for each power of two its times fall into.
//!
//! # Forks
//! A child starts from zero: its threads get cells that the parent never had, and its first call makes a new list of
//! what to flush. What the parent counted stays the parent's.
//!
//! # Cost
//! `cargo bench -p metlog-core --bench aggregate`, nanoseconds, medians of 7 rounds of one run on two shared cores; a
//! thread flushes every 10 ms meanwhile:
//!
//! | what | measured | bar |
//! |---|---|---|
//! | counter, kept handle | 2.2 | 6.1: 3 x a thread-local load and store (2.0); 6.5: prometheus `IntCounter` |
//! | counter by name, 32 names in turn | 27.8 | 34.1: 1.5 x an own map with foldhash (22.8) |
//! | timer start and stop, kept handle | 48.9 | 62.1: 1.5 x two `quanta` readings (28.1) + 20 |
//! | of which to record | 16.9 | |
//! | gauge, kept handle | 1.8 | |
//!
//! In two runs one after the other on a quieter machine, to record cost 8.8 with the flag of `sketch/shared.rs` and 21.8
//! with a mutex in its place.

mod cells;
mod counter;
mod gauge;
mod message;
mod names;
mod registry;
mod series;
mod threads;
mod timer;

pub use counter::Counter;
pub use gauge::Gauge;
pub use message::Aggregate;
pub use registry::{Aggregates, OVERFLOW_CALLS, OVERFLOW_NAME};
pub use timer::{Running, Timer};

#[cfg(test)]
mod tests;
