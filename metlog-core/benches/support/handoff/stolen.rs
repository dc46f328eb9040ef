//! A locked buffer for each thread that grows as it must, which the worker swaps against an empty one.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{HandOff, LIMIT_BYTES, encode};

/// The threads' buffers and what they hold together.
#[derive(Default)]
pub(crate) struct Stolen {
    buffers: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
    waiting_bytes: AtomicUsize,
    spare: Mutex<Vec<u8>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HandOff for Stolen {
    type Seat = Arc<Mutex<Vec<u8>>>;

    fn seat(&self) -> Self::Seat {
        let buffer = Self::Seat::default();
        lock(&self.buffers).push(Arc::clone(&buffer));
        buffer
    }

    fn push(&self, seat: &mut Self::Seat) -> bool {
        let mut buffer = lock(seat);
        if self.waiting_bytes.load(Ordering::Relaxed) >= LIMIT_BYTES {
            return false;
        }
        let before = buffer.len();
        let encoded = encode(&mut *buffer).is_ok();
        self.waiting_bytes.fetch_add(buffer.len() - before, Ordering::Relaxed);
        encoded
    }

    fn drain(&self, take: &mut impl FnMut(&[u8])) {
        let buffers = lock(&self.buffers).clone();
        let kept = LIMIT_BYTES / 4 / buffers.len().max(1);
        let mut spare = lock(&self.spare);
        for buffer in buffers {
            std::mem::swap(&mut *lock(&buffer), &mut *spare);
            take(&spare);
            self.waiting_bytes.fetch_sub(spare.len(), Ordering::Relaxed);
            spare.clear();
            if spare.capacity() > kept {
                *spare = Vec::new();
            }
        }
    }

    fn capacity(&self) -> usize {
        let buffers: usize = lock(&self.buffers).iter().map(|buffer| lock(buffer).capacity()).sum();
        buffers + lock(&self.spare).capacity()
    }
}
