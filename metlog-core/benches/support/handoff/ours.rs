//! The client's own hand-off: the very source of its chain and its gate, without books and wake-ups.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{HandOff, LIMIT_BYTES, LONGEST, encode};

#[expect(dead_code, reason = "without what the sleep of a worker needs")]
#[path = "../../../src/queue/chain.rs"]
mod chain;
#[expect(dead_code, reason = "without what the end and the sleep of a worker need")]
#[path = "../../../src/queue/gate.rs"]
mod gate;
#[path = "../../../src/queue/sync.rs"]
mod sync;

use gate::{Entrance, Gate};
use sync::Arc;

const CHUNK_BYTES: usize = 32 * 1024;
const FIRST_CHUNK_BYTES: usize = 4 * 1024;

/// What both sides of a thread's lane share.
struct Lane {
    entrance: Entrance,
    reader: Mutex<chain::Reader>,
}

/// The thread's side.
pub(crate) struct Seat {
    lane: Arc<Lane>,
    writer: chain::Writer,
    scratch: Vec<u8>,
}

/// All lanes and the gate before them.
pub(crate) struct Ours {
    gate: Gate,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Ours {
    fn default() -> Self {
        Self { gate: Gate::new(LIMIT_BYTES), lanes: Mutex::default() }
    }
}

impl HandOff for Ours {
    type Seat = Seat;

    fn seat(&self) -> Seat {
        let (writer, reader) = chain::chain(FIRST_CHUNK_BYTES);
        let lane = Arc::new(Lane { entrance: Entrance::new(), reader: Mutex::new(reader) });
        let mut lanes = lock(&self.lanes);
        lanes.push(Arc::clone(&lane));
        self.gate.share(lanes.len());
        Seat { lane, writer, scratch: Vec::with_capacity(LONGEST) }
    }

    fn push(&self, seat: &mut Seat) -> bool {
        if self.gate.admit().is_err() {
            return false;
        }
        let Seat { lane, writer, scratch } = seat;
        scratch.clear();
        let encoded = encode(scratch).is_ok();
        let append = || writer.append(scratch, CHUNK_BYTES);
        encoded && self.gate.enter(&lane.entrance, scratch.len(), append).is_ok()
    }

    fn drain(&self, take: &mut impl FnMut(&[u8])) {
        let lanes = lock(&self.lanes).clone();
        for lane in &lanes {
            self.gate.visit(&lane.entrance);
            lock(&lane.reader).read(LIMIT_BYTES / 4 / lanes.len(), |records, _| {
                take(records);
                self.gate.release(records.len());
            });
        }
    }

    fn capacity(&self) -> usize {
        // And the chunk that each thread is at.
        lock(&self.lanes).iter().map(|lane| lock(&lane.reader).free_bytes() + CHUNK_BYTES).sum()
    }
}
