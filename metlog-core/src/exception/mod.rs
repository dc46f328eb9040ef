//! Exceptions as `sentry` messages: one event model for Python, Node and Rust.
//!
//! A face fills an [`Event`] and gives it to `Client::exception_event`; from there on every language is alike: the
//! fingerprint is taken ([`fingerprint`]), secrets are masked and everything is bounded ([`bound`], [`scrub`]), and the
//! event travels as the payload the original client sent ([`raven`]).
//!
//! In Rust, [`Pending`] captures an error or a panic where it happens, which costs a walk of the stack. Names, files and
//! source lines are looked up by a thread that has the time.
//!
//! ```
//! use metlog_core::{Client, sender};
//!
//! let (memory, captured) = sender::memory::channel();
//! let client = Client::builder().sender(memory).build();
//! let error = "12x".parse::<i32>().unwrap_err();
//! client.exception(&error);
//! client.close(std::time::Duration::from_secs(2));
//! assert_eq!(captured.messages()[0].kind, "sentry");
//! ```

pub mod bound;
mod client;
mod dsn;
mod event;
pub mod fingerprint;
mod panic;
mod pending;
pub mod raven;
mod rust;
pub mod scrub;
mod source;
mod stack;

pub use client::bounded_payload;
pub use dsn::Dsn;
pub use event::{Event, Exception, Frame, LEVEL_ERROR, Relation};
pub use panic::install_panic_hook;
pub use pending::Pending;
pub use source::SourceCache;
