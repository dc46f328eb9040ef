//! What an output is given, and what it says became of it.

use metlog_core::Message;

use super::OutputError;
use crate::dead_letters::Owner;

/// A message on its way to a back end.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The message.
    pub message: Message,
    /// Whose it is: with this a back end can tell a message that comes again from a new one.
    pub owner: Owner,
}

/// What became of the items of one call. Those it does not name were delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Items that the back end will never take: position in the call, and why.
    pub dead: Vec<(usize, String)>,
}

/// A delivery that stopped before its end.
#[derive(Debug)]
pub struct Halted {
    /// How many items, from the first, are settled: delivered, or named in `dead`. They are not given again.
    pub settled: usize,
    /// Settled items that the back end will never take: position in the call, and why.
    pub dead: Vec<(usize, String)>,
    /// Why the rest is to be tried again later.
    pub error: OutputError,
}

impl Halted {
    /// A delivery of which only the first `settled` items are settled, with what of `dead` is among them.
    #[must_use]
    pub fn after(settled: usize, mut dead: Vec<(usize, String)>, error: OutputError) -> Self {
        dead.retain(|(position, _)| *position < settled);
        Self { settled, dead, error }
    }
}

/// Of an output that delivers everything or nothing.
impl From<OutputError> for Halted {
    fn from(error: OutputError) -> Self {
        Self { settled: 0, dead: Vec::new(), error }
    }
}

#[cfg(test)]
impl From<Message> for Item {
    fn from(message: Message) -> Self {
        Self { message, owner: Owner::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_settled_is_not_dead_either() {
        let error = OutputError::NoFile { path: "x".into(), found: "a directory" };
        let halted = Halted::after(2, vec![(1, "a".to_owned()), (2, "b".to_owned())], error);
        assert_eq!((halted.settled, halted.dead), (2, vec![(1, "a".to_owned())]));
    }
}
