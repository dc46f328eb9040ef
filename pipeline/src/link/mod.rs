//! One acknowledged hop between daemons: [`sender`] reads the spool of this one, [`receiver`] writes that of the next.
//! A [`courier`] brings what a tool holds in its hand.
//!
//! The frames and the window are [`metlog_core::link`]; the link sequence of a record is its ordinal in the spool.

mod config;
pub mod courier;
mod packing;
pub mod receiver;
pub mod sender;

pub use config::ForwardConfig;
pub use packing::Compression;

/// Bytes that may be unacknowledged on one link.
pub const CREDIT_BYTES: u64 = 8 * 1024 * 1024;
