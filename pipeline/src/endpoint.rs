//! Binding ZeroMQ sockets of a daemon: which endpoints are allowed, and errors that name them.

use std::{fs, net::Ipv4Addr, ops::Deref, os::unix::fs::PermissionsExt, path::Path};

use metlog_core::{Error, ErrorKind};

use crate::{
    curve::{AllowedClients, CurveServer, Gate, nth},
    sockets::{Lent, Sockets},
};

/// Mode of an ipc socket: the group `metlog` may connect.
const IPC_MODE: u32 = 0o660;

/// Says what is wrong with an endpoint to bind, without binding it.
///
/// # Errors
/// `Config` for anything but `ipc://<path>` or `tcp://<address>:<port>`. An address that others can reach needs `curve`.
pub fn check(endpoint: &str, curve: Option<&CurveServer>) -> Result<(), Error> {
    let wrong = |why: &str| Err(Error::new(ErrorKind::Config, format!("endpoint {endpoint:?} {why}")));
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        return if path.is_empty() { wrong("has no path, expected ipc:///path/to/socket") } else { Ok(()) };
    }
    let Some(address) = endpoint.strip_prefix("tcp://") else {
        return wrong("is neither ipc:// nor tcp://");
    };
    let Some((host, port)) = address.rsplit_once(':') else {
        return wrong("has no port, expected tcp://127.0.0.1:5566");
    };
    if port != "*" && port.parse::<u16>().is_err() {
        return wrong("has no valid port, expected a number up to 65535 or * for a free one");
    }
    if curve.is_some() && (host == "*" || host.parse::<Ipv4Addr>().is_ok()) {
        return Ok(());
    }
    if !is_loopback(host) {
        return wrong(
            "is no address on loopback, as 127.0.0.1 is: others need CURVE, as input.link.curve gives it",
        );
    }
    Ok(())
}

/// ZeroMQ binds addresses, not names.
fn is_loopback(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// True for what is connected to without leaving the host. A name other than `localhost` may be anywhere.
#[must_use]
pub fn is_local(endpoint: &str) -> bool {
    let host =
        endpoint.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':')).map(|(host, _)| host);
    host.is_none_or(|host| is_loopback(host) || ["localhost", "[::1]"].contains(&host))
}

/// True for `ipc://path` and `tcp://host:port`. Whether anybody listens there is for the connection to find out.
#[must_use]
pub fn can_be_connected(endpoint: &str) -> bool {
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        return !path.is_empty();
    }
    let address = endpoint.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':'));
    address.is_some_and(|(host, port)| {
        !host.is_empty() && host != "*" && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// A bound socket, and the thread that says who may connect. The socket is closed first.
pub struct Bound {
    socket: zmq::Socket,
    gate: Option<Gate>,
}

impl Bound {
    /// The thread that says who may connect, where somebody has to.
    #[must_use]
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }
}

impl Deref for Bound {
    type Target = zmq::Socket;

    fn deref(&self) -> &zmq::Socket {
        &self.socket
    }
}

/// A socket bound to every endpoint: the one that an earlier run has given back, or a new one.
///
/// # Errors
/// The endpoint that is not allowed or cannot be bound, and why.
pub fn bind(
    sockets: &Sockets,
    kind: zmq::SocketType,
    endpoints: &[String],
    curve: Option<&CurveServer>,
    set: impl FnOnce(&zmq::Socket) -> zmq::Result<()>,
) -> Result<Lent<Bound>, Error> {
    let keys = curve.map(CurveServer::name).transpose()?.unwrap_or_default();
    sockets.take(&format!("zmq {kind:?}{keys}"), endpoints, || open(kind, endpoints, curve, set))
}

/// A new socket bound to every endpoint.
///
/// # Errors
/// The endpoint that is not allowed or cannot be bound, and why.
pub fn open(
    kind: zmq::SocketType,
    endpoints: &[String],
    curve: Option<&CurveServer>,
    set: impl FnOnce(&zmq::Socket) -> zmq::Result<()>,
) -> Result<Bound, Error> {
    let context = zmq::Context::new();
    let make = || {
        let socket = context.socket(kind)?;
        socket.set_linger(0)?;
        set(&socket)?;
        Ok(socket)
    };
    let socket = make().map_err(|source| failed("a ZeroMQ socket", source))?;
    // What ZeroMQ is told holds for the endpoints that are bound afterwards: unix sockets stay as they are.
    let (encrypted, plain): (Vec<_>, Vec<_>) =
        endpoints.iter().partition(|endpoint| curve.is_some() && endpoint.starts_with("tcp://"));
    plain.into_iter().try_for_each(|endpoint| bind_one(&socket, endpoint, curve))?;
    let Some(curve) = curve.filter(|_| !encrypted.is_empty()) else {
        return Ok(Bound { socket, gate: None });
    };
    let gate = Gate::open(&context, &socket, AllowedClients::open(&curve.allowed_clients)?)?;
    let keys = curve.keys()?;
    for (place, endpoint) in encrypted.into_iter().enumerate() {
        let key = nth(&keys, place).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("input.link.curve.key_files has no key for {endpoint}"))
        })?;
        let set = || {
            socket.set_curve_server(true)?;
            socket.set_curve_secretkey(key.secret())
        };
        set().map_err(|source| failed(endpoint, source))?;
        bind_one(&socket, endpoint, Some(curve))?;
    }
    Ok(Bound { socket, gate: Some(gate) })
}

fn bind_one(socket: &zmq::Socket, endpoint: &str, curve: Option<&CurveServer>) -> Result<(), Error> {
    check(endpoint, curve)?;
    refuse_live(endpoint)?;
    socket.bind(endpoint).map_err(|source| failed(endpoint, source))?;
    endpoint.strip_prefix("ipc://").map_or(Ok(()), |path| restrict(Path::new(path)))
}

fn failed(endpoint: &str, source: zmq::Error) -> Error {
    let hint = if source == zmq::Error::EADDRINUSE { "; is another daemon running?" } else { "" };
    Error::new(ErrorKind::Io, format!("cannot listen on {endpoint}: {source}{hint}")).with_source(source)
}

/// ZeroMQ takes the path of an ipc socket from a live daemon without a word: this looks first.
fn refuse_live(endpoint: &str) -> Result<(), Error> {
    let Some(path) = endpoint.strip_prefix("ipc://") else { return Ok(()) };
    if let Some(folder) = Path::new(path).parent() {
        fs::create_dir_all(folder).map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot make the folder of {endpoint}: {source}"))
                .with_source(source)
        })?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Error::new(ErrorKind::Io, format!("cannot listen on {endpoint}: another daemon does")));
    }
    Ok(())
}

fn restrict(path: &Path) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(IPC_MODE)).map_err(|source| {
        Error::new(ErrorKind::Io, format!("cannot set the mode of {}: {source}", path.display()))
            .with_source(source)
    })
}

/// The endpoint a socket was bound to last, with the port the system chose.
///
/// # Errors
/// When ZeroMQ does not say.
pub fn last(socket: &zmq::Socket) -> Result<String, Error> {
    let unknown = || Error::new(ErrorKind::Io, "ZeroMQ does not say where it listens");
    socket.get_last_endpoint().map_err(|source| unknown().with_source(source))?.map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_connected_has_a_host_and_a_port() {
        for good in ["tcp://grater:5568", "tcp://127.0.0.1:1", "tcp://[::1]:5568", "ipc:///run/x"] {
            assert!(can_be_connected(good), "{good}");
        }
        for bad in
            ["", "grater:5568", "ipc://", "tcp://grater", "tcp://:1", "tcp://*:1", "tcp://a:0", "tcp://a:x"]
        {
            assert!(!can_be_connected(bad), "{bad}");
        }
    }

    #[test]
    fn what_leaves_the_host_is_known() {
        for (endpoint, local) in [
            ("ipc:///run/metlog/link.sock", true),
            ("tcp://127.0.0.1:5568", true),
            ("tcp://127.9.9.9:5568", true),
            ("tcp://localhost:5568", true),
            ("tcp://[::1]:5568", true),
            ("tcp://10.0.0.7:5568", false),
            ("tcp://[2001:db8::1]:5568", false),
            ("tcp://grater.example:5568", false),
        ] {
            assert_eq!(is_local(endpoint), local, "{endpoint}");
        }
    }

    #[test]
    fn only_loopback_and_ipc_may_be_bound() {
        for good in ["tcp://127.0.0.1:5566", "tcp://127.0.0.1:*", "ipc:///tmp/x"] {
            check(good, None).unwrap();
        }
        for (bad, why) in [
            ("tcp://0.0.0.0:1", "loopback"),
            ("tcp://*:1", "loopback"),
            ("tcp://10.0.0.1:1", "loopback"),
            ("tcp://localhost:1", "loopback"),
            ("tcp://127.0.0.1", "port"),
            ("tcp://127.0.0.1:99999", "port"),
            ("udp://127.0.0.1:1", "neither"),
            ("ipc://", "path"),
        ] {
            let error = check(bad, None).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains(why), "{error}");
        }
    }
}
