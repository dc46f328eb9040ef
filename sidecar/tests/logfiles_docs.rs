//! The examples of `docs/logfiles.md`: each configuration is good, and the tests of its formatters pass.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs, path::Path};

use metlog_sidecar::config::Config;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/logfiles.md")).unwrap()
}

fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    page.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_configuration_is_good_and_its_tests_pass() {
    let page = page();
    let blocks = blocks(&page, "toml");
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let mut tests = 0;
    for block in blocks {
        let config: Config = metlog_pipeline::config::parse(block, "logfiles.md", |_| None).unwrap();
        assert_eq!(config.check(), Vec::<String>::new(), "{block}");
        for (name, formatter) in &config.formatter {
            let compiled = formatter.compile(name).unwrap();
            for test in &formatter.test {
                tests += 1;
                assert_eq!(test.run(&compiled), Vec::<String>::new(), "{name}: {}", test.line);
            }
        }
    }
    assert!(tests >= 6, "{tests}");
}

#[test]
fn every_key_is_told() {
    let page = page();
    for key in [
        "paths",
        "exclude",
        "formatters",
        "logger",
        "start",
        "oldest",
        "max_line_bytes",
        "encoding",
        "multiline",
        "scan_interval",
        "notify",
        "match",
        "priority",
        "differentiator",
        "format",
        "log_format",
        "pattern",
        "key_separator",
        "pair_separator",
        "zone",
        "timestamp",
        "severity",
        "types",
        "type",
        "payload",
        "test",
    ] {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}
