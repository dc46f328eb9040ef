//! What a message says about a service: a result as Nagios takes it from passive checks.

use metlog_core::{Message, Value};
use metlog_pipeline::template::Template;

/// States by the code Nagios knows them by.
const STATES: [&str; 4] = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];

/// Longest name of a host that NSCA carries.
const MAX_HOST_BYTES: usize = 63;

/// Longest name of a service that NSCA carries.
const MAX_SERVICE_BYTES: usize = 127;

/// One result. Names hold nothing that could end a field or a line of an external command; the text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// The host as Nagios calls it.
    pub(super) host: String,
    /// The service of that host.
    pub(super) service: String,
    /// 0 to 3.
    pub(super) code: u8,
    /// What is shown.
    pub(super) text: String,
    /// When it was found out, in seconds since 1970.
    pub(super) seconds: i128,
}

/// Where host and service come from when the fields `host` and `service` do not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The host.
    pub(super) host: Template,
    /// The service.
    pub(super) service: Template,
}

impl Check {
    /// Takes it from a message: from its fields `state`, `host` and `service` as alerts have them, or from a payload of
    /// `STATE:text`.
    ///
    /// # Errors
    /// What the message lacks.
    pub(super) fn of(message: &Message, names: &Names) -> Result<Self, String> {
        let payload = match &message.payload {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        let (code, text) = match message.fields.get("state") {
            Some(state) => (of_field(state)?, of_payload(payload).map_or(payload, |(_, text)| text)),
            None => of_payload(payload).ok_or_else(|| {
                let begin: String = payload.chars().take(40).collect();
                format!(
                    "payload begins with {begin:?}, expected OK:, WARNING:, CRITICAL: or UNKNOWN:, or a field state"
                )
            })?,
        };
        Ok(Self {
            host: name("host", message, &names.host, MAX_HOST_BYTES)?,
            service: name("service", message, &names.service, MAX_SERVICE_BYTES)?,
            code,
            text: one_line(text),
            seconds: i128::from(message.timestamp.as_nanos()).div_euclid(1_000_000_000),
        })
    }
}

fn of_field(state: &Value) -> Result<u8, String> {
    let found = match state {
        Value::Text(text) => code_of(text),
        Value::Int(code) => u8::try_from(*code).ok().filter(|code| *code <= 3),
        _ => None,
    };
    found
        .ok_or_else(|| format!("field state is {state:?}, expected OK, WARNING, CRITICAL, UNKNOWN or 0 to 3"))
}

fn of_payload(payload: &str) -> Option<(u8, &str)> {
    let (state, text) = payload.split_once(':')?;
    Some((code_of(state)?, text))
}

fn code_of(state: &str) -> Option<u8> {
    (0..).zip(STATES).find(|(_, known)| known.eq_ignore_ascii_case(state.trim())).map(|(code, _)| code)
}

fn name(field: &str, message: &Message, template: &Template, max_bytes: usize) -> Result<String, String> {
    let mut name = String::new();
    match message.fields.get(field).and_then(Value::as_text) {
        Some(text) => name.push_str(text),
        None if template.fill_from(message, &mut name) => {}
        None => {
            return Err(format!(
                "the message has no field {field}, and lacks what the setting {field} names"
            ));
        }
    }
    if name.is_empty() {
        return Err(format!("the {field} is empty: set the field {field}, or the setting"));
    }
    if name.len() > max_bytes {
        return Err(format!("the {field} has {} bytes, NSCA carries {max_bytes}", name.len()));
    }
    // In an external command these end a field or the command: a message must not write commands of its own.
    match name.chars().find(|letter| letter.is_control() || *letter == ';') {
        Some(letter) => {
            Err(format!("the {field} {name:?} has {letter:?} in it, which ends a field of a command"))
        }
        None => Ok(name),
    }
}

/// Nagios reads `\n` in a text as the end of its first line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        match letter {
            '\n' => line.push_str("\\n"),
            letter if letter.is_control() => line.push(' '),
            letter => line.push(letter),
        }
    }
    line
}

/// The beginning of `text` in at most `max_bytes`, cut between letters.
#[must_use]
pub(super) fn cut(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn names() -> Names {
        Names { host: Template::parse("%Hostname%").unwrap(), service: Template::parse("%Logger%").unwrap() }
    }

    fn check(payload: &Json, fields: &Json) -> Result<Check, String> {
        let text = json!({"type": "alert", "logger": "web", "severity": 3, "payload": payload, "fields": fields,
            "timestamp": "2026-11-22T10:00:00.5Z", "env_version": "0.8", "metlog_pid": 7, "metlog_hostname": "h1"});
        let message = metlog_core::wire::json::from_json(text.to_string().as_bytes()).unwrap().message;
        Check::of(&message, &names())
    }

    #[test]
    fn payload_or_fields_say_the_state() {
        for (payload, fields, expected) in [
            (json!("OK:all is well"), json!({}), (0, "all is well", "h1", "web")),
            (json!("critical: a:b"), json!({"host": "db", "service": "disk"}), (2, "a:b", "db", "disk")),
            (json!("WARNING:late"), json!({"state": "UNKNOWN"}), (3, "late", "h1", "web")),
            (json!("70% full"), json!({"state": "warning"}), (1, "70% full", "h1", "web")),
            (json!("x: y"), json!({"state": 2}), (2, "x: y", "h1", "web")),
            (json!("OK:one\ntwo\tthree\u{7}"), json!({}), (0, "one\\ntwo three ", "h1", "web")),
            (json!(7), json!({"state": 0}), (0, "", "h1", "web")),
        ] {
            let check = check(&payload, &fields).unwrap();
            let found = (check.code, check.text.as_str(), check.host.as_str(), check.service.as_str());
            assert_eq!(found, expected, "{payload} {fields}");
            assert_eq!(check.seconds, 1_795_341_600);
        }
    }

    #[test]
    fn what_says_no_state_or_would_write_commands_is_refused() {
        for (payload, fields, said) in [
            (json!("all is well"), json!({}), "payload begins with \"all is well\""),
            (json!("FINE:x"), json!({}), "expected OK:, WARNING:"),
            (json!("OK:x"), json!({"state": "fine"}), "field state is"),
            (json!("x"), json!({"state": 4}), "expected OK, WARNING"),
            (json!("OK:x"), json!({"host": "a;b"}), "';'"),
            (json!("OK:x"), json!({"service": "a\n[0] SHUTDOWN_PROGRAM"}), "'\\n'"),
            (json!("OK:x"), json!({"host": ""}), "the host is empty"),
            (json!("OK:x"), json!({"host": "h".repeat(64)}), "the host has 64 bytes, NSCA carries 63"),
            (json!("OK:x"), json!({"service": "s".repeat(128)}), "NSCA carries 127"),
        ] {
            let error = check(&payload, &fields).unwrap_err();
            assert!(error.contains(said), "{payload} {fields}: {error}");
        }
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!((cut("añb", 2), cut("añb", 3), cut("añb", 9)), ("a", "añ", "añb"));
    }
}
