//! The link: one acknowledged hop between a sender and a receiver, as frames and as the sender's window.
//!
//! A frame is one ZeroMQ frame between DEALER (the sender) and ROUTER (the receiver): a MessagePack array whose first
//! element says what it is.
//!
//! ```text
//! [0, oldest version, newest version, sender id (16 bytes), incarnation]  hello    sender -> receiver
//! [1, version, accepted, credit]                                          welcome  receiver -> sender
//! [2, sequence, previous, batch]                                          batch    sender -> receiver
//! [3, sequence]                                                           ack      receiver -> sender
//! [4, bytes]                                                              credit   receiver -> sender
//! [5]                                                                     ping     sender -> receiver
//! [6]                                                                     pong     receiver -> sender
//! [7, kind, message]                                                      refusal  receiver -> sender
//! [8, sequence, previous, size, compressed]                               packed   sender -> receiver
//! ```
//! `accepted` is the highest sequence number the receiver has taken from this sender, safe on its disk. Sequence numbers
//! rise, and a batch names the one before it on this link (the first after a welcome: what the welcome said), so that a
//! gap is seen though numbers may be left out. An ack covers everything up to its number, and is sent only
//! after the receiver's spool has synced. Credit bounds the bytes that may be unacknowledged; 0 means wait. After a
//! refusal the receiver ignores the peer until its next hello.

use std::{collections::VecDeque, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind},
    hex,
    value::Encode,
    wire::{batch::MAX_BATCH_BYTES, pack, read::Reader},
};

/// The versions of the link this build speaks, oldest and newest. With version 2 came [`Frame::Packed`].
pub const VERSIONS: (u64, u64) = (1, 2);

/// The version from which on a receiver takes [`Frame::Packed`].
pub const PACKED_VERSION: u64 = 2;

/// No receiver takes a larger frame: a batch and the few bytes around it.
pub const MAX_FRAME_BYTES: usize = MAX_BATCH_BYTES + 64;

/// Who sends on a link: the spool it reads from, and how often that spool has lost records it had numbered, so that a
/// number used twice is never taken for a repeat.
/// Shown and serialised as `<32 hex digits>-<incarnation>`, so that it can be a map key.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SenderId {
    /// Made at random with the spool.
    pub id: [u8; 16],
    /// Counts the losses.
    pub incarnation: u32,
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(self.id, f)?;
        write!(f, "-{}", self.incarnation)
    }
}

impl fmt::Debug for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SenderId> for String {
    fn from(sender: SenderId) -> Self {
        sender.to_string()
    }
}

impl TryFrom<String> for SenderId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (digits, incarnation) = text.split_once('-')?;
            Some(Self { id: hex::parse(digits)?, incarnation: incarnation.parse().ok()? })
        };
        parse().ok_or_else(|| format!("sender is {text:?}, expected <32 hex digits>-<incarnation>"))
    }
}

/// One frame of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The sender's first word on a connection.
    Hello {
        /// Oldest and newest version it speaks.
        versions: (u64, u64),
        /// Who it is.
        sender: SenderId,
    },
    /// The receiver's answer to hello.
    Welcome {
        /// The version both speak from now on.
        version: u64,
        /// The highest sequence number taken from this sender, 0 for none.
        accepted: u64,
        /// Bytes that may be unacknowledged.
        credit: u64,
    },
    /// One batch.
    Batch {
        /// Its number on this link.
        sequence: u64,
        /// The number of the batch before it, 0 for none.
        previous: u64,
        /// A frame of [`crate::wire::batch`].
        batch: &'a [u8],
    },
    /// One batch, compressed.
    Packed {
        /// Its number on this link.
        sequence: u64,
        /// The number of the batch before it, 0 for none.
        previous: u64,
        /// Bytes of the batch before it was compressed: the receiver takes no batch over [`MAX_BATCH_BYTES`] and unpacks
        /// no further than this.
        size: u64,
        /// The batch as a zstd frame (RFC 8878).
        compressed: &'a [u8],
    },
    /// Everything up to `sequence` is safe.
    Ack {
        /// The highest safe number.
        sequence: u64,
    },
    /// From now on so many bytes may be unacknowledged.
    Credit {
        /// The bound; 0 means wait.
        bytes: u64,
    },
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// The last frame made no sense; the peer is ignored until its next hello.
    Refusal {
        /// An [`ErrorKind`] as a word.
        kind: &'a str,
        /// What was wrong.
        message: &'a str,
    },
}

mod tag {
    pub(super) const HELLO: u64 = 0;
    pub(super) const WELCOME: u64 = 1;
    pub(super) const BATCH: u64 = 2;
    pub(super) const ACK: u64 = 3;
    pub(super) const CREDIT: u64 = 4;
    pub(super) const PING: u64 = 5;
    pub(super) const PONG: u64 = 6;
    pub(super) const REFUSAL: u64 = 7;
    pub(super) const PACKED: u64 = 8;
}

impl<'a> Frame<'a> {
    /// The frame as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello { versions: (oldest, newest), sender } => {
                array(&[&tag::HELLO, oldest, newest, &sender.id.as_slice(), &sender.incarnation])
            }
            Self::Welcome { version, accepted, credit } => array(&[&tag::WELCOME, version, accepted, credit]),
            Self::Batch { sequence, previous, batch } => array(&[&tag::BATCH, sequence, previous, batch]),
            Self::Packed { sequence, previous, size, compressed } => {
                array(&[&tag::PACKED, sequence, previous, size, compressed])
            }
            Self::Ack { sequence } => array(&[&tag::ACK, sequence]),
            Self::Credit { bytes } => array(&[&tag::CREDIT, bytes]),
            Self::Ping => array(&[&tag::PING]),
            Self::Pong => array(&[&tag::PONG]),
            Self::Refusal { kind, message } => array(&[&tag::REFUSAL, kind, message]),
        }
    }

    /// Reads a frame. Elements after those it knows are skipped, so that a later version may add some.
    ///
    /// # Errors
    /// `TooBig` over [`MAX_FRAME_BYTES`], `Malformed` for anything that is no frame.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_FRAME_BYTES {
            let found = bytes.len();
            return Err(Error::new(
                ErrorKind::TooBig,
                format!("link frame of {found} bytes, expected at most {MAX_FRAME_BYTES}"),
            ));
        }
        let mut reader = Reader::new(bytes);
        reader.array_len()?;
        Ok(match reader.u64()? {
            tag::HELLO => Self::Hello {
                versions: (reader.u64()?, reader.u64()?),
                sender: SenderId { id: sender_id(reader.bin()?)?, incarnation: incarnation(reader.u64()?)? },
            },
            tag::WELCOME => {
                Self::Welcome { version: reader.u64()?, accepted: reader.u64()?, credit: reader.u64()? }
            }
            tag::BATCH => {
                Self::Batch { sequence: reader.u64()?, previous: reader.u64()?, batch: reader.bin()? }
            }
            tag::PACKED => Self::Packed {
                sequence: reader.u64()?,
                previous: reader.u64()?,
                size: reader.u64()?,
                compressed: reader.bin()?,
            },
            tag::ACK => Self::Ack { sequence: reader.u64()? },
            tag::CREDIT => Self::Credit { bytes: reader.u64()? },
            tag::PING => Self::Ping,
            tag::PONG => Self::Pong,
            tag::REFUSAL => Self::Refusal { kind: reader.text()?, message: reader.text()? },
            other => return Err(Error::malformed(format!("link frame of unknown kind {other}"))),
        })
    }
}

fn array(elements: &[&dyn Encode]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    pack::list(&mut out, elements.len());
    elements.iter().for_each(|element| element.encode(&mut out));
    out
}

fn sender_id(bytes: &[u8]) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(|_| Error::malformed(format!("sender id of {} bytes, expected 16", bytes.len())))
}

fn incarnation(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::malformed(format!("incarnation {number} is over {}", u32::MAX)))
}

/// The version two peers speak: the newest both know.
///
/// # Errors
/// `Version` when there is none.
pub fn agree(theirs: (u64, u64)) -> Result<u64, Error> {
    let newest = theirs.1.min(VERSIONS.1);
    if newest < theirs.0 || newest < VERSIONS.0 {
        let message = format!(
            "peer speaks link versions {} to {}, this build {} to {}: upgrade the older one",
            theirs.0, theirs.1, VERSIONS.0, VERSIONS.1
        );
        return Err(Error::new(ErrorKind::Version, message));
    }
    Ok(newest)
}

/// What a sender knows of the batches that are not acknowledged yet. The batches themselves stay in its store: memory
/// in a client, the spool in a daemon.
#[derive(Debug, Default)]
pub struct Window {
    acknowledged: u64,
    credit: u64,
    in_flight: VecDeque<(u64, u64)>,
    in_flight_bytes: u64,
}

impl Window {
    /// The receiver has taken everything up to `accepted` and allows `credit` bytes; nothing is in flight any more.
    /// The next batch to send is the first one after `accepted` that the store has.
    pub fn welcome(&mut self, accepted: u64, credit: u64) {
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.credit = credit;
        self.acknowledged = accepted;
    }

    /// True when another batch may be sent. One always may when nothing is in flight and there is any credit, however
    /// large it is.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.in_flight_bytes < self.credit
    }

    /// A batch of `bytes` has been handed to the socket.
    pub fn sent(&mut self, sequence: u64, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.in_flight.push_back((sequence, bytes));
        self.in_flight_bytes = self.in_flight_bytes.saturating_add(bytes);
    }

    /// Everything up to `sequence` is safe with the receiver. Gives back whether that was news.
    ///
    /// # Errors
    /// `Malformed` when that was never sent.
    pub fn ack(&mut self, sequence: u64) -> Result<bool, Error> {
        let highest = self.in_flight.back().map_or(self.acknowledged, |(last, _)| *last);
        if sequence > highest {
            return Err(Error::malformed(format!("ack of {sequence}, but only {highest} was sent")));
        }
        let before = self.acknowledged;
        while let Some(&(first, bytes)) = self.in_flight.front().filter(|(first, _)| *first <= sequence) {
            self.in_flight.pop_front();
            self.in_flight_bytes -= bytes;
            self.acknowledged = first;
        }
        Ok(self.acknowledged > before)
    }

    /// The receiver sets the bound of unacknowledged bytes.
    pub fn set_credit(&mut self, bytes: u64) {
        self.credit = bytes;
    }

    /// The highest number that is safe with the receiver.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// True when everything sent is safe.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_as_written() {
        let sender = SenderId { id: [7; 16], incarnation: 3 };
        for frame in [
            Frame::Hello { versions: (1, 2), sender },
            Frame::Welcome { version: 1, accepted: u64::MAX, credit: 0 },
            Frame::Batch { sequence: 3, previous: 1, batch: b"\x00bytes" },
            Frame::Packed { sequence: 3, previous: 1, size: 1 << 20, compressed: b"\x28bytes" },
            Frame::Ack { sequence: 5 },
            Frame::Credit { bytes: 1 << 40 },
            Frame::Ping,
            Frame::Pong,
            Frame::Refusal { kind: "version", message: "too new" },
        ] {
            let bytes = frame.encode();
            assert_eq!(Frame::decode(&bytes).unwrap(), frame);
            for cut in 0..bytes.len() {
                assert!(Frame::decode(&bytes[..cut]).is_err(), "{frame:?} cut at {cut}");
            }
        }
        assert!(Frame::decode(&array(&[&99_u64])).unwrap_err().to_string().contains("99"));
    }

    #[test]
    fn a_sender_survives_its_text() {
        let sender = SenderId { id: *b"\x01abcdefghijklmno", incarnation: 7 };
        assert_eq!(sender.to_string(), "016162636465666768696a6b6c6d6e6f-7");
        assert_eq!(SenderId::try_from(sender.to_string()), Ok(sender));
        for text in
            ["", "-", "01-1", "+16162636465666768696a6b6c6d6e6f-7", "016162636465666768696a6b6c6d6e6f-x"]
        {
            assert!(SenderId::try_from(text.to_owned()).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn peers_agree_on_the_newest_version_both_know() {
        for (theirs, version) in [((1, 1), 1), ((1, 2), 2), ((1, 9), 2), ((2, 9), 2)] {
            assert_eq!(agree(theirs).unwrap(), version, "{theirs:?}");
        }
        assert_eq!(agree((3, 9)).unwrap_err().kind(), ErrorKind::Version);
    }

    #[test]
    fn a_window_closes_at_its_credit_and_opens_with_acks() {
        let mut window = Window::default();
        assert!(!window.is_open(), "no credit before the welcome");
        window.welcome(4, 100);
        window.sent(5, 60);
        assert!(window.is_open());
        window.sent(6, 60);
        assert!(!window.is_open());
        assert!(window.ack(5).unwrap());
        assert!(window.is_open());
        assert_eq!((window.acknowledged(), window.is_empty()), (5, false));
        assert!(window.ack(7).is_err(), "never sent");
        window.set_credit(0);
        window.ack(6).unwrap();
        assert!(window.is_empty() && !window.is_open());
    }

    #[test]
    fn a_welcome_starts_again_where_the_receiver_stands() {
        let mut window = Window::default();
        window.welcome(0, 100);
        window.sent(1, 10);
        window.sent(2, 10);
        window.welcome(1, 100);
        assert_eq!((window.acknowledged(), window.is_empty()), (1, true), "2 was lost on the way");
    }
}
