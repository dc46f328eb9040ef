//! JSON text of one JavaScript value, written again as MessagePack.
//!
//! `JSON.stringify` in JavaScript and this pass together cost less than reading the properties one by one from here.

use std::fmt;

use metlog_core::{
    Encode,
    wire::{MAX_DEPTH, pack},
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Values may be nested this deep, so that a message around them stays within [`MAX_DEPTH`].
const DEEPEST: usize = MAX_DEPTH - 8;

/// The entries of one JSON object as names and values, one after another.
#[derive(Default)]
pub(crate) struct Pairs {
    pub(crate) count: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Pairs {
    /// Reads a JSON object.
    pub(crate) fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let mut pairs = Self { count: 0, bytes: Vec::with_capacity(json.len()) };
        let mut parser = serde_json::Deserializer::from_str(json);
        pairs.count = parser.deserialize_map(Entries { out: &mut pairs.bytes, depth: DEEPEST })?;
        parser.end()?;
        Ok(pairs)
    }

    /// Adds one entry; of two entries with one name the last counts.
    pub(crate) fn push(&mut self, name: &str, value: &dyn Encode) {
        self.count = self.count.saturating_add(1);
        name.encode(&mut self.bytes);
        value.encode(&mut self.bytes);
    }
}

/// Any JSON value as MessagePack.
pub(crate) fn from_json(json: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(json.len());
    let mut parser = serde_json::Deserializer::from_str(json);
    Transcode { out: &mut out, depth: DEEPEST }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(out)
}

/// Appends the next value; `depth` levels may still follow.
struct Transcode<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl Transcode<'_> {
    fn put<E>(self, value: &(impl Encode + ?Sized)) -> Result<(), E> {
        value.encode(self.out);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(&metlog_core::Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.put(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = one_less::<A::Error>(self.depth)?;
        let start = self.out.len();
        let mut count = 0_usize;
        while items.next_element_seed(Transcode { out: self.out, depth })?.is_some() {
            count = count.saturating_add(1);
        }
        put_in_front(self.out, start, |out| {
            pack::list(out, count);
        });
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let start = self.out.len();
        let depth = one_less::<A::Error>(self.depth)?;
        let count = Entries { out: self.out, depth }.visit_map(entries)?;
        put_in_front(self.out, start, |out| {
            pack::map(out, count);
        });
        Ok(())
    }
}

/// Appends the entries of the next object and gives back how many there were.
struct Entries<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<usize, A::Error> {
        let mut count = 0_usize;
        while entries.next_key_seed(Transcode { out: self.out, depth: 0 })?.is_some() {
            entries.next_value_seed(Transcode { out: self.out, depth: self.depth })?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }
}

fn one_less<E: serde::de::Error>(depth: usize) -> Result<usize, E> {
    depth.checked_sub(1).ok_or_else(|| E::custom(format_args!("value nested deeper than {DEEPEST}")))
}

/// Puts a header, whose size only its count tells, in front of what was written since `start`.
fn put_in_front(out: &mut Vec<u8>, start: usize, header: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len();
    header(out);
    let length = out.len() - end;
    if let Some(written) = out.get_mut(start..) {
        written.rotate_right(length);
    }
}
