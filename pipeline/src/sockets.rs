//! Sockets that outlive a reload: what waits in them, and who is connected, is still there for the inputs that come next.
//!
//! An input takes its socket by what it is and where it listens, and gives it back when it ends, whatever ends it. After a
//! start in which somebody else took over, what nobody wanted is closed. Sockets that systemd passes are taken in the same
//! way: they are there before the first input is.

mod passed;

use std::{
    any::Any,
    fmt, io,
    net::SocketAddr,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Sockets that nobody uses at the moment, by what they are and where they listen.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    kept: Vec<Kept>,
    /// Where somebody listens who could have taken a passed socket, for the error that tells of one nobody took.
    asked: Vec<String>,
}

struct Kept {
    key: Key,
    socket: Box<dyn Any + Send>,
}

/// What a socket is.
struct Key {
    /// Who opened it.
    kind: String,
    /// Where it listens.
    addresses: Vec<String>,
    /// What systemd calls it, when that has opened it.
    passed: Option<String>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().kept.iter().map(|kept| &kept.key.addresses)).finish()
    }
}

/// How the address of a UDP socket is written here.
#[must_use]
pub fn udp(address: SocketAddr) -> String {
    format!("udp://{address}")
}

/// How the address of a TCP socket is written here; ZeroMQ writes its own so.
#[must_use]
pub fn tcp(address: SocketAddr) -> String {
    format!("tcp://{address}")
}

/// How the path of a unix socket is written here.
#[must_use]
pub fn unix(path: &Path) -> String {
    format!("unix://{}", path.display())
}

impl Sockets {
    /// With those that systemd passes to this process. To be called once, before there is a second thread.
    ///
    /// # Errors
    /// When one is none that an input could take; the message names it.
    pub fn passed() -> io::Result<Self> {
        let inner = Inner { kept: passed::passed()?, asked: Vec::new() };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// The socket of the kind `kind` that listens on `addresses`: the one that was given back, one that systemd has
    /// passed, or a new one.
    ///
    /// One that was given back and listens on some of the addresses alone is closed first: it could not be bound otherwise.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn take<T: Send + 'static, E>(
        &self,
        kind: &str,
        addresses: &[String],
        open: impl FnOnce() -> Result<T, E>,
    ) -> Result<Lent<T>, E> {
        let mut inner = self.lock();
        inner.asked.extend_from_slice(addresses);
        let (socket, key) = match inner.find::<T>(kind, addresses) {
            Some((socket, key)) => (socket, Key { kind: kind.to_owned(), ..key }),
            None => {
                inner.kept.retain(|Kept { key, .. }| {
                    key.passed.is_some() || !key.addresses.iter().any(|held| addresses.contains(held))
                });
                drop(inner);
                (open()?, Key { kind: kind.to_owned(), addresses: addresses.to_vec(), passed: None })
            }
        };
        Ok(Lent { socket: Some(socket), key: Some(key), home: self.clone() })
    }

    /// Where all listen now that every input has its socket.
    ///
    /// # Errors
    /// When systemd has passed something that nobody has taken: names it, and where the inputs listen.
    pub fn settle(&self) -> io::Result<Vec<String>> {
        let mut inner = self.lock();
        let asked = std::mem::take(&mut inner.asked);
        let left = inner.kept.iter().filter_map(|Kept { key, .. }| {
            let name = key.passed.as_ref()?;
            Some(format!("{} ({name})", key.addresses.join(", ")))
        });
        let left: Vec<_> = left.collect();
        if left.is_empty() {
            return Ok(asked);
        }
        let (left, asked) = (left.join(", "), asked.join(", "));
        Err(io::Error::other(format!(
            "systemd has passed {left}, which fits no setting: the inputs listen on {asked}"
        )))
    }

    /// Closes what was given back and not taken since.
    pub fn close_unused(&self) {
        self.lock().kept.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes out what was given back under this name, or what was passed for this address.
    fn find<T: 'static>(&mut self, kind: &str, addresses: &[String]) -> Option<(T, Key)> {
        let is_here = |kept: &Kept| kept.key.addresses == addresses && kept.socket.is::<T>();
        let own = self.kept.iter().position(|kept| is_here(kept) && kept.key.kind == kind);
        let passed = || self.kept.iter().position(|kept| is_here(kept) && kept.key.passed.is_some());
        let kept = self.kept.remove(own.or_else(passed)?);
        kept.socket.downcast::<T>().ok().map(|socket| (*socket, kept.key))
    }
}

/// A socket on loan: it goes back when this is dropped.
pub struct Lent<T: Send + 'static> {
    /// Always there until the drop.
    socket: Option<T>,
    /// The same.
    key: Option<Key>,
    home: Sockets,
}

impl<T: Send + 'static> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.key.as_ref().map(|key| &key.addresses)).finish()
    }
}

impl<T: Send + 'static> Deref for Lent<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "only the drop takes it out")]
    fn deref(&self) -> &T {
        self.socket.as_ref().expect("a socket on loan is there until it goes back")
    }
}

impl<T: Send + 'static> Drop for Lent<T> {
    fn drop(&mut self) {
        if let (Some(socket), Some(key)) = (self.socket.take(), self.key.take()) {
            self.home.lock().kept.push(Kept { key, socket: Box::new(socket) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn udp(sockets: &Sockets, addresses: &[&str]) -> Lent<UdpSocket> {
        let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        sockets.take("udp", &addresses, || UdpSocket::bind("127.0.0.1:0")).unwrap()
    }

    #[test]
    fn what_was_given_back_is_the_same_socket_with_what_waits_in_it() {
        let sockets = Sockets::default();
        let first = udp(&sockets, &["a"]);
        let address = first.local_addr().unwrap();
        drop(first);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"meanwhile", address).unwrap();
        let again = udp(&sockets, &["a"]);
        assert_eq!(again.local_addr().unwrap(), address);
        let mut buffer = [0; 16];
        assert_eq!(again.recv(&mut buffer).unwrap(), 9);
        assert_ne!(udp(&sockets, &["b"]).local_addr().unwrap(), address);
    }

    #[test]
    fn what_nobody_takes_is_closed_and_so_is_what_is_in_the_way() {
        let sockets = Sockets::default();
        let addresses = [udp(&sockets, &["a", "b"]), udp(&sockets, &["c"])].map(|s| s.local_addr().unwrap());
        let _of_one_address_now = udp(&sockets, &["b"]);
        UdpSocket::bind(addresses[0]).unwrap();
        UdpSocket::bind(addresses[1]).unwrap_err();
        sockets.close_unused();
        UdpSocket::bind(addresses[1]).unwrap();
    }

    #[test]
    fn a_socket_of_another_kind_is_another() {
        let sockets = Sockets::default();
        let first = udp(&sockets, &["a"]).local_addr().unwrap();
        let open = || UdpSocket::bind("127.0.0.1:0");
        let other = sockets.take("unix", &["a".to_owned()], open).unwrap();
        assert_ne!(other.local_addr().unwrap(), first);
    }

    #[test]
    fn what_was_passed_is_taken_by_type_and_address_and_what_is_left_is_named() {
        let sockets = Sockets::default();
        let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (at, elsewhere) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let passed = |socket: UdpSocket, name: &str| Kept {
            key: Key {
                kind: String::new(),
                addresses: vec![super::udp(socket.local_addr().unwrap())],
                passed: Some(name.to_owned()),
            },
            socket: Box::new(socket),
        };
        sockets.lock().kept.extend([passed(one, "statsd.socket"), passed(other, "json.socket")]);
        let open = || Err::<UdpSocket, _>(io::Error::other("opened anew"));
        let tcp_at = || TcpListener::bind("127.0.0.1:0");
        let _of_another_type = sockets.take("statsd_tcp", &[super::udp(at)], tcp_at).unwrap();
        let taken = sockets.take("statsd_udp", &[super::udp(at)], open).unwrap();
        assert_eq!(taken.local_addr().unwrap(), at);
        let said = sockets.settle().unwrap_err().to_string();
        for part in [format!("{elsewhere} (json.socket)"), format!("listen on udp://{at}")] {
            assert!(said.contains(&part), "{said}");
        }

        // Given back, it is found again, also by another input that listens there now.
        drop(taken);
        let again = sockets.take("json_udp", &[super::udp(at)], open).unwrap();
        let other = sockets.take("statsd_udp", &[super::udp(elsewhere)], open).unwrap();
        sockets.settle().unwrap();
        drop((again, other));
        assert!(sockets.settle().unwrap_err().to_string().contains("statsd.socket"));
    }
}
