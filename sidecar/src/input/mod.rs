//! What comes in, one file for each way. Each input is a thread of its own and goes through the intake.

mod drops;
pub mod files;
mod json;
pub mod json_udp;
pub mod push;
pub mod statsd;
pub mod sub;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use metlog_pipeline::sockets::{Lent, Sockets, udp};
use socket2::{Domain, SockRef, Socket, Type};

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

/// Asks the kernel for a larger receive buffer. One that is larger already stays: systemd may ask for more than we may.
fn grow_buffer(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    let options = SockRef::from(socket);
    if options.recv_buffer_size()? < bytes { options.set_recv_buffer_size(bytes) } else { Ok(()) }
}

/// A UDP socket with a large receive buffer that does not wait.
///
/// # Errors
/// When the address is in use; the message names `section`.
fn bind_udp(address: SocketAddr, section: &str, sockets: &Sockets) -> io::Result<Lent<UdpSocket>> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.bind(&address.into())?;
        Ok::<_, io::Error>(UdpSocket::from(socket))
    };
    let bind = || {
        let socket = sockets.take(section, &[udp(address)], open)?;
        grow_buffer(&socket, RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    bind().map_err(|source: io::Error| {
        io::Error::new(source.kind(), format!("cannot listen on {section}.address {address}: {source}"))
    })
}
