//! The grater's configuration.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    path::{self, PathBuf},
};

use bytesize::ByteSize;
use metlog_pipeline::{
    admin::AdminConfig,
    config::{LinkSockets, Size, SpoolConfig, default_data_dir},
    link::ForwardConfig,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    aggregate::AggregateConfig,
    alert::{self, AlertConfig},
    output::{FileConfig, OutputKind},
    rehearsal::RouteTest,
    route::{RouteConfig, Routes},
};

/// All of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where spool, checkpoints, dead letters and the admin socket lie.
    pub data_dir: PathBuf,
    /// What comes in.
    pub input: Inputs,
    /// Which messages go where, in order.
    #[serde(rename = "route")]
    pub routes: Vec<RouteConfig>,
    /// The outputs that take what no route took.
    pub catchall: Vec<String>,
    /// The back ends; without any, a file in the data folder takes everything.
    #[serde(rename = "output")]
    pub outputs: Vec<OutputConfig>,
    /// The roll-ups of many sidecars become one; off unless the section is there.
    pub aggregate: Option<AggregateConfig>,
    /// What is watched in the messages that come by.
    #[serde(rename = "alert")]
    pub alerts: Vec<AlertConfig>,
    /// Messages and what is expected of their way, for `metlog-grater test`.
    #[serde(rename = "test")]
    pub tests: Vec<RouteTest>,
    /// Bounds of the spool.
    pub spool: SpoolConfig,
    /// The pages for operators.
    pub admin: AdminConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir("grater"),
            input: Inputs::default(),
            routes: Vec::new(),
            catchall: Vec::new(),
            outputs: Vec::new(),
            aggregate: None,
            alerts: Vec::new(),
            tests: Vec::new(),
            spool: SpoolConfig::default(),
            admin: AdminConfig::default(),
        }
    }
}

/// The sections `[input.*]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inputs {
    /// ZeroMQ ROUTER: sidecars.
    pub link: LinkSockets,
}

impl Default for Inputs {
    fn default() -> Self {
        Self { link: LinkSockets::plain(vec!["tcp://127.0.0.1:5568".to_owned()]) }
    }
}

/// One `[[output]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct OutputConfig {
    /// Its name, unique; routes and reports call it so.
    pub name: String,
    /// When the output fails, or is too slow for 2 s, and lags behind by more than this,
    /// messages are dropped, counted as `dropped:lag`; half of
    /// `spool.max_bytes` by default, so that one stuck back end never fills the spool for the others.
    #[schemars(with = "Option<Size>")]
    pub max_lag_bytes: Option<ByteSize>,
    /// What the back end refuses for good is kept, at most so much of it; 64 MiB by default. Beyond, such messages are
    /// dropped, counted as `dropped:dead_letters_full`.
    #[schemars(with = "Option<Size>")]
    pub max_dead_letter_bytes: Option<ByteSize>,
    /// What it is.
    #[serde(flatten)]
    pub kind: OutputKind,
}

/// Bound of the dead letters of one output when nobody says.
const MAX_DEAD_LETTER_BYTES: u64 = 64 * 1024 * 1024;

impl OutputConfig {
    /// How much of what the back end refuses for good is kept.
    #[must_use]
    pub fn max_dead_letter_bytes(&self) -> u64 {
        self.max_dead_letter_bytes.map_or(MAX_DEAD_LETTER_BYTES, |bytes| bytes.as_u64())
    }
}

impl Config {
    /// With the default output when none is configured.
    #[must_use]
    pub fn complete(mut self) -> Self {
        if self.outputs.is_empty() && self.forward().is_none() {
            let path = self.data_dir.join("messages.jsonl");
            let kind = OutputKind::File(FileConfig::json(path));
            self.outputs.push(OutputConfig {
                name: "file".to_owned(),
                max_lag_bytes: None,
                max_dead_letter_bytes: None,
                kind,
            });
            // One that is given stays as it is: it may name what is no output, which `check` has to say.
            if self.catchall.is_empty() {
                self.catchall = vec!["file".to_owned()];
            }
        }
        self
    }

    /// Where everything goes that is not merged, instead of to outputs.
    #[must_use]
    pub fn forward(&self) -> Option<&ForwardConfig> {
        self.aggregate.as_ref()?.forward.as_ref()
    }

    /// The names of the outputs, in order.
    #[must_use]
    pub fn output_names(&self) -> Vec<String> {
        self.outputs.iter().map(|output| output.name.clone()).collect()
    }

    /// How far an output may lag behind.
    #[must_use]
    pub fn max_lag_bytes(&self, output: &OutputConfig) -> u64 {
        output.max_lag_bytes.map_or(self.spool.max_bytes.as_u64() / 2, |bytes| bytes.as_u64())
    }

    /// Everything that is wrong with it, a line each.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.input.link.check("input.link");
        if self.input.link.endpoints.is_empty() {
            wrong.push("input.link.endpoints is empty, expected where sidecars forward to".to_owned());
        }
        for output in &self.outputs {
            let name = &output.name;
            if !is_plain(name) {
                wrong.push(format!(
                    "output name {name:?} has odd characters, expected letters, digits, - and _"
                ));
            }
            wrong.extend(output.kind.build().err().map(|error| format!("output {name:?}: {error}")));
        }
        wrong.extend(self.idle_outputs());
        wrong.extend(self.shared_paths());
        let complete = self.clone().complete();
        let routes = Routes::compile(&complete.routes, &complete.catchall, &complete.output_names());
        wrong.extend(routes.err().map(|error| error.to_string()));
        let names = complete.output_names();
        wrong.extend(self.tests.iter().flat_map(|test| test.check(&names)));
        wrong.extend(self.aggregate.iter().flat_map(AggregateConfig::check));
        let has_ways = !(self.outputs.is_empty() && self.routes.is_empty() && self.catchall.is_empty());
        if self.forward().is_some() && has_ways {
            wrong.push(
                "aggregate.forward sends everything on: expected no output, route or catchall".to_owned(),
            );
        }
        wrong.extend(alert::check(&self.alerts));
        wrong.extend(self.admin.check().err().map(|error| error.to_string()));
        wrong
    }

    /// Outputs that would never get a message.
    fn idle_outputs(&self) -> impl Iterator<Item = String> {
        let named: HashSet<_> =
            self.routes.iter().flat_map(|route| &route.outputs).chain(&self.catchall).collect();
        let idle = self.outputs.iter().filter(move |output| !named.contains(&output.name));
        idle.map(|output| {
            format!(
                "output {:?} gets nothing: name it in the outputs of a [[route]] or in catchall",
                output.name
            )
        })
    }

    /// File outputs that would write over each other.
    fn shared_paths(&self) -> Vec<String> {
        let mut taken: HashMap<PathBuf, &str> = HashMap::new();
        let mut wrong = Vec::new();
        for output in &self.outputs {
            let OutputKind::File(file) = &output.kind else { continue };
            let path = path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
            match taken.entry(path) {
                Entry::Occupied(earlier) => wrong.push(format!(
                    "output {:?}: path {} is that of output {:?}, expected a file of its own",
                    output.name,
                    file.path.display(),
                    earlier.get()
                )),
                Entry::Vacant(free) => {
                    free.insert(&output.name);
                }
            }
        }
        wrong
    }
}

/// Checkpoints and dead letters are files named after the output.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
}

#[cfg(test)]
mod tests {
    use metlog_pipeline::config::parse;

    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        parse::<Config>(text, "grater.toml", |_| None).unwrap().check()
    }

    #[test]
    fn defaults_are_good_and_have_one_output() {
        assert_eq!(wrong(""), Vec::<String>::new());
        assert_eq!(Config::default().complete().output_names(), ["file"]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let said = wrong(
            r#"
            catchall = ["nowhere"]
            [input.link]
            endpoints = ["tcp://0.0.0.0:1"]
            [[output]]
            name = "a/b"
            type = "file"
            path = "/tmp/x"
            [[output]]
            name = "a/b"
            type = "file"
            path = "/tmp"
            [[route]]
            name = "r"
            matcher = "Type = 'x'"
            outputs = ["file"]
            "#,
        )
        .join("\n");
        for part in ["loopback", "odd characters", "taken", "/tmp", "nowhere", "column"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn what_would_go_wrong_without_a_word_is_refused() {
        let file =
            |name: &str, path: &str| format!("[[output]]\nname = '{name}'\ntype = 'file'\npath = '{path}'\n");
        let (a, b) = (file("a", "/tmp/x"), file("b", "/tmp/./x"));
        let all = "catchall = ['a', 'b']\n";
        let route = "[[route]]\nname = 'r'\nmatcher = 'TRUE'\noutputs = ['b']\n";
        for (text, said) in [
            (a.clone(), "output \"a\" gets nothing: name it in the outputs of a [[route]] or in catchall"),
            (
                "catchall = ['archive']".to_owned(),
                "catchall names \"archive\", which is no output; the outputs are file",
            ),
            (
                format!("{all}{a}{b}"),
                "output \"b\": path /tmp/./x is that of output \"a\", expected a file of its own",
            ),
            (
                format!("catchall = ['a']\n{a}{}", file("a", "/tmp/y")),
                "output \"a\": name is taken by an earlier output",
            ),
        ] {
            assert_eq!(wrong(&text), [said], "{text}");
        }
        let good = format!("catchall = ['a']\n{a}{}{route}", file("b", "/tmp/y"));
        for text in [good.as_str(), "catchall = ['file']"] {
            assert_eq!(wrong(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_of_an_output_is_named() {
        let text = "[[output]]\nname = 'f'\ntype = 'file'\npath = '/tmp/x'\npaths = 'y'\n";
        let error = parse::<Config>(text, "grater.toml", |_| None).unwrap_err().to_string();
        assert!(error.contains("`paths`") && error.contains("did you mean `path`"), "{error}");
    }
}
