//! JSON datagrams of the original clients, one message each.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use metlog_pipeline::{
    counters::Counters,
    intake::Intake,
    sockets::{Lent, Sockets},
    stop::Stop,
    waiter::Waiter,
};

use super::{MAX_DATAGRAM, bind_udp, drain, drops::Drops, json::Messages};

/// The input `json_udp`.
pub struct JsonUdpInput {
    socket: Lent<UdpSocket>,
    messages: Messages,
    drops: Drops,
}

impl JsonUdpInput {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is in use.
    pub fn bind(
        address: SocketAddr,
        sockets: &Sockets,
        intake: Intake,
        counters: Counters,
    ) -> io::Result<Self> {
        let socket = bind_udp(address, "input.json_udp", sockets)?;
        let drops = Drops::new(socket.as_raw_fd(), "json_udp", counters.clone());
        Ok(Self { socket, messages: Messages::new("json_udp", intake, counters), drops })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Receives until told to stop, and then what the kernel holds already.
    pub fn run(&mut self, stop: &Stop) {
        let mut datagram = vec![0; MAX_DATAGRAM];
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            let due = self.drops.due();
            if waiter.descriptor(&*self.socket, due) {
                self.take(&mut datagram);
            } else if due.is_some() {
                self.drops.tell(self.socket.as_raw_fd());
            }
        }
        drain(|| self.take(&mut datagram));
        self.drops.tell(self.socket.as_raw_fd());
    }

    /// Stores what comes now; false when nothing has come.
    fn take(&mut self, datagram: &mut [u8]) -> bool {
        let Self { socket, messages, drops } = self;
        let taken = messages.gather(|add| {
            let Ok(length) = socket.recv(datagram) else { return false };
            add(datagram.get(..length).unwrap_or_default());
            true
        });
        if taken {
            drops.received(socket.as_raw_fd());
        }
        taken
    }
}
