//! Notes of what was dropped because the spool took nothing: put on record as soon as it does again.

use metlog_core::wire::batch::{self, Batch, Header, ProducerId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Notes kept; what goes beyond shows in the ledger as missing.
const MAX_NOTES: usize = 10_000;

/// Headers of batches that are lost, each accounting for all of its messages as dropped. Saved with the ledger.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shed(Vec<Header>);

impl Shed {
    /// Notes that the messages of a batch are dropped for `reason`. Batches of one producer that follow each other become
    /// one note.
    pub fn add(&mut self, header: &Header, reason: &str) {
        let mut note = header.clone();
        *note.removed.entry(reason.to_owned()).or_insert(0) += header.count();
        note.present.clear();
        let follows =
            |known: &&mut Header| known.producer == note.producer && known.end() == note.first_sequence;
        if let Some(known) = self.0.iter_mut().find(follows) {
            for (reason, count) in &note.removed {
                *known.removed.entry(reason.clone()).or_insert(0) += count;
            }
            known.span += note.span;
            known.attempted = note.attempted;
            known.refused = note.refused;
            known.dropped = note.dropped;
            known.last = note.last;
        } else if self.0.len() < MAX_NOTES {
            self.0.push(note);
        }
    }

    /// The next note, taken out.
    pub fn pop(&mut self) -> Option<Header> {
        self.0.pop()
    }

    /// A note that could not be put on record after all.
    pub fn push_back(&mut self, note: Header) {
        self.0.push(note);
    }

    /// Forgets the notes that are on record.
    pub fn retain(&mut self, unknown: impl Fn(&Header) -> bool) {
        self.0.retain(unknown);
    }

    /// The sequence number after the last one noted of a producer, 0 for none.
    #[must_use]
    pub fn end(&self, producer: ProducerId) -> u64 {
        let of_it = self.0.iter().filter(|note| note.producer == producer);
        of_it.map(Header::end).max().unwrap_or(0)
    }

    /// True when nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As the frames of batches without messages: the wire's own form.
impl Serialize for Shed {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(|note| batch::encode(note, &[])))
    }
}

impl<'de> Deserialize<'de> for Shed {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let frames = Vec::<Vec<u8>>::deserialize(input)?;
        let note =
            |frame: &Vec<u8>| Batch::parse(frame).map(|batch| batch.header).map_err(serde::de::Error::custom);
        frames.iter().map(note).collect::<Result<_, _>>().map(Self)
    }
}
