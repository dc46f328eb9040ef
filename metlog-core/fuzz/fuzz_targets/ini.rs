//! Configurations in the originals' INI: refused with a line that names a section and a key, or good.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_core::config::{Config, File};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let variables = [("HOME".to_owned(), "/root".to_owned())];
    match Config::read(Some(File::Ini(&text, "metlog")), variables) {
        Ok((config, _)) => config.settings.check().unwrap(),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
