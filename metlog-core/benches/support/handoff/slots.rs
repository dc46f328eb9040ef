//! One array of slots of 208 bytes that all threads share.

use crossbeam_queue::ArrayQueue;

use super::{HandOff, LIMIT_BYTES, LONGEST, encode};

struct Slot {
    length: usize,
    bytes: [u8; LONGEST],
}

/// The slots.
pub(crate) struct Slots(ArrayQueue<Slot>);

impl Default for Slots {
    fn default() -> Self {
        Self(ArrayQueue::new(LIMIT_BYTES / size_of::<Slot>()))
    }
}

impl HandOff for Slots {
    type Seat = Vec<u8>;

    fn seat(&self) -> Vec<u8> {
        Vec::with_capacity(LONGEST)
    }

    fn push(&self, bytes: &mut Vec<u8>) -> bool {
        // Asked before the message is built.
        if self.0.is_full() {
            return false;
        }
        bytes.clear();
        let mut slot = Slot { length: 0, bytes: [0; LONGEST] };
        let Some(place) = encode(bytes).ok().and_then(|()| slot.bytes.get_mut(..bytes.len())) else {
            return false;
        };
        place.copy_from_slice(bytes);
        slot.length = bytes.len();
        self.0.push(slot).is_ok()
    }

    fn drain(&self, take: &mut impl FnMut(&[u8])) {
        while let Some(slot) = self.0.pop() {
            take(slot.bytes.get(..slot.length).unwrap_or_default());
        }
    }

    fn capacity(&self) -> usize {
        self.0.capacity() * size_of::<Slot>()
    }
}
