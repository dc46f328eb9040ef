//! Keeps what was sent in memory, for tests of applications and of this crate.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Delivery, Outgoing, Sender, Target};
use crate::{error::Error, message::Message, wire::batch::Batch};

/// A target that keeps the frames it gets.
#[derive(Debug, Clone)]
pub struct Memory(Captured);

/// What a [`Memory`] target has got so far.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<Vec<u8>>>>);

/// A target and the view of what it gets.
#[must_use]
pub fn channel() -> (Memory, Captured) {
    let captured = Captured::default();
    (Memory(captured.clone()), captured)
}

impl Captured {
    /// The frames, in order.
    #[must_use]
    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let decode = |frame: &Vec<u8>| -> Vec<Message> {
            let batch = Batch::parse(frame);
            batch.iter().flat_map(Batch::messages).filter_map(|(_, message)| message.ok()).collect()
        };
        self.frames().iter().flat_map(decode).collect()
    }
}

impl Target for Memory {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Memory {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch.to_vec());
        Ok(Delivery::ALL)
    }
}
