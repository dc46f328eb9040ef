//! The header of a batch: who sent it, which sequence numbers it accounts for, and the producer's running totals.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{pack, read::Reader, record::Identity};
use crate::{
    error::{Error, ErrorKind},
    hex,
    value::Encode,
};

/// Counts by reason, e.g. `{"full": 3}`.
pub type Counts = BTreeMap<String, u64>;

/// Names a producer for life: 16 random bytes made when its hand-off is, and again after a fork.
/// Shown and serialised as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ProducerId(pub [u8; 16]);

impl ProducerId {
    /// A new identity.
    ///
    /// # Errors
    /// `Io` when the operating system has no random bytes to give.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|source| {
            Error::new(ErrorKind::Io, format!("no random bytes for a producer id: {source}"))
        })?;
        Ok(Self(bytes))
    }
}

impl From<ProducerId> for String {
    fn from(producer: ProducerId) -> Self {
        producer.to_string()
    }
}

impl TryFrom<String> for ProducerId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        hex::parse(&text).map(Self).ok_or_else(|| format!("producer is {text:?}, expected 32 hex digits"))
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(self.0, f)
    }
}

impl fmt::Debug for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose messages a batch brings: the ledger adds up what applications sent apart from what daemons made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A client in an application.
    #[default]
    Application,
    /// A daemon's input, for what reached it without an origin (datagrams, statsd lines).
    Input,
    /// A daemon that makes messages of others (roll-ups).
    Daemon,
}

impl Role {
    fn number(self) -> u64 {
        match self {
            Self::Application => 0,
            Self::Input => 1,
            Self::Daemon => 2,
        }
    }

    /// A role of a later version counts as a daemon's: it is not taken for an application's own messages.
    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Application,
            1 => Self::Input,
            _ => Self::Daemon,
        }
    }
}

/// What a batch says about itself. It accounts for every sequence number from `first_sequence` on, `span` of them:
/// those in `present` are in the body, the rest were taken out on the way and are counted in `removed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Who sent the messages.
    pub producer: ProducerId,
    /// What kind of producer that is.
    pub role: Role,
    /// The sequence number of the first message.
    pub first_sequence: u64,
    /// How many sequence numbers the batch accounts for; 0 in a batch that only brings totals.
    pub span: u64,
    /// Runs of sequence numbers that are in the body: offset from `first_sequence`, and length.
    pub present: Vec<(u64, u64)>,
    /// What was taken out on the way: `consumed`, `filtered:<rule>`, `dropped:<reason>`.
    pub removed: Counts,
    /// The producer's host.
    pub hostname: String,
    /// The producer's process.
    pub pid: i64,
    /// The producer's default logger: the application's name in reports.
    pub logger: String,
    /// The version of the envelope.
    pub env_version: String,
    /// Messages the application has tried to send since the producer started.
    pub attempted: u64,
    /// How many of those the client refused, by reason, since the producer started.
    pub refused: Counts,
    /// How many the client gave up after it had accepted them, by reason, since the producer started. They have sequence
    /// numbers, which no receiver sees.
    pub dropped: Counts,
    /// True in the last batch of a producer that closed in good order.
    pub last: bool,
    /// Where the producer goes on after this batch, in its own words: one that reads what lies elsewhere (log files) and
    /// finds its place again in the spool. Empty for all others.
    pub place: Vec<u8>,
}

/// Keys of the header map. A reader skips those it does not know.
mod key {
    pub(super) const PRODUCER: u64 = 0;
    pub(super) const FIRST_SEQUENCE: u64 = 1;
    pub(super) const SPAN: u64 = 2;
    pub(super) const PRESENT: u64 = 3;
    pub(super) const REMOVED: u64 = 4;
    pub(super) const HOSTNAME: u64 = 5;
    pub(super) const PID: u64 = 6;
    pub(super) const LOGGER: u64 = 7;
    pub(super) const ENV_VERSION: u64 = 8;
    pub(super) const ATTEMPTED: u64 = 9;
    pub(super) const REFUSED: u64 = 10;
    pub(super) const LAST: u64 = 11;
    pub(super) const ENCODING: u64 = 12;
    pub(super) const ROLE: u64 = 13;
    pub(super) const DROPPED: u64 = 14;
    pub(super) const PLACE: u64 = 15;
}

/// No producer gets so far: a million messages a second for 35,000 years. Sums of many such numbers still fit.
const MAX_SEQUENCE: u64 = 1 << 60;

/// A text of a header, and the number of reasons in one, are kept in every ledger on the way: they are bounded.
const MAX_TEXT: usize = 256;

/// See [`MAX_TEXT`].
const MAX_REASONS: usize = 64;

/// With so many reasons in a header, further ones share `<class>:other`; what is left is room for the classes.
const OWN_REASONS: usize = 48;

/// The only body encoding so far: records of [`super::record`], not compressed.
const ENCODING_PLAIN: u64 = 0;

impl Header {
    /// A header of `producer` that accounts for nothing yet.
    #[must_use]
    pub fn new(producer: ProducerId, identity: Identity<'_>, logger: &str) -> Self {
        Self {
            producer,
            role: Role::default(),
            first_sequence: 0,
            span: 0,
            present: Vec::new(),
            removed: Counts::new(),
            hostname: cut(identity.hostname).to_owned(),
            pid: identity.pid,
            logger: cut(logger).to_owned(),
            env_version: cut(identity.env_version).to_owned(),
            attempted: 0,
            refused: Counts::new(),
            dropped: Counts::new(),
            last: false,
            place: Vec::new(),
        }
    }

    /// The identity that records of this batch share.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        Identity { env_version: &self.env_version, pid: self.pid, hostname: &self.hostname }
    }

    /// How many messages the body holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.present.iter().map(|(_, length)| length).sum()
    }

    /// Counts what was taken out. However many reasons there are, and however long, the next hop reads the header: of
    /// too many, those of one class (`filtered`, `dropped`) share one.
    pub(super) fn take_out(&mut self, reason: &str, count: u64) {
        let shared = || format!("{}:other", reason.split(':').next().unwrap_or_default());
        let own = cut(reason);
        let reason = if self.removed.contains_key(own) || self.removed.len() < OWN_REASONS {
            own.to_owned()
        } else {
            cut(&shared()).to_owned()
        };
        if self.removed.contains_key(&reason) || self.removed.len() < MAX_REASONS {
            *self.removed.entry(reason).or_insert(0) += count;
        } else if let Some(mut last) = self.removed.last_entry() {
            // Only a stranger's batch has so many: its sum is what must stay right.
            *last.get_mut() += count;
        }
    }

    /// The sequence number after the last one accounted for.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first_sequence.saturating_add(self.span)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        // Most clients never drop anything: then it is left out.
        let dropped = Some((key::DROPPED, &self.dropped)).filter(|(_, counts)| !counts.is_empty());
        pack::map(out, 14 + usize::from(dropped.is_some()) + usize::from(!self.place.is_empty()));
        key::PRODUCER.encode(out);
        self.producer.0.as_slice().encode(out);
        for (key, number) in [
            (key::FIRST_SEQUENCE, self.first_sequence),
            (key::SPAN, self.span),
            (key::ATTEMPTED, self.attempted),
            (key::ENCODING, ENCODING_PLAIN),
            (key::ROLE, self.role.number()),
        ] {
            key.encode(out);
            number.encode(out);
        }
        key::PRESENT.encode(out);
        pack::list(out, 2 * self.present.len());
        for (offset, length) in &self.present {
            offset.encode(out);
            length.encode(out);
        }
        let counted = [(key::REMOVED, &self.removed), (key::REFUSED, &self.refused)];
        for (key, counts) in counted.into_iter().chain(dropped) {
            key.encode(out);
            pack::map(out, counts.len());
            for (reason, count) in counts {
                reason.encode(out);
                count.encode(out);
            }
        }
        for (key, text) in [
            (key::HOSTNAME, &self.hostname),
            (key::LOGGER, &self.logger),
            (key::ENV_VERSION, &self.env_version),
        ] {
            key.encode(out);
            text.encode(out);
        }
        key::PID.encode(out);
        self.pid.encode(out);
        key::LAST.encode(out);
        self.last.encode(out);
        if !self.place.is_empty() {
            key::PLACE.encode(out);
            self.place.as_slice().encode(out);
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let nobody = Identity { env_version: crate::ENV_VERSION, pid: 0, hostname: "" };
        let mut header = Self::new(ProducerId([0; 16]), nobody, "");
        let mut has_producer = false;
        for _ in 0..reader.map_len()? {
            match reader.u64()? {
                key::PRODUCER => {
                    header.producer = ProducerId(
                        reader
                            .bin()?
                            .try_into()
                            .map_err(|_| Error::malformed("producer id of a batch is not 16 bytes"))?,
                    );
                    has_producer = true;
                }
                key::FIRST_SEQUENCE => header.first_sequence = reader.u64()?,
                key::SPAN => header.span = reader.u64()?,
                key::PRESENT => header.present = runs(&mut reader)?,
                key::REMOVED => header.removed = counts(&mut reader)?,
                key::HOSTNAME => short(&mut reader)?.clone_into(&mut header.hostname),
                key::PID => header.pid = reader.i64()?,
                key::LOGGER => short(&mut reader)?.clone_into(&mut header.logger),
                key::ENV_VERSION => short(&mut reader)?.clone_into(&mut header.env_version),
                key::ATTEMPTED => header.attempted = reader.u64()?,
                key::REFUSED => header.refused = counts(&mut reader)?,
                key::DROPPED => header.dropped = counts(&mut reader)?,
                key::LAST => header.last = reader.bool()?,
                key::PLACE => header.place = reader.bin()?.to_vec(),
                key::ROLE => header.role = Role::from_number(reader.u64()?),
                key::ENCODING => encoding(reader.u64()?)?,
                _ => reader.skip()?,
            }
        }
        if !has_producer {
            return Err(Error::malformed("batch header has no producer id"));
        }
        header.check().map(|()| header)
    }

    /// The runs lie in order inside the span and, with what was removed, fill it.
    fn check(&self) -> Result<(), Error> {
        let mut from = 0_u64;
        let mut accounted = 0_u64;
        for &(offset, length) in &self.present {
            if offset < from || length == 0 {
                return Err(Error::malformed("runs of a batch overlap, are empty or are out of order"));
            }
            // Runs that end in range and do not overlap cannot add up to more than that range.
            from = offset
                .checked_add(length)
                .ok_or_else(|| Error::malformed("runs of a batch go past the last sequence number"))?;
            accounted += length;
        }
        let removed = sum(&self.removed)?;
        let whole = from <= self.span && accounted.checked_add(removed) == Some(self.span);
        if !whole {
            return Err(Error::malformed(format!(
                "batch spans {} messages but accounts for {accounted} present and {removed} removed",
                self.span
            )));
        }
        let totals = [
            self.first_sequence.checked_add(self.span),
            self.attempted.checked_add(sum(&self.refused)?),
            Some(sum(&self.dropped)?),
        ];
        if totals.iter().any(|total| total.is_none_or(|total| total > MAX_SEQUENCE)) {
            return Err(Error::malformed(format!(
                "sequence numbers and totals of a batch go past {MAX_SEQUENCE}"
            )));
        }
        Ok(())
    }
}

/// As much of a text as a header takes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}

fn encoding(found: u64) -> Result<(), Error> {
    if found == ENCODING_PLAIN {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Version,
        format!("batch body has encoding {found}, this build reads {ENCODING_PLAIN}"),
    ))
}

fn runs(reader: &mut Reader<'_>) -> Result<Vec<(u64, u64)>, Error> {
    let numbers = reader.array_len()?;
    if numbers % 2 != 0 {
        return Err(Error::malformed("runs of a batch are not pairs"));
    }
    (0..numbers / 2).map(|_| Ok((reader.u64()?, reader.u64()?))).collect()
}

fn counts(reader: &mut Reader<'_>) -> Result<Counts, Error> {
    let length = reader.map_len()?;
    if usize::try_from(length).unwrap_or(usize::MAX) > MAX_REASONS {
        return Err(Error::malformed(format!(
            "{length} reasons in a batch header, expected at most {MAX_REASONS}"
        )));
    }
    (0..length).map(|_| Ok((short(reader)?.to_owned(), reader.u64()?))).collect()
}

/// A text that is kept long after its batch.
fn short<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
    let text = reader.text()?;
    if text.len() > MAX_TEXT {
        let found = text.len();
        return Err(Error::malformed(format!(
            "text of {found} bytes in a batch header, expected at most {MAX_TEXT}"
        )));
    }
    Ok(text)
}

fn sum(counts: &Counts) -> Result<u64, Error> {
    let sum = counts.values().try_fold(0_u64, |sum, count| sum.checked_add(*count));
    sum.ok_or_else(|| Error::malformed("counts of a batch header are too large to add up"))
}
