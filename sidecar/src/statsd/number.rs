//! Numbers of statsd lines: plain decimals without a detour, everything else by the standard library.

use metlog_pipeline::rollup::SampleRate;

use super::Malformed;

/// More digits than this may not fit the 53 bits of a float exactly.
const EXACT_DIGITS: usize = 15;

/// Powers of ten up to [`EXACT_DIGITS`], each exact: a division by one rounds once, as a parser must.
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads digits with at most one point among them from the front of `bytes`: the number, and how long it was. Nothing
/// when there is no digit or too many to be exact; then [`number`] has to look.
pub(super) fn plain(bytes: &[u8]) -> Option<(f64, usize)> {
    let (mut mantissa, mut digits, mut point) = (0_u32, 0, None);
    // Nine digits fit 32 bits, which convert to a float without loss or detour.
    for (place, byte) in bytes.iter().enumerate().take(10) {
        match byte {
            b'0'..=b'9' if digits < 9 => {
                mantissa = mantissa * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if point.is_none() => point = Some(digits),
            b'0'..=b'9' => return None,
            _ => return finish(mantissa, digits, point).map(|number| (number, place)),
        }
    }
    if bytes.len() > 10 { None } else { finish(mantissa, digits, point).map(|number| (number, bytes.len())) }
}

fn finish(mantissa: u32, digits: usize, point: Option<usize>) -> Option<f64> {
    if digits == 0 {
        return None;
    }
    let number = f64::from(mantissa);
    Some(point.map_or(number, |point| number / POWERS.get(digits - point).copied().unwrap_or(f64::NAN)))
}

/// A finite number.
pub(super) fn number(text: &str) -> Result<f64, Malformed> {
    if let Some((number, length)) = plain(text.as_bytes())
        && length == text.len()
    {
        return Ok(number);
    }
    let number: f64 = text.trim_ascii().parse().map_err(|_| Malformed::BadValue)?;
    if number.is_finite() { Ok(number) } else { Err(Malformed::NotFinite) }
}

/// What follows `@`. A plus, a blank or an exponent is no rate: etsy's daemon stops at the first two.
pub(super) fn rate(text: &str) -> Result<SampleRate, Malformed> {
    let rate = match plain(text.as_bytes()) {
        Some((rate, length)) if length == text.len() => rate,
        _ if text.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            text.parse().map_err(|_| Malformed::BadRate)?
        }
        _ => return Err(Malformed::BadRate),
    };
    SampleRate::new(rate).ok_or(Malformed::BadRate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_plain_decimal_is_left_to_the_standard_library() {
        for (text, expected) in [
            ("0", Some((0.0, 1))),
            ("320|ms", Some((320.0, 3))),
            ("0.1", Some((0.1, 3))),
            ("5.", Some((5.0, 2))),
            (".5|", Some((0.5, 2))),
            ("12345.6789", Some((12345.6789, 10))),
            ("123456789", Some((123_456_789.0, 9))),
            ("1234567890", None),
            ("1.2.3", Some((1.2, 3))),
            ("", None),
            (".", None),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(plain(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_the_standard_library_reads_them(text in "[0-9]{0,12}(\\.[0-9]{0,12})?(e-?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|number| number.is_finite());
            prop_assert_eq!(number(&text).ok(), expected);
        }
    }
}
