//! The other end: a PULL socket that takes batches, or a ROUTER that acknowledges them.

use std::collections::BTreeMap;

use metlog_core::link::{Frame, SenderId, VERSIONS};

/// How long it waits for a frame, in milliseconds.
const LOOK: i32 = 100;

/// A socket and, of a ROUTER, who is behind each peer and the last batch taken from each sender.
pub(crate) struct Receiver {
    socket: zmq::Socket,
    is_router: bool,
    peers: BTreeMap<Vec<u8>, SenderId>,
    accepted: BTreeMap<SenderId, u64>,
    _context: zmq::Context,
}

/// What has come.
pub(crate) enum Next {
    Batch(Vec<u8>),
    /// A word of the link, or a batch that came before.
    Other,
    Nothing,
}

impl Receiver {
    pub(crate) fn pull() -> Self {
        Self::open(zmq::PULL)
    }

    pub(crate) fn router() -> Self {
        Self::open(zmq::ROUTER)
    }

    fn open(kind: zmq::SocketType) -> Self {
        let context = zmq::Context::new();
        let socket = context.socket(kind).unwrap();
        socket.set_rcvtimeo(LOOK).unwrap();
        let (peers, accepted) = (BTreeMap::new(), BTreeMap::new());
        Self { socket, is_router: kind == zmq::ROUTER, peers, accepted, _context: context }
    }

    pub(crate) fn bind(&self, endpoint: &str) {
        self.socket.bind(endpoint).unwrap();
    }

    pub(crate) fn next(&mut self) -> Next {
        let frame = match self.socket.recv_bytes(0) {
            Ok(frame) => frame,
            Err(zmq::Error::EAGAIN) => return Next::Nothing,
            Err(error) => panic!("{error}"),
        };
        if self.is_router { self.route(frame) } else { Next::Batch(frame) }
    }

    fn route(&mut self, peer: Vec<u8>) -> Next {
        let frame = self.socket.recv_bytes(0).unwrap();
        match Frame::decode(&frame).unwrap() {
            Frame::Hello { sender, .. } => {
                let accepted = self.accepted.get(&sender).copied().unwrap_or(0);
                self.peers.insert(peer.clone(), sender);
                self.answer(peer, &Frame::Welcome { version: VERSIONS.1, accepted, credit: 1 << 20 });
            }
            Frame::Batch { sequence, batch, .. } => {
                let accepted = self.accepted.entry(self.peers[&peer]).or_default();
                let is_new = sequence > *accepted;
                *accepted = sequence.max(*accepted);
                self.answer(peer, &Frame::Ack { sequence });
                if is_new {
                    return Next::Batch(batch.to_vec());
                }
            }
            Frame::Ping => self.answer(peer, &Frame::Pong),
            other => panic!("{other:?}"),
        }
        Next::Other
    }

    fn answer(&self, peer: Vec<u8>, frame: &Frame<'_>) {
        self.socket.send_multipart([peer, frame.encode()], 0).unwrap();
    }
}
