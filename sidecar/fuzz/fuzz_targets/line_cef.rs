//! Events in the Common Event Format, as others write them.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use metlog_sidecar::formatter::Format;

fuzz_target!(|bytes: &[u8]| shared::format(Format::Cef, bytes));
