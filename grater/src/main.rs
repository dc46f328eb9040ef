//! `metlog-grater`: takes what sidecars forward and routes it to the back ends.

use std::process::ExitCode;

use clap::Parser;
use metlog_grater::daemon::Grater;
use metlog_pipeline::daemon;

/// Takes what sidecars forward, routes it, and delivers it to the back ends.
#[derive(Parser)]
#[command(name = "metlog-grater", version)]
struct Cli {
    #[command(subcommand)]
    command: daemon::Command,
}

fn main() -> ExitCode {
    daemon::main::<Grater>(Cli::parse().command)
}
