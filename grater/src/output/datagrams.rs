//! Packets over UDP or a unix datagram socket.
//!
//! UDP tells nothing of a packet that is lost. Where nobody listens, a host says so: then the packet it speaks of counts
//! as unsent. Packets leave no faster than a receiver can be expected to read them.

use std::{
    io,
    net::{ToSocketAddrs, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{
    Address, OutputError,
    connection::is_would_block,
    frames::{Frames, Unsent},
};

/// Packets a second when nobody says: below what a daemon on one processor reads, above what one needs.
pub(super) const PACKETS_PER_SECOND: u32 = 20_000;

/// Shorter pauses than this are saved up: the kernel cannot keep them.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Where packets go.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// UDP.
    Udp(Address),
    /// A socket on this host.
    Unix(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// The sender's end.
#[derive(Debug)]
pub(super) struct Datagrams {
    place: Place,
    timeout: Duration,
    socket: Option<Socket>,
    /// Between two packets.
    spacing: Duration,
    /// When the next packet may go.
    due: Instant,
}

impl Datagrams {
    /// Opens its socket when there is something to send.
    pub(super) fn new(place: Place, timeout: Duration, packets_per_second: u32) -> Self {
        let spacing = Duration::from_secs(1) / packets_per_second.max(1);
        Self { place, timeout, socket: None, spacing, due: Instant::now() }
    }

    /// Sends frames, as many to a packet as fit into `most` bytes.
    pub(super) fn send(&mut self, frames: &Frames, most: usize) -> Result<(), Unsent> {
        let (mut before, mut sent) = (0, 0);
        for (packet, through) in frames.packets(most) {
            self.pace();
            if let Err(error) = self.send_one(packet) {
                // What the last packet met is told with this one.
                let frames = if is_refused(&error) { before } else { sent };
                self.socket = None;
                return Err(Unsent { frames, error: self.failed(error) });
            }
            (before, sent) = (sent, through);
        }
        match self.heard() {
            Ok(()) => Ok(()),
            Err(error) => {
                self.socket = None;
                Err(Unsent { frames: before, error: self.failed(error) })
            }
        }
    }

    /// Whether there is a way to the place. That nobody listens there, UDP cannot know without sending.
    pub(super) fn probe(&self) -> Result<String, OutputError> {
        self.open().map_err(|error| self.failed(error))?;
        Ok(match &self.place {
            Place::Udp(address) => {
                format!("{} has an address; UDP cannot tell whether anybody listens", address.as_str())
            }
            Place::Unix(path) => format!("{} takes packets", path.display()),
        })
    }

    fn send_one(&mut self, packet: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.open()?,
        };
        let sent = match self.socket.insert(socket) {
            Socket::Udp(socket) => socket.send(packet),
            Socket::Unix(socket) => socket.send(packet),
        };
        sent.map(drop)
    }

    /// What has come back since the last packet.
    fn heard(&self) -> io::Result<()> {
        match &self.socket {
            Some(Socket::Udp(socket)) => socket.take_error()?.map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    fn open(&self) -> io::Result<Socket> {
        match &self.place {
            Place::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(self.timeout))?;
                Ok(Socket::Unix(socket))
            }
            Place::Udp(address) => open_udp(address.as_str()).map(Socket::Udp),
        }
    }

    fn failed(&self, error: io::Error) -> OutputError {
        let name = match &self.place {
            Place::Udp(address) => address.as_str().to_owned(),
            Place::Unix(path) => path.display().to_string(),
        };
        let (action, source) = match error {
            error if is_would_block(&error) => {
                let text = format!("not all was taken within {:?}; see timeout", self.timeout);
                ("send to", io::Error::new(io::ErrorKind::TimedOut, text))
            }
            error if is_refused(&error) => ("send to", io::Error::new(error.kind(), "nobody listens there")),
            error => ("send to", error),
        };
        OutputError::network(action, &name)(source)
    }

    fn pace(&mut self) {
        let now = Instant::now();
        let ahead = self.due.saturating_duration_since(now);
        if ahead >= SHORTEST_PAUSE {
            thread::sleep(ahead);
        }
        self.due = self.due.max(now) + self.spacing;
    }
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn open_udp(address: &str) -> io::Result<UdpSocket> {
    let mut refusal = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for to in address.to_socket_addrs()? {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let opened = UdpSocket::bind(any).and_then(|socket| socket.connect(to).map(|()| socket));
        match opened {
            Ok(socket) => return Ok(socket),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(lines: &[&str]) -> Frames {
        let mut frames = Frames::default();
        for line in lines {
            frames.add(|writer| {
                writer.frame(line.as_bytes());
                Ok(())
            });
        }
        frames
    }

    fn to(socket: &UdpSocket) -> Datagrams {
        let address = socket.local_addr().unwrap().to_string();
        let place = Place::Udp(Address::try_from(address).unwrap());
        Datagrams::new(place, Duration::from_secs(1), PACKETS_PER_SECOND)
    }

    fn received(socket: &UdpSocket) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut packet = [0; 2048];
        let length = socket.recv(&mut packet).unwrap();
        String::from_utf8(packet[..length].to_vec()).unwrap()
    }

    #[test]
    fn what_nobody_took_is_unsent_until_somebody_listens() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, mut output) = (socket.local_addr().unwrap(), to(&socket));
        output.send(&frames(&["a\n", "b\n"]), 4).unwrap();
        assert_eq!(received(&socket), "a\nb\n");
        drop(socket);
        // The second packet hears what became of the first.
        let unsent = output.send(&frames(&["c\n", "d\n", "e\n"]), 2).unwrap_err();
        assert_eq!(unsent.frames, 0);
        assert_eq!(unsent.error.to_string(), format!("cannot send to {address}: nobody listens there"));
        let unsent = output.send(&frames(&["c\n"]), 2).unwrap_err();
        assert_eq!(unsent.frames, 0);
        let socket = UdpSocket::bind(address).unwrap();
        output.send(&frames(&["c\n"]), 2).unwrap();
        assert_eq!(received(&socket), "c\n");
    }

    #[test]
    fn packets_leave_no_faster_than_asked() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut output = Datagrams { spacing: Duration::from_millis(10), ..to(&socket) };
        let began = Instant::now();
        output.send(&frames(&["a"; 6]), 1).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(45), "{:?}", began.elapsed());
    }
}
