//! How text is written into the three parts of a CEF line, so that no part can be taken for another.

use super::HeaderBreaks;

/// Appends a value of the header: a backslash before `|`, `\` and line breaks.
pub(super) fn header(text: &str, breaks: HeaderBreaks, out: &mut String) {
    for character in text.chars() {
        match (character, breaks) {
            ('\n', HeaderBreaks::Text) => out.push_str("\\n"),
            ('\r', HeaderBreaks::Text) => out.push_str("\\r"),
            ('|' | '\\' | '\n' | '\r', _) => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
}

/// Appends a value of the extension: a backslash before `=` and `\`, line breaks as `\n` and `\r`.
pub(super) fn extension(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '=' | '\\' => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
}

/// The key with `?` for what is not allowed in one.
pub(super) fn key(key: &str) -> String {
    if key.is_empty() { "?".to_owned() } else { replace(key, is_key) }
}

/// The host with `?` for what would end it, or begin the header.
pub(super) fn host(host: &str) -> String {
    replace(host, |character| {
        !character.is_whitespace() && !character.is_control() && character != '|' && character != '\\'
    })
}

fn replace(text: &str, allowed: impl Fn(char) -> bool) -> String {
    text.chars().map(|character| if allowed(character) { character } else { '?' }).collect()
}

fn is_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}
