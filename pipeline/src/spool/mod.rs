//! The spool: what a daemon has taken in, kept on disk until every consumer is done with it.
//!
//! A record is one opaque batch frame with an ordinal (1, 2, 3, ...) and, when it came over a link, the sender and
//! the sequence number it had there. [`Spool::append`] writes, the thread `spool-sync` makes it safe, and each
//! [`Reader`] hands out what is safe, behind a [`Checkpoint`] of its own.
//!
//! ```text
//! dir/lock                        held by the daemon that uses the spool
//! dir/meta.0, meta.1              identity and last ordinal, a checkpoint (layout in checkpoint.rs)
//! dir/<first ordinal>.seg         segments (layout in segment.rs and record.rs)
//! dir/damaged/                    bytes that could not be read, and segments without a readable header
//! ```
//!
//! Invariants:
//! - Readers see a record only after a sync that succeeded (`durability = "sync"`).
//! - An ordinal names one record for ever (numbers.rs). Ordinals rise, but they can jump: over records that were
//!   damaged, given up after a failed sync, or cut off with a torn tail. Consumers and links must accept a jump.
//! - A segment is deleted once every consumer has saved a checkpoint behind it and the next one is on the disk.
//! - A sync that failed is never repeated and then believed. See [`Spool::outcome`] for how an appender learns of it.
//! - Opening never refuses because of what the bytes say: it cuts, skips, sets aside, counts and reports.
//!
//! Locks: `writer` (held during a write) before `index` (held for a few lines). No lock is held during a sync, but
//! `writer` while what a failed one has left is cut off, while buffered ordinals are reserved, and while the last segment
//! makes room for a new one.
//!
//! All of it goes through the traits of files.rs; model.rs runs it over a file system that forgets and tears
//! (simulated.rs). What that tries and found: docs/durability.md.
//!
//! The owner calls [`Spool::close`]. Handles are clones and do nothing when dropped.

mod check;
mod checkpoint;
mod damage;
mod error;
mod files;
mod handle;
mod identity;
mod index;
pub mod inspect;
mod numbers;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
mod stats;
mod sync;
mod writer;

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crash;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_flips;
#[cfg(test)]
mod tests_inspect;
#[cfg(test)]
mod tests_model;

pub use checkpoint::Checkpoint;
pub use error::{AppendError, SpoolError};
pub use handle::{Durability, Spool, SpoolOptions};
pub use identity::{LinkTag, SenderId};
pub use reader::Reader;
pub use record::{MAX_FRAME_BYTES, NewRecord, Record};
pub use recovery::Recovery;
pub use stats::{Outcome, SpoolStats};
