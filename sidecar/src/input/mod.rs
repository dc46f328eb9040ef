//! What comes in, one file for each way. Each input is a thread of its own and goes through the intake.

pub mod files;
pub mod json_udp;
pub mod push;
pub mod statsd;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

/// Largest datagram there can be.
const MAX_DATAGRAM: usize = 65_535;

/// Receive buffer asked of the kernel, so that a burst survives a moment of ours; it may give less.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// How long an input waits for something to come before it looks whether to stop.
const WAIT: Duration = Duration::from_millis(100);

/// How long an input that is told to stop goes on with what lies in its socket already: a sender that never rests must
/// not keep the daemon from ending.
const DRAIN: Duration = Duration::from_secs(1);

/// Calls `take` until it finds nothing more, for at most [`DRAIN`].
fn drain(mut take: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < DRAIN && take() {}
}

/// A UDP socket with a large receive buffer that does not wait.
///
/// # Errors
/// When the address is in use; the message names `section`.
fn bind_udp(address: SocketAddr, section: &str) -> io::Result<UdpSocket> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok(UdpSocket::from(socket))
    };
    bind().map_err(|source: io::Error| {
        io::Error::new(source.kind(), format!("cannot listen on {section}.address {address}: {source}"))
    })
}
