//! Where batches go. A [`Target`] says where; the worker connects it and gets a [`Sender`], which it alone uses.
//!
//! The split is what makes a fork harmless: the child connects the same target anew and never touches the parent's
//! sockets.

use std::{ops::Deref, sync::Arc, time::Duration};

use crate::{
    error::Error,
    queue::Room,
    stats::Reason,
    wire::{
        batch::{Batch, Frame},
        json,
    },
};

#[cfg(feature = "zmq")]
pub mod acked;
pub mod memory;
pub mod stream;
pub mod udp;
#[cfg(feature = "zmq")]
pub mod zmq;

/// A batch on its way out, as one frame. A sender may keep clones of it; the memory counts against `queue_bytes` until the
/// last one is dropped, on whatever thread.
#[derive(Debug, Clone)]
pub struct Outgoing(Arc<Held>);

#[derive(Debug)]
struct Held {
    frame: Frame,
    messages: u64,
    _room: Room,
}

impl Outgoing {
    pub(crate) fn new(frame: Frame, messages: u64, room: Room) -> Self {
        Self(Arc::new(Held { frame, messages, _room: room }))
    }

    /// How many messages it carries.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.0.messages
    }
}

/// Bytes made of a batch for a socket to send; they count against `queue_bytes` beside the batch until they are dropped.
#[cfg(feature = "zmq")]
pub(crate) struct Copied {
    bytes: Vec<u8>,
    _room: Room,
}

#[cfg(feature = "zmq")]
impl Outgoing {
    pub(crate) fn copied(&self, bytes: Vec<u8>) -> Copied {
        let room = self.0._room.beside(bytes.len());
        Copied { bytes, _room: room }
    }
}

#[cfg(feature = "zmq")]
impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Outgoing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.frame
    }
}

impl AsRef<[u8]> for Outgoing {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// What became of a batch that was given to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Taken, but for `dropped` messages that this sender cannot carry.
    Taken {
        /// How many messages were given up.
        dropped: u64,
        /// Why.
        reason: Reason,
    },
    /// Not now: the same batch is to be offered again.
    Busy,
}

impl Delivery {
    /// Every message was taken.
    pub const ALL: Self = Self::Taken { dropped: 0, reason: Reason::Send };
}

/// What a sender has taken and still answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Messages in these batches.
    pub messages: u64,
    /// The length of their frames.
    pub bytes: usize,
}

/// Sends batches; lives on the worker's thread.
pub trait Sender {
    /// Offers one batch, without waiting for a peer. (A stream waits as its file does.)
    ///
    /// # Errors
    /// When the batch cannot be sent and offering it again would not help.
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error>;

    /// Waits until another try makes sense after [`Delivery::Busy`], or until there is news of what is pending, at most
    /// `timeout`.
    fn wait(&mut self, timeout: Duration) {
        std::thread::sleep(timeout.min(Duration::from_millis(10)));
    }

    /// Looks after what was taken: called now and then, and until it gives back false, which says that what was taken is
    /// as safe as this sender makes it.
    fn tend(&mut self) -> bool {
        false
    }

    /// What it has taken that is not safe yet. Messages become so in the order in which they were taken.
    fn pending(&self) -> Pending {
        Pending::default()
    }

    /// Hands on what was taken, waiting at most `timeout`; gives back how many messages it had taken and gives up.
    fn close(self: Box<Self>, timeout: Duration) -> u64 {
        let _nothing_is_buffered = timeout;
        0
    }
}

/// Where to send, as the application configured it.
pub trait Target: Send + Sync {
    /// Opens it; called on the worker's thread, once in each process.
    ///
    /// # Errors
    /// When it cannot be opened; the messages are then dropped and counted.
    fn connect(&self) -> Result<Box<dyn Sender>, Error>;
}

/// Gives the messages of a batch one by one to `each` as JSON, for receivers that know no batches; what it refuses is dropped.
///
/// # Errors
/// As [`Batch::parse`].
pub fn each_json(
    frame: &[u8],
    mut each: impl FnMut(String) -> Result<(), Reason>,
) -> Result<Delivery, Error> {
    let batch = Batch::parse(frame)?;
    let mut delivery = Delivery::ALL;
    for (_, message) in batch.messages() {
        let taken = message.map_err(|_| Reason::Encode).and_then(|message| each(json::to_json(&message)));
        if let (Err(why), Delivery::Taken { dropped, reason }) = (taken, &mut delivery) {
            *dropped += 1;
            *reason = why;
        }
    }
    Ok(delivery)
}
