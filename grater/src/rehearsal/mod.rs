//! What routes would do, without doing it: the words `test`, `explain` and `graph`.

mod explain;
mod graph;
mod test;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use metlog_pipeline::tools::{Failed, answer};

pub use self::{
    explain::{EXAMPLES as EXPLAIN_EXAMPLES, ExplainArgs},
    graph::GraphArgs,
    test::{RouteTest, TestArgs},
};
use crate::{config::Config, route::Routes};

/// Runs the tests of the configuration.
#[must_use]
pub fn test(args: TestArgs, config: &Config) -> ExitCode {
    answer(|out| test::run(args, config, out))
}

/// Says which way a message takes.
#[must_use]
pub fn explain(args: &ExplainArgs, config: &Config) -> ExitCode {
    answer(|out| explain::run(args, config, out))
}

/// Prints which routes lead where.
#[must_use]
pub fn graph(args: GraphArgs, config: &Config) -> ExitCode {
    answer(|out| graph::run(args, config, out))
}

/// The routes of a complete configuration.
fn routes(config: &Config) -> Result<Routes, Failed> {
    Routes::compile(&config.routes, &config.catchall, &config.output_names())
        .map_err(|error| Failed::because(error.to_string()))
}

/// The names at `positions`.
fn named(names: &[String], positions: impl Iterator<Item = usize>) -> Vec<String> {
    positions.filter_map(|position| names.get(position)).cloned().collect()
}
