//! Lines and lines that belong together: every byte is in one record or in what is left, in whatever pieces it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_sidecar::input::files::{
    lines::{Found, Splitter, line_end},
    multiline::{MultilineConfig, Preset},
};

const PRESETS: [Option<Preset>; 7] = [
    None,
    Some(Preset::Python),
    Some(Preset::Java),
    Some(Preset::Go),
    Some(Preset::Node),
    Some(Preset::Ruby),
    Some(Preset::MysqlSlow),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let preset = PRESETS[usize::from(*choice) % PRESETS.len()];
    let config = |preset| MultilineConfig { preset: Some(preset), ..MultilineConfig::default() };
    let joiner = preset.map(|preset| config(preset).compile("fuzz").unwrap());
    let splitter = Splitter { max_bytes: 64, joiner };
    let mut rest = text;
    while let Found::Record { content, end, is_cut } = splitter.next(rest, true, false) {
        assert!(content <= 64 && content <= end && end > 0, "{content} {end}");
        rest = &rest[end..];
        if is_cut {
            rest = &rest[line_end(rest).unwrap_or(rest.len())..];
        }
    }
    assert!(rest.is_empty(), "nothing is left of what is all there is");
});
