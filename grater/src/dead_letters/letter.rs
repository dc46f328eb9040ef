//! One dead letter: a message that a back end refused for good, with why and how often.

use metlog_core::{
    Error, Fields, Message, Timestamp,
    wire::{
        batch::ProducerId,
        json::{from_json, to_json},
    },
};
use serde::{Deserialize, Serialize};

/// A letter, as a line of JSON has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Letter {
    /// When the back end refused it last.
    pub time: String,
    /// How often it has been tried.
    pub attempts: u64,
    /// What the back end said last.
    pub reason: String,
    /// True when somebody has asked for it to be sent again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// Whose message it is.
    #[serde(flatten)]
    pub owner: Owner,
    /// The message.
    pub message: Message,
}

/// Whose message a letter is, and whether the output accounts for it in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Who sent it; letters of earlier versions do not say.
    pub producer: Option<ProducerId>,
    /// Its number.
    pub sequence: u64,
    /// Whether the output accounts for it.
    pub principal: bool,
}

/// A line as it is read.
#[derive(Deserialize)]
struct Line {
    time: String,
    #[serde(default = "once")]
    attempts: u64,
    reason: String,
    #[serde(default)]
    replay: bool,
    #[serde(flatten)]
    owner: Owner,
    message: Fields,
}

fn once() -> u64 {
    1
}

impl Letter {
    /// A message that was refused just now, for the first time.
    #[must_use]
    pub fn new(message: Message, owner: Owner, reason: &str) -> Self {
        let time = Timestamp::now().to_string();
        Self { time, attempts: 1, reason: reason.to_owned(), replay: false, owner, message }
    }

    /// Refused once more.
    #[must_use]
    pub fn refused_again(self, reason: &str) -> Self {
        let time = Timestamp::now().to_string();
        Self {
            time,
            attempts: self.attempts.saturating_add(1),
            reason: reason.to_owned(),
            replay: false,
            ..self
        }
    }

    /// What is the same in two letters of one message, and different in all others.
    #[must_use]
    pub fn key(&self) -> String {
        match self.owner.producer {
            Some(producer) => format!("{producer}/{}", self.owner.sequence),
            None => to_json(&self.message),
        }
    }

    /// The line, with its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Serialising into memory cannot fail.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no letter.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let bad =
            |why: String| Error::new(metlog_core::ErrorKind::Malformed, format!("no dead letter: {why}"));
        let line: Line = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        let envelope = serde_json::to_vec(&line.message).map_err(|error| bad(error.to_string()))?;
        let Line { time, attempts, reason, replay, owner, .. } = line;
        Ok(Self { time, attempts, reason, replay, owner, message: from_json(&envelope)?.message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_survives_its_line_and_those_of_the_first_version_are_read() {
        let text = br#"{"type":"t","timestamp":"2026-01-01T00:00:00.000001Z","fields":{"b":1,"a":[2.5]},"payload":"\n"}"#;
        let message = from_json(text).unwrap().message;
        let owner = Owner { producer: Some(ProducerId([3; 16])), sequence: 9, principal: true };
        let letter = Letter::new(message, owner, "no such table").refused_again("still none");
        assert_eq!((letter.attempts, letter.reason.as_str()), (2, "still none"));
        let line = letter.to_line();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(Letter::parse(&line).unwrap(), letter);
        let old = r#"{"time":"2026-01-01T00:00:00.000000Z","reason":"no","message":{"type":"t"}}"#;
        let old = Letter::parse(old).unwrap();
        assert_eq!((old.attempts, old.owner, old.replay), (1, Owner::default(), false));
        for bad in ["", "{", "7", r#"{"time":"","reason":"","message":{}}"#] {
            assert!(Letter::parse(bad).is_err(), "{bad}");
        }
    }
}
