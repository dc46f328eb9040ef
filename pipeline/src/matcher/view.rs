//! A message in a batch, read no further than it is looked at.

use metlog_core::{
    Error, Message,
    wire::{
        outline::{Outline, Raw, Scalar},
        record::{Head, Identity, Record, write_message},
    },
};

use super::{
    expression::{Number, NumberColumn, TextColumn},
    path::FieldPath,
};

/// One record of a batch. Its head (type, severity, logger, timestamp) is read when first asked for, the rest is then found
/// where it lies, and the whole message is built only for values inside lists and maps; once each. What is broken has no
/// value: every comparison with it is false, `== NIL` included.
#[derive(Debug)]
pub struct MessageView<'a> {
    record: Record<'a>,
    shared: Identity<'a>,
    head: Option<Option<Head<'a>>>,
    outline: Option<Option<Outline<'a>>>,
    message: Option<Result<Message, Error>>,
}

impl<'a> MessageView<'a> {
    /// Looks at `record`, of a batch whose header says `shared`.
    #[must_use]
    pub fn new(record: Record<'a>, shared: Identity<'a>) -> Self {
        Self { record, shared, head: None, outline: None, message: None }
    }

    /// The front columns; `None` when they are broken.
    pub fn head(&mut self) -> Option<Head<'a>> {
        *self.head.get_or_insert_with(|| self.record.head().ok())
    }

    /// The whole message.
    ///
    /// # Errors
    /// `Malformed` when the record is no message.
    pub fn message(&mut self) -> Result<&Message, &Error> {
        self.message.get_or_insert_with(|| self.record.decode(self.shared)).as_ref()
    }

    /// The whole message, kept.
    ///
    /// # Errors
    /// `Malformed` when the record is no message.
    pub fn into_message(self) -> Result<Message, Error> {
        self.message.unwrap_or_else(|| self.record.decode(self.shared))
    }

    pub(super) fn text(&mut self, column: TextColumn) -> Option<&[u8]> {
        match column {
            TextColumn::Type => self.head().map(|head| head.kind.as_bytes()),
            TextColumn::Logger => self.head().map(|head| head.logger.as_bytes()),
            TextColumn::Payload => match self.outline()?.payload.scalar()? {
                Scalar::Bytes(text) => Some(text),
                _ => None,
            },
            TextColumn::EnvVersion => self.identity().map(|identity| identity.env_version.as_bytes()),
            TextColumn::Hostname => self.identity().map(|identity| identity.hostname.as_bytes()),
        }
    }

    pub(super) fn number(&mut self, column: NumberColumn) -> Option<Number> {
        let number = match column {
            NumberColumn::Timestamp => self.head()?.timestamp.as_nanos(),
            NumberColumn::Severity => self.head()?.severity.as_u8().into(),
            NumberColumn::Pid => self.identity()?.pid,
        };
        Some(Number::Int(number.into()))
    }

    /// The value at a path, if there is one; `None` when what would tell is broken.
    pub(super) fn field(&mut self, path: &FieldPath) -> Option<Option<Scalar<'_>>> {
        let found = self.outline()?.field(&path.name);
        let is_elsewhere = match found.map(Raw::scalar) {
            None => path.is_dotted(),
            Some(None) => return None,
            Some(Some(Scalar::Nested)) => true,
            Some(Some(scalar)) => {
                return Some((path.is_first() && scalar != Scalar::Null).then_some(scalar));
            }
        };
        if !is_elsewhere {
            return Some(None);
        }
        self.message().ok().map(|message| path.find(&message.fields))
    }

    fn identity(&mut self) -> Option<Identity<'a>> {
        let shared = self.shared;
        self.outline().map(|outline| outline.identity.unwrap_or(shared))
    }

    fn outline(&mut self) -> Option<&Outline<'a>> {
        self.outline.get_or_insert_with(|| self.record.outline().ok()).as_ref()
    }

    /// Whether anything behind the head has been looked at.
    #[must_use]
    pub fn has_read_body(&self) -> bool {
        self.outline.is_some() || self.message.is_some()
    }
}

/// Looks at a message that is in no batch.
///
/// # Errors
/// `TooBig` when it fits into none.
pub fn look<T>(message: &Message, look: impl FnOnce(&mut MessageView<'_>) -> T) -> Result<T, Error> {
    let shared =
        Identity { env_version: &message.env_version, pid: message.pid, hostname: &message.hostname };
    let mut bytes = Vec::new();
    write_message(&mut bytes, message, shared)?;
    Ok(look(&mut MessageView::new(Record::split(&bytes)?.0, shared)))
}
