//! What a call may say beyond its name.

use crate::{
    clock,
    message::{ORIGINAL_FIELD, Severity},
    timestamp::Timestamp,
    value::{Encode, Encoded},
    wire::{
        pack,
        record::{Head, Identity},
    },
};

/// The fields of a call.
#[derive(Clone, Copy)]
pub enum FieldSet<'a> {
    /// Names with their values.
    Pairs(&'a [(&'a str, &'a dyn Encode)]),
    /// `count` names and values as MessagePack already, one after another: what a language's face makes.
    Encoded {
        /// How many pairs there are.
        count: usize,
        /// Name, value, name, value, ...
        pairs: Encoded<'a>,
    },
}

/// The fields of a call, as a list of names and values.
#[must_use]
pub fn fields<'a>(pairs: &'a [(&'a str, &'a dyn Encode)]) -> FieldSet<'a> {
    FieldSet::Pairs(pairs)
}

impl FieldSet<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Pairs(pairs) => pairs.len(),
            Self::Encoded { count, .. } => *count,
        }
    }

    pub(crate) fn encode_pairs(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pairs(pairs) => pairs.iter().for_each(|(name, value)| {
                name.encode(out);
                value.encode(out);
            }),
            Self::Encoded { pairs, .. } => pairs.encode(out),
        }
    }
}

impl Default for FieldSet<'_> {
    fn default() -> Self {
        Self::Pairs(&[])
    }
}

/// What a call may say beyond its name; what it leaves out comes from the client.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Instead of the client's logger.
    pub logger: Option<&'a str>,
    /// Instead of the client's severity.
    pub severity: Option<Severity>,
    /// Instead of the empty text.
    pub payload: Option<&'a dyn Encode>,
    /// None by default.
    pub fields: FieldSet<'a>,
    /// Instead of now.
    pub timestamp: Option<Timestamp>,
    /// Instead of this process.
    pub pid: Option<i64>,
    /// Instead of this host.
    pub hostname: Option<&'a str>,
    /// Values the caller gave for a column they do not fit, kept under `fields.original`.
    pub original: &'a [(&'a str, &'a dyn Encode)],
}

impl Options<'_> {
    /// How many fields they make.
    pub(crate) fn count_fields(&self) -> usize {
        self.fields.len() + usize::from(!self.original.is_empty())
    }

    /// The field of the values that did not fit their columns.
    pub(crate) fn encode_original(&self, out: &mut Vec<u8>) {
        if !self.original.is_empty() {
            ORIGINAL_FIELD.encode(out);
            pack::map(out, self.original.len());
            FieldSet::Pairs(self.original).encode_pairs(out);
        }
    }

    /// True when nothing was given.
    pub(super) fn is_plain(&self) -> bool {
        let Self { logger, severity, payload: _, fields, timestamp, pid, hostname, original } = self;
        logger.is_none()
            && severity.is_none()
            && timestamp.is_none()
            && pid.is_none()
            && hostname.is_none()
            && fields.len() == 0
            && original.is_empty()
    }
}

/// The sender's identity, when the caller gave another than this process'.
pub(super) fn given_identity<'a>(options: &Options<'a>, own: Identity<'a>) -> Option<Identity<'a>> {
    if options.pid.is_none() && options.hostname.is_none() {
        return None;
    }
    let pid = options.pid.unwrap_or(own.pid);
    let given = Identity { pid, hostname: options.hostname.unwrap_or(own.hostname), ..own };
    (given != own).then_some(given)
}

/// A call that plain rules let pass.
pub(super) struct Call<'a> {
    pub(super) kind: &'a str,
    /// This and the payload stand in for those of the options.
    pub(super) severity: Severity,
    pub(super) payload: &'a dyn Encode,
    pub(super) options: &'a Options<'a>,
    /// Fields that the call adds to the caller's.
    pub(super) own: &'a [(&'a str, &'a dyn Encode)],
}

impl Call<'_> {
    /// The front columns, as of now; `logger` is the client's.
    pub(super) fn head<'h>(&'h self, logger: &'h str) -> Head<'h> {
        let &Self { kind, severity, options, .. } = self;
        let logger = options.logger.unwrap_or(logger);
        Head { kind, severity, logger, timestamp: options.timestamp.unwrap_or_else(clock::now) }
    }

    /// Payload and fields. The caller's fields come first: of a field given twice readers keep the last.
    #[inline]
    pub(super) fn encode_content(&self, out: &mut Vec<u8>) {
        self.payload.encode(out);
        self.encode_fields(out);
    }

    #[inline]
    pub(super) fn encode_fields(&self, out: &mut Vec<u8>) {
        let Self { options, own, .. } = self;
        pack::map(out, options.count_fields() + own.len());
        options.fields.encode_pairs(out);
        FieldSet::Pairs(own).encode_pairs(out);
        options.encode_original(out);
    }
}
