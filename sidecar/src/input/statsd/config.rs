//! The sections `[input.statsd_*]`, and the sockets they ask for.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, UdpSocket},
    num::NonZeroUsize,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use metlog_pipeline::{
    config::Size,
    sockets::{Lent, Sockets, tcp, udp, unix},
};
use schemars::JsonSchema;
use serde::Deserialize;
use socket2::{Domain, SockRef, Socket, Type};

use crate::input::grow_buffer;

/// Mode of a unix socket: the group `metlog` may send.
const SOCKET_MODE: u32 = 0o660;

/// Connections that may wait to be taken.
const BACKLOG: i32 = 1_024;

/// The section `[input.statsd_udp]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UdpConfig {
    /// False switches the input off.
    pub enabled: bool,
    /// Where to listen.
    pub address: SocketAddr,
    /// Threads that receive, each with a socket of its own, between which the kernel divides the senders. One by default,
    /// which takes some millions of metrics a second.
    pub threads: NonZeroUsize,
    /// Receive buffer of each socket, 8 MiB by default; the kernel gives at most `net.core.rmem_max`.
    #[schemars(with = "Size")]
    pub receive_buffer: ByteSize,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            address: SocketAddr::from(([127, 0, 0, 1], 8125)),
            threads: NonZeroUsize::MIN,
            receive_buffer: ByteSize::mib(8),
        }
    }
}

/// The section `[input.statsd_tcp]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpConfig {
    /// Where to listen.
    pub address: SocketAddr,
}

/// The sections `[input.statsd_unix]` and `[input.statsd_stream]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnixConfig {
    /// The socket's path.
    pub path: PathBuf,
}

impl UdpConfig {
    /// A socket for each thread.
    pub(super) fn bind(&self, sockets: &Sockets) -> io::Result<Vec<Lent<UdpSocket>>> {
        let mut address = self.address;
        let mut bound = Vec::new();
        for _ in 0..self.threads.get() {
            let socket = self.take(address, sockets).map_err(named("statsd_udp.address", address))?;
            // With port 0 the first socket says which one the system has chosen.
            address = socket.local_addr()?;
            bound.push(socket);
        }
        Ok(bound)
    }

    /// One whose options are as they should be, whoever has bound it.
    fn take(&self, address: SocketAddr, sockets: &Sockets) -> io::Result<Lent<UdpSocket>> {
        let shared = self.threads > NonZeroUsize::MIN;
        let open = || {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
            socket.set_reuse_port(shared)?;
            socket.bind(&address.into())?;
            Ok::<_, io::Error>(UdpSocket::from(socket))
        };
        let socket = sockets.take("statsd_udp", &[udp(address)], open)?;
        grow_buffer(&socket, usize::try_from(self.receive_buffer.as_u64()).unwrap_or(usize::MAX))?;
        SockRef::from(&*socket).set_reuse_port(shared)?;
        Ok(socket)
    }
}

impl TcpConfig {
    pub(super) fn bind(&self, sockets: &Sockets) -> io::Result<Lent<TcpListener>> {
        let open = || {
            let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&self.address.into())?;
            socket.listen(BACKLOG)?;
            Ok(TcpListener::from(socket))
        };
        let listener = sockets
            .take("statsd_tcp", &[tcp(self.address)], open)
            .map_err(named("statsd_tcp.address", self.address))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl UnixConfig {
    pub(super) fn bind_datagrams(&self, sockets: &Sockets) -> io::Result<Lent<UnixDatagram>> {
        let ask = |path: &Path| UnixDatagram::unbound()?.connect(path);
        let open = || self.open(ask, |path| UnixDatagram::bind(path));
        let path = self.path.display();
        sockets.take("statsd_unix", &[unix(&self.path)], open).map_err(named("statsd_unix.path", path))
    }

    pub(super) fn bind_stream(&self, sockets: &Sockets) -> io::Result<Lent<UnixListener>> {
        let ask = |path: &Path| UnixStream::connect(path).map(drop);
        let open = || self.open(ask, |path| UnixListener::bind(path));
        let path = self.path.display();
        let listener = sockets
            .take("statsd_stream", &[unix(&self.path)], open)
            .map_err(named("statsd_stream.path", path))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Binds the path. A socket that nobody listens on is left over and removed; a live one, which says otherwise when it
    /// is asked, is not taken from its owner.
    fn open<T>(
        &self,
        ask: impl FnOnce(&Path) -> io::Result<()>,
        bind: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<T> {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.file_type().is_socket()) {
            let asked = ask(&self.path).err().map(|error| error.kind());
            if asked != Some(io::ErrorKind::ConnectionRefused) {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"));
            }
            fs::remove_file(&self.path)?;
        }
        let socket = bind(&self.path)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(SOCKET_MODE))?;
        Ok(socket)
    }
}

fn named(setting: &'static str, value: impl std::fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    move |source| io::Error::new(source.kind(), format!("cannot listen on input.{setting} {value}: {source}"))
}
