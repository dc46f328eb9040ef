//! Why a receiver has not let us in: libzmq tells nobody but a monitor.

use metlog_core::{Error, ErrorKind};

/// Hears of a connecting socket's handshakes.
pub struct Handshake(zmq::Socket);

/// The events of libzmq's monitor: closed without a reason, against the protocol, not allowed.
const NO_DETAIL: u16 = 0x0800;
const PROTOCOL: u16 = 0x2000;
const AUTH: u16 = 0x4000;

impl Handshake {
    /// Listens to `socket`; `number` tells it from others of its context.
    ///
    /// # Errors
    /// When ZeroMQ has no room for it.
    pub fn watch(context: &zmq::Context, socket: &zmq::Socket, number: usize) -> Result<Self, Error> {
        let endpoint = format!("inproc://metlog.handshake.{number}");
        let open = || {
            socket.monitor(&endpoint, i32::from(NO_DETAIL | PROTOCOL | AUTH))?;
            let events = context.socket(zmq::PAIR)?;
            events.connect(&endpoint)?;
            Ok(events)
        };
        open().map(Self).map_err(|source: zmq::Error| {
            Error::new(ErrorKind::Io, format!("cannot watch the handshake: {source}")).with_source(source)
        })
    }

    /// Why the last one failed; nothing when none did. `key` is our own, if we have one.
    #[must_use]
    pub fn failure(&self, key: Option<super::PublicKey>) -> Option<String> {
        let mut last = None;
        while let Ok(event) = self.0.recv_multipart(zmq::DONTWAIT) {
            last = event.first().and_then(|event| event.first_chunk()).map(|kind| u16::from_ne_bytes(*kind));
        }
        Some(match (last?, key) {
            (AUTH, Some(key)) => {
                format!("it refuses our key: {key} has to be in the allowed_clients of its input.link.curve")
            }
            (_, Some(_)) => {
                "the handshake failed: is the receiver's public key in forward.curve.server_keys, and does \
                             the endpoint use CURVE?"
                    .to_owned()
            }
            (_, None) => "the handshake failed: it wants CURVE, see forward.curve".to_owned(),
        })
    }
}
