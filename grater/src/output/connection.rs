//! One connection to a peer that reads: TCP, TLS over TCP, or a unix socket.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use rustls::{ClientConnection, StreamOwned};

use super::{Address, OutputError, TlsConfig, net};

/// Whom to connect to, and how.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// In plain text.
    Tcp(Address),
    /// Encrypted.
    Tls(Address, TlsConfig),
    /// On this host.
    Unix(PathBuf),
}

/// A connection that stands.
#[derive(Debug)]
pub(super) enum Connection {
    /// In plain text.
    Tcp(TcpStream),
    /// Encrypted.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// On this host.
    Unix(UnixStream),
}

/// What has become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It stands.
    Open,
    /// The peer has closed it when it had read everything: the kernel tells the difference.
    Closed,
    /// It broke: nobody knows what the peer had read.
    Broken,
}

impl Peer {
    /// As operators know it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tcp(address) | Self::Tls(address, _) => address.as_str().to_owned(),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// Connects; with TLS, until both sides agree.
    pub(super) fn connect(&self, timeout: Duration) -> Result<Connection, OutputError> {
        let name = self.name();
        let refused = OutputError::network("connect to", &name);
        Ok(match self {
            Self::Unix(path) => Connection::Unix(UnixStream::connect(path).map_err(refused)?),
            Self::Tcp(address) => Connection::Tcp(net::connect(address.as_str(), timeout).map_err(refused)?),
            Self::Tls(address, tls) => {
                // Before connecting: what is wrong with the settings is said whether or not the peer is there.
                let (config, server) = (tls.client()?, tls.server_name(address.host())?);
                let mut socket = net::connect(address.as_str(), timeout).map_err(refused)?;
                let disagreed = |error| OutputError::network("agree on TLS with", &name)(error);
                let mut session = ClientConnection::new(config, server)
                    .map_err(|error| disagreed(io::Error::other(error)))?;
                socket.set_read_timeout(Some(timeout)).map_err(disagreed)?;
                socket.set_write_timeout(Some(timeout)).map_err(disagreed)?;
                session.complete_io(&mut socket).map_err(disagreed)?;
                Connection::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        })
    }

    /// Whether the peer takes us. One that wants another certificate says so only after the handshake.
    pub(super) fn probe(&self, timeout: Duration) -> Result<String, OutputError> {
        /// Time for the refusal to come back.
        const REFUSAL: Duration = Duration::from_millis(300);
        let mut connection = self.connect(timeout)?;
        let name = self.name();
        if let Connection::Tls(stream) = &mut connection {
            let refused = OutputError::network("stay connected to", &name);
            stream.sock.set_read_timeout(Some(REFUSAL)).map_err(OutputError::network("connect to", &name))?;
            return match stream.read(&mut [0]) {
                Err(error) if is_would_block(&error) => Ok(format!("{name} takes TLS connections")),
                Err(error) => Err(refused(error)),
                Ok(_) => Err(refused(io::ErrorKind::ConnectionAborted.into())),
            };
        }
        Ok(format!("{name} takes connections"))
    }
}

impl Connection {
    /// How long a write may wait.
    pub(super) fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_write_timeout(Some(timeout)),
            Self::Tls(stream) => stream.sock.set_write_timeout(Some(timeout)),
            Self::Unix(socket) => socket.set_write_timeout(Some(timeout)),
        }
    }

    fn set_nonblocking(&self, is_on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(is_on),
            Self::Tls(stream) => stream.sock.set_nonblocking(is_on),
            Self::Unix(socket) => socket.set_nonblocking(is_on),
        }
    }

    /// Looks whether the peer has closed. It never speaks; if it does, what it says is read and forgotten.
    pub(super) fn state(&mut self) -> State {
        /// A peer that says more than this between two writes is none of ours, and could keep us here.
        const MOST_READS: usize = 16;
        let mut said = [0; 512];
        if self.set_nonblocking(true).is_err() {
            return State::Broken;
        }
        for _ in 0..MOST_READS {
            match self.read(&mut said) {
                Ok(0) => return self.closed(),
                Ok(_) => {}
                Err(error) if is_would_block(&error) => {
                    return if self.set_nonblocking(false).is_ok() { State::Open } else { State::Broken };
                }
                // TLS that ends without its farewell, on a connection that ends in good order.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return self.closed(),
                Err(_) => return State::Broken,
            }
        }
        State::Broken
    }
}

impl Connection {
    /// The peer has closed. A reset that came after that shows in no read: it answers what we wrote since.
    fn closed(&self) -> State {
        let error = match self {
            Self::Tcp(socket) => socket.take_error(),
            Self::Tls(stream) => stream.sock.take_error(),
            Self::Unix(socket) => socket.take_error(),
        };
        if matches!(error, Ok(None)) { State::Closed } else { State::Broken }
    }
}

/// TLS says farewell, so that the peer knows that nothing was cut off.
impl Drop for Connection {
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            // A peer that takes nothing more is not waited for.
            let _ = stream.sock.set_nonblocking(true);
            let _unsent = stream.conn.write_tls(&mut stream.sock);
        }
    }
}

/// What a socket says when its time is up.
pub(super) fn is_would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Read for Connection {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
            Self::Unix(socket) => socket.read(bytes),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) => stream.flush(),
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }
}
