//! The JSON Schemas of both configurations: what they take is what the daemons take.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as it does")]

use std::{fs, path::PathBuf, process::Command};

use metlog_pipeline::config::parse;
use metlog_tests::{binaries, root};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A daemon's schema, and whether its parser takes a text.
struct Side {
    daemon: &'static str,
    schema: Value,
    validator: jsonschema::Validator,
    reads: fn(&str) -> bool,
}

impl Side {
    fn new(daemon: &'static str, reads: fn(&str) -> bool) -> Self {
        let done = Command::new(binaries().join(daemon)).args(["config", "schema"]).output().unwrap();
        assert!(done.status.success(), "{daemon}: {}", String::from_utf8_lossy(&done.stderr));
        let schema: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{daemon}");
        Self { daemon, validator: jsonschema::draft202012::new(&schema).unwrap(), schema, reads }
    }

    fn both() -> [Self; 2] {
        [
            Self::new("metlog-sidecar", reads::<metlog_sidecar::config::Config>),
            Self::new("metlog-grater", reads::<metlog_grater::config::Config>),
        ]
    }

    /// Whether the schema takes a text; `why` it does not.
    fn takes(&self, text: &str) -> Result<(), String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let errors: Vec<_> = self
            .validator
            .iter_errors(&serde_json::to_value(table).unwrap())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }
}

fn reads<C: DeserializeOwned>(text: &str) -> bool {
    parse::<C>(text, "test", |_| Some("localhost:1".to_owned())).is_ok()
}

/// Sample configurations and the examples of all pages that are about the daemons.
fn examples() -> Vec<(String, String)> {
    let files = |folder: &str, extension: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    };
    let mut examples = Vec::new();
    for path in files("examples/ops", "toml") {
        examples.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
    }
    for path in ["docs", "docs/outputs"].into_iter().flat_map(|folder| files(folder, "md")) {
        let page = fs::read_to_string(&path).unwrap();
        let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        examples.extend(blocks.map(|block| (path.display().to_string(), block)));
    }
    assert!(examples.len() > 12, "{}", examples.len());
    examples
}

#[test]
fn the_schema_takes_what_the_daemon_reads_and_nothing_else() {
    let sides = Side::both();
    let mut taken = 0;
    for (name, text) in examples() {
        for side in &sides {
            let (takes, reads) = (side.takes(&text), (side.reads)(&text));
            assert_eq!(takes.is_ok(), reads, "{name} for {}: {takes:?}\n{text}", side.daemon);
            taken += u32::from(reads);
        }
    }
    assert!(taken >= 10, "{taken}");
}

#[test]
fn samples_of_each_daemon_are_taken() {
    for side in Side::both() {
        let sample = format!("examples/ops/{}.toml", side.daemon.trim_start_matches("metlog-"));
        side.takes(&fs::read_to_string(root().join(&sample)).unwrap()).unwrap();
    }
}

#[test]
fn what_is_wrong_is_refused_by_both() {
    let [sidecar, grater] = Side::both();
    for (side, text) in [
        (&sidecar, "dat_dir = '/tmp'"),
        (&sidecar, "[input.statsd_upd]\naddress = '127.0.0.1:1'"),
        (&sidecar, "[input.statsd_udp]\nthreads = 0"),
        (&sidecar, "[input.statsd_tcp]"),
        (&sidecar, "[rollup]\nflush_interval = 10"),
        (&sidecar, "[rollup]\nflush_interval = 'soon'"),
        (&sidecar, "[rollup]\nnamespace = 'logger'"),
        (&sidecar, "[spool]\nmax_bytes = 'much'"),
        (&sidecar, "[filter.a]\ntype = 'drop'\nmtach = 'TRUE'"),
        (&sidecar, "[filter.a]\ntype = 'drop'\nrate = 0.5"),
        (&sidecar, "[filter.a]\ntype = 'dropped'"),
        (&sidecar, "[formatter.a]\nformat = 'nginx'\nlogformat = 'combined'"),
        (&sidecar, "[input.files.a]\npaths = '/var/log'"),
        (&grater, "[[output]]\nname = 'a'\ntype = 'file'\npath = '/x'\npth = '/y'"),
        (&grater, "[[output]]\nname = 'a'\ntype = 'file'"),
        (&grater, "[[output]]\nname = 'a'\ntype = 'carbon'\naddress = 'a:1'\ntimeout = 5"),
        (&grater, "[[route]]\nname = 'a'\nmatcher = 'TRUE'\noutputs = []\nlast = true"),
        (&grater, "catchall = 'file'"),
    ] {
        assert!(!(side.reads)(text), "{text}");
        assert!(side.takes(text).is_err(), "{text}");
    }
}

/// Every table says which keys it knows, and every key what it is for.
#[test]
fn no_table_is_open_and_no_key_undescribed() {
    for side in Side::both() {
        let root = [("root", &side.schema)].into_iter();
        let definitions = side.schema["$defs"].as_object().unwrap();
        for (name, table) in root.chain(definitions.iter().map(|(name, table)| (name.as_str(), table))) {
            let Some(properties) = table["properties"].as_object() else { continue };
            let is_closed =
                ["additionalProperties", "unevaluatedProperties"].iter().any(|key| table[key] == false);
            assert!(is_closed, "{}: {name}", side.daemon);
            for (key, property) in properties {
                assert!(property["description"].is_string(), "{}: {name}.{key}", side.daemon);
            }
        }
        // A type that serde reads otherwise than it writes it shows as one of these.
        assert!(!side.schema.to_string().contains("\"nanos\""), "{}", side.daemon);
    }
}
