//! `metlog-sidecar`: the agent on every host.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use metlog_pipeline::daemon;
use metlog_sidecar::{
    daemon::Sidecar,
    formatter::command::{self, TestArgs},
};

/// Takes what the applications of a host send, rolls it up and forwards it, acknowledged and spooled on disk.
#[derive(Parser)]
#[command(name = "metlog-sidecar", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Shared(daemon::Command),
    /// Runs the tests of formatters that stand in the configuration, or shows what the lines of a file become.
    ///
    /// Exit code 0 when all is well, 1 when a test failed or a line was taken by no formatter.
    #[command(after_help = command::EXAMPLES)]
    Test {
        /// The sidecar's configuration.
        #[command(flatten)]
        source: daemon::Source,
        /// What to test.
        #[command(flatten)]
        args: TestArgs,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Shared(command) => daemon::main::<Sidecar>(command, Cli::command()),
        Command::Test { source, args } => {
            daemon::with_config::<Sidecar>(&source, |config| command::run(&args, &config))
        }
    }
}
