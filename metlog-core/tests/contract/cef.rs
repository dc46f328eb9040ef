//! `cef.json`: the lines of events.

use metlog_core::{
    Timestamp,
    cef::{Device, Event, HeaderBreaks, Level, Request, format},
};
use serde_json::Value as Json;

use crate::{cases, text_of};

#[test]
fn every_event_has_the_line_of_the_file() {
    for case in cases("cef.json") {
        let name = text_of(&case, "name");
        let (event, environ) = (&case["event"], &case["environ"]);
        let device = Device::from_config(|key| Some(case["config"][key].as_str()?.to_owned())).unwrap();
        let extras: Vec<(&str, &str)> = match event["extras"].as_object() {
            Some(extras) => {
                extras.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect()
            }
            None => Vec::new(),
        };
        let formatted = format(
            &Event {
                device: &device,
                name: text_of(event, "name"),
                severity: level(&event["severity"]),
                signature: event["signature"].as_str(),
                username: event["username"].as_str().unwrap_or("none"),
                request: Request::from_environ(|key| environ[key].as_str()),
                extras: &extras,
                host: None,
                header_breaks: HeaderBreaks::Escaped,
            },
            Timestamp::now(),
        );
        let (start, rest) = formatted.line.split_once("CEF:").expect(name);
        assert_eq!(format!("CEF:{rest}"), text_of(&case, "line"), "{name}");
        if let Some(host) = case["host"].as_str() {
            assert!(start.ends_with(&format!(" {host} ")), "{name}: {start}");
        }
        let warnings: Vec<String> = formatted.warnings.iter().map(ToString::to_string).collect();
        let expected: Vec<&str> =
            case["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(warnings, expected, "{name}");
    }
}

fn level(severity: &Json) -> Level<'_> {
    severity.as_i64().map_or_else(|| Level::Text(severity.as_str().unwrap()), Level::Number)
}
