//! What several test programs need.

use metlog_core::{
    Error, ErrorKind,
    sender::{Delivery, Outgoing, Sender, Target},
};

/// A sender that answers every batch alike and keeps none; `Err` is a broken pipe.
#[derive(Clone, Copy)]
pub(crate) struct Answers(pub(crate) Result<Delivery, ()>);

impl Target for Answers {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        Ok(Box::new(*self))
    }
}

impl Sender for Answers {
    fn send(&mut self, _: &Outgoing) -> Result<Delivery, Error> {
        self.0.map_err(|()| Error::new(ErrorKind::Io, "broken pipe"))
    }
}
