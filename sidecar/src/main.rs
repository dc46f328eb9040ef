//! `metlog-sidecar`: the agent on every host.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use metlog_pipeline::daemon;
use metlog_sidecar::daemon::Sidecar;

/// Takes what the applications of a host send, rolls it up and forwards it, acknowledged and spooled on disk.
#[derive(Parser)]
#[command(name = "metlog-sidecar", version)]
struct Cli {
    #[command(subcommand)]
    command: daemon::Command,
}

fn main() -> ExitCode {
    daemon::main::<Sidecar>(Cli::parse().command, Cli::command())
}
