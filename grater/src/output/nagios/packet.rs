//! Packets of NSCA 2.x, version 3 of its protocol.
//!
//! The server begins with 132 bytes: an initialisation vector (128) and its time in seconds (u32). Each packet is then,
//! big-endian, texts ended by a zero byte, everything encrypted:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 2 | version, 3 |
//! | 2 | 2 | padding |
//! | 4 | 4 | CRC-32 of the packet with this field zero |
//! | 8 | 4 | the server's time, as it was given: older packets than `max_packet_age` are dropped |
//! | 12 | 2 | state, 0 to 3 |
//! | 14 | 64 | host |
//! | 78 | 128 | service |
//! | 206 | 512 or 4096 | text |
//! | | 2 | padding |

use super::{
    check::{Check, cut},
    cipher::Cipher,
};

/// What the server says first.
pub(super) const GREETING_BYTES: usize = IV_BYTES + 4;

/// The initialisation vector in the greeting.
pub(super) const IV_BYTES: usize = 128;

const VERSION: i16 = 3;
const HOST_BYTES: usize = 64;
const SERVICE_BYTES: usize = 128;

/// Everything of a packet that is not its text.
const FRAME_BYTES: usize = 208;

/// Packets of one connection.
#[derive(Debug)]
pub(super) struct Packer {
    cipher: Cipher,
    time: [u8; 4],
    packet_bytes: usize,
}

impl Packer {
    /// For a server that began with `greeting` and takes packets of so many bytes; `cipher` is made of the greeting.
    #[must_use]
    pub(super) fn new(cipher: Cipher, time: [u8; 4], packet_bytes: usize) -> Self {
        Self { cipher, time, packet_bytes }
    }

    /// Appends the packet of a result.
    pub(super) fn pack(&mut self, check: &Check, out: &mut Vec<u8>) {
        let text_bytes = self.packet_bytes - FRAME_BYTES;
        let mut packet = Vec::with_capacity(self.packet_bytes);
        packet.extend_from_slice(&VERSION.to_be_bytes());
        packet.extend_from_slice(&[0; 6]);
        packet.extend_from_slice(&self.time);
        packet.extend_from_slice(&i16::from(check.code).to_be_bytes());
        for (text, size) in
            [(&check.host, HOST_BYTES), (&check.service, SERVICE_BYTES), (&check.text, text_bytes)]
        {
            let end = packet.len() + size;
            packet.extend_from_slice(cut(text, size - 1).as_bytes());
            packet.resize(end, 0);
        }
        packet.resize(self.packet_bytes, 0);
        let sum = crc32fast::hash(&packet).to_be_bytes();
        if let Some(place) = packet.get_mut(4..8) {
            place.copy_from_slice(&sum);
        }
        self.cipher.encrypt(&mut packet);
        out.append(&mut packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_every_field_where_the_server_looks() {
        let check =
            Check { host: "h1".into(), service: "disk".into(), code: 2, text: "ñ".repeat(400), seconds: 0 };
        for (packet_bytes, text_bytes) in [(720, 510), (4304, 800)] {
            let mut packer = Packer::new(Cipher::None, [1, 2, 3, 4], packet_bytes);
            let mut out = Vec::new();
            packer.pack(&check, &mut out);
            packer.pack(&check, &mut out);
            assert_eq!(out.len(), 2 * packet_bytes);
            let packet = &out[..packet_bytes];
            assert_eq!((&packet[..4], &packet[8..14]), (&[0, 3, 0, 0][..], &[1, 2, 3, 4, 0, 2][..]));
            assert_eq!((&packet[14..17], &packet[78..83]), (&b"h1\0"[..], &b"disk\0"[..]));
            let text = &packet[206..packet_bytes - 2];
            assert_eq!(text.iter().take_while(|byte| **byte != 0).count(), text_bytes, "whole letters only");
            let mut blank = packet.to_vec();
            blank[4..8].fill(0);
            assert_eq!(packet[4..8], crc32fast::hash(&blank).to_be_bytes());
        }
    }
}
