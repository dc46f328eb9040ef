//! Configurations in TOML with the environment over them: refused with a line that names a key, or good.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_core::config::{Config, File};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // Behind a NUL come variables.
    let (text, variables) = text.split_once('\0').unwrap_or((&text, ""));
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let variables = variables.lines().filter_map(pair);
    match Config::read(Some(File::Toml(text, "fuzz.toml")), variables) {
        Ok((config, _)) => config.settings.check().unwrap(),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
