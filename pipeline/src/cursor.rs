//! A consumer's place in the spool, what it has made of the messages up to there, and the state that goes with both.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    intake::checkpoint_dir,
    ledger::Outcomes,
    spool::{Checkpoint, Reader, Spool},
    watchdog::Place,
};

/// A cursor is saved at most so often while its consumer is at work, and always before it rests.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// What a consumer keeps over a restart. Cursor, outcomes and state are saved in one piece, so none is ever ahead of
/// the others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "S: Default + DeserializeOwned"))]
struct Saved<S> {
    outcomes: Outcomes,
    state: S,
}

/// The outcomes of one consumer, as others may read them at any time.
#[derive(Debug, Clone, Default)]
pub struct SharedOutcomes(Arc<Mutex<Outcomes>>);

impl SharedOutcomes {
    /// The outcomes, for as long as the guard is kept.
    pub fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer's cursor. `S` is its state beyond place and outcomes; `()` for none.
pub struct Cursor<S> {
    name: String,
    spool: Spool,
    checkpoint: Checkpoint<Saved<S>>,
    through: u64,
    place: Place,
    saved_through: u64,
    saved_at: Instant,
    outcomes: SharedOutcomes,
    /// The consumer's own state, saved with the cursor.
    pub state: S,
}

impl<S: Serialize + DeserializeOwned + Default + Clone> Cursor<S> {
    /// Goes on where the consumer `name` stopped, or begins at the oldest record.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(spool: &Spool, data_dir: &Path, name: &str) -> io::Result<Self> {
        let (checkpoint, through, saved) = Checkpoint::<Saved<S>>::load(&checkpoint_dir(data_dir), name)?;
        spool.register(name, through);
        Ok(Self {
            name: name.to_owned(),
            spool: spool.clone(),
            checkpoint,
            through,
            place: Place::new(name, through),
            saved_through: through,
            saved_at: Instant::now(),
            outcomes: SharedOutcomes(Arc::new(Mutex::new(saved.outcomes))),
            state: saved.state,
        })
    }

    /// A reader of what comes after the cursor.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.spool.reader(self.through + 1)
    }

    /// The last ordinal the consumer is done with.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through
    }

    /// The last ordinal the consumer is done with, to be shared with the watchdog.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The outcomes, to be shared with the audit.
    #[must_use]
    pub fn outcomes(&self) -> SharedOutcomes {
        self.outcomes.clone()
    }

    /// The consumer is done with everything up to `ordinal`, with these outcomes. Nothing is saved yet.
    pub fn advance(&mut self, ordinal: u64, outcomes: &Outcomes) {
        self.through = self.through.max(ordinal);
        self.place.set(self.through);
        self.outcomes.lock().merge(outcomes);
    }

    /// True when something is to be saved and the last save is long enough ago.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_ahead() && self.saved_at.elapsed() >= SAVE_INTERVAL
    }

    /// True when the consumer has gone on since the last save.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.through > self.saved_through
    }

    /// Saves place, outcomes and state, and lets the spool delete what nobody needs any more.
    ///
    /// # Errors
    /// When the file system refuses; the last save still counts.
    pub fn save(&mut self) -> io::Result<()> {
        let saved = Saved { outcomes: self.outcomes.lock().clone(), state: std::mem::take(&mut self.state) };
        let result = self.checkpoint.save(self.through, &saved);
        self.state = saved.state;
        result?;
        self.saved_at = Instant::now();
        self.saved_through = self.through;
        self.spool.release(&self.name, self.through);
        Ok(())
    }
}
