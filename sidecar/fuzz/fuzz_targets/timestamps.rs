//! Timestamps in every way that is known by name, and by a pattern without a year.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use metlog_core::Timestamp;
use metlog_sidecar::formatter::{Field, time::TimeFormat};

const FORMATS: [&str; 7] =
    ["auto", "common_log", "epoch", "epoch_ms", "epoch_ns", "%b %e %H:%M:%S", "%Y-%m-%d %H:%M:%S%.f %z"];

fuzz_target!(|bytes: &[u8]| {
    static COMPILED: OnceLock<Vec<TimeFormat>> = OnceLock::new();
    let formats = COMPILED
        .get_or_init(|| FORMATS.iter().map(|format| TimeFormat::parse(format, "UTC").unwrap()).collect());
    let text = String::from_utf8_lossy(bytes);
    let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
    for format in formats {
        if let Some(at) = format.read(&Field::Text(text.clone()), now) {
            let written = at.to_string();
            assert!(written.parse::<Timestamp>().is_ok(), "{written}");
        }
    }
});
