//! Timestamps as log files write them: with zones or without, with missing years, or as seconds since the epoch.

use jiff::{
    Zoned, civil,
    fmt::strtime::{self, BrokenDownTime},
    tz::TimeZone,
};
use metlog_core::Timestamp;

use super::parsed::Field;

const NANOS: i64 = 1_000_000_000;

/// A line may be this far ahead of our clock before its missing year is taken to be the last one.
const AHEAD: i64 = 24 * 3_600 * NANOS;

/// How a timestamp is written.
#[derive(Debug, Clone)]
pub enum TimeFormat {
    /// RFC 3339 or seconds, milliseconds, microseconds or nanoseconds since the epoch, by their size.
    Auto(TimeZone),
    /// `10/Oct/2000:13:55:36 -0700`, as web servers do.
    CommonLog,
    /// Since the epoch; nanoseconds of one unit.
    Epoch(i64),
    /// Words of strftime. Without a zone in the text it is read in this one.
    Pattern(String, TimeZone),
}

impl TimeFormat {
    /// Reads `auto`, `rfc3339`, `common_log`, `epoch`, `epoch_ms`, `epoch_us`, `epoch_ns` or a pattern of strftime. `zone` is
    /// `UTC`, `local` or a name such as `Europe/Berlin`.
    ///
    /// # Errors
    /// When it is none of these, or the zone is not known here.
    pub fn parse(format: &str, zone: &str) -> Result<Self, String> {
        let zone = self::zone(zone)?;
        Ok(match format {
            "auto" | "rfc3339" => Self::Auto(zone),
            "common_log" => Self::CommonLog,
            "epoch" => Self::Epoch(NANOS),
            "epoch_ms" => Self::Epoch(1_000_000),
            "epoch_us" => Self::Epoch(1_000),
            "epoch_ns" => Self::Epoch(1),
            pattern if pattern.contains('%') => {
                strtime::format(pattern, &Zoned::now())
                    .map_err(|why| format!("{pattern:?} is no pattern of strftime: {why}"))?;
                Self::Pattern(pattern.to_owned(), zone)
            }
            other => {
                return Err(format!(
                    "{other:?} is no format of time, expected rfc3339, common_log, epoch, epoch_ms, epoch_us, epoch_ns or a \
                     pattern such as \"%Y-%m-%d %H:%M:%S\""
                ));
            }
        })
    }

    /// The instant that a field holds; `now` gives a missing year.
    pub fn read(&self, field: &Field<'_>, now: Timestamp) -> Option<Timestamp> {
        match (self, field) {
            (Self::Auto(_), Field::Int(int)) => epoch_by_size(*int),
            (Self::Auto(_), Field::Float(float)) => epoch_float(*float, NANOS),
            (Self::Epoch(unit), Field::Float(float)) => epoch_float(*float, *unit),
            (Self::Epoch(unit), Field::Int(int)) => int.checked_mul(*unit).map(Timestamp::from_nanos),
            (_, Field::Other(_)) => None,
            (_, field) => self.read_text(&field.as_text(), now),
        }
    }

    /// The instant that a text holds.
    pub fn read_text(&self, text: &str, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Auto(zone) => auto(text, zone),
            Self::CommonLog => common_log(text),
            Self::Epoch(unit) => epoch(text, *unit),
            Self::Pattern(pattern, zone) => with_pattern(text, pattern, zone, now),
        }
    }
}

fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "UTC" | "" => Ok(TimeZone::UTC),
        "local" => Ok(TimeZone::system()),
        name => TimeZone::get(name).map_err(|_| {
            format!("zone {name:?} is not known here, expected UTC, local or a name such as Europe/Berlin")
        }),
    }
}

/// 13:55:36 on 10 October 2000, seven hours west of Greenwich: `10/Oct/2000:13:55:36 -0700`. By hand, since every line of
/// an access log has one.
fn common_log(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 26] = text.as_bytes().try_into().ok()?;
    let [_, _, b'/', _, _, _, b'/', _, _, _, _, b':', _, _, b':', _, _, b':', _, _, b' ', sign, ..] = bytes
    else {
        return None;
    };
    let number = |from: usize, to: usize| {
        bytes
            .get(from..to)?
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let month = month(bytes.get(3..6)?)?;
    let (day, year) = (number(0, 2)?, number(7, 11)?);
    let (hour, minute, second) = (number(12, 14)?, number(15, 17)?, number(18, 20)?);
    let offset = number(22, 24)? * 3_600 + number(24, 26)? * 60;
    let offset = match sign {
        b'+' => offset,
        b'-' => -offset,
        _ => return None,
    };
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    seconds.checked_mul(NANOS).map(Timestamp::from_nanos)
}

fn month(name: &[u8]) -> Option<i64> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Days from 1970-01-01 to a date: years begin in March, so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn auto(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(int) = text.parse() {
        return epoch_by_size(int);
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return nanos(instant);
    }
    // Python writes a comma before the milliseconds.
    let text = text.replacen(',', ".", 1);
    match text.parse::<civil::DateTime>() {
        Ok(civil) => nanos(civil.to_zoned(zone.clone()).ok()?.timestamp()),
        Err(_) => common_log(&text).or_else(|| epoch(&text, NANOS)),
    }
}

/// Seconds until the year 5138, milliseconds from 1973 on, and so forth.
fn epoch_by_size(number: i64) -> Option<Timestamp> {
    let unit = match number.unsigned_abs() {
        0..100_000_000_000 => NANOS,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit).map(Timestamp::from_nanos)
}

/// `1712345678.123`, exact to the digit: a double would not hold it.
fn epoch(text: &str, unit: i64) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut scale = unit;
    let fraction = fraction.bytes().try_fold(0_i64, |sum, digit| {
        scale /= 10;
        digit.is_ascii_digit().then(|| sum + i64::from(digit - b'0') * scale)
    })?;
    let signed = if whole.starts_with('-') { -fraction } else { fraction };
    nanos.checked_add(signed).map(Timestamp::from_nanos)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "bounded before; a double has no more digits"
)]
fn epoch_float(number: f64, unit: i64) -> Option<Timestamp> {
    let nanos = number * unit as f64;
    (nanos.abs() < 9e18).then(|| Timestamp::from_nanos(nanos as i64))
}

fn with_pattern(text: &str, pattern: &str, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let mut time = BrokenDownTime::parse(pattern, text).ok()?;
    if time.year().is_some() || time.timestamp().is_some() {
        return instant(&time, zone);
    }
    // Of the years in which there is such a day, the last one that does not lie ahead.
    let latest = now.as_nanos().saturating_add(AHEAD);
    let year = jiff::Timestamp::from_nanosecond(now.as_nanos().into()).ok()?.to_zoned(zone.clone()).year();
    (year.saturating_sub(8)..=year.saturating_add(1)).rev().find_map(|year| {
        time.set_year(Some(year)).ok()?;
        instant(&time, zone).filter(|found| found.as_nanos() <= latest)
    })
}

fn instant(time: &BrokenDownTime, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = time.to_timestamp() {
        return nanos(instant);
    }
    let civil = time.to_datetime().or_else(|_| time.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
    nanos(civil.to_zoned(zone.clone()).ok()?.timestamp())
}

fn nanos(instant: jiff::Timestamp) -> Option<Timestamp> {
    i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_way_of_writing_an_instant_is_read() {
        let now = at("2024-02-29T12:00:00Z");
        for (format, zone, text, expected) in [
            ("common_log", "UTC", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
            ("common_log", "UTC", "29/Feb/2024:00:00:00 +0530", "2024-02-28T18:30:00Z"),
            ("auto", "UTC", "2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456Z"),
            ("auto", "Europe/Berlin", "2024-07-02 03:04:05,123", "2024-07-02T01:04:05.123Z"),
            ("auto", "UTC", "1712345678", "2024-04-05T19:34:38Z"),
            ("auto", "UTC", "1712345678123", "2024-04-05T19:34:38.123Z"),
            ("auto", "UTC", "1712345678.25", "2024-04-05T19:34:38.25Z"),
            ("epoch", "UTC", "1712345678.123456789", "2024-04-05T19:34:38.123456789Z"),
            ("epoch_ms", "UTC", "1712345678123", "2024-04-05T19:34:38.123Z"),
            ("epoch_us", "UTC", "1712345678123456", "2024-04-05T19:34:38.123456Z"),
            ("%Y-%m-%d %H:%M:%S%.f %z", "UTC", "2024-01-02 03:04:05.5 +0100", "2024-01-02T02:04:05.5Z"),
            ("%d.%m.%Y %H:%M", "America/New_York", "02.01.2024 03:04", "2024-01-02T08:04:00Z"),
            // Without a year: this year, or the last one when it would lie ahead.
            ("%b %e %H:%M:%S", "UTC", "Feb 29 11:59:59", "2024-02-29T11:59:59Z"),
            ("%b %e %H:%M:%S", "UTC", "Mar  1 11:00:00", "2024-03-01T11:00:00Z"),
            ("%b %e %H:%M:%S", "UTC", "Dec 31 23:59:59", "2023-12-31T23:59:59Z"),
            ("%Y-%m-%d", "UTC", "2024-01-02", "2024-01-02T00:00:00Z"),
        ] {
            let found = TimeFormat::parse(format, zone).unwrap().read_text(text, now);
            assert_eq!(found, Some(at(expected)), "{format} {text}");
        }
    }

    #[test]
    fn a_leap_day_without_a_year_is_of_the_last_leap_year() {
        let format = TimeFormat::parse("%b %e %H:%M:%S", "UTC").unwrap();
        let found = format.read_text("Feb 29 01:00:00", at("2026-11-22T00:00:00Z"));
        assert_eq!(found, Some(at("2024-02-29T01:00:00Z")));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let now = at("2024-01-01T00:00:00Z");
        for (format, text) in [
            ("common_log", "99/Oct/2000:13:55:36 -0700"),
            ("common_log", "10/Okt/2000:13:55:36 -0700"),
            ("common_log", "10/Oct/2000:13:55:36 ~0700"),
            ("common_log", ""),
            ("auto", "yesterday"),
            ("epoch", "12x"),
            ("epoch", "99999999999999999999"),
            ("%Y", "x"),
        ] {
            assert_eq!(TimeFormat::parse(format, "UTC").unwrap().read_text(text, now), None, "{text}");
        }
    }

    #[test]
    fn formats_and_zones_that_do_not_exist_are_named() {
        for (format, zone, part) in [
            ("iso", "UTC", "\"iso\" is no format of time"),
            ("%Y %!", "UTC", "no pattern of strftime"),
            ("auto", "Atlantis/Main", "\"Atlantis/Main\" is not known here"),
        ] {
            let error = TimeFormat::parse(format, zone).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn common_log_agrees_with_the_library(seconds in 0_i64..4_000_000_000, offset in -14 * 60..14 * 60_i32) {
            let zone = jiff::tz::Offset::from_seconds(offset * 60).unwrap().to_time_zone();
            let zoned = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(zone);
            let text = zoned.strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
            prop_assert_eq!(common_log(&text), Some(Timestamp::from_nanos(seconds * NANOS)), "{}", text);
        }

        #[test]
        fn no_text_disturbs(text in ".{0,40}") {
            for format in ["auto", "common_log", "epoch", "%b %e %H:%M:%S", "%Y-%m-%d %z"] {
                let _whatever = TimeFormat::parse(format, "UTC").unwrap().read_text(&text, Timestamp::now());
            }
        }
    }
}
