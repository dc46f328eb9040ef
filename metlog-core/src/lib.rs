//! The Metlog client: typed messages, counters, gauges and timers that cost the application almost nothing.
//!
//! A call encodes its message on the calling thread into a bounded hand-off ([`queue`]); one thread named
//! `metlog-worker` ([`worker`]) frames batches ([`wire::batch`]) and gives them to a [`sender`]. A call never waits,
//! never fails and never does I/O: what cannot be taken is refused and counted ([`stats`]).
//!
//! ```
//! use metlog_core::{Client, Options, fields, sender};
//!
//! let (memory, captured) = sender::memory::channel();
//! let client = Client::builder().logger("syncstorage").sender(memory).build();
//! client.incr("sync.auth.ok");
//! client.metlog("services", Options { fields: fields(&[("userid", &25)]), ..Options::default() });
//! client.close(std::time::Duration::from_secs(2));
//! assert_eq!(captured.messages().len(), 2);
//! ```

pub mod aggregate;
pub mod cef;
mod channel;
pub mod client;
mod clock;
pub mod config;
#[cfg_attr(not(feature = "exceptions"), expect(dead_code, reason = "only exceptions are deferred"))]
mod deferred;
pub mod error;
#[cfg(feature = "exceptions")]
pub mod exception;
pub mod filter;
pub mod integration;
pub mod link;
pub mod message;
pub mod process;
pub mod queue;
pub mod sample;
pub mod sender;
pub mod sketch;
pub mod stats;
pub mod timer;
pub mod timestamp;
pub mod value;
pub mod wire;
pub mod worker;

mod hex;

pub use client::{Client, ClientBuilder, Options, fields};
pub use error::{Error, ErrorKind};
pub use message::{ENV_VERSION, Message, Severity};
pub use timestamp::Timestamp;
pub use value::{Encode, Fields, Value};
