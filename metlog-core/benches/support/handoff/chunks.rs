//! A locked place for each thread with chunks of 64 KiB, which the worker takes and gives back: what
//! `metlog_core::queue` does without a lock. The bytes are counted against the bound in steps of at least `STEP`, of which
//! the thread then uses up its share alone.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{HandOff, LIMIT_BYTES, LONGEST, encode};

const CHUNK_BYTES: usize = 64 * 1024;

/// What a thread has written, and empty chunks to go on with.
#[derive(Default)]
pub(crate) struct Local {
    last: Vec<u8>,
    full: Vec<Vec<u8>>,
    free: Vec<Vec<u8>>,
    /// Bytes of the bound that are taken and not used.
    room: usize,
}

/// The threads' places and what they hold together.
#[derive(Default)]
pub(crate) struct Chunks<const STEP: usize> {
    places: Mutex<Vec<Arc<Mutex<Local>>>>,
    waiting_bytes: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<const STEP: usize> HandOff for Chunks<STEP> {
    type Seat = Arc<Mutex<Local>>;

    fn seat(&self) -> Self::Seat {
        let place = Self::Seat::default();
        lock(&self.places).push(Arc::clone(&place));
        place
    }

    fn push(&self, seat: &mut Self::Seat) -> bool {
        let mut local = lock(seat);
        if self.waiting_bytes.load(Ordering::Relaxed) >= LIMIT_BYTES {
            return false;
        }
        if local.last.capacity() - local.last.len() < LONGEST {
            let next = local.free.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
            let full = mem::replace(&mut local.last, next);
            local.full.push(full);
        }
        let before = local.last.len();
        let encoded = encode(&mut local.last).is_ok();
        let bytes = local.last.len() - before;
        if local.room < bytes {
            let more = STEP.max(bytes - local.room);
            self.waiting_bytes.fetch_add(more, Ordering::Relaxed);
            local.room += more;
        }
        local.room -= bytes;
        encoded
    }

    fn drain(&self, take: &mut impl FnMut(&[u8])) {
        let places = lock(&self.places).clone();
        let kept = LIMIT_BYTES / CHUNK_BYTES / 4 / places.len().max(1);
        for place in places {
            let (chunks, unused) = {
                let mut local = lock(&place);
                let last = mem::take(&mut local.last);
                local.full.push(last);
                (mem::take(&mut local.full), mem::take(&mut local.room))
            };
            self.waiting_bytes.fetch_sub(unused, Ordering::Relaxed);
            for mut chunk in chunks {
                take(&chunk);
                self.waiting_bytes.fetch_sub(chunk.len(), Ordering::Relaxed);
                chunk.clear();
                let mut local = lock(&place);
                if chunk.capacity() > 0 && local.free.len() < kept {
                    local.free.push(chunk);
                }
            }
        }
    }

    fn capacity(&self) -> usize {
        let places = lock(&self.places);
        let bytes = |place: &Arc<Mutex<Local>>| {
            let local = lock(place);
            local.last.capacity() + local.full.iter().chain(&local.free).map(Vec::capacity).sum::<usize>()
        };
        places.iter().map(bytes).sum()
    }
}
