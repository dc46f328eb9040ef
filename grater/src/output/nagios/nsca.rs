//! The client's side of NSCA: a greeting is heard, packets are sent, and the server closes once it has read them.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use super::{
    Address, OutputError, PacketBytes, Secret, Undelivered,
    check::Check,
    cipher::{Cipher, Encryption},
    net,
    packet::{GREETING_BYTES, IV_BYTES, Packer},
};

/// How many packets a connection takes. An nsca that knows both sizes takes the smaller for one only if nothing follows.
fn per_connection(packet_bytes: usize) -> usize {
    if packet_bytes < PacketBytes::default().0 { 1 } else { usize::MAX }
}

/// The server of one delivery.
pub(super) struct Nsca<'a> {
    pub(super) address: &'a Address,
    pub(super) encryption: Encryption,
    pub(super) password: &'a Secret,
    pub(super) timeout: Duration,
}

impl Nsca<'_> {
    /// Connects, and hears what the server says first.
    pub(super) fn greeted(&self) -> io::Result<(TcpStream, [u8; GREETING_BYTES])> {
        let mut connection = net::connect(self.address.as_str(), self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        let mut greeting = [0; GREETING_BYTES];
        connection.read_exact(&mut greeting).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "it hung up before its greeting: see allowed hosts, or it is no nsca",
            ),
            io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, "it did not greet: it is no nsca, or see timeout")
            }
            _ => error,
        })?;
        Ok((connection, greeting))
    }

    /// Sends all results, over as many connections as it takes.
    pub(super) fn send_all(&self, checks: &[(usize, Check)], packet_bytes: usize) -> Result<(), Undelivered> {
        let began = Instant::now();
        for together in checks.chunks(per_connection(packet_bytes)) {
            // A call that lasts holds up the end of the daemon.
            let sent = if began.elapsed() > self.timeout {
                Err(io::Error::new(io::ErrorKind::TimedOut, "it takes results too slowly; see timeout"))
            } else {
                self.send(together, packet_bytes)
            };
            if let Err(error) = sent {
                let position = together.first().map_or(0, |(position, _)| *position);
                return Err((
                    position,
                    OutputError::network("send to nsca at", self.address.as_str())(error),
                ));
            }
        }
        Ok(())
    }

    /// Sends results over one connection, and waits until the server has read them.
    fn send(&self, checks: &[(usize, Check)], packet_bytes: usize) -> io::Result<()> {
        let deadline = Instant::now() + self.timeout;
        let (mut connection, greeting) = self.greeted()?;
        let (vector, time) = greeting.split_at(IV_BYTES);
        let cipher = Cipher::new(self.encryption, self.password.reveal(), vector);
        let (Some(cipher), Ok(time)) = (cipher, time.try_into()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut packer = Packer::new(cipher, time, packet_bytes);
        let mut packets = Vec::with_capacity(checks.len() * packet_bytes);
        for (_, check) in checks {
            packer.pack(check, &mut packets);
        }
        for packet in packets.chunks(packet_bytes) {
            connection.set_write_timeout(Some(left(deadline)?))?;
            connection.write_all(packet)?;
        }
        hung_up(&mut connection, deadline)
    }
}

/// Says that nothing more comes, and waits for the server to close in its turn.
fn hung_up(connection: &mut TcpStream, deadline: Instant) -> io::Result<()> {
    connection.flush()?;
    connection.shutdown(Shutdown::Write)?;
    let mut said = [0; 64];
    loop {
        connection.set_read_timeout(Some(left(deadline)?))?;
        match connection.read(&mut said) {
            Ok(0) => return Ok(()),
            // It never speaks, and what it says is nothing to us.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The time that is left, or an error when there is none.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        let message = "it did not close the connection in time: it has not read everything; see timeout";
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    }
    Ok(left)
}
