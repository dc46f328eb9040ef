//! Who sends on a link, and the place of a record in a link's sequence.

use serde::{Deserialize, Serialize};

pub use metlog_core::link::SenderId;

/// Where a record stood on the link it came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkTag {
    /// Who sent it.
    pub sender: SenderId,
    /// Its number in the sender's sequence.
    pub sequence: u64,
}
