//! What people and shells read about the command line: `completions` and `man`.

use std::{io, path::Path, process::ExitCode};

use clap_complete::{Shell, generate};

use crate::tools::{self, Failed};

/// Prints what completes the command line in a shell.
pub(super) fn completions(shell: Shell, mut command: clap::Command) -> ExitCode {
    tools::answer(|mut out| {
        let name = command.get_name().to_owned();
        generate(shell, &mut command, name, &mut out);
        Ok(true)
    })
}

/// Writes a manual page for each word into `folder`.
pub(super) fn man(folder: &Path, command: clap::Command) -> ExitCode {
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(command, folder)
    };
    let failed =
        |error| Failed::because(format!("cannot write manual pages into {}: {error}", folder.display()));
    tools::answer(|_| write().map(|()| true).map_err(failed))
}
