//! Keeps secrets out of events: by the name of a value, and by what a text looks like.

use std::{borrow::Cow, cmp::Reverse};

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// Parts of names that tell a secret, in lower case and without punctuation: `X-Api-Key` is `xapikey`.
const SECRET_PARTS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "cookie",
    "sessionid",
    "csrf",
    "xsrf",
    "bearer",
    "jwt",
];

/// Words that tell a secret only when they stand alone, as in `db_pwd` or `userAuth`: `author` and `cotpath` have them too.
const SECRET_WORDS: [&str; 6] = ["auth", "pwd", "otp", "totp", "cvv", "cvc"];

/// Tells a secret as the last word of a name (`db_pass`), and none before others (`pass_count`).
const SECRET_LAST_WORD: &str = "pass";

/// Headers whose values have several parts: in a text everything up to the end of the line is secret.
const SECRET_HEADERS: [&str; 4] = ["authorization", "proxyauthorization", "cookie", "setcookie"];

/// Card numbers have 13 to 19 digits (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// True when a value of this name is to be masked whatever it is.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let plain = plain(name);
    if SECRET_PARTS.iter().any(|secret| plain.contains(secret)) {
        return true;
    }
    let words = words(name);
    let is_secret = |word: &String| SECRET_WORDS.contains(&word.as_str());
    words.iter().any(is_secret) || words.last().is_some_and(|word| word == SECRET_LAST_WORD)
}

/// The name in lower case, without punctuation.
fn plain(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a name in lower case: `X-Auth`, `x_auth` and `xAuth` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || after_small && character.is_uppercase();
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
        after_small = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The text with its secrets masked: all of it when it looks like a card number, else numbers within that are card
/// numbers by their check digit, passwords of URLs, and values after `name=`, `"name":` and `Header:` where the name tells
/// a secret.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if is_card_shaped(text) {
        return Cow::Borrowed(MASK);
    }
    let spans = spans(text);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in spans {
        if start >= done {
            masked.push_str(text.get(done..start).unwrap_or_default());
            masked.push_str(MASK);
            done = end;
        }
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(masked)
}

/// True for a number that is a card's by its check digit: a time in milliseconds has as many digits.
#[must_use]
pub fn is_card_number(number: i128) -> bool {
    let digits = number.to_string();
    number > 0 && CARD_DIGITS.contains(&digits.len()) && has_check_digit(digits.bytes())
}

/// Nothing but digits, spaces and dashes, with as many digits as a card has.
fn is_card_shaped(text: &str) -> bool {
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    CARD_DIGITS.contains(&digits)
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'))
}

/// Where secrets lie, in order of their start; of those that start at one place the longest first.
fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<_> =
        cards(text).chain(url_passwords(text)).chain(assignments(text)).chain(entries(text)).collect();
    spans.sort_unstable_by_key(|(start, end)| (*start, Reverse(*end)));
    spans
}

/// Runs of digits, with a space or dash between them at most, that are a card number.
fn cards(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let run = digits_from(bytes, at);
            let start = at;
            at += run.max(1);
            let found = bytes.get(start..start + run).unwrap_or_default();
            let digits = || found.iter().copied().filter(u8::is_ascii_digit);
            if CARD_DIGITS.contains(&digits().count()) && has_check_digit(digits()) {
                return Some((start, start + run));
            }
        }
        None
    })
}

/// The length of the run of digits that starts at `start`; it ends with a digit.
fn digits_from(bytes: &[u8], start: usize) -> usize {
    let mut length = 0;
    for (offset, byte) in bytes.iter().skip(start).enumerate() {
        match byte {
            b'0'..=b'9' => length = offset + 1,
            b' ' | b'-' if length == offset && offset > 0 => {}
            _ => break,
        }
    }
    length
}

/// The check of ISO/IEC 7812 (Luhn): every second digit from the right doubled, the sum a multiple of ten.
fn has_check_digit(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let weigh = |(place, digit): (usize, u8)| {
        let digit = u32::from(digit.saturating_sub(b'0'));
        let weighed = if place % 2 == 1 { digit * 2 } else { digit };
        weighed / 10 + weighed % 10
    };
    digits.rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// The password in `scheme://user:password@host`.
fn url_passwords(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.match_indices("://").filter_map(|(at, separator)| {
        let start = at + separator.len();
        let rest = text.get(start..)?;
        let authority = rest.split(|c: char| c == '/' || c.is_whitespace() || c == '"').next()?;
        let user_info = authority.rsplit_once('@')?.0;
        let (user, password) = user_info.split_once(':')?;
        let from = start + user.len() + 1;
        (!password.is_empty()).then_some((from, from + password.len()))
    })
}

/// The value in `name=value`, when the name tells a secret.
fn assignments(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.match_indices('=').filter_map(|(at, _)| {
        let name = last_name(text.get(..at)?);
        let value = text.get(at + 1..)?;
        is_secret_name(name)
            .then(|| quoted(value).unwrap_or_else(|| (0, bare(value, "&;,\"')"))))
            .and_then(|(from, to)| (from < to).then_some((at + 1 + from, at + 1 + to)))
    })
}

/// The value in `"name": value`, as JSON and Python write maps, when the name tells a secret; and all of the line after
/// the name of a secret header.
fn entries(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.match_indices(':').filter_map(|(at, _)| {
        let before = text.get(..at)?.trim_end();
        let value = text.get(at + 1..)?.trim_start();
        let start = text.len() - value.len();
        let (from, to) = match before.strip_suffix(['"', '\'']) {
            // Within a text that holds JSON the quotes have a backslash.
            Some(name) if is_secret_name(last_name(name.trim_end_matches('\\'))) => {
                quoted(value).unwrap_or_else(|| (0, value_end(value)))
            }
            None if SECRET_HEADERS.contains(&plain(last_name(before)).as_str()) => {
                (0, value.find(['\n', '\r']).unwrap_or(value.len()))
            }
            _ => return None,
        };
        (from < to).then_some((start + from, start + to))
    })
}

/// Where in a text that starts with a quote what it quotes lies: up to a quote with as many backslashes.
fn quoted(text: &str) -> Option<(usize, usize)> {
    let text_of_bytes = text.strip_prefix('b').unwrap_or(text);
    let unescaped = text_of_bytes.trim_start_matches('\\');
    let quote = unescaped.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let escapes = text_of_bytes.len() - unescaped.len();
    let from = text.len() - unescaped.len() + 1;
    let inside = text.get(from..)?;
    let ends = |end: &usize| {
        let before = inside.get(..*end).unwrap_or_default();
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        backslashes == escapes || escapes == 0 && backslashes % 2 == 0
    };
    let end = inside.match_indices(quote).map(|(end, _)| end).find(ends);
    Some((from, end.map_or(text.len(), |end| from + end - escapes)))
}

/// The length of a value that is not quoted: a list or a map up to its first end, else one word.
fn value_end(text: &str) -> usize {
    match text.chars().next() {
        Some('[' | '{' | '(') => text.find([']', '}', ')']).map_or(text.len(), |end| end + 1),
        _ => bare(text, ",}])"),
    }
}

/// How long the text is up to a space or one of `ends`.
fn bare(text: &str, ends: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || ends.contains(c)).unwrap_or(text.len())
}

/// The name that a text ends with.
fn last_name(text: &str) -> &str {
    text.rsplit(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tell_a_secret() {
        for name in [
            "password",
            "Old-Password",
            "db_passwd",
            "client_secret",
            "TOKEN",
            "api_key",
            "X-Api-Key",
            "Authorization",
            "AWS_SECRET_ACCESS_KEY",
            "Set-Cookie",
            "csrftoken",
            "aws credentials",
            "X-CSRF-Token",
            "x_auth",
            "userAuth",
            "db_pass",
            "PWD",
            "otp",
            "card-cvv",
            "jwt",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["user", "path", "pass_count", "bypass", "key", "author", "session", "cotpath", ""] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn texts_are_masked_where_they_hold_secrets() {
        let cases = [
            ("4111 1111 1111 1111", MASK),
            ("1234-5678-9012-345", MASK),
            ("1700000000000", MASK),
            ("card 4111-1111-1111-1111 refused", "card ******** refused"),
            ("order 1234567890123456 refused", "order 1234567890123456 refused"),
            ("at 1700000000000 ms", "at 1700000000000 ms"),
            ("postgres://jane:hunter2@db/x", "postgres://jane:********@db/x"),
            ("http://host:80/a@b", "http://host:80/a@b"),
            ("GET /x?access_token=abc&user=jane", "GET /x?access_token=********&user=jane"),
            ("--password=hunter2", "--password=********"),
            ("password=a password=b", "password=******** password=********"),
            (r#"{"password": "hunter2", "user": "jane"}"#, r#"{"password": "********", "user": "jane"}"#),
            (r#"{"token":"a\"b","n":1}"#, r#"{"token":"********","n":1}"#),
            (r#""{\"token\":\"ab\",\"n\":1}""#, r#""{\"token\":\"********\",\"n\":1}""#),
            ("{'pwd': 12, 'keys': ['a']}", "{'pwd': ********, 'keys': ['a']}"),
            ("{'api_keys': ['a', 'b'], 'n': 1}", "{'api_keys': ********, 'n': 1}"),
            ("User(password='hunter2', n=1)", "User(password='********', n=1)"),
            ("(b'cookie: a=b; c=d\nHost: x", "(b'cookie: ********\nHost: x"),
            ("Authorization: Bearer abc", "Authorization: ********"),
            ("invalid token: expected a name", "invalid token: expected a name"),
            ("z\u{e9} = 1", "z\u{e9} = 1"),
            ("", ""),
        ];
        for (given, expected) in cases {
            assert_eq!(text(given), expected);
        }
    }

    #[test]
    fn numbers_need_the_check_digit() {
        assert!(is_card_number(4_111_111_111_111_111));
        assert!(!is_card_number(4_111_111_111_111_112));
        assert!(!is_card_number(-4_111_111_111_111_111));
    }
}
