//! The text of a line, in which nothing that a client sends can begin another.

use metlog_core::{Message, Value, wire::json};
use metlog_pipeline::template::Template;

use super::config::CefHeader;

/// The type of a security event.
pub(super) const CEF_TYPE: &str = "cef";

/// Writes a CEF event: its payload, which is the whole line.
pub(super) fn write_cef(message: &Message, header: CefHeader, out: &mut String) -> Result<(), String> {
    let Value::Text(payload) = &message.payload else {
        return Err("payload is no text, expected a line of the Common Event Format".to_owned());
    };
    let Some(start) = payload.find("CEF:") else {
        let shown: String = payload.chars().take(80).collect();
        return Err(format!("payload is {shown:?}, expected a line of the Common Event Format"));
    };
    let line = match header {
        CefHeader::Keep => payload.as_str(),
        CefHeader::Strip => payload.get(start..).unwrap_or_default(),
    };
    push_cef(line, out);
    Ok(())
}

/// Writes any other message.
pub(super) fn write_message(
    message: &Message,
    template: Option<&Template>,
    out: &mut String,
) -> Result<(), String> {
    match (template, &message.payload) {
        (Some(template), _) => {
            let mut filled = String::new();
            if !template.fill_from(message, &mut filled) {
                return Err("the message lacks what template asks for".to_owned());
            }
            push_text(&filled, out);
        }
        (None, Value::Text(payload)) if !payload.is_empty() => push_text(payload, out),
        (None, _) => push_text(&json::to_json(message), out),
    }
    Ok(())
}

/// Control characters as servers write them when they meet them: `#` and three octal digits.
fn push_text(text: &str, out: &mut String) {
    text.chars().for_each(|letter| push_letter(letter, out));
}

fn push_letter(letter: char, out: &mut String) {
    use std::fmt::Write as _;
    match letter {
        // Some readers end a line there.
        '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => out.push(' '),
        letter if letter.is_control() => {
            let _written = write!(out, "#{:03o}", u32::from(letter));
        }
        letter => out.push(letter),
    }
}

/// Line breaks as CEF writes them, `\n` and `\r`; the originals leave the byte behind a backslash.
fn push_cef(line: &str, out: &mut String) {
    let mut is_escaped = false;
    for letter in line.chars() {
        let break_letter = match letter {
            '\n' => Some('n'),
            '\r' => Some('r'),
            _ => None,
        };
        match break_letter {
            Some(letter) if is_escaped => out.push(letter),
            Some(letter) => out.extend(['\\', letter]),
            None => push_letter(letter, out),
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
}
