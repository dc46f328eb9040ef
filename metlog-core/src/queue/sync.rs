//! What the hand-off is made of. The models of `tests/loom.rs` put their own in its place.
#![expect(
    unsafe_code,
    reason = "one thread reads the beginning of a piece of memory while another writes its end: no safe type allows it"
)]

pub(super) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering},
};
use std::{mem::MaybeUninit, ops::Range, ptr::NonNull};

/// Bytes that one thread appends to while another reads what was appended before.
pub(super) struct Memory {
    start: NonNull<MaybeUninit<u8>>,
    capacity: usize,
}

// SAFETY: the memory is owned, bytes have no ties to a thread.
unsafe impl Send for Memory {}

// SAFETY: `write` and `with` say what must be ordered between threads; nothing else touches the bytes.
unsafe impl Sync for Memory {}

impl Memory {
    /// Room for `capacity` bytes. What is never written takes no memory, but address space.
    pub(super) fn new(capacity: usize) -> Self {
        let bytes: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(capacity);
        let start = NonNull::from(Box::leak(bytes)).cast();
        Self { start, capacity }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Writes `bytes` at `at`.
    ///
    /// # Safety
    /// The range lies within the capacity, and no other thread reads or writes any of it until this has returned.
    pub(super) unsafe fn write(&self, at: usize, bytes: &[u8]) {
        // SAFETY: the range is within one allocation, and nobody else touches it, as the caller promises; `bytes` cannot
        // overlap memory that nobody may have a reference to.
        unsafe {
            self.start.as_ptr().cast::<u8>().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        };
    }

    /// Gives the bytes of `range` to `take`.
    ///
    /// # Safety
    /// Every byte of the range was written, that write happened before, and none is written until this has returned.
    pub(super) unsafe fn with<T>(&self, range: Range<usize>, take: impl FnOnce(&[u8]) -> T) -> T {
        // SAFETY: the range is initialised and within one allocation, and nobody writes to it, as the caller promises.
        take(unsafe {
            std::slice::from_raw_parts(self.start.as_ptr().cast::<u8>().add(range.start), range.len())
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let bytes = NonNull::slice_from_raw_parts(self.start, self.capacity);
        // SAFETY: made by `Box::leak` in `new`, with this length, and given back once.
        drop(unsafe { Box::from_raw(bytes.as_ptr()) });
    }
}
