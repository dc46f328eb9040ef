//! The one way into a daemon: whatever an input receives goes into the spool and the ledger together.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metlog_core::{
    Error, Timestamp,
    link::SenderId,
    wire::batch::{self, Batch, Header, ProducerId},
};
use tracing::{error, warn};

use crate::{
    ledger::Ledger,
    spool::{AppendError, Checkpoint, LinkTag, NewRecord, Outcome, Spool, SpoolError, SpoolOptions},
};

/// How long the ledger's checkpoint waits for the sync of what it describes.
const SYNC_WAIT: Duration = Duration::from_secs(10);

/// The spool consumer that stands for the ledger: records it has not saved yet are kept.
const LEDGER_CONSUMER: &str = "ledger";

/// Bytes read at once while the ledger is rebuilt.
const REPLAY_BYTES: usize = 1024 * 1024;

/// Spool and ledger of a daemon. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

struct Shared {
    spool: Spool,
    books: Mutex<Books>,
    checkpoint: Mutex<Checkpoint<Ledger>>,
    checkpoint_dir: std::path::PathBuf,
}

struct Books {
    ledger: Ledger,
    /// Failed syncs whose records the ledger no longer counts.
    failed_syncs: u64,
    /// True when the ledger has changed since its last checkpoint.
    changed: bool,
}

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The bytes are no batch, or one of a version this build does not read.
    #[error("{0}")]
    Batch(#[from] Error),
    /// The spool did not take it.
    #[error("{0}")]
    Spool(#[from] AppendError),
    /// Batches before this one have not arrived on this link.
    #[error("link sequence goes on from {previous}, but only {accepted} has arrived: say hello again")]
    Gap {
        /// The number the sender says came before.
        previous: u64,
        /// The highest number that has arrived.
        accepted: u64,
    },
    /// Batches of the producer before this one were lost with a failed sync.
    #[error("batch begins at {found}, but its producer's books end at {expected}")]
    OutOfOrder {
        /// Where the batch begins.
        found: u64,
        /// Where the books end.
        expected: u64,
    },
    /// A sync has failed, and the ledger cannot be brought back to what is safe.
    #[error("a sync of the spool failed, and the ledger cannot be rebuilt: {0}")]
    Rebuild(SpoolError),
    /// The spool cannot tell now what is safe.
    #[error("the spool could not be synced in {} s; its disk is stuck or very slow", SYNC_WAIT.as_secs())]
    Unsynced,
}

/// What became of a batch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in the spool under this ordinal, not synced yet.
    Appended(u64),
    /// It was here before.
    Repeat,
}

/// Where a batch stands on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPlace {
    /// Who sent it.
    pub sender: SenderId,
    /// Its number.
    pub sequence: u64,
    /// The number before it.
    pub previous: u64,
}

impl Intake {
    /// Opens spool and ledger under `data_dir`; says in the log what recovery found.
    ///
    /// # Errors
    /// When another daemon uses the folder, or the file system refuses.
    pub fn open(data_dir: &Path, options: SpoolOptions) -> Result<Self, SpoolError> {
        let (spool, recovery) = Spool::open(&data_dir.join("spool"), options)?;
        tracing::info!(%recovery, "spool opened");
        let checkpoint_dir = checkpoint_dir(data_dir);
        let (checkpoint, ledger) = load(&spool, &checkpoint_dir)?;
        let books = Mutex::new(Books { ledger, changed: false, failed_syncs: spool.stats().failed_syncs });
        let shared = Shared { spool, books, checkpoint: Mutex::new(checkpoint), checkpoint_dir };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The spool, for consumers.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.shared.spool
    }

    /// Takes a batch from an input that cannot wait. When the spool has no room its messages are dropped, and the spool
    /// records which ones as soon as there is room again: under `dropped:spool_full`, or `dropped:spool_error` when it was
    /// not room that was lacking.
    ///
    /// # Errors
    /// When it is no batch, or the spool has no room.
    pub fn take(&self, frame: &[u8]) -> Result<Taken, Refused> {
        let batch = Batch::parse(frame)?;
        let mut books = self.books()?;
        self.record_shed(&mut books);
        let taken = self.append(&mut books, frame, &batch.header, None);
        if let Err(Refused::Spool(error)) = &taken {
            let reason = if error.is_full() { "dropped:spool_full" } else { "dropped:spool_error" };
            books.ledger.shed.add(&batch.header, reason);
            books.changed = true;
        }
        taken
    }

    /// Puts on record what was dropped while the spool took nothing.
    fn record_shed(&self, books: &mut Books) {
        while let Some(note) = books.ledger.shed.pop() {
            let frame = batch::encode(&note, &[]);
            if self.append(books, &frame, &note, None).is_err() {
                books.ledger.shed.push_back(note);
                return;
            }
        }
    }

    /// Takes a batch of one of the daemon's own producers, unless it was taken before a crash.
    ///
    /// # Errors
    /// When the spool has no room: the caller keeps the batch and tries again.
    pub fn take_own(&self, frame: &[u8]) -> Result<Taken, Refused> {
        let batch = Batch::parse(frame)?;
        let mut books = self.books()?;
        if books.ledger.knows(&batch.header) {
            return Ok(Taken::Repeat);
        }
        self.append(&mut books, frame, &batch.header, None)
    }

    /// Takes a batch of an own producer that can go back to what it read: its batches say where it goes on
    /// (`Header::place`). Taken only when it begins where the books of its producer end, so that a place found in the spool
    /// vouches for everything before it, whatever a failed sync has taken away.
    ///
    /// # Errors
    /// When the spool has no room, or batches before this one are gone ([`Refused::OutOfOrder`]: read again from the last
    /// place in the spool).
    pub fn take_in_order(&self, frame: &[u8]) -> Result<Taken, Refused> {
        let batch = Batch::parse(frame)?;
        let mut books = self.books()?;
        let (found, expected) =
            (batch.header.first_sequence, books.ledger.next_sequence(batch.header.producer));
        if found != expected {
            return Err(Refused::OutOfOrder { found, expected });
        }
        self.append(&mut books, frame, &batch.header, None)
    }

    /// Takes a batch from a link, unless its number has been here before.
    ///
    /// # Errors
    /// When it is no batch, numbers before it are missing, or the spool has no room.
    pub fn take_linked(&self, frame: &[u8], place: LinkPlace) -> Result<Taken, Refused> {
        let batch = Batch::parse(frame)?;
        let mut books = self.books()?;
        let accepted = books.ledger.link_accepted(place.sender);
        if place.sequence <= accepted {
            return Ok(Taken::Repeat);
        }
        if place.previous > accepted {
            return Err(Refused::Gap { previous: place.previous, accepted });
        }
        if books.ledger.knows(&batch.header) {
            // It came by another link, which broke before the ack was heard. Safe when what is here by now is.
            books.ledger.advance_link(place.sender, place.sequence, Timestamp::now().as_seconds());
            return Ok(Taken::Appended(self.shared.spool.appended()));
        }
        let tag = LinkTag { sender: place.sender, sequence: place.sequence };
        self.append(&mut books, frame, &batch.header, Some(tag))
    }

    fn append(
        &self,
        books: &mut Books,
        frame: &[u8],
        header: &Header,
        link: Option<LinkTag>,
    ) -> Result<Taken, Refused> {
        let ordinal = self.shared.spool.append(&[NewRecord { link, frame }])?;
        let place = link.map(|tag| (tag.sender, tag.sequence));
        books.ledger.apply(header, place, Timestamp::now().as_seconds());
        books.changed = true;
        Ok(Taken::Appended(ordinal))
    }

    /// A copy of the ledger as it is now.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.lock().ledger.clone()
    }

    /// The highest number accepted from a link's sender that is safe on disk, waiting for the sync if need be.
    ///
    /// # Errors
    /// When the disk does not say in time.
    pub fn link_accepted(&self, sender: SenderId) -> Result<u64, Refused> {
        let spool = &self.shared.spool;
        let appended = spool.appended();
        if !spool.wait_synced(appended, SYNC_WAIT) && spool.outcome(appended) == Outcome::Waiting {
            return Err(Refused::Unsynced);
        }
        // What was given up meanwhile is taken out of the books first.
        Ok(self.books()?.ledger.link_accepted(sender))
    }

    /// The next sequence number of a producer that lives in this daemon.
    #[must_use]
    pub fn next_sequence(&self, producer: ProducerId) -> u64 {
        self.lock().ledger.next_sequence(producer)
    }

    /// Saves the ledger with its place in the spool, when it has changed. Called each second and at the end.
    pub fn checkpoint(&self) {
        if let Err(source) = self.try_checkpoint() {
            error!(%source, "ledger not saved; it is rebuilt from the spool at the next start");
        }
    }

    fn try_checkpoint(&self) -> Result<(), Box<dyn std::error::Error>> {
        let (ordinal, ledger) = {
            let mut books = self.books()?;
            self.record_shed(&mut books);
            if !std::mem::take(&mut books.changed) {
                return Ok(());
            }
            (self.shared.spool.appended(), books.ledger.clone())
        };
        let saved = self.save(ordinal, &ledger);
        if saved.is_err() {
            self.lock().changed = true;
        }
        saved
    }

    fn save(&self, ordinal: u64, ledger: &Ledger) -> Result<(), Box<dyn std::error::Error>> {
        if ordinal > 0 && !self.shared.spool.wait_synced(ordinal, SYNC_WAIT) {
            return Err(Box::new(Refused::Unsynced));
        }
        self.shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).save(ordinal, ledger)?;
        self.shared.spool.release(LEDGER_CONSUMER, ordinal);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.shared.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The books, rebuilt first when records they count were given up by a failed sync. Until that works nothing is
    /// taken and no sender is told what is safe.
    fn books(&self) -> Result<MutexGuard<'_, Books>, Refused> {
        let mut books = self.lock();
        loop {
            let failed_syncs = self.shared.spool.stats().failed_syncs;
            if books.failed_syncs == failed_syncs {
                return Ok(books);
            }
            // Nothing is appended meanwhile: whoever appends holds these books.
            let appended = self.shared.spool.appended();
            let settled = self.shared.spool.wait_synced(appended, SYNC_WAIT);
            if !settled && self.shared.spool.outcome(appended) == Outcome::Waiting {
                return Err(Refused::Unsynced);
            }
            let (_, mut ledger) =
                load(&self.shared.spool, &self.shared.checkpoint_dir).map_err(Refused::Rebuild)?;
            ledger.shed = std::mem::take(&mut books.ledger.shed);
            forget_recorded(&mut ledger);
            *books = Books { ledger, failed_syncs, changed: true };
        }
    }
}

/// Notes of dropped batches that are in the spool by now are not needed any more.
fn forget_recorded(ledger: &mut Ledger) {
    let mut shed = std::mem::take(&mut ledger.shed);
    shed.retain(|note| !ledger.knows(note));
    ledger.shed = shed;
}

/// Where a daemon keeps its checkpoints.
#[must_use]
pub fn checkpoint_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("checkpoints")
}

/// The ledger as of the last safe record: its checkpoint, and the records since.
fn load(spool: &Spool, dir: &Path) -> Result<(Checkpoint<Ledger>, Ledger), SpoolError> {
    let (checkpoint, ordinal, mut ledger) = Checkpoint::<Ledger>::load(dir, LEDGER_CONSUMER)
        .map_err(|source| SpoolError::Io { action: "load the ledger in", path: dir.to_owned(), source })?;
    spool.register(LEDGER_CONSUMER, ordinal);
    let mut reader = spool.reader(ordinal + 1);
    loop {
        let records = reader.next(REPLAY_BYTES, Duration::ZERO);
        if records.is_empty() {
            forget_recorded(&mut ledger);
            return Ok((checkpoint, ledger));
        }
        for record in records {
            let place = record.link.map(|tag| (tag.sender, tag.sequence));
            match Batch::parse(&record.frame) {
                Ok(batch) => ledger.apply(&batch.header, place, Timestamp::now().as_seconds()),
                Err(source) => warn!(ordinal = record.ordinal, %source, "record in the spool is no batch"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use metlog_core::wire::{batch::Builder, record::Identity};

    use super::*;

    const IDENTITY: Identity<'_> = Identity { env_version: "0.8", pid: 7, hostname: "h" };

    fn header(producer: u8, first_sequence: u64) -> Header {
        Header { first_sequence, ..Header::new(ProducerId([producer; 16]), IDENTITY, "app") }
    }

    /// A batch of `count` messages, each `bytes` long.
    fn frame(producer: u8, first_sequence: u64, count: u64, bytes: usize) -> Vec<u8> {
        let text = format!("{{\"type\":\"t\",\"payload\":\"{}\"}}", "x".repeat(bytes));
        let message = metlog_core::wire::json::from_json(text.as_bytes()).unwrap().message;
        let mut batch = Builder::new(header(producer, first_sequence));
        (0..count).for_each(|_| batch.push(&message).unwrap());
        batch.header_mut().attempted = first_sequence + count;
        batch.finish()
    }

    fn open(dir: &Path) -> Intake {
        Intake::open(dir, SpoolOptions::default()).unwrap()
    }

    fn place(sequence: u64, previous: u64) -> LinkPlace {
        LinkPlace { sender: SenderId { id: [1; 16], incarnation: 0 }, sequence, previous }
    }

    #[test]
    fn a_link_takes_each_number_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let intake = open(dir.path());
        let batch = frame(1, 0, 3, 0);
        assert_eq!(intake.take_linked(&batch, place(5, 0)).unwrap(), Taken::Appended(1));
        assert_eq!(intake.take_linked(&batch, place(5, 0)).unwrap(), Taken::Repeat);
        let gap = intake.take_linked(&batch, place(9, 8)).unwrap_err();
        assert!(matches!(gap, Refused::Gap { previous: 8, accepted: 5 }), "{gap}");
        assert_eq!(intake.take_linked(&frame(1, 3, 1, 0), place(9, 5)).unwrap(), Taken::Appended(2));
        assert_eq!(intake.link_accepted(place(0, 0).sender).unwrap(), 9);
        intake.spool().close();
    }

    #[test]
    fn an_own_producer_that_runs_ahead_of_its_books_is_told_where_they_end() {
        let dir = tempfile::tempdir().unwrap();
        let intake = open(dir.path());
        assert_eq!(intake.take_in_order(&frame(1, 0, 3, 0)).unwrap(), Taken::Appended(1));
        for ahead in [2, 4] {
            let refused = intake.take_in_order(&frame(1, ahead, 1, 0)).unwrap_err();
            assert!(matches!(refused, Refused::OutOfOrder { expected: 3, .. }), "{ahead}: {refused}");
        }
        assert_eq!(intake.take_in_order(&frame(1, 3, 1, 0)).unwrap(), Taken::Appended(2));
        intake.spool().close();
    }

    #[test]
    fn the_ledger_is_the_same_after_a_restart_with_or_without_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let mut before = None;
        for round in 0..3_u64 {
            let intake = open(dir.path());
            let sender = place(0, 0).sender;
            let ledger = intake.ledger();
            if let Some(before) = before.take() {
                let books = |ledger: &Ledger| {
                    let figures = |(id, origin): (&ProducerId, &crate::ledger::Origin)| {
                        (*id, origin.covered.clone(), origin.present, origin.attempted)
                    };
                    (ledger.origins().map(figures).collect::<Vec<_>>(), ledger.link_accepted(sender))
                };
                assert_eq!(books(&ledger), books(&before), "round {round}");
            }
            intake.take(&frame(1, round * 2, 2, 0)).unwrap();
            intake.take_linked(&frame(2, round, 1, 0), place(round + 1, round)).unwrap();
            if round == 1 {
                intake.checkpoint();
            }
            before = Some(intake.ledger());
            intake.spool().close();
        }
    }

    #[test]
    fn what_a_full_spool_sheds_is_on_record_as_soon_as_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            SpoolOptions { max_bytes: 64 * 1024, segment_bytes: 16 * 1024, ..SpoolOptions::default() };
        let intake = Intake::open(dir.path(), options).unwrap();
        intake.spool().register("reader", 0);
        let mut next = 0;
        while intake.take(&frame(1, next, 4, 1_000)).is_ok() {
            next += 4;
        }
        assert!(intake.take(&frame(1, next + 4, 4, 1_000)).is_err());
        intake.checkpoint();
        intake.spool().release("reader", intake.spool().appended());
        intake.take(&frame(1, next + 8, 4, 0)).unwrap();
        let ledger = intake.ledger();
        let (_, origin) = ledger.origins().next().unwrap();
        assert_eq!(origin.removed.get("dropped:spool_full"), Some(&8));
        assert_eq!(
            (origin.covered.gaps(), origin.covered.end(), origin.present),
            (vec![], next + 12, next + 4)
        );
        intake.spool().close();
    }

    #[test]
    fn an_own_batch_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let intake = open(dir.path());
        let batch = frame(3, 0, 2, 0);
        assert_eq!(intake.take_own(&batch).unwrap(), Taken::Appended(1));
        assert_eq!(intake.take_own(&batch).unwrap(), Taken::Repeat);
        intake.spool().close();
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let intake = open(dir.path());
        assert!(matches!(intake.take(b"nonsense"), Err(Refused::Batch(_))));
        assert_eq!(intake.spool().appended(), 0);
        intake.spool().close();
    }
}
