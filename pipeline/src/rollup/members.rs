//! How many members a set has, in 4 KiB at most, whatever their number: a HyperLogLog that merges, and its form in a message.
//!
//! Of each member's 64-bit hash the first 12 bits choose one of 4,096 registers, which keeps the largest rank (zeros before the
//! first one, and that) of the rest. The estimate is Ertl's (2017), without tables: 1.6% off in the mean over any range, and
//! near exact for few members. The bytes are a wire format that sidecars and graters of different versions share, and
//! so are the hash and its seed: that is why no crate's own form is used.
//!
//! # Bytes
//! ```text
//! 4096 bytes        a register each
//! 3 n bytes, less   n registers that are not 0: index (u16 little-endian), rank; in rising order
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 12;

const REGISTERS: usize = 1 << INDEX_BITS;

/// The highest rank: all other bits are zeros.
const MAX_RANK: u8 = 64 - 12 + 1;

/// The estimate.
#[derive(Clone, PartialEq, Eq)]
pub struct Members(Box<[u8; REGISTERS]>);

impl Default for Members {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Members(about {})", self.count())
    }
}

impl Members {
    /// Takes a member in.
    pub fn add(&mut self, member: &str) {
        let hash = hash(member);
        let index = usize::try_from(hash >> (64 - INDEX_BITS)).unwrap_or_default();
        // A one behind the last bit bounds the rank.
        let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() + 1;
        self.raise(index, u8::try_from(rank).unwrap_or(MAX_RANK));
    }

    /// Takes in all members that another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(own, other)| *own = (*own).max(*other));
    }

    /// About how many different members were taken in.
    #[must_use]
    pub fn count(&self) -> f64 {
        let mut counts = [0.0_f64; MAX_RANK as usize + 1];
        for rank in self.0.iter() {
            if let Some(count) = counts.get_mut(usize::from(*rank)) {
                *count += 1.0;
            }
        }
        let [zeros, ranks @ .., highest] = counts;
        let all = REGISTERS as f64;
        let tail = all * tau(1.0 - highest / all);
        let z = ranks.iter().rev().fold(tail, |z, count| 0.5 * (z + count)) + all * sigma(zeros / all);
        (all * all / (2.0 * std::f64::consts::LN_2 * z)).round()
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let raised = (0_u16..).zip(self.0.iter()).filter(|(_, rank)| **rank > 0);
        let sparse: Vec<u8> = raised
            .flat_map(|(index, rank)| {
                let [low, high] = index.to_le_bytes();
                [low, high, *rank]
            })
            .collect();
        if sparse.len() < REGISTERS { sparse } else { self.0.to_vec() }
    }

    /// Reads bytes; nothing when they are none of these.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut members = Self::default();
        if bytes.len() == REGISTERS {
            bytes.iter().enumerate().for_each(|(index, rank)| members.raise(index, *rank));
        } else {
            let (triples, rest) = bytes.as_chunks::<3>();
            if !rest.is_empty() || triples.len() > REGISTERS {
                return None;
            }
            for [low, high, rank] in triples {
                members.raise(usize::from(u16::from_le_bytes([*low, *high])), *rank);
            }
        }
        members.0.iter().all(|rank| *rank <= MAX_RANK).then_some(members)
    }

    fn raise(&mut self, index: usize, rank: u8) {
        if let Some(register) = self.0.get_mut(index) {
            *register = (*register).max(rank);
        }
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.to_bytes().serialize(out)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(input)?;
        Self::from_bytes(&bytes).ok_or_else(|| serde::de::Error::custom("no bytes of a set"))
    }
}

/// 64-bit FNV-1a, and SplitMix64's last step, which spreads it over all bits. Part of the wire format.
fn hash(member: &str) -> u64 {
    let mut hash = member.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Ertl's sigma, for registers that are 0.
fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (share, 1.0, share);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// Ertl's tau, for registers that are full.
fn tau(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (share, 1.0, 1.0 - share);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u32>) -> Members {
        let mut members = Members::default();
        range.for_each(|number| members.add(&format!("user-{number}")));
        members
    }

    #[test]
    fn any_number_of_members_is_counted_within_a_few_percent() {
        for count in [0_u32, 1, 2, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
            let found = of(0..count).count();
            let allowed = if count <= 100 { 1.0 } else { f64::from(count) * 0.05 };
            assert!((found - f64::from(count)).abs() <= allowed, "{found} of {count}");
        }
    }

    #[test]
    fn sets_united_are_the_set_of_all_in_any_order() {
        let (mut one, mut other) = (of(0..3_000), of(2_000..7_000));
        let first = one.clone();
        one.merge(&other);
        other.merge(&first);
        assert_eq!(one, other);
        assert_eq!(one, of(0..7_000));
    }

    #[test]
    fn bytes_are_read_back_and_others_refused() {
        for count in [0, 1, 50, 1_000, 50_000] {
            let members = of(0..count);
            let bytes = members.to_bytes();
            assert!(bytes.len() <= REGISTERS, "{}", bytes.len());
            assert_eq!(Members::from_bytes(&bytes), Some(members));
        }
        for bad in [vec![1], vec![1; 4_097], vec![0, 0, 60], vec![99; REGISTERS]] {
            assert_eq!(Members::from_bytes(&bad), None);
        }
    }

    /// What another version has written must mean the same here.
    #[test]
    fn the_hash_is_part_of_the_format() {
        assert_eq!(of(0..3).to_bytes(), GOLDEN);
    }

    const GOLDEN: &[u8] = &[251, 4, 3, 21, 5, 1, 73, 12, 1];
}
