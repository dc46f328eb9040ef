//! Sends each message as one JSON datagram to every destination, as the original UDP senders did.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};

use super::{Delivery, Outgoing, Sender, Target, each_json};
use crate::{
    error::{Error, ErrorKind},
    stats::{Reason, complain},
};

/// Largest payload of a datagram over IPv4 (65535 - 20 - 8).
const MAX_DATAGRAM: usize = 65_507;

/// Destinations of JSON datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Host names or addresses with ports.
    pub destinations: Vec<(String, u16)>,
    /// Ends each datagram with a newline, as the Node original did and the Python original did not.
    pub newline: bool,
}

impl Target for Udp {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        let socket = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let socket = socket
            .map_err(|source| Error::new(ErrorKind::Io, "cannot open a UDP socket").with_source(source))?;
        let addresses = self.destinations.iter().map(resolve).collect::<Result<_, _>>()?;
        Ok(Box::new(Datagrams { socket, addresses, newline: self.newline }))
    }
}

fn resolve((host, port): &(String, u16)) -> Result<SocketAddr, Error> {
    let unknown =
        |why: String| Error::new(ErrorKind::Config, format!("cannot resolve UDP host {host:?}: {why}"));
    let mut found = (host.as_str(), *port).to_socket_addrs().map_err(|source| unknown(source.to_string()))?;
    found.find(SocketAddr::is_ipv4).ok_or_else(|| unknown("it has no IPv4 address".to_owned()))
}

struct Datagrams {
    socket: UdpSocket,
    addresses: Vec<SocketAddr>,
    newline: bool,
}

impl Sender for Datagrams {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        each_json(batch, |mut json| {
            if self.newline {
                json.push('\n');
            }
            if json.len() > MAX_DATAGRAM {
                complain(
                    "datagram",
                    &format!("messages over {MAX_DATAGRAM} bytes do not fit a datagram and are dropped"),
                );
                return Err(Reason::TooBig);
            }
            let datagram = json.as_bytes();
            // Every destination is tried; a message counts as sent when each socket call took it whole.
            let refused =
                self.addresses.iter().filter(|to| self.socket.send_to(datagram, to).is_err()).count();
            if refused == 0 { Ok(()) } else { Err(Reason::Send) }
        })
    }
}
