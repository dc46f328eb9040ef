//! What the libraries of a Rust service say, as messages: each behind a cargo feature of its name, none on by default.
//!
//! | feature | module | what becomes a message |
//! |---|---|---|
//! | `log` | `integration::log` | each record of the `log` crate, its key-values as fields |
//! | `tracing` | `integration::tracing` | each event with its fields and those of the spans around it; each span a timer |
//! | `tower` | `integration::tower` | each HTTP request a timer; responses, errors and cancelled requests are counted |
//! | `panic` | `integration::panic` | each panic, with its backtrace, as a `sentry` message |
//!
//! All of them keep what the client promises: a call never waits and never fails. Values are turned into text before
//! anything of the client is touched and without a lock held, so a value may itself log while it is written, and one
//! that panics costs its own message (refused as `encode`). What the client's own threads say is refused as `filtered`:
//! a batch that caused the next one would never end.

#[cfg(any(feature = "log", feature = "tracing"))]
mod draft;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "panic")]
pub mod panic;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;

/// The page for users: its examples are tests as well.
#[cfg(all(doctest, feature = "log", feature = "panic", feature = "tower", feature = "tracing"))]
#[doc = include_str!("../../../docs/rust.md")]
struct Page;
