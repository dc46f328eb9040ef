//! The words `spool ls | verify | export | replay` and `tap`, the same for every daemon.
//!
//! Those of `spool` read the files of the spool and nothing else: they take no lock and write nothing, so that a running daemon
//! never notices. `replay` sends over the link of whoever shall have the messages again.

mod export;
mod list;
mod newest;
mod replay;
mod select;
mod table;
mod tap;
mod verify;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

pub use newest::{Newest, newest};
pub use replay::ReplayArgs;
pub use select::{Bound, Selection, holds, matcher};
pub use table::{Table, age, size};
pub use tap::TapArgs;

use crate::{
    admin,
    intake::checkpoint_dir,
    spool::inspect::{self, Consumer, View},
};

/// What to do with a spool.
#[derive(Debug, Subcommand)]
pub enum SpoolWord {
    /// Lists segments, and the consumers with their cursors and how far they are behind.
    Ls(Format),
    /// Reads everything and says what is damaged and where; exit code 1 if anything is.
    Verify(Format),
    /// Writes messages as JSON, one a line.
    ///
    /// Goes on over damage and over messages that cannot be decoded; says so on stderr, and ends with exit code 1.
    Export(Selection),
    /// Sends messages again, over the link of a sidecar or a grater.
    ///
    /// They arrive as new messages of the producer `metlog-replay`, with their own times, hosts and processes: a
    /// receiver that has had them gets them twice. With `--keep-origin` whole batches travel as they were, and a receiver
    /// that has had them drops them.
    Replay(ReplayArgs),
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where a daemon keeps its spool and its checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    data_dir: PathBuf,
}

impl Place {
    fn spool(&self) -> PathBuf {
        self.data_dir.join("spool")
    }

    fn view(&self) -> Result<View, Failed> {
        View::open(&self.spool()).map_err(|error| {
            Failed::because(format!("no spool can be read in {}: {error}", self.data_dir.display()))
        })
    }

    fn consumers(&self) -> Vec<Consumer> {
        inspect::consumers(&checkpoint_dir(&self.data_dir))
    }

    /// Whether a daemon answers for this folder.
    fn is_live(&self) -> bool {
        std::os::unix::net::UnixStream::connect(admin::socket_path(&self.data_dir)).is_ok()
    }
}

/// Why a word failed, for the person who typed it.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// In words.
    #[error("{0}")]
    Because(String),
    /// Who read the answer has stopped, as `head` does: no failure of ours.
    #[error("nobody reads the answer")]
    NobodyReads,
}

impl Failed {
    /// A failure in words.
    pub fn because(why: impl Into<String>) -> Self {
        Self::Because(why.into())
    }
}

/// Of writing the answer.
impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Because(format!("cannot write the answer: {error}")),
        }
    }
}

impl From<metlog_core::Error> for Failed {
    fn from(error: metlog_core::Error) -> Self {
        Self::Because(error.to_string())
    }
}

/// Does what the word says to the spool under `data_dir`: exit code 0, or 1 when something is wrong with it.
pub fn run(word: &SpoolWord, data_dir: &Path) -> ExitCode {
    let place = Place { data_dir: data_dir.to_owned() };
    answer(|out| match word {
        SpoolWord::Ls(format) => list::run(&place, *format, out),
        SpoolWord::Verify(format) => verify::run(&place, *format, out),
        SpoolWord::Export(selection) => export::run(&place, selection, out),
        SpoolWord::Replay(args) => replay::run(&place, args, out),
    })
}

/// Shows live messages of the daemon that keeps its data under `data_dir`.
pub fn tap(args: &TapArgs, data_dir: &Path) -> ExitCode {
    answer(|out| tap::run(data_dir, args, out))
}

/// Writes what `word` has to say to stdout; the exit code is 0 when it says that all is well, and 1 otherwise.
pub fn answer(word: impl FnOnce(&mut dyn Write) -> Result<bool, Failed>) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let said = word(&mut out).and_then(|is_well| Ok(out.flush().map(|()| is_well)?));
    match said {
        Ok(true) | Err(Failed::NobodyReads) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failed::Because(why)) => {
            // What was said before it failed comes first.
            let _said_as_far_as_it_goes = out.flush();
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

/// Says something on stderr, beside the answer.
#[expect(clippy::print_stderr, reason = "beside the answer, which goes to stdout")]
pub fn complain(text: &str) {
    eprintln!("{text}");
}
