//! How long a server asked to be left alone, from `X-Sentry-Rate-Limits` and `Retry-After`.

use std::time::Duration;

/// When a server refuses for its rate limit and says no time: what its own clients wait then.
pub(super) const UNSAID: Duration = Duration::from_secs(60);

/// Longer is not believed: a slip of a server must not silence an output for days.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The category events belong to; an empty list of categories means all.
const CATEGORY: &str = "error";

/// How long no events are to be sent: the longest of `60:error;transaction:organization, 2700:default:project`.
#[must_use]
pub(super) fn of_header(header: &str) -> Option<Duration> {
    header.split(',').filter_map(of_limit).max()
}

fn of_limit(limit: &str) -> Option<Duration> {
    let mut parts = limit.trim().split(':');
    let pause = seconds(parts.next()?)?;
    let categories = parts.next().unwrap_or_default();
    let is_ours = categories.is_empty() || categories.split(';').any(|category| category.trim() == CATEGORY);
    is_ours.then_some(pause)
}

/// The pause of `Retry-After` in seconds; a date, which no Sentry sends, counts as unsaid.
#[must_use]
pub(super) fn of_retry_after(header: &str) -> Duration {
    seconds(header.trim()).unwrap_or(UNSAID)
}

fn seconds(text: &str) -> Option<Duration> {
    let pause = Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()?;
    Some(pause.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_limit_on_errors_counts() {
        for (header, expected) in [
            ("60:error:organization", Some(60)),
            ("60::key, 86400:transaction;span:organization", Some(60)),
            ("30:default;error:project:reason, 2700::organization", Some(2700)),
            ("86400:transaction;span:organization", None),
            ("90:", Some(90)),
            ("90", Some(90)),
            ("999999:error:x", Some(3600)),
            ("", None),
            ("soon:error:x", None),
            ("-5:error:x, nan:error:x, inf:error:x", None),
        ] {
            assert_eq!(of_header(header), expected.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn retry_after_is_in_seconds() {
        for (header, expected) in [("7", 7), (" 7 ", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", 60), ("", 60)] {
            assert_eq!(of_retry_after(header), Duration::from_secs(expected), "{header}");
        }
    }
}
