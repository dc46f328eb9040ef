//! Literal lines, and that whatever is given can be read back and nothing else.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::cef::{Device, Request};

fn device() -> Device {
    let text = ToOwned::to_owned;
    Device { version: text("0"), vendor: text("mozilla"), product: text("weave"), device_version: text("3") }
}

fn request() -> Request<'static> {
    Request::from_environ(|key| {
        let environ = [
            ("REQUEST_METHOD", "POST"),
            ("PATH_INFO", "/1.0/jane"),
            ("HTTP_USER_AGENT", "curl/8"),
            ("HTTP_HOST", "sync.example.com"),
            ("HTTP_X_FORWARDED_FOR", "1.2.3.4, 10.0.0.1"),
            ("REMOTE_ADDR", "10.0.0.2"),
        ];
        environ.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    })
}

fn event(device: &Device) -> Event<'_> {
    Event { host: Some("web1"), ..Event::new(device, "Login failed", 4) }
}

fn formatted(event: &Event<'_>) -> Formatted {
    format_at(event, date(2012, 3, 5).at(7, 8, 9, 0))
}

const START: &str = "Mar 05 07:08:09 web1 CEF:0|mozilla|weave|3|";
const NOTHING: &str =
    "cs1Label=requestClientApplication cs1=none requestMethod= request= src=None dhost=none suser=none";

#[test]
fn lines_are_these() {
    let device = device();
    let odd = Device { vendor: "a|b\\c".to_owned(), product: "d=e".to_owned(), ..device.clone() };
    let plain = event(&device);
    let cases: [(Event<'_>, String); 10] = [
        (plain.clone(), format!("{START}Login failed|Login failed|4|{NOTHING}")),
        (
            Event { request: request(), username: "jane", signature: Some("AuthFail"), ..plain.clone() },
            format!(
                "{START}AuthFail|Login failed|4|cs1Label=requestClientApplication cs1=curl/8 requestMethod=POST \
                 request=/1.0/jane src=1.2.3.4 dhost=sync.example.com suser=jane"
            ),
        ),
        (
            Event { name: "a|b\\c\nd\re=f", severity: "Hi|gh".into(), ..plain.clone() },
            format!("{START}a\\|b\\\\c\\\nd\\\re=f|a\\|b\\\\c\\\nd\\\re=f|Hi\\|gh|{NOTHING}"),
        ),
        (
            Event { name: "a\nb\rc", header_breaks: HeaderBreaks::Text, ..plain.clone() },
            format!("{START}a\\nb\\rc|a\\nb\\rc|4|{NOTHING}"),
        ),
        (
            Event { device: &odd, ..plain.clone() },
            format!("Mar 05 07:08:09 web1 CEF:0|a\\|b\\\\c|d=e|3|Login failed|Login failed|4|{NOTHING}"),
        ),
        (
            Event { username: "x src=6.6.6.6\nMar 06", ..plain.clone() },
            format!("{START}Login failed|Login failed|4|{NOTHING}")
                .replace("suser=none", "suser=x src\\=6.6.6.6\\nMar 06"),
        ),
        (
            Event { extras: &[("bbb", "11"), ("a", "333"), ("cc", "11"), ("d", "2|=")], ..plain.clone() },
            format!("{START}Login failed|Login failed|4|{NOTHING} cc=11 bbb=11 a=333 d=2|\\="),
        ),
        (
            Event {
                extras: &[("suser", "joe"), ("src", "6.6.6.6"), ("dhost", "x"), ("cs1Label", "y")],
                ..plain.clone()
            },
            format!("{START}Login failed|Login failed|4|{NOTHING}").replace("suser=none", "suser=joe"),
        ),
        (
            Event { extras: &[("url", "/p"), ("host", "a b|c"), ("vendor", "v")], ..plain.clone() },
            format!(
                "Mar 05 07:08:09 a?b?c CEF:0|v|weave|3|Login failed|Login failed|4|{} vendor=v url=/p host=a b|c",
                NOTHING.replace("request= ", "request=/p ")
            ),
        ),
        (
            Event { host: Some("web1\nMar"), username: "zo\u{e9}", ..plain },
            format!("{START}Login failed|Login failed|4|{NOTHING}")
                .replace("web1", "web1?Mar")
                .replace("suser=none", "suser=zo\u{e9}"),
        ),
    ];
    for (event, expected) in cases {
        let formatted = formatted(&event);
        assert_eq!(formatted.line, expected);
        assert_eq!(formatted.warnings, []);
    }
}

#[test]
fn an_illegal_key_is_cleaned_and_told() {
    let device = device();
    let formatted =
        formatted(&Event { extras: &[("a b=c", "1"), ("", "22"), ("\u{e9}", "333")], ..event(&device) });
    assert!(formatted.line.ends_with("suser=none a?b?c=1 ?=22 ?=333"), "{}", formatted.line);
    let said: Vec<_> = formatted.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["a b=c", "", "\u{e9}"].map(|key| format!("The \"{key}\" key contains illegal characters"))
    );
}

#[test]
fn extras_fill_a_line_to_its_limit_and_not_over() {
    let device = device();
    let own = formatted(&event(&device)).line.len();
    let exact = "x".repeat(MAX_LINE_BYTES - own - " k=".len());
    let fits = formatted(&Event { extras: &[("k", &exact)], ..event(&device) });
    assert_eq!((fits.line.len(), fits.warnings.len()), (MAX_LINE_BYTES, 0));

    let over = format!("{exact}x");
    let cut = formatted(&Event { extras: &[("k", &over), ("later", &over), ("a", "1")], ..event(&device) });
    assert!(cut.line.ends_with("suser=none a=1"), "{}", cut.line);
    assert_eq!(cut.warnings, [Warning::TooBig { key: "k".to_owned(), left_out: 2 }]);
    assert_eq!(
        cut.warnings[0].to_string(),
        "CEF Message too big. 2 keys left out from \"k\" on, a line has 1024 bytes"
    );
}

#[test]
fn time_is_that_of_this_process() {
    let device = device();
    let at = Timestamp::from_nanos(1_333_140_315_000_000_000);
    let expected = jiff::Timestamp::from_second(1_333_140_315).unwrap().to_zoned(TimeZone::system());
    let line = format(&event(&device), at).line;
    assert!(line.starts_with(&expected.strftime("%b %d %H:%M:%S web1 CEF:0|").to_string()), "{line}");
    assert!(ZONE.load().is_some(), "children forked from now on read no zone");
}

/// A reader of CEF written from the format's description, apart from the code under test.
fn read(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (_, cef) = line.split_once("CEF:").unwrap();
    let mut header = vec![String::new()];
    let mut rest = cef.chars();
    while header.len() < 8 {
        match rest.next().unwrap() {
            '\\' => header.last_mut().unwrap().push(rest.next().unwrap()),
            '|' => header.push(String::new()),
            other => header.last_mut().unwrap().push(other),
        }
    }
    header.pop();
    (header, pairs(rest.as_str()))
}

/// A key is what stands between a space and an equals sign that has no backslash.
fn pairs(extension: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut text = String::new();
    let mut rest = extension.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => text.push(match rest.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            '=' => {
                let (value, key) = text.rsplit_once(' ').unwrap_or(("", &text));
                let value = value.to_owned();
                if let Some((_, last)) = found.last_mut() {
                    *last = value;
                }
                found.push((key.to_owned(), String::new()));
                text.clear();
            }
            other => text.push(other),
        }
    }
    found.last_mut().unwrap().1 = text;
    found
}

/// Text that tries to break out.
fn hostile() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("|".to_owned()),
            Just("\\".to_owned()),
            Just("=".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just(" src=6.6.6.6".to_owned()),
            Just("CEF:".to_owned()),
            any::<char>().prop_map(String::from),
            "[a-z]{1,8}",
        ],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_given_reads_back_and_nothing_else(
        name in hostile(), signature in hostile(), vendor in hostile(), user in hostile(), agent in hostile(),
        path in hostile(), source in hostile(),
        extras in proptest::collection::vec((hostile(), hostile()), 0..4),
    ) {
        let device = Device { vendor: vendor.clone(), ..device() };
        let given: Vec<(&str, &str)> = extras.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let replaces = ["url", "method", "source", "dest", "user_agent", "suser", "host", "name", "vendor"];
        prop_assume!(given.iter().all(|(key, _)| !replaces.contains(key) && !RESERVED.contains(key)));
        let event = Event {
            name: &name, signature: Some(&signature), username: &user, extras: &given,
            request: Request {
                user_agent: Some(agent.as_str().into()), path: Some(path.as_str().into()),
                source: Some(source.as_str().into()), ..Request::default()
            },
            ..event(&device)
        };
        let formatted = formatted(&event);
        let (header, read) = read(&formatted.line);
        prop_assert_eq!(header, ["0", &vendor, "weave", "3", &signature, &name, "4"]);

        let own = [("cs1Label", "requestClientApplication"), ("cs1", &agent), ("requestMethod", ""),
            ("request", &path), ("src", &source), ("dhost", "none"), ("suser", &user)];
        let clean = |key: &str| if key.is_empty() { "?".to_owned() } else {
            key.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '?' }).collect()
        };
        let mut expected: Vec<(String, String)> =
            own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut sorted = given.clone();
        sorted.sort_by_key(|(key, value)| (value.chars().count(), key.chars().count(), *key, *value));
        expected.extend(sorted.iter().map(|(key, value)| (clean(key), (*value).to_owned())));
        let too_big = matches!(formatted.warnings.last(), Some(Warning::TooBig { .. }));
        if too_big {
            expected.truncate(read.len());
        }
        prop_assert_eq!(read, expected);

        // The application's own header keeps a break behind a backslash; nothing else has one.
        let text = Event { header_breaks: HeaderBreaks::Text, ..event };
        prop_assert!(!format_at(&text, date(2012, 3, 5).at(7, 8, 9, 0)).line.contains(['\n', '\r']));
    }
}
