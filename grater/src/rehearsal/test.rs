//! The sections `[[test]]`: a message, the outputs it is to reach, and what each of them is to get.

use std::{collections::BTreeMap, io::Write};

use clap::Args;
use metlog_core::{Error, Message, Value, wire::json::from_json};
use metlog_pipeline::{config::nearest, expected::Expected, matcher::look, tools::Failed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{named, routes};
use crate::{config::Config, route::Routes};

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct TestArgs {
    /// Prints a JSON object for each test.
    #[arg(long)]
    json: bool,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTest {
    /// What it shows.
    pub name: String,
    /// The message: a table with the keys of the envelope, or its JSON as text. Only `type` is needed.
    #[schemars(with = "serde_json::Value")]
    pub message: Value,
    /// The outputs that get it, these and no others. A message without an origin is among every share.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// By output, what it gets; what is not named may be anything.
    #[serde(default)]
    pub expect: BTreeMap<String, Expected>,
}

/// What a test comes to.
#[derive(Debug, PartialEq, Serialize)]
struct Verdict<'a> {
    test: &'a str,
    passed: bool,
    /// What is not as expected.
    problems: Vec<String>,
}

impl RouteTest {
    /// What is wrong with the test itself, a line each.
    pub fn check(&self, output_names: &[String]) -> Vec<String> {
        let of_test = format!("test {:?}: ", self.name);
        let message = self.message().err().map(|error| format!("{of_test}{error}"));
        let unknown = self.outputs.iter().chain(self.expect.keys());
        let unknown = unknown.filter(|name| !output_names.contains(name)).map(|name| {
            let hint = nearest(name, output_names.iter().map(String::as_str));
            let hint = hint.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default();
            format!("{of_test}{name:?} is no output{hint}")
        });
        message.into_iter().chain(unknown).collect()
    }

    fn message(&self) -> Result<Message, Error> {
        let read = match &self.message {
            Value::Text(text) => from_json(text.as_bytes()),
            table => from_json(&serde_json::to_vec(table).unwrap_or_default()),
        };
        read.map(|read| read.message)
    }

    /// What is not as expected, a line each.
    fn run(&self, routes: &Routes, output_names: &[String]) -> Result<Vec<String>, Error> {
        let message = self.message()?;
        let decision = look(&message, |view| routes.decide(view, None))?;
        let (found, mut wanted) = (named(output_names, decision.outputs()), self.outputs.clone());
        wanted.sort_by_key(|name| output_names.iter().position(|known| known == name));
        let mut problems = Vec::new();
        if found != wanted {
            problems.push(format!("outputs are {}, expected {}", listed(&found), listed(&wanted)));
        }
        for (name, expected) in &self.expect {
            let position = output_names.iter().position(|known| known == name);
            let Some(position) = position.filter(|position| decision.contains(*position)) else {
                problems.push(format!("{name}: it does not get the message"));
                continue;
            };
            let mut changed = message.clone();
            routes.change(decision, position, &mut changed);
            problems.extend(expected.compare(&changed).iter().map(|what| format!("{name}: {what}")));
        }
        Ok(problems)
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// True when there are tests and all pass.
pub(super) fn run(args: TestArgs, config: &Config, out: &mut dyn Write) -> Result<bool, Failed> {
    let (routes, names) = (routes(config)?, config.output_names());
    let mut failed = 0;
    for test in &config.tests {
        let problems = test.run(&routes, &names)?;
        let verdict = Verdict { test: &test.name, passed: problems.is_empty(), problems };
        failed += usize::from(!verdict.passed);
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&verdict).unwrap_or_default())?;
            continue;
        }
        writeln!(out, "{:<6} {}", if verdict.passed { "ok" } else { "FAILED" }, verdict.test)?;
        for problem in &verdict.problems {
            writeln!(out, "         {problem}")?;
        }
    }
    if !args.json {
        writeln!(out, "{} tests, {failed} failed", config.tests.len())?;
    }
    if config.tests.is_empty() {
        return Err(Failed::because("the configuration has no [[test]]"));
    }
    Ok(failed == 0)
}
