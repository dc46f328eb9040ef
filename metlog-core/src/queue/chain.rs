//! A chain of chunks from one writer to one reader, without a lock and without an end: the bound is kept elsewhere.
//!
//! The writer appends to the last chunk and begins a new one where it does not fit. The reader reads what was appended,
//! a stretch of a chunk at a time; a chunk that has a successor is written no more, so the reader that has read it whole
//! owns it, and gives it back to the writer for reuse or to the allocator.
#![expect(
    unsafe_code,
    reason = "chunks are shared by exactly two threads, which hand them over by the two pointers of this module"
)]

use std::{cell::Cell, ptr, ptr::NonNull};

use super::sync::{Arc, AtomicPtr, AtomicU64, AtomicUsize, Memory, Ordering};

/// How much of a chunk the reader may read: how many records in the upper half of the word, their bytes in the lower. One
/// word, so that a reader sees both of the same moment; and it need not look at each record to know how many they are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Filled(u64);

impl Filled {
    const NOTHING: Self = Self(0);
    const ONE_RECORD: u64 = 1 << 32;

    /// With one record more, of `bytes`: no chunk is larger than a message may be.
    fn and(self, bytes: usize) -> Self {
        Self(self.0 + Self::ONE_RECORD + bytes as u64)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    fn bytes(self) -> usize {
        self.0 as u32 as usize
    }

    fn records(self) -> u64 {
        self.0 / Self::ONE_RECORD
    }
}

struct Chunk {
    memory: Memory,
    /// A [`Filled`]. Only the writer stores it.
    filled: AtomicU64,
    /// The chunk after this one. While a chunk waits to be used again: the one below it.
    next: AtomicPtr<Chunk>,
}

impl Chunk {
    fn with_capacity(bytes: usize) -> NonNull<Self> {
        let chunk = Self {
            memory: Memory::new(bytes),
            filled: AtomicU64::new(Filled::NOTHING.0),
            next: AtomicPtr::new(ptr::null_mut()),
        };
        NonNull::from(Box::leak(Box::new(chunk)))
    }

    fn filled(&self) -> Filled {
        Filled(self.filled.load(Ordering::Acquire))
    }
}

/// What both ends hold; the last of them frees all chunks.
struct Shared {
    /// The chunk the reader is at. Only the reader stores it.
    first: AtomicPtr<Chunk>,
    /// Chunks to be used again, a stack: only the reader pushes, only the writer pops.
    free: AtomicPtr<Chunk>,
    free_bytes: AtomicUsize,
}

/// The end that appends. It may move to another thread, but not be used by two.
pub(super) struct Writer {
    shared: Arc<Shared>,
    last: Cell<NonNull<Chunk>>,
    /// What the last chunk holds.
    filled: Cell<Filled>,
}

// SAFETY: what it points to is shared with the reader alone, by atomics; it has no ties to the thread it is on.
unsafe impl Send for Writer {}

/// The end that reads.
pub(super) struct Reader {
    shared: Arc<Shared>,
    first: NonNull<Chunk>,
    /// What of the first chunk was read.
    read: Filled,
}

// SAFETY: as for `Writer`.
unsafe impl Send for Reader {}

/// Both ends of a new chain whose first chunk has room for `bytes`.
pub(super) fn chain(bytes: usize) -> (Writer, Reader) {
    let first = Chunk::with_capacity(bytes);
    let shared = Arc::new(Shared {
        first: AtomicPtr::new(first.as_ptr()),
        free: AtomicPtr::new(ptr::null_mut()),
        free_bytes: AtomicUsize::new(0),
    });
    let writer =
        Writer { shared: Arc::clone(&shared), last: Cell::new(first), filled: Cell::new(Filled::NOTHING) };
    (writer, Reader { shared, first, read: Filled::NOTHING })
}

impl Writer {
    /// Appends `record` in one piece; a chunk that has to be begun for it has room for at least `chunk_bytes`.
    pub(super) fn append(&self, record: &[u8], chunk_bytes: usize) {
        if self.filled.get().bytes() + record.len() > self.chunk().memory.capacity() {
            self.begin_chunk(chunk_bytes.max(record.len()));
        }
        let (chunk, before) = (self.chunk(), self.filled.get());
        // SAFETY: the record fits, as was just seen to; the reader reads nothing beyond `filled`, which is still `before`.
        unsafe { chunk.memory.write(before.bytes(), record) };
        self.filled.set(before.and(record.len()));
        chunk.filled.store(self.filled.get().0, Ordering::Release);
    }

    fn chunk(&self) -> &Chunk {
        // SAFETY: the last chunk has no successor yet, so the reader does not free it; both ends are gone before `Shared`
        // does.
        unsafe { self.last.get().as_ref() }
    }

    #[cold]
    fn begin_chunk(&self, bytes: usize) {
        let fresh = self.reuse(bytes).unwrap_or_else(|| Chunk::with_capacity(bytes));
        // From here on the old chunk is the reader's.
        self.chunk().next.store(fresh.as_ptr(), Ordering::Release);
        self.last.set(fresh);
        self.filled.set(Filled::NOTHING);
    }

    /// A chunk that the reader gave back; one that is too small is freed.
    fn reuse(&self, bytes: usize) -> Option<NonNull<Chunk>> {
        let free = &self.shared.free;
        loop {
            let top = NonNull::new(free.load(Ordering::Acquire))?;
            // SAFETY: only this thread pops, so the chunk stays in the stack, alive, until the exchange below takes it.
            let below = unsafe { top.as_ref() }.next.load(Ordering::Relaxed);
            let taken = free.compare_exchange(top.as_ptr(), below, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_err() {
                continue;
            }
            // SAFETY: taken out of the stack: it is this thread's alone.
            let chunk = unsafe { top.as_ref() };
            self.shared.free_bytes.fetch_sub(chunk.memory.capacity(), Ordering::Relaxed);
            if chunk.memory.capacity() >= bytes {
                chunk.filled.store(Filled::NOTHING.0, Ordering::Relaxed);
                chunk.next.store(ptr::null_mut(), Ordering::Relaxed);
                return Some(top);
            }
            // SAFETY: made by `Box::leak`, this thread's alone, and not used again.
            drop(unsafe { Box::from_raw(top.as_ptr()) });
        }
    }
}

impl Reader {
    /// Gives what was appended since to `take`, whole records in order, and how many they are. Of emptied chunks as many
    /// are kept for reuse as have `kept` bytes together.
    pub(super) fn read(&mut self, kept: usize, mut take: impl FnMut(&[u8], u64)) {
        loop {
            // Looked at first: once there is a successor, `filled` is final.
            let next = self.chunk().next.load(Ordering::Acquire);
            let filled = self.chunk().filled();
            if filled != self.read {
                let count = filled.records() - self.read.records();
                let range = self.read.bytes()..filled.bytes();
                // SAFETY: the writer wrote the range before it stored `filled`, and only writes beyond it.
                unsafe { self.chunk().memory.with(range, |records| take(records, count)) };
                self.read = filled;
            }
            let Some(next) = NonNull::new(next) else { return };
            let emptied = self.first;
            self.first = next;
            self.read = Filled::NOTHING;
            self.shared.first.store(next.as_ptr(), Ordering::Relaxed);
            self.give_back(emptied, kept);
        }
    }

    /// True when everything that was appended is read.
    pub(super) fn is_empty(&self) -> bool {
        let chunk = self.chunk();
        chunk.next.load(Ordering::Acquire).is_null() && chunk.filled() == self.read
    }

    fn chunk(&self) -> &Chunk {
        // SAFETY: the reader alone frees or gives back chunks of the chain, and only those before this one.
        unsafe { self.first.as_ref() }
    }

    fn give_back(&self, emptied: NonNull<Chunk>, kept: usize) {
        let Shared { free, free_bytes, .. } = &*self.shared;
        // SAFETY: it has a successor, so the writer is done with it, and it was read: it is this thread's alone.
        let chunk = unsafe { emptied.as_ref() };
        let bytes = chunk.memory.capacity();
        if free_bytes.load(Ordering::Relaxed) + bytes > kept {
            // SAFETY: made by `Box::leak`, this thread's alone, and not used again.
            return drop(unsafe { Box::from_raw(emptied.as_ptr()) });
        }
        free_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut below = free.load(Ordering::Relaxed);
        loop {
            chunk.next.store(below, Ordering::Relaxed);
            match free.compare_exchange(below, emptied.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => below = now,
            }
        }
    }

    /// Bytes of chunks that wait to be used again.
    pub(super) fn free_bytes(&self) -> usize {
        self.shared.free_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for head in [&self.first, &self.free] {
            let mut chunk = head.load(Ordering::Acquire);
            while let Some(this) = NonNull::new(chunk) {
                // SAFETY: both ends are gone (the last of them drops this), so the chunks are this thread's alone; each
                // is in exactly one of the two lists, and was made by `Box::leak`.
                let this = unsafe { Box::from_raw(this.as_ptr()) };
                chunk = this.next.load(Ordering::Acquire);
            }
        }
    }
}
