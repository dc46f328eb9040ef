//! `metlog-grater`: takes what sidecars forward and routes it to the back ends.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use metlog_grater::{daemon::Grater, dlq};
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
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Shared(command) => daemon::main::<Grater>(command, Cli::command()),
        Command::Dlq { source, word } => {
            daemon::with_config::<Grater>(&source, |config| dlq::run(&word, config.complete()))
        }
    }
}
