//! `metlog-grater`: takes what sidecars forward and routes it to the back ends.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use metlog_grater::{
    daemon::Grater,
    dlq,
    rehearsal::{self, ExplainArgs, GraphArgs, TestArgs},
};
use metlog_pipeline::daemon;

/// Takes what sidecars forward, routes it, and delivers it to the back ends.
#[derive(Parser)]
#[command(name = "metlog-grater", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Shared(daemon::Command),
    /// Looks after dead letters: messages that a back end refused for good.
    ///
    /// Exit code 0 when all is well, 1 when something failed, was refused again or still waits.
    #[command(after_help = dlq::EXAMPLES)]
    Dlq {
        /// The grater's configuration.
        #[command(flatten)]
        source: daemon::Source,
        /// What to do.
        #[command(subcommand)]
        word: dlq::DlqWord,
    },
    /// Runs the routing tests that stand in the configuration (`[[test]]`).
    ///
    /// Exit code 0 when all pass, 1 when one fails or there is none.
    Test {
        /// The grater's configuration.
        #[command(flatten)]
        source: daemon::Source,
        /// How to print.
        #[command(flatten)]
        args: TestArgs,
    },
    /// Says which way a message takes through the routes, why, and what becomes of it.
    ///
    /// Exit code 0 when all is well, 1 when there is no such message.
    #[command(after_help = rehearsal::EXPLAIN_EXAMPLES)]
    Explain {
        /// The grater's configuration.
        #[command(flatten)]
        source: daemon::Source,
        /// Which message.
        #[command(flatten)]
        args: ExplainArgs,
    },
    /// Prints which routes lead where.
    Graph {
        /// The grater's configuration.
        #[command(flatten)]
        source: daemon::Source,
        /// How to print.
        #[command(flatten)]
        args: GraphArgs,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Shared(command) => daemon::main::<Grater>(command, Cli::command()),
        Command::Dlq { source, word } => {
            daemon::with_config::<Grater>(&source, |config| dlq::run(&word, config.complete()))
        }
        Command::Test { source, args } => {
            daemon::with_config::<Grater>(&source, |config| rehearsal::test(args, &config.complete()))
        }
        Command::Explain { source, args } => {
            daemon::with_config::<Grater>(&source, |config| rehearsal::explain(&args, &config.complete()))
        }
        Command::Graph { source, args } => {
            daemon::with_config::<Grater>(&source, |config| rehearsal::graph(args, &config.complete()))
        }
    }
}
