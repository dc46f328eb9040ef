//! Sockets that outlive a reload: what waits in them, and who is connected, is still there for the inputs that come next.
//!
//! An input takes its socket by what it is and where it listens, and gives it back when it ends, whatever ends it. After a
//! start in which somebody else took over, what nobody wanted is closed.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Sockets that nobody uses at the moment, by what they are and where they listen.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<HashMap<Key, Box<dyn Any + Send>>>>);

/// What a socket is, and the addresses it listens on.
type Key = (String, Vec<String>);

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Sockets {
    /// The socket of the kind `kind` that listens on `addresses`: the one that was given back, or a new one.
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
        let key = (kind.to_owned(), addresses.to_vec());
        let kept = self.lock().remove(&key);
        let socket = match kept.and_then(|kept| kept.downcast::<T>().ok()) {
            Some(kept) => *kept,
            None => {
                self.lock().retain(|(_, held), _| !held.iter().any(|address| addresses.contains(address)));
                open()?
            }
        };
        Ok(Lent { socket: Some(socket), key, home: self.clone() })
    }

    /// Closes what was given back and not taken since.
    pub fn close_unused(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket on loan: it goes back when this is dropped.
pub struct Lent<T: Send + 'static> {
    /// Always there until the drop.
    socket: Option<T>,
    key: Key,
    home: Sockets,
}

impl<T: Send + 'static> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.key).finish()
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
        if let Some(socket) = self.socket.take() {
            let key = std::mem::take(&mut self.key);
            self.home.lock().insert(key, Box::new(socket));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

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
}
