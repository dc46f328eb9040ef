//! CURVE: links that leave the host are encrypted, and both ends know each other by their keys.
//!
//! A daemon has a key pair in a file of its own ([`KeyPair`]). A receiver lets in the public keys of its list
//! ([`AllowedClients`]), which is read again when it changes; a sender knows the public keys of its receivers. The handshake is
//! libzmq's (ZeroMQ RFC 26); who may in is asked of the thread of [`Gate`] (RFC 27, ZAP).

mod allowed;
mod config;
mod gate;
mod handshake;
mod keys;

pub use allowed::AllowedClients;
pub(crate) use config::nth;
pub use config::{CurveClient, CurveServer};
pub use gate::Gate;
pub use handshake::Handshake;
pub use keys::{KeyPair, PublicKey};

use metlog_core::{Error, ErrorKind};

/// Whether this build can encrypt.
///
/// # Errors
/// When libzmq was built without CURVE.
pub fn is_there() -> Result<(), Error> {
    match zmq::has("curve") {
        Some(true) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Config,
            "this build of libzmq has no CURVE: build metlog from its own workspace, which brings one that has",
        )),
    }
}
