//! Sockets that systemd has opened, those of `.socket` units: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`.

use std::{any::Any, io, os::unix::net::SocketAddr};

use listenfd::ListenFd;
use socket2::SockRef;

use super::{Kept, Key, tcp, udp, unix};

/// All of them; none when they are meant for another process.
pub(super) fn passed() -> io::Result<Vec<Kept>> {
    let names: Vec<_> = sd_notify::listen_fds_with_names()?.collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut passed = ListenFd::from_env();
    let identified = names.into_iter().enumerate().map(|(position, (descriptor, name))| {
        let wrong = |why: &str| {
            io::Error::other(format!("systemd has passed {name} (descriptor {descriptor}), which {why}"))
        };
        let (socket, address) = identify(&mut passed, position)
            .map_err(|error| wrong(&format!("cannot be taken: {error}")))?
            .ok_or_else(|| wrong("is no UDP, TCP or unix socket that listens; Accept=no is wanted"))?;
        let key = Key { kind: String::new(), addresses: vec![address], passed: Some(name) };
        Ok(Kept { key, socket })
    });
    identified.collect()
}

type Identified = (Box<dyn Any + Send>, String);

/// What it is and where it listens.
fn identify(passed: &mut ListenFd, position: usize) -> io::Result<Option<Identified>> {
    if let Ok(Some(socket)) = passed.take_udp_socket(position) {
        let address = udp(socket.local_addr()?);
        return Ok(Some((Box::new(socket), address)));
    }
    if let Ok(Some(socket)) = passed.take_unix_datagram(position) {
        let address = path(&socket.local_addr()?)?;
        return Ok(Some((Box::new(socket), address)));
    }
    if let Ok(Some(listener)) = passed.take_tcp_listener(position) {
        let address = tcp(listener.local_addr()?);
        return Ok(SockRef::from(&listener).is_listener()?.then(|| (Box::new(listener) as _, address)));
    }
    if let Ok(Some(listener)) = passed.take_unix_listener(position) {
        let address = path(&listener.local_addr()?)?;
        return Ok(SockRef::from(&listener).is_listener()?.then(|| (Box::new(listener) as _, address)));
    }
    Ok(None)
}

fn path(address: &SocketAddr) -> io::Result<String> {
    let path = address.as_pathname().ok_or_else(|| io::Error::other("it has no path in the file system"))?;
    Ok(unix(path))
}
