//! A record's payload and fields, found where they lie and not built: for readers that ask for one value of many messages.

use rmp::Marker;

use super::{
    read::Reader,
    record::{Identity, Record},
};
use crate::error::Error;

/// What lies behind the head of a record.
#[derive(Debug, Clone)]
pub struct Outline<'a> {
    /// The payload.
    pub payload: Raw<'a>,
    /// The identity, when it is another than the batch's.
    pub identity: Option<Identity<'a>>,
    fields: Vec<(&'a str, Raw<'a>)>,
}

impl<'a> Outline<'a> {
    /// The field of that name; the last, when a writer has set it more than once.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Raw<'a>> {
        self.fields.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl<'a> Record<'a> {
    /// Finds payload and fields. Values are stepped over, so that one which is broken inside shows only when it is read.
    ///
    /// # Errors
    /// `Malformed` when they are not there.
    pub fn outline(&self) -> Result<Outline<'a>, Error> {
        let (_, mut rest, has_identity) = self.open()?;
        let payload = Raw(rest.skip_value()?);
        let length = rest.map_len()?;
        let fields = (0..length)
            .map(|_| Ok((rest.text()?, Raw(rest.skip_value()?))))
            .collect::<Result<Vec<_>, Error>>()?;
        let identity = has_identity
            .then(|| Ok(Identity { env_version: rest.text()?, pid: rest.i64()?, hostname: rest.text()? }));
        Ok(Outline { payload, fields, identity: identity.transpose()? })
    }
}

/// One MessagePack value, not read yet.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a>(&'a [u8]);

/// A value that holds no others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A double.
    Float(f64),
    /// Text, or bytes that are none.
    Bytes(&'a [u8]),
    /// A list or a map.
    Nested,
}

impl<'a> Raw<'a> {
    /// The value; `None` when it is broken.
    #[must_use]
    pub fn scalar(self) -> Option<Scalar<'a>> {
        let mut reader = Reader::new(self.0);
        let scalar = match Marker::from_u8(*self.0.first()?) {
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Scalar::Bytes(reader.text().ok()?.as_bytes())
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => Scalar::Bytes(reader.bin().ok()?),
            Marker::FixArray(_)
            | Marker::Array16
            | Marker::Array32
            | Marker::FixMap(_)
            | Marker::Map16
            | Marker::Map32 => Scalar::Nested,
            _ => match reader.value().ok()? {
                crate::Value::Null => Scalar::Null,
                crate::Value::Bool(flag) => Scalar::Bool(flag),
                crate::Value::Int(int) => Scalar::Int(int),
                crate::Value::Float(float) => Scalar::Float(float),
                _ => Scalar::Nested,
            },
        };
        Some(scalar)
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::{
        json::from_json,
        record::{Record, write_message},
    };

    use super::*;

    const SHARED: Identity<'_> = Identity { env_version: "0.8", pid: 1, hostname: "h" };

    fn record(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_message(&mut bytes, &from_json(text.as_bytes()).unwrap().message, SHARED).unwrap();
        bytes
    }

    #[test]
    fn values_are_found_where_they_lie() {
        let text = r#"{"type":"t","payload":"p","fields":{"a":[{"b":1},2],"i":-7,"f":0.5,"n":null,"t":"x","on":true},
            "metlog_pid":9,"metlog_hostname":"web","env_version":"0.8"}"#;
        let bytes = record(text);
        let outline = Record::split(&bytes).unwrap().0.outline().unwrap();
        assert_eq!(outline.payload.scalar(), Some(Scalar::Bytes(b"p")));
        assert_eq!(outline.identity, Some(Identity { env_version: "0.8", pid: 9, hostname: "web" }));
        for (name, value) in [
            ("a", Some(Scalar::Nested)),
            ("i", Some(Scalar::Int(-7))),
            ("f", Some(Scalar::Float(0.5))),
            ("n", Some(Scalar::Null)),
            ("t", Some(Scalar::Bytes(b"x"))),
            ("on", Some(Scalar::Bool(true))),
            ("b", None),
        ] {
            assert_eq!(outline.field(name).and_then(Raw::scalar), value, "{name}");
        }
    }

    #[test]
    fn an_outline_of_what_is_cut_short_is_an_error_wherever_it_is_cut() {
        let bytes = record(r#"{"type":"t","payload":"p","fields":{"a":[1,2],"b":{"c":"d"}}}"#);
        for length in 5..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            cut[..4].copy_from_slice(&u32::try_from(length - 4).unwrap().to_le_bytes());
            assert!(Record::split(&cut).unwrap().0.outline().is_err(), "{length} of {}", bytes.len());
        }
    }
}
