//! How frames get to a back end: in packets, or over a stream.

use super::{
    OutputError, OutputState,
    datagrams::Datagrams,
    frames::{Frames, Unsent},
    stream::Stream,
};

/// One or the other, as the protocol of the configuration says.
#[derive(Debug)]
pub(super) enum Way {
    /// As many frames to a packet as fit into so many bytes.
    Packets(Datagrams, usize),
    /// One behind the other.
    Stream(Box<Stream>),
}

impl Way {
    /// Sends all frames.
    pub(super) fn send(&mut self, frames: &Frames) -> Result<(), Unsent> {
        match self {
            Self::Packets(packets, most) => packets.send(frames, *most),
            Self::Stream(stream) => stream.send(frames),
        }
    }

    /// An error while there is something to be sent again.
    pub(super) fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        if let Self::Stream(stream) = self {
            stream.finish()?;
        }
        Ok(OutputState::Nothing)
    }

    /// Forgets what was to be sent again.
    pub(super) fn restore(&mut self) {
        if let Self::Stream(stream) = self {
            stream.reset();
        }
    }

    /// Whether the back end can be reached.
    pub(super) fn probe(&self) -> Result<String, OutputError> {
        match self {
            Self::Packets(packets, _) => packets.probe(),
            Self::Stream(stream) => stream.probe(),
        }
    }
}
