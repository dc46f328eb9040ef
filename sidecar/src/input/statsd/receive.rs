//! Many datagrams for one call: `recvmmsg(2)`, and how many the kernel had no room for: `SO_MEMINFO`.
//!
//! The only module of the daemons with `unsafe`: the standard library receives one datagram a call, which costs a third more
//! CPU at ten metrics a packet.
#![expect(unsafe_code, reason = "two system calls that take pointers")]

use std::{io, mem, net::IpAddr, os::fd::RawFd, ptr};

/// Datagrams taken by one call at most.
const BATCH: usize = 64;

/// Largest datagram of UDP; a unix socket may bring larger ones, which are cut.
const SLOT: usize = 65_536;

/// The place of the drops in what `SO_MEMINFO` gives (`SK_MEMINFO_DROPS` of linux/sock_diag.h).
const MEMINFO_DROPS: usize = 8;

/// Room for a batch of datagrams. Pages that no datagram reached are never touched, so that it costs what it holds.
pub(super) struct Packets {
    buffer: Vec<u8>,
    received: Vec<Received>,
    /// Slots offered to the next call: twice what the last one took.
    slots: usize,
}

struct Received {
    length: usize,
    is_cut: bool,
    source: Option<IpAddr>,
}

/// One datagram.
pub(super) struct Packet<'a> {
    pub(super) bytes: &'a [u8],
    /// True when it was longer than there was room for.
    pub(super) is_cut: bool,
    pub(super) source: Option<IpAddr>,
}

impl Packets {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BATCH * SLOT], received: Vec::with_capacity(BATCH), slots: BATCH / 8 }
    }

    /// Takes what lies in the socket, without waiting; how many datagrams it was, and whether there may be more.
    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<(usize, bool)> {
        self.received.clear();
        let mut addresses: [libc::sockaddr_in6; BATCH] = unsafe {
            // SAFETY: all zeroes are a valid `sockaddr_in6`: it is made of integers.
            mem::zeroed()
        };
        let mut places: [libc::iovec; BATCH] =
            [libc::iovec { iov_base: ptr::null_mut(), iov_len: SLOT }; BATCH];
        let mut headers: [libc::mmsghdr; BATCH] = unsafe {
            // SAFETY: all zeroes are a valid `mmsghdr`: integers and null pointers.
            mem::zeroed()
        };
        let slots = self.buffer.chunks_exact_mut(SLOT).zip(&mut places).zip(&mut addresses).zip(&mut headers);
        for (((slot, place), address), header) in slots.take(self.slots) {
            place.iov_base = slot.as_mut_ptr().cast();
            header.msg_hdr.msg_iov = place;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = u32::try_from(size_of_val(address)).unwrap_or(0);
        }
        let offered = u32::try_from(self.slots).unwrap_or(0);
        let taken = unsafe {
            // SAFETY: `headers` has `BATCH` entries and no more are offered. Each points to one iovec of `places`, whose
            // base is a slot of `SLOT` bytes that nothing else borrows, and to an address of the length it says. All outlive
            // the call, and the kernel keeps no pointer after it.
            libc::recvmmsg(socket, headers.as_mut_ptr(), offered, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        let Ok(taken) = usize::try_from(taken) else { return Err(io::Error::last_os_error()) };
        for (header, address) in headers.iter().zip(&addresses).take(taken) {
            self.received.push(Received {
                length: usize::try_from(header.msg_len).unwrap_or(0).min(SLOT),
                is_cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                source: if header.msg_hdr.msg_namelen == 0 { None } else { source(address) },
            });
        }
        let may_be_more = taken == self.slots;
        self.slots = (taken * 2).clamp(BATCH / 8, BATCH);
        Ok((taken, may_be_more))
    }

    /// What the last call took.
    pub(super) fn iter(&self) -> impl Iterator<Item = Packet<'_>> {
        self.buffer.chunks_exact(SLOT).zip(&self.received).map(|(slot, received)| Packet {
            bytes: slot.get(..received.length).unwrap_or_default(),
            is_cut: received.is_cut,
            source: received.source,
        })
    }
}

/// The sender's address. An IPv4 one has its four bytes where IPv6 has the flow information.
fn source(address: &libc::sockaddr_in6) -> Option<IpAddr> {
    match i32::from(address.sin6_family) {
        libc::AF_INET => Some(IpAddr::from(address.sin6_flowinfo.to_ne_bytes())),
        libc::AF_INET6 => Some(IpAddr::from(address.sin6_addr.s6_addr).to_canonical()),
        _ => None,
    }
}

/// Bytes that the kernel gives a socket's receive buffer, its own bookkeeping counted in.
pub(super) fn receive_buffer(socket: RawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&bytes)).unwrap_or(0);
    let result = unsafe {
        // SAFETY: the kernel writes at most `length` bytes, the size of `bytes`, an integer.
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, (&raw mut bytes).cast(), &raw mut length)
    };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// How many datagrams the kernel has dropped since the socket was made, because there was no room for them.
pub(in crate::input) fn dropped(socket: RawFd) -> Option<u32> {
    let mut figures = [0_u32; MEMINFO_DROPS + 1];
    let mut length = u32::try_from(size_of_val(&figures)).ok()?;
    let result = unsafe {
        // SAFETY: the kernel writes at most `length` bytes, which is the size of `figures`, an array of integers.
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0).then(|| figures.last().copied()).flatten()
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        os::{fd::AsRawFd, unix::net::UnixDatagram},
    };

    use super::*;

    #[test]
    fn datagrams_come_whole_and_with_their_senders() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let sender = UdpSocket::bind(address).unwrap();
            let mut packets = Packets::new();
            assert_eq!(packets.receive(socket.as_raw_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let sent: Vec<Vec<u8>> =
                (0..20_u8).map(|number| vec![number; usize::from(number) * 700]).collect();
            for bytes in &sent {
                sender.send_to(bytes, socket.local_addr().unwrap()).unwrap();
            }
            let mut found = Vec::new();
            while found.len() < sent.len() {
                packets.receive(socket.as_raw_fd()).unwrap();
                for packet in packets.iter() {
                    assert_eq!(packet.source, Some(sender.local_addr().unwrap().ip()));
                    assert!(!packet.is_cut);
                    found.push(packet.bytes.to_vec());
                }
            }
            assert_eq!(found, sent);
        }
    }

    #[test]
    fn what_is_longer_than_a_slot_is_cut_and_says_so() {
        let (sender, socket) = UnixDatagram::pair().unwrap();
        sender.send(&vec![7; SLOT + 1]).unwrap();
        let mut packets = Packets::new();
        assert_eq!(packets.receive(socket.as_raw_fd()).unwrap(), (1, false));
        let packet = packets.iter().next().unwrap();
        assert!(packet.is_cut && packet.source.is_none());
        assert_eq!(packet.bytes.len(), SLOT);
    }

    #[test]
    fn what_the_kernel_drops_is_known() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(dropped(socket.as_raw_fd()), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 60_000], socket.local_addr().unwrap()).unwrap();
        }
        let mut packets = Packets::new();
        let mut received = 0;
        while let Ok((taken, _)) = packets.receive(socket.as_raw_fd()) {
            received += taken;
        }
        let dropped = usize::try_from(dropped(socket.as_raw_fd()).unwrap()).unwrap();
        assert!(dropped > 0);
        assert_eq!(received + dropped, 100);
    }
}
