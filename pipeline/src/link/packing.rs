//! Batches compressed for the way between two hosts.
//!
//! Level 1 of zstd: batches of log messages shrink to a fourth or less at some hundred megabytes a second, and the receiver
//! unpacks faster still. On one host there is nothing to save.

use std::io;

use metlog_core::{Error, ErrorKind, link::Frame, wire::batch::MAX_BATCH_BYTES};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::endpoint;

/// zstd's level.
const LEVEL: i32 = 1;

/// Smaller batches are sent as they are.
const MIN_BYTES: usize = 256;

/// Whether batches are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Where they leave the host.
    #[default]
    Auto,
    /// Always.
    Zstd,
    /// Never.
    None,
}

impl Compression {
    /// Whether it compresses what goes to `endpoint`.
    #[must_use]
    pub fn is_for(self, endpoint: &str) -> bool {
        match self {
            Self::Auto => !endpoint::is_local(endpoint),
            Self::Zstd => true,
            Self::None => false,
        }
    }
}

/// Compresses batches, one after another.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    /// The batch compressed, unless that does not make it smaller.
    pub(super) fn pack(&mut self, batch: &[u8]) -> Option<Vec<u8>> {
        if batch.len() < MIN_BYTES {
            return None;
        }
        self.0.compress(batch).ok().filter(|packed| packed.len() < batch.len())
    }
}

/// Undoes what a [`Packer`] of another host has done.
pub(super) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(super) fn new() -> io::Result<Self> {
        Decompressor::new().map(Self)
    }

    /// The batch, of exactly `size` bytes.
    ///
    /// # Errors
    /// `TooBig` when `size` is over what a batch may have: nothing is unpacked then. `Malformed` when it is no zstd, or of
    /// another size.
    pub(super) fn unpack(&mut self, compressed: &[u8], size: u64) -> Result<Vec<u8>, Error> {
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_BATCH_BYTES).ok_or_else(|| {
            let message = format!("packed batch of {size} bytes, expected at most {MAX_BATCH_BYTES}");
            Error::new(ErrorKind::TooBig, message)
        })?;
        let batch = self.0.decompress(compressed, size).map_err(|source| {
            let message = format!("packed batch cannot be unpacked to {size} bytes: {source}");
            Error::new(ErrorKind::Malformed, message)
        })?;
        if batch.len() != size {
            let message = format!("packed batch of {} bytes, announced were {size}", batch.len());
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        Ok(batch)
    }
}

/// The frame of a batch, from `packed` where there is one.
pub(super) fn frame(sequence: u64, previous: u64, batch: &[u8], packed: Option<&[u8]>) -> Vec<u8> {
    match packed {
        Some(compressed) => {
            let size = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            Frame::Packed { sequence, previous, size, compressed }.encode()
        }
        None => Frame::Batch { sequence, previous, batch }.encode(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(text in "[a-c]{0,4000}") {
            let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new().unwrap());
            if let Some(packed) = packer.pack(text.as_bytes()) {
                prop_assert!(packed.len() < text.len());
                prop_assert_eq!(unpacker.unpack(&packed, text.len() as u64).unwrap(), text.as_bytes());
            }
        }

        #[test]
        fn what_is_no_zstd_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 0_u64..10_000) {
            let unpacked = Unpacker::new().unwrap().unpack(&bytes, size);
            prop_assert!(unpacked.is_err() || size == 0);
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let packed = Packer::new().unwrap().pack(&vec![0; MAX_BATCH_BYTES + 1]).unwrap();
        assert!(packed.len() < 1024, "{} bytes stand for 4 MiB", packed.len());
        let mut unpacker = Unpacker::new().unwrap();
        for (size, kind) in [
            (MAX_BATCH_BYTES as u64 + 1, ErrorKind::TooBig),
            (u64::MAX, ErrorKind::TooBig),
            // It says that it is small and is not, or the other way round.
            (1_000, ErrorKind::Malformed),
            (MAX_BATCH_BYTES as u64, ErrorKind::Malformed),
        ] {
            assert_eq!(unpacker.unpack(&packed, size).unwrap_err().kind(), kind, "{size}");
        }
        let small = Packer::new().unwrap().pack(&[0; 1_000]).unwrap();
        assert_eq!(unpacker.unpack(&small, 1_001).unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn what_stays_on_the_host_is_not_packed_unless_told() {
        for (endpoint, leaves) in
            [("ipc:///run/metlog/link.sock", false), ("tcp://grater.example:5568", true)]
        {
            assert_eq!(Compression::Auto.is_for(endpoint), leaves, "{endpoint}");
            assert!(Compression::Zstd.is_for(endpoint) && !Compression::None.is_for(endpoint));
        }
    }

    #[test]
    fn what_gains_nothing_is_sent_as_it_is() {
        let mut packer = Packer::new().unwrap();
        assert_eq!(packer.pack(b"short"), None);
        let noise: Vec<u8> = (0..4_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        assert!(packer.pack(&noise).is_none_or(|packed| packed.len() < noise.len()));
    }
}
