//! A ring of bytes for each thread, drained by the worker.

use std::sync::{Mutex, PoisonError};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{HandOff, LIMIT_BYTES, LONGEST, encode};

/// A ring cannot grow: room for four threads within the bound.
const RING_BYTES: usize = LIMIT_BYTES / 4;

/// The consumers of the rings.
#[derive(Default)]
pub(crate) struct Rings(Mutex<Vec<Consumer<u8>>>);

impl HandOff for Rings {
    type Seat = (Producer<u8>, Vec<u8>);

    fn seat(&self) -> Self::Seat {
        let (producer, consumer) = RingBuffer::new(RING_BYTES);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(consumer);
        (producer, Vec::with_capacity(LONGEST))
    }

    /// By way of a kept buffer: room for the longest message, filled with zeros first, as safe code has to, costs more.
    fn push(&self, (ring, bytes): &mut Self::Seat) -> bool {
        if ring.slots() < LONGEST {
            return false;
        }
        bytes.clear();
        encode(bytes).is_ok() && ring.push_entire_slice(bytes).is_ok()
    }

    fn drain(&self, take: &mut impl FnMut(&[u8])) {
        for ring in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if let Ok(chunk) = ring.read_chunk(ring.slots()) {
                let (first, second) = chunk.as_slices();
                take(first);
                take(second);
                chunk.commit_all();
            }
        }
    }

    fn capacity(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() * RING_BYTES
    }
}
