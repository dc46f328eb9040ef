//! How NSCA hides its packets: the methods 0, 1, 3 and 14 of `decryption_method` in `nsca.cfg`.
//!
//! libmcrypt's `cfb` feeds back eight bits at a time. Its state goes on from packet to packet of a connection, while
//! the XOR of method 1 begins anew with each. None of this authenticates anything: keep NSCA inside a network you trust.

use aes::Aes256;
use cfb8::{Encryptor, cipher::KeyIvInit};
use des::TdesEde3;
use schemars::JsonSchema;
use serde::Deserialize;

/// The setting `encryption`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// `decryption_method=0`.
    None,
    /// `decryption_method=1`: no secret is safe behind it.
    #[default]
    Xor,
    /// `decryption_method=3`.
    #[serde(rename = "3des")]
    TripleDes,
    /// `decryption_method=14`, Rijndael with blocks of 128 bits and keys of 256.
    Aes,
}

/// The encryption of one connection.
pub(super) enum Cipher {
    /// Nothing is hidden.
    None,
    /// The server's vector, then the password, over and over.
    Xor {
        /// What the server began with.
        vector: Vec<u8>,
        /// The password.
        password: Vec<u8>,
    },
    /// Three times DES.
    TripleDes(Box<Encryptor<TdesEde3>>),
    /// AES.
    Aes(Box<Encryptor<Aes256>>),
}

impl Cipher {
    /// Of a connection whose server began with `vector`. Nothing when the vector is too short for a block.
    #[must_use]
    pub(super) fn new(method: Encryption, password: &str, vector: &[u8]) -> Option<Self> {
        let password = password.as_bytes();
        Some(match method {
            Encryption::None => Self::None,
            Encryption::Xor => Self::Xor { vector: vector.to_owned(), password: password.to_owned() },
            Encryption::TripleDes => {
                let (key, start) = (key::<24>(password), vector.first_chunk::<8>()?);
                Self::TripleDes(Box::new(Encryptor::new(&key.into(), &(*start).into())))
            }
            Encryption::Aes => {
                let (key, start) = (key::<32>(password), vector.first_chunk::<16>()?);
                Self::Aes(Box::new(Encryptor::new(&key.into(), &(*start).into())))
            }
        })
    }

    /// Hides a packet in place.
    pub(super) fn encrypt(&mut self, packet: &mut [u8]) {
        match self {
            Self::None => {}
            Self::Xor { vector, password } => {
                xor(packet, vector);
                xor(packet, password);
            }
            Self::TripleDes(state) => state.encrypt_inout(packet.into()),
            Self::Aes(state) => state.encrypt_inout(packet.into()),
        }
    }
}

/// Without keys and vectors.
impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(***)")
    }
}

/// A password as a key: cut to its size, or filled with zeros.
fn key<const SIZE: usize>(password: &[u8]) -> [u8; SIZE] {
    let mut key = [0; SIZE];
    key.iter_mut().zip(password).for_each(|(place, byte)| *place = *byte);
    key
}

fn xor(packet: &mut [u8], key: &[u8]) {
    packet.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}
