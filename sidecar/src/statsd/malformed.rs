//! Why an item of a statsd packet is not one.

use thiserror::Error;

use super::MAX_WORD;

/// Why an item of a packet is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// No `:` between name and value.
    #[error("no ':' after the name")]
    NoColon,
    /// Nothing before the `:`.
    #[error("the name is empty")]
    EmptyName,
    /// The name, the tags or the set member are longer than [`MAX_WORD`].
    #[error("the name, the tags or the set member are longer than {MAX_WORD} bytes")]
    TooLong,
    /// No `|` between value and type.
    #[error("no '|' and type after the value")]
    NoType,
    /// The type is not one of c, ms, h, d, g, s.
    #[error("unknown type, expected c, ms, h, d, g or s")]
    BadType,
    /// The value is no number.
    #[error("the value is no number")]
    BadValue,
    /// The value is infinite or not a number.
    #[error("the value is not finite")]
    NotFinite,
    /// A timer below zero.
    #[error("a timer is negative")]
    NegativeTimer,
    /// What follows the type is not `@` and a number above 0 and at most 1.
    #[error("the rate is not '@' and a number above 0 and at most 1")]
    BadRate,
    /// The time after `|T` is no count of seconds.
    #[error("the time after '|T' is not a number of seconds")]
    BadTimestamp,
    /// An event whose lengths do not fit its title and text.
    #[error("the event is not _e{{<title length>,<text length>}}:<title>|<text>")]
    BadEvent,
    /// A service check without name or with another status than 0 to 3.
    #[error("the service check is not _sc|<name>|<status 0 to 3>")]
    BadCheck,
}

impl Malformed {
    /// Every reason, for a table of counters.
    pub const ALL: [Self; 13] = [
        Self::NotUtf8,
        Self::NoColon,
        Self::EmptyName,
        Self::TooLong,
        Self::NoType,
        Self::BadType,
        Self::BadValue,
        Self::NotFinite,
        Self::NegativeTimer,
        Self::BadRate,
        Self::BadTimestamp,
        Self::BadEvent,
        Self::BadCheck,
    ];

    /// The reason as a word, for a counter label.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NoColon => "no_colon",
            Self::EmptyName => "empty_name",
            Self::TooLong => "too_long",
            Self::NoType => "no_type",
            Self::BadType => "bad_type",
            Self::BadValue => "bad_value",
            Self::NotFinite => "not_finite",
            Self::NegativeTimer => "negative_timer",
            Self::BadRate => "bad_rate",
            Self::BadTimestamp => "bad_timestamp",
            Self::BadEvent => "bad_event",
            Self::BadCheck => "bad_check",
        }
    }
}
