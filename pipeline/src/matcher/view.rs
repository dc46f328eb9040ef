//! A message in a batch, read no further than it is looked at.

use metlog_core::{
    Error, Fields, Message,
    wire::record::{Head, Identity, Record},
};

use super::expression::{Number, NumberColumn, TextColumn, text_of};

/// One record of a batch. Its head (type, severity, logger, timestamp) and its rest are decoded when first asked for,
/// once each. What is broken has no value: every comparison with it is false, `== NIL` included.
#[derive(Debug)]
pub struct MessageView<'a> {
    record: Record<'a>,
    shared: Identity<'a>,
    head: Option<Option<Head<'a>>>,
    message: Option<Result<Message, Error>>,
}

impl<'a> MessageView<'a> {
    /// Looks at `record`, of a batch whose header says `shared`.
    #[must_use]
    pub fn new(record: Record<'a>, shared: Identity<'a>) -> Self {
        Self { record, shared, head: None, message: None }
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
            TextColumn::Payload => self.message().ok().and_then(|message| text_of(&message.payload)),
            TextColumn::EnvVersion => self.message().ok().map(|message| message.env_version.as_bytes()),
            TextColumn::Hostname => self.message().ok().map(|message| message.hostname.as_bytes()),
        }
    }

    pub(super) fn number(&mut self, column: NumberColumn) -> Option<Number> {
        let number = match column {
            NumberColumn::Timestamp => self.head()?.timestamp.as_nanos(),
            NumberColumn::Severity => self.head()?.severity.as_u8().into(),
            NumberColumn::Pid => self.message().ok()?.pid,
        };
        Some(Number::Int(number.into()))
    }

    pub(super) fn fields(&mut self) -> Option<&Fields> {
        self.message().ok().map(|message| &message.fields)
    }

    #[cfg(test)]
    pub(super) fn has_decoded_body(&self) -> bool {
        self.message.is_some()
    }
}
