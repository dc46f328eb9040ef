//! Names of metrics, cleaned as etsy's statsd does, so that every carbon line stays one line of three words.

/// The name as etsy's `keyNameSanitize` writes it: a run of white space becomes `_`, `/` becomes `-`, and what is
/// not a letter, a digit or one of `_ - . ; =` is left out. A clean name is returned as it is; `scratch` is only
/// written when something had to change.
pub fn clean_key<'a>(name: &'a str, scratch: &'a mut String) -> &'a str {
    if name.bytes().all(is_kept) {
        return name;
    }
    scratch.clear();
    let mut after_space = false;
    for letter in name.chars() {
        let space = is_space(letter);
        match letter {
            _ if space && !after_space => scratch.push('_'),
            '/' => scratch.push('-'),
            _ if u8::try_from(letter).is_ok_and(is_kept) => scratch.push(letter),
            _ => {}
        }
        after_space = space;
    }
    scratch
}

/// Writes the key of a counter, timer or gauge message: `logger.name`, or `name` when there is no logger.
/// Characters with a meaning in a statsd line are replaced as the original routers did: `::` by `.`, and `:`, `|`
/// and `@` by `_`.
pub fn message_key(logger: &str, name: &str, key: &mut String) {
    key.clear();
    if !logger.is_empty() {
        push_replaced(logger, key);
        key.push('.');
    }
    push_replaced(name, key);
}

fn push_replaced(text: &str, key: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            ':' if rest.next_if_eq(&':').is_some() => key.push('.'),
            ':' | '|' | '@' => key.push('_'),
            _ => key.push(letter),
        }
    }
}

fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b';' | b'=')
}

/// White space as JavaScript's `\s` has it: Unicode's, without U+0085 and with U+FEFF.
fn is_space(letter: char) -> bool {
    letter == '\u{feff}' || (letter.is_whitespace() && letter != '\u{85}')
}

#[cfg(test)]
mod tests {
    use super::{clean_key, message_key};

    /// The right-hand sides are what npm statsd 0.9 made of the left-hand sides.
    #[test]
    fn names_are_cleaned_as_etsy_does() {
        for (name, cleaned) in [
            ("web.requests-2xx_total;env=prod", "web.requests-2xx_total;env=prod"),
            ("constructor", "constructor"),
            ("__proto__", "__proto__"),
            ("a b", "a_b"),
            ("a \t  b ", "a_b_"),
            ("/index/html", "-index-html"),
            ("a\u{e9}b%c", "abc"),
            ("a \u{e9} b", "a__b"),
            ("a\u{a0}\u{feff}b", "a_b"),
            ("a\u{85}b", "ab"),
            ("\u{e9}", ""),
        ] {
            assert_eq!(clean_key(name, &mut String::from("left over")), cleaned, "{name:?}");
        }
    }

    #[test]
    fn message_keys_replace_what_means_something_in_a_statsd_line() {
        for (logger, name, expected) in [
            ("sync", "hits", "sync.hits"),
            ("", "hits", "hits"),
            ("my::app", "a::b:c|d@e", "my.app.a.b_c_d_e"),
            ("", ":::", "._"),
        ] {
            let mut key = String::from("left over");
            message_key(logger, name, &mut key);
            assert_eq!(key, expected);
        }
    }
}
