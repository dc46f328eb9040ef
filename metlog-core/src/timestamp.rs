//! An instant in nanoseconds since the Unix epoch, and its text in every dialect of the wire.

use std::{
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::error::Error;

/// Nanoseconds since 1970-01-01T00:00:00Z; years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The system clock, now.
    #[must_use]
    pub fn now() -> Self {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        };
        Self(nanos)
    }

    /// The instant `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
}

/// RFC 3339 in UTC with six digits: `2012-03-30T20:45:15.123456Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded down, but not to before the first instant, which no reader takes.
        let micros = self.0.div_euclid(1_000).max(i64::MIN / 1_000);
        let micros = jiff::Timestamp::from_microsecond(micros).map_err(|_| fmt::Error)?;
        write!(f, "{micros:.6}")
    }
}

/// Reads RFC 3339 with `Z`, an offset or no zone (then UTC) and 0 to 9 digits of fraction.
impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let not_a_date = || {
            Error::malformed(format!("timestamp {text:?} is no RFC 3339 date, expected 2012-03-30T20:45:15Z"))
        };
        let instant = text
            .parse::<jiff::Timestamp>()
            .or_else(|zoned| {
                let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| zoned)?;
                civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
            })
            .map_err(|source| not_a_date().with_source(source))?;
        i64::try_from(instant.as_nanosecond()).map(Self).map_err(|_| not_a_date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_of_the_originals_is_the_same_instant() {
        let instant = Timestamp::from_nanos(1_333_140_315_000_000_000);
        for text in [
            "2012-03-30T20:45:15Z",
            "2012-03-30T20:45:15",
            "2012-03-30T20:45:15.000000Z",
            "2012-03-30T20:45:15.0",
            "2012-03-30T22:45:15+02:00",
            "2012-03-30T13:45:15.000000000-07:00",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap(), instant, "{text}");
        }
        let fine: Timestamp = "2012-03-30T20:45:15.123456789Z".parse().unwrap();
        assert_eq!(fine.as_nanos(), 1_333_140_315_123_456_789);
    }

    #[test]
    fn text_is_utc_with_six_digits() {
        assert_eq!(
            Timestamp::from_nanos(1_333_140_315_000_000_000).to_string(),
            "2012-03-30T20:45:15.000000Z"
        );
        assert_eq!(
            Timestamp::from_nanos(1_333_140_315_123_456_789).to_string(),
            "2012-03-30T20:45:15.123456Z"
        );
        assert_eq!(Timestamp::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }

    /// The fuzz target `record` found that the text of the first instant could not be read.
    #[test]
    fn text_of_any_instant_is_read_again() {
        for nanos in [i64::MIN, i64::MIN + 1, i64::MIN + 1_000, -1, 0, i64::MAX] {
            let text = Timestamp::from_nanos(nanos).to_string();
            let read = text.parse::<Timestamp>().unwrap();
            assert!(read.as_nanos().abs_diff(nanos) < 1_000, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_named() {
        for text in ["", "yesterday", "2012-13-30T20:45:15Z", "9999-01-01T00:00:00Z", "1333140315"] {
            let error = text.parse::<Timestamp>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
