//! The two forms a message has outside a process: JSON ([`json`], what the original clients speak) and batches
//! ([`batch`], what this client, the sidecar and the grater speak).

pub mod batch;
pub mod json;
pub mod outline;
pub mod pack;
pub mod record;

mod header;
pub(crate) mod read;

/// No reader takes a message larger than this.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// No reader follows lists and maps nested deeper than this, the map of fields counted: the JSON parser takes 127, the
/// message itself counted, so that what one dialect brings can be written in the other.
pub const MAX_DEPTH: usize = 126;
