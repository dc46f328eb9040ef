//! The golden vectors of `tests/contract`, read by Rust: the README there says what they mean.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy does not know for tests"
)]

mod calls;
mod cef;
#[cfg(feature = "exceptions")]
mod exceptions;
mod frames;

use std::path::PathBuf;

use metlog_core::{
    Timestamp,
    wire::json::{from_json, to_json},
};
use serde_json::Value as Json;

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/contract").join(file)
}

fn cases(file: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(path(file)).expect("the vectors are beside the crates");
    let cases: Vec<Json> = serde_json::from_str(&text).expect("a list of cases");
    let mut names: Vec<_> = cases.iter().map(|case| text_of(case, "name")).collect();
    names.sort_unstable();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "{file}: a name given twice"));
    cases
}

fn text_of<'a>(case: &'a Json, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{key:?} is no text in {case}"))
}

#[test]
fn every_dialect_of_the_originals_is_read() {
    for case in cases("json.json") {
        let name = text_of(&case, "name");
        let read = from_json(text_of(&case, "json").as_bytes());
        if let Some(kind) = case["error"].as_str() {
            let error = read.expect_err(name);
            assert_eq!(error.kind().as_str(), kind, "{name}");
            continue;
        }
        let read = read.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Some(u64::from(read.misfits)), case["misfits"].as_u64(), "{name}");
        let mut expected = case["message"].clone();
        if expected["timestamp"] == "now" {
            let age = Timestamp::now().as_seconds() - read.message.timestamp.as_seconds();
            assert!((0..60).contains(&age), "{name}: {}", read.message.timestamp);
            expected["timestamp"] = read.message.timestamp.to_string().into();
        }
        let written = to_json(&read.message);
        assert_eq!(serde_json::from_str::<Json>(&written).unwrap(), expected, "{name}");

        let again = from_json(written.as_bytes()).unwrap();
        assert_eq!((to_json(&again.message), again.misfits), (written, 0), "{name}: our own JSON reads back");
    }
}

#[test]
fn our_json_has_the_nine_keys_in_the_order_of_the_node_original() {
    let written = to_json(&from_json(br#"{"type":"a"}"#).unwrap().message);
    let names = [
        "type",
        "timestamp",
        "logger",
        "severity",
        "payload",
        "fields",
        "env_version",
        "metlog_pid",
        "metlog_hostname",
    ];
    let places: Vec<_> = names.iter().map(|name| written.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{written}");
    assert_eq!(serde_json::from_str::<Json>(&written).unwrap().as_object().unwrap().len(), names.len());
    assert!(!written.contains('\n') && !written.contains(": "), "compact, without a newline: {written}");
}
