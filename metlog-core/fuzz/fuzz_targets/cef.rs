//! Lines of CEF: whatever a client of the application sends, the line has its seven pipes, its own keys and no others.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use metlog_core::{
    Timestamp,
    cef::{self, CefMeta, Device, Event, HeaderBreaks, MAX_LINE_BYTES, Request},
};

/// Keys that every line has.
const OWN_KEYS: [&str; 7] = ["cs1Label", "cs1", "requestMethod", "request", "src", "dhost", "suser"];

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // Values are divided by a control character that a mutator finds at once.
    let mut parts = text.split('\u{1}');
    let mut next = || parts.next().unwrap_or("x");
    let [version, vendor, product, device_version] = [(); 4].map(|()| next().to_owned());
    let device = Device { version, vendor, product, device_version };
    let (name, level, signature, username, host) = (next(), next(), next(), next(), next());
    let [method, path, user_agent, asked, forwarded] = [(); 5].map(|()| next());
    let value = |text| Some(Cow::Borrowed(text));
    let request = Request {
        method: value(method),
        path: value(path),
        user_agent: value(user_agent),
        host: value(asked),
        source: None,
    }
    .with_source(Some(forwarded), None);
    let rest: Vec<&str> = parts.collect();
    let extras: Vec<(&str, &str)> = rest.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let _checked = CefMeta::new(Some(name), Some(level), Some(signature), Some(username));
    let event = Event {
        signature: Some(signature),
        username,
        request,
        extras: &extras,
        host: Some(host),
        ..Event::new(&device, name, level)
    };
    for header_breaks in [HeaderBreaks::Escaped, HeaderBreaks::Text] {
        check(&Event { header_breaks, ..event.clone() });
    }
});

fn check(event: &Event<'_>) {
    let line = cef::format(event, Timestamp::default()).line;
    let (front, extension) = at_last_pipe(&line);
    // Month, day, time and host, and then the header.
    assert_eq!(front.splitn(5, ' ').count(), 5, "{line:?}");
    assert!(front.splitn(5, ' ').last().unwrap().starts_with("CEF:"), "{line:?}");
    let breaks = |text: &str| text.contains(['\n', '\r']);
    assert!(!breaks(extension), "{line:?}");
    if event.header_breaks == HeaderBreaks::Text {
        assert!(!breaks(front), "{line:?}");
    } else {
        let bare = front.replace("\\\\", "").replace("\\\n", "").replace("\\\r", "");
        assert!(!breaks(&bare), "{line:?}");
    }
    let keys = keys(extension);
    assert_eq!(keys[..OWN_KEYS.len()], OWN_KEYS, "{line:?}");
    assert!(keys.len() <= OWN_KEYS.len() + event.extras.len(), "{line:?}");
    let is_key = |key: &&str| key.chars().all(|c| c.is_ascii_alphanumeric() || "_.-?".contains(c));
    assert!(keys.iter().all(is_key), "{line:?}");
    if keys.len() > OWN_KEYS.len() {
        assert!(line.len() <= MAX_LINE_BYTES, "extras are added to a line only as long as it stays within");
    }
}

/// What stands before and behind the seventh pipe that is not escaped.
fn at_last_pipe(line: &str) -> (&str, &str) {
    let (at, _) = unescaped(line, '|').nth(6).expect("a line has seven pipes");
    (&line[..at], &line[at + 1..])
}

/// The keys of an extension: the word before each `=` that is not escaped.
fn keys(extension: &str) -> Vec<&str> {
    let key = |(at, _)| extension[..at].rsplit(' ').next().unwrap_or_default();
    unescaped(extension, '=').map(key).collect()
}

fn unescaped(text: &str, wanted: char) -> impl Iterator<Item = (usize, char)> {
    let mut escaped = false;
    text.char_indices().filter(move |(_, character)| {
        let plain = !escaped;
        escaped = plain && *character == '\\';
        plain && *character == wanted
    })
}
