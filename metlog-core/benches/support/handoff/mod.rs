//! The candidates of the hand-off, each as small as it can be: no books, no wake-ups, only the way of the bytes.

pub(crate) mod chunks;
pub(crate) mod ours;
pub(crate) mod pooled;
pub(crate) mod rings;
pub(crate) mod slots;
pub(crate) mod stolen;

use std::io::Write;

use rmp::encode::{ValueWriteError, write_array_len, write_map_len, write_sint, write_str, write_uint};

/// Bytes of messages that a candidate holds at most.
pub(crate) const LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// No message of this benchmark is longer.
pub(crate) const LONGEST: usize = 208;

/// A way of messages from many threads to one.
pub(crate) trait HandOff: Default + Send + Sync {
    /// What one thread keeps of it. What it still holds when it goes is handed over.
    type Seat: Send;

    /// A place for the calling thread.
    fn seat(&self) -> Self::Seat;

    /// Encodes one message into it; false when it is full.
    fn push(&self, seat: &mut Self::Seat) -> bool;

    /// Gives all that was handed over to `take`, in order for each thread.
    fn drain(&self, take: &mut impl FnMut(&[u8]));

    /// Memory that is held for messages.
    fn capacity(&self) -> usize;
}

/// The message: as in the other benchmarks, with a field more, so that it has some 200 bytes.
pub(crate) fn encode(out: &mut impl Write) -> Result<(), ValueWriteError> {
    write_array_len(out, 6)?;
    write_str(out, "services")?;
    write_uint(out, 6)?;
    write_str(out, "syncstorage")?;
    write_sint(out, 1_795_302_838_000_000_000)?;
    write_str(out, "this is the payload!")?;
    write_map_len(out, 4)?;
    write_str(out, "userid")?;
    write_sint(out, 25)?;
    write_str(out, "req_time")?;
    write_sint(out, 4)?;
    write_str(out, "path")?;
    write_str(out, "/1.1/bookmarks")?;
    write_str(out, "agent")?;
    write_str(out, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 sync/1.2.3")?;
    Ok(())
}

/// How long it is.
pub(crate) fn message_bytes() -> usize {
    let mut bytes = Vec::with_capacity(LONGEST);
    let _infallible = encode(&mut bytes);
    bytes.len()
}
