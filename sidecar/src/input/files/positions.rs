//! What is durable of the files: the positions up to which their lines are in the spool.
//!
//! A position becomes durable together with its lines: each batch says in its header (`place`) how far the files are read
//! that it brings lines of. The table of all files is a consumer's state, saved with a cursor in the spool every few
//! seconds; on start the batches after the cursor bring it up to date. So positions and lines cannot disagree, whenever
//! the process dies, and nothing is synced but the spool.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    time::{Duration, Instant},
};

use metlog_core::{
    Timestamp,
    wire::batch::{Batch, ProducerId},
};
use metlog_pipeline::{cursor::Cursor, intake::Intake, ledger::Outcomes, spool::Spool};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::marks::Progress;

/// How often the table is saved. It holds back the spool's segments from there on, and a start reads them.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a save waits for the sync of what it describes.
const SYNC_WAIT: Duration = Duration::from_secs(1);

/// Bytes read from the spool at once.
const READ_BYTES: usize = 1024 * 1024;

/// Files that are gone are remembered, so that their archives are known; of more than so many the first are forgotten.
const MAX_FILES: usize = 100_000;

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    files: Vec<Progress>,
    /// When the input ran for the first time, in nanoseconds since the epoch; 0 before.
    started_at: i64,
}

/// The positions of one input.
pub struct Positions {
    spool: Spool,
    producer: ProducerId,
    cursor: Cursor<Table>,
    files: BTreeMap<u64, Progress>,
    saved_at: Instant,
    has_changed: bool,
    next_id: u64,
}

impl Positions {
    /// Goes on where the input `name` stopped.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(intake: &Intake, data_dir: &Path, name: &str, producer: ProducerId) -> io::Result<Self> {
        let spool = intake.spool().clone();
        let cursor = Cursor::<Table>::open(&spool, data_dir, &format!("input.files.{name}"))?;
        let mut positions = Self {
            spool,
            producer,
            cursor,
            files: BTreeMap::new(),
            saved_at: Instant::now(),
            has_changed: false,
            next_id: 1,
        };
        positions.recover();
        Ok(positions)
    }

    /// Reads what the spool has of this input: the saved table, and the batches since. Called on start, and when a failed
    /// sync has taken batches away.
    pub fn recover(&mut self) {
        self.files = self.cursor.state.files.iter().map(|file| (file.id, file.clone())).collect();
        // Only what is safe can be read: what is not is not counted on.
        let mut reader = self.cursor.reader();
        let end = self.spool.synced();
        while reader.position() <= end {
            let records = reader.next(READ_BYTES, Duration::ZERO);
            if records.is_empty() {
                break;
            }
            for record in records {
                let batch = Batch::parse(&record.frame);
                if let Some(header) =
                    batch.ok().map(|batch| batch.header).filter(|it| it.producer == self.producer)
                {
                    self.apply(read_place(&header.place));
                }
            }
        }
        self.next_id = self.files.keys().next_back().map_or(1, |last| last + 1);
    }

    /// These files are read so far, and the spool has it.
    pub fn apply(&mut self, places: Vec<Progress>) {
        self.has_changed |= !places.is_empty();
        for progress in places {
            self.next_id = self.next_id.max(progress.id + 1);
            self.files.insert(progress.id, progress);
        }
        while self.files.len() > MAX_FILES {
            self.files.pop_first();
        }
    }

    /// A number for a file that was not known.
    pub fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// All files, those that are gone too.
    pub fn files(&self) -> impl Iterator<Item = &Progress> {
        self.files.values()
    }

    /// One file.
    pub fn get(&self, id: u64) -> Option<&Progress> {
        self.files.get(&id)
    }

    /// A file that will not come back.
    pub fn forget(&mut self, id: u64) {
        self.has_changed |= self.files.remove(&id).is_some();
    }

    /// When the input ran for the first time, in nanoseconds since the epoch; 0 before.
    pub fn started_at(&self) -> i64 {
        self.cursor.state.started_at
    }

    /// The first start has seen which files were there.
    pub fn set_started(&mut self, now: Timestamp) {
        self.cursor.state.started_at = now.as_nanos();
        self.has_changed = true;
    }

    /// Saves the table from time to time, so that the spool can delete what lies before it.
    ///
    /// # Errors
    /// When the file system refuses; the last save still counts.
    pub fn save_if_due(&mut self) -> io::Result<()> {
        if self.saved_at.elapsed() < SAVE_INTERVAL {
            return Ok(());
        }
        if self.has_changed { self.save() } else { self.save_if_behind() }
    }

    /// Saves the table when it holds back records of the spool.
    ///
    /// # Errors
    /// As [`Positions::save`].
    pub fn save_if_behind(&mut self) -> io::Result<()> {
        if self.spool.synced() > self.cursor.through() { self.save() } else { Ok(()) }
    }

    /// Saves the table.
    ///
    /// # Errors
    /// When the file system refuses; the last save still counts.
    pub fn save(&mut self) -> io::Result<()> {
        self.saved_at = Instant::now();
        // Nobody else appends batches of this input: at this moment the table is that of all records up to here.
        let through = self.spool.appended();
        if through > 0 && !self.spool.wait_synced(through, SYNC_WAIT) {
            return Ok(());
        }
        self.cursor.state.files = self.files.values().cloned().collect();
        self.cursor.advance(through, &Outcomes::default());
        self.cursor.save()?;
        self.has_changed = false;
        Ok(())
    }
}

/// The places as a batch's header holds them.
pub fn write_place(places: &[Progress]) -> Vec<u8> {
    // Serialising into memory cannot fail.
    rmp_serde::to_vec(places).unwrap_or_default()
}

fn read_place(bytes: &[u8]) -> Vec<Progress> {
    if bytes.is_empty() {
        return Vec::new();
    }
    rmp_serde::from_slice(bytes).unwrap_or_else(|error| {
        warn!(%error, "place of a batch of log files cannot be read: its lines may be read again");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::files::marks::Inode;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let mut progress = Progress::new(7, Inode { device: u64::MAX, inode: 3 }, "/var/log/ä.log");
        progress.advance(b"", b"some line\n");
        progress.skipping = true;
        let places = vec![progress.clone(), Progress::new(8, progress.inode, "")];
        assert_eq!(read_place(&write_place(&places)), places);
        assert_eq!(read_place(b"\xc1nonsense"), Vec::new());
    }
}
