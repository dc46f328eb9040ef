//! Lines that are JSON objects.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use metlog_sidecar::formatter::Format;

fuzz_target!(|bytes: &[u8]| shared::format(Format::Json, bytes));
