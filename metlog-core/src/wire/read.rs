//! Reading MessagePack from untrusted bytes: bounded in depth, never allocating more than the bytes can hold.

use rmp::Marker;

use super::MAX_DEPTH;
use crate::{
    error::Error,
    value::{Fields, Value, unique},
};

/// A position in MessagePack bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

fn broken(what: &str, source: impl std::fmt::Display) -> Error {
    Error::malformed(format!("broken MessagePack: expected {what}: {source}"))
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// One of rmp's readers over what is left.
    fn read<T, E: std::fmt::Display>(
        &mut self,
        what: &str,
        reader: impl FnOnce(&mut &'a [u8]) -> Result<T, E>,
    ) -> Result<T, Error> {
        reader(&mut self.rest).map_err(|source| broken(what, source))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| {
            Error::malformed(format!(
                "broken MessagePack: {length} bytes announced, {} left",
                self.rest.len()
            ))
        })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array_len(&mut self) -> Result<u32, Error> {
        self.read("an array", rmp::decode::read_array_len)
    }

    pub(crate) fn map_len(&mut self) -> Result<u32, Error> {
        self.read("a map", rmp::decode::read_map_len)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.read("an unsigned integer", rmp::decode::read_int)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Error> {
        self.read("an integer", rmp::decode::read_int)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Error> {
        self.read("a boolean", rmp::decode::read_bool)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.read("text", rmp::decode::read_str_len)?;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        std::str::from_utf8(bytes).map_err(|source| broken("UTF-8 text", source))
    }

    pub(crate) fn bin(&mut self) -> Result<&'a [u8], Error> {
        let length = self.read("bytes", rmp::decode::read_bin_len)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// A whole value, at most [`MAX_DEPTH`] deep.
    pub(crate) fn value(&mut self) -> Result<Value, Error> {
        self.value_within(MAX_DEPTH)
    }

    /// A map with text keys, at most [`MAX_DEPTH`] deep.
    pub(crate) fn fields(&mut self) -> Result<Fields, Error> {
        self.fields_within(MAX_DEPTH)
    }

    fn value_within(&mut self, depth: usize) -> Result<Value, Error> {
        let marker = self.rest.first().map_or(Marker::Reserved, |byte| Marker::from_u8(*byte));
        Ok(match marker {
            Marker::Null => self.read("null", rmp::decode::read_nil).map(|()| Value::Null)?,
            Marker::True | Marker::False => self.bool()?.into(),
            Marker::F32 => f64::from(self.read("a float", rmp::decode::read_f32)?).into(),
            Marker::F64 => self.read("a float", rmp::decode::read_f64)?.into(),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => self.text()?.into(),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => self.bin()?.to_vec().into(),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let depth = deeper(depth)?;
                let length = self.array_len()?;
                (0..length).map(|_| self.value_within(depth)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.fields_within(depth)?.into(),
            Marker::U64 => self.u64()?.into(),
            _ => self.i64()?.into(),
        })
    }

    fn fields_within(&mut self, depth: usize) -> Result<Fields, Error> {
        let depth = deeper(depth)?;
        let length = self.map_len()?;
        let pairs = (0..length).map(|_| Ok((self.text()?.to_owned(), self.value_within(depth)?)));
        Ok(unique(pairs.collect::<Result<Vec<_>, Error>>()?))
    }

    /// Skips one value without building it, whatever its depth.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        let mut left = 1_u64;
        while left > 0 {
            left = left - 1 + self.skip_one()?;
        }
        Ok(())
    }

    /// Skips one value and gives back its bytes.
    pub(crate) fn skip_value(&mut self) -> Result<&'a [u8], Error> {
        let before = self.rest;
        self.skip()?;
        before
            .get(..before.len() - self.rest.len())
            .ok_or_else(|| Error::malformed("broken MessagePack: a value without an end"))
    }

    /// Skips a scalar, or the head of a container; gives back how many values the container holds.
    fn skip_one(&mut self) -> Result<u64, Error> {
        let marker = self.rest.first().map_or(Marker::Reserved, |byte| Marker::from_u8(*byte));
        match marker {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                return self.array_len().map(u64::from);
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                return self.map_len().map(|pairs| 2 * u64::from(pairs));
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = self.read("text", rmp::decode::read_str_len)?;
                self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                self.bin()?;
            }
            _ => {
                self.value_within(0)?;
            }
        }
        Ok(0)
    }
}

/// How many containers may be inside one more.
fn deeper(depth: usize) -> Result<usize, Error> {
    depth
        .checked_sub(1)
        .ok_or_else(|| Error::malformed(format!("lists and maps nested deeper than {MAX_DEPTH}")))
}
