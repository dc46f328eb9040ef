//! Which messages a word is about: a matcher, and bounds by ordinal or time.

use std::str::FromStr;

use clap::Args;
use metlog_core::{Error, Message, Timestamp};

use crate::matcher::{Matcher, MatcherError, MessageView, look};

/// Which messages.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Only messages that fit this expression, such as `Type == "counter" && Fields[name] =~ /^sync/`.
    #[arg(long = "where", value_name = "MATCHER", value_parser = matcher)]
    pub matching: Option<Matcher>,
    /// From here on: the ordinal of a record, or the time of a message (2026-11-22T06:30:00Z).
    #[arg(long, value_name = "ORDINAL|TIME")]
    pub from: Option<Bound>,
    /// Up to here, this included: the ordinal of a record, or the time of a message.
    #[arg(long, value_name = "ORDINAL|TIME")]
    pub to: Option<Bound>,
}

/// Where a selection begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At a record of the spool.
    Ordinal(u64),
    /// At a message's time.
    Time(Timestamp),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ordinal) = text.parse() {
            return Ok(Self::Ordinal(ordinal));
        }
        let expected = "expected an ordinal such as 1200 or a time such as 2026-11-22T06:30:00Z";
        text.parse().map(Self::Time).map_err(|_| format!("{text:?} is neither: {expected}"))
    }
}

/// Compiles an expression of the command line.
///
/// # Errors
/// What is wrong with it, and where.
pub fn matcher(text: &str) -> Result<Matcher, MatcherError> {
    Matcher::compile(text)
}

impl Selection {
    /// Whether everything is selected.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.matching.is_none() && self.from.is_none() && self.to.is_none()
    }

    /// The first ordinal there can be.
    pub(super) fn first_ordinal(&self) -> u64 {
        if let Some(Bound::Ordinal(from)) = self.from { from } else { 1 }
    }

    /// The last ordinal there can be.
    pub(super) fn last_ordinal(&self) -> u64 {
        if let Some(Bound::Ordinal(to)) = self.to { to } else { u64::MAX }
    }

    /// Whether a bound is an ordinal: only what lies in a spool has one.
    #[must_use]
    pub fn has_ordinals(&self) -> bool {
        [self.from, self.to].iter().flatten().any(|bound| matches!(bound, Bound::Ordinal(_)))
    }

    /// Whether bounds or expression ask for more than the ordinals.
    pub(super) fn is_whole_batches(&self) -> bool {
        let times = [self.from, self.to].iter().flatten().any(|bound| matches!(bound, Bound::Time(_)));
        self.matching.is_none() && !times
    }

    /// Whether a message is selected, as far as its time and its content say.
    pub fn takes(&self, view: &mut MessageView<'_>) -> bool {
        let at = view.head().map(|head| head.timestamp);
        let within = |bound: Option<Bound>, good: fn(&Timestamp, &Timestamp) -> bool| match bound {
            Some(Bound::Time(bound)) => at.is_some_and(|at| good(&at, &bound)),
            _ => true,
        };
        within(self.from, Timestamp::ge)
            && within(self.to, Timestamp::le)
            && self.matching.as_ref().is_none_or(|matcher| matcher.matches(view))
    }

    /// [`Selection::takes`] of a message that is in no batch.
    ///
    /// # Errors
    /// `TooBig` when it fits into none.
    pub fn takes_message(&self, message: &Message) -> Result<bool, Error> {
        look(message, |view| self.takes(view))
    }
}

/// Whether a message fits an expression; everything fits none.
///
/// # Errors
/// `TooBig` when the message fits into no batch.
pub fn holds(matching: Option<&Matcher>, message: &Message) -> Result<bool, Error> {
    let selection = Selection { matching: matching.cloned(), ..Selection::default() };
    selection.takes_message(message)
}

#[cfg(test)]
mod tests {
    use metlog_core::wire::json::from_json;

    use super::*;

    #[test]
    fn a_message_is_taken_by_time_and_expression() {
        let message = from_json(br#"{"type":"counter","timestamp":"2026-01-01T00:00:10Z","payload":"1"}"#)
            .unwrap()
            .message;
        let at = |seconds: u8| format!("2026-01-01T00:00:{seconds}Z").parse::<Bound>().ok();
        for (from, to, matching, taken) in [
            (None, None, "TRUE", true),
            (at(10), at(10), "Type == 'counter'", true),
            (at(11), None, "TRUE", false),
            (None, "2026-01-01T00:00:09Z".parse().ok(), "TRUE", false),
            (at(10), None, "Type == 'gauge'", false),
            // An ordinal says nothing about a single message.
            ("7".parse().ok(), "9".parse().ok(), "TRUE", true),
        ] {
            let selection = Selection { matching: matcher(matching).ok(), from, to };
            assert_eq!(selection.takes_message(&message).unwrap(), taken, "{selection:?}");
        }
    }

    #[test]
    fn a_bound_is_an_ordinal_or_a_time() {
        assert_eq!("17".parse(), Ok(Bound::Ordinal(17)));
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(Bound::Time(Timestamp::from_nanos(1_000_000_000))));
        let error = "yesterday".parse::<Bound>().unwrap_err();
        assert!(error.contains("yesterday") && error.contains("ordinal"), "{error}");
    }
}
