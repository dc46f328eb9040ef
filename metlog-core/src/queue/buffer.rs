//! One thread's side of the hand-off: chunks of encoded records, and what the thread has done so far.

use std::{
    mem,
    sync::{Mutex, MutexGuard},
};

use super::lock;
use crate::stats::ByReason;

/// A chunk with this many bytes is full. The worker takes whole chunks and gives them back to be written again, so that
/// memory goes back in steps of this size while a backlog drains, and nothing large is ever copied to grow.
const CHUNK_BYTES: usize = 64 * 1024;

/// Room of a new chunk beyond its bound, for the record that crosses it.
const LAST_RECORD_BYTES: usize = 1024;

/// One thread's side of the hand-off.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Mutex<Local>);

#[derive(Debug, Default)]
pub(super) struct Local {
    /// The chunk that is being written.
    pub(super) records: Vec<u8>,
    /// Chunks written before it, oldest first.
    full: Vec<Vec<u8>>,
    /// Chunks that the worker has emptied.
    free: Vec<Vec<u8>>,
    pub(super) books: Books,
}

/// What callers have done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Books {
    pub(crate) attempted: u64,
    pub(crate) refused: ByReason,
}

impl Books {
    pub(super) fn merge(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.refused.merge(&other.refused);
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.attempted - self.refused.total()
    }
}

impl Buffer {
    pub(super) fn lock(&self) -> MutexGuard<'_, Local> {
        lock(&self.0)
    }

    /// Gives every chunk with records to `take`, in the order they were written, and keeps at most `kept` bytes of emptied
    /// ones. The lock is not held meanwhile.
    pub(super) fn drain(&self, chunks: &mut Vec<Vec<u8>>, kept: usize, mut take: impl FnMut(&[u8])) {
        self.lock().hand_over(chunks);
        for mut chunk in chunks.drain(..) {
            take(&chunk);
            chunk.clear();
            self.lock().keep(chunk, kept);
        }
    }
}

impl Local {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.full.is_empty()
    }

    /// After a record was written: begins a new chunk where this one is full.
    pub(super) fn turn(&mut self) {
        if self.records.len() >= CHUNK_BYTES {
            self.next_chunk();
        }
    }

    #[cold]
    fn next_chunk(&mut self) {
        let next = self.free.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES + LAST_RECORD_BYTES));
        self.full.push(mem::replace(&mut self.records, next));
    }

    /// Takes back what was written after `length`, with the memory a large record had grown.
    pub(super) fn take_back(&mut self, length: usize) {
        self.records.truncate(length);
        self.records.shrink_to(CHUNK_BYTES + LAST_RECORD_BYTES);
    }

    fn hand_over(&mut self, chunks: &mut Vec<Vec<u8>>) {
        chunks.append(&mut self.full);
        if !self.records.is_empty() {
            let next = self.free.pop().unwrap_or_default();
            chunks.push(mem::replace(&mut self.records, next));
        }
    }

    pub(super) fn free_bytes(&self) -> usize {
        self.free.iter().map(Vec::capacity).sum()
    }

    fn keep(&mut self, chunk: Vec<u8>, kept: usize) {
        if self.free_bytes() + chunk.capacity() <= kept {
            self.free.push(chunk);
        }
    }
}
