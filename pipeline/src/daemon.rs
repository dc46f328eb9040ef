//! What both daemons do around their own work: command line, log, signals, and the order of an orderly end.

mod check;
mod control;
mod paper;
mod systemd;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

pub use check::{Findings, Places};
use clap::{Args, Subcommand};
use clap_complete::Shell;
use control::Control;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::{
    admin::{self, Admin, Listeners},
    audit::Audit,
    config::{self, ConfigError, EXIT_CONFIG},
    curve::KeyPair,
    intake::Intake,
    sockets::Sockets,
    stop::Stop,
    threads::Threads,
    tools::{self, SpoolWord, TapArgs},
};

/// How often the ledger is saved.
const LEDGER_INTERVAL: Duration = Duration::from_secs(2);

/// The words both daemons know.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs until SIGTERM or Ctrl-C; SIGHUP reads the configuration again, SIGUSR1 writes a report into the log.
    Run(Source),
    /// Says everything that is wrong with the configuration, without taking a socket from a running daemon.
    ///
    /// When nothing is, reaches whatever the daemon delivers to, writes nothing there, and says what it found.
    /// Exit code 0 when all is well, 1 when something cannot be reached, 78 when the configuration is wrong.
    Check {
        /// The daemon's configuration.
        #[command(flatten)]
        source: Source,
        /// Looks at the configuration alone: at no port, no folder, and nothing that is delivered to.
        #[arg(long)]
        offline: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the balance of a running daemon: exit code 0 balanced, 1 not, 3 when something is unknown.
    Audit {
        /// The daemon's configuration.
        #[command(flatten)]
        source: Source,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the messages that come in from now on, of a running daemon.
    Tap {
        /// The daemon's configuration.
        #[command(flatten)]
        source: Source,
        /// Which messages, and how.
        #[command(flatten)]
        args: TapArgs,
    },
    /// Makes a key pair for encrypted links: writes it to a file that only its owner can read, and prints the public key.
    Keygen {
        /// The file to write; there must be none of this name.
        #[arg(long)]
        out: PathBuf,
    },
    /// Prints what completes this command line in a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Writes the manual pages.
    Man {
        /// Where to.
        folder: PathBuf,
    },
    /// Says how a configuration may look.
    Config {
        /// What to say.
        #[command(subcommand)]
        word: ConfigWord,
    },
    /// Looks into the spool on disk, of a running daemon or a stopped one, without disturbing either.
    ///
    /// Exit code 0 when all is well, 1 when something is damaged, left out or not sent.
    #[command(after_help = SPOOL_EXAMPLES)]
    Spool {
        /// The daemon's configuration.
        #[command(flatten)]
        source: Source,
        /// What to do.
        #[command(subcommand)]
        word: SpoolWord,
    },
}

/// The words of `config`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigWord {
    /// Prints the JSON Schema (draft 2020-12) of the configuration, for editors and programs that write one.
    Schema,
}

/// Shown below the help of `spool`.
const SPOOL_EXAMPLES: &str = "Examples:
  spool --config /etc/metlog/sidecar.toml ls
  spool verify --json
  spool export --where 'Type == \"exception\"' --from 2026-11-22T06:00:00Z > exceptions.jsonl
  spool replay --file exceptions.jsonl --endpoint tcp://127.0.0.1:5568";

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// The configuration file (TOML); without it everything has its default.
    #[arg(long, short, global = true)]
    pub config: Option<PathBuf>,
}

/// A daemon, as the command line drives it.
pub trait Daemon: 'static {
    /// Its configuration.
    type Config: DeserializeOwned + JsonSchema + Clone + Send + 'static;

    /// Everything that is wrong with the configuration, a line each.
    fn check(config: &Self::Config) -> Vec<String>;

    /// Reaches whatever it delivers to, all at once, and changes nothing there: for each what was found, or what is wrong.
    fn probe(_config: &Self::Config) -> Vec<Result<String, String>> {
        Vec::new()
    }

    /// What it uses of its host.
    fn places(config: &Self::Config) -> Places<'_>;

    /// Adds what is wrong on this host with what only this daemon has.
    fn look_around(_config: &Self::Config, _findings: &mut Findings) {}

    /// Where it keeps its data.
    fn data_dir(config: &Self::Config) -> &Path;

    /// Runs until `stop`; true when nothing failed. Whatever listens comes from `sockets` and goes back there, so that a
    /// reload loses nothing that waits in them.
    ///
    /// # Errors
    /// When it cannot start.
    fn run(config: Self::Config, sockets: &Sockets, stop: &Stop) -> Result<bool, Box<dyn std::error::Error>>;
}

/// Does what the command line says; `whole` describes it.
pub fn main<D: Daemon>(command: Command, whole: clap::Command) -> ExitCode {
    let done = match command {
        Command::Run(source) => load::<D>(&source).map(|config| run::<D>(source, config)),
        Command::Check { source, offline, json } => Ok(check::<D>(&source, offline, json)),
        Command::Audit { source, json } => load::<D>(&source).map(|config| audit(D::data_dir(&config), json)),
        Command::Tap { source, args } => {
            load::<D>(&source).map(|config| tools::tap(&args, D::data_dir(&config)))
        }
        Command::Keygen { out } => Ok(keygen(&out)),
        Command::Completions { shell } => Ok(paper::completions(shell, whole)),
        Command::Man { folder } => Ok(paper::man(&folder, whole)),
        Command::Config { word: ConfigWord::Schema } => {
            let title = format!("The configuration of {}", whole.get_name());
            Ok(say(&config::schema::<D::Config>(&title)))
        }
        Command::Spool { source, word } => {
            load::<D>(&source).map(|config| tools::run(&word, D::data_dir(&config)))
        }
    };
    done.unwrap_or_else(|error| refuse(&error))
}

/// Does `word` with the daemon's configuration, when that is good.
pub fn with_config<D: Daemon>(source: &Source, word: impl FnOnce(D::Config) -> ExitCode) -> ExitCode {
    load::<D>(source).map_or_else(|error| refuse(&error), word)
}

fn refuse(error: &ConfigError) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(EXIT_CONFIG)
}

/// Reads the configuration and checks all of it.
fn load<D: Daemon>(source: &Source) -> Result<D::Config, ConfigError> {
    let config: D::Config = config::load(source.config.as_deref())?;
    match D::check(&config).as_slice() {
        [] => Ok(config),
        wrong => Err(ConfigError::new(wrong.join("\n"))),
    }
}

/// Says everything that is wrong, with the file and with the host.
fn check<D: Daemon>(source: &Source, offline: bool, json: bool) -> ExitCode {
    let mut findings = Findings::default();
    match config::load::<D::Config>(source.config.as_deref()) {
        Ok(config) => {
            let wrong = D::check(&config);
            if !offline {
                findings = check::places(&D::places(&config));
                D::look_around(&config, &mut findings);
            }
            if !offline && wrong.is_empty() {
                check::sort(D::probe(&config), &mut findings);
            }
            findings.errors.splice(0..0, wrong);
        }
        Err(error) => findings.errors.push(error.to_string()),
    }
    findings.tell(json);
    findings.exit_code()
}

fn run<D: Daemon>(source: Source, config: D::Config) -> ExitCode {
    let filter = EnvFilter::try_from_env("METLOG_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(is_terminal()).init();
    // Before there is a second thread: descriptors and their names come with the environment.
    let sockets = match Sockets::passed() {
        Ok(sockets) => sockets,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match Control::<D>::listen(source, config) {
        Ok(control) => runs(&control, &sockets),
        Err(error) => {
            error!(%error, "cannot listen to signals");
            ExitCode::FAILURE
        }
    }
}

/// One run after another: each reload ends one in good order and begins the next, on the same sockets. A configuration with
/// which none begins gives way to the one before.
fn runs<D: Daemon>(control: &Control<D>, sockets: &Sockets) -> ExitCode {
    let mut before = None;
    loop {
        let (config, stop) = control.begin();
        match D::run(config, sockets, &stop) {
            Ok(false) => return ExitCode::FAILURE,
            Ok(true) => match control.next() {
                Some(replaced) => before = Some(replaced),
                None => return ExitCode::SUCCESS,
            },
            Err(error) => match before.take() {
                Some(before) => {
                    error!(%error, "cannot start with the new configuration: back to the one before");
                    control.go_back(before);
                }
                None => {
                    error!(%error, "cannot start");
                    return ExitCode::FAILURE;
                }
            },
        }
    }
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}

/// Runs what every daemon has beside its own threads, waits for the stop, and ends in order: inputs first, then the
/// consumers, then the ledger and the spool. True when nothing failed.
///
/// # Errors
/// When a thread cannot be had.
pub fn supervise(
    admin: Admin,
    listeners: Listeners,
    mut threads: Threads,
    sockets: &Sockets,
    stop: &Stop,
) -> io::Result<bool> {
    let (intake, watchdog) = (admin.intake.clone(), admin.watchdog.clone());
    let socket = listeners.socket();
    threads.spawn_consumer("admin", move |stop| {
        if let Err(error) = admin.serve(listeners, stop) {
            error!(%error, "admin pages ended");
        }
    })?;
    let keeper = intake.clone();
    threads.spawn_consumer("ledger", move |stop| keep_ledger(&keeper, stop))?;
    let (spool, pulses) = (intake.spool().clone(), threads.pulses());
    let seen = watchdog.clone();
    threads.spawn_consumer("watchdog", move |stop| watchdog.run(&spool, &pulses, stop))?;
    sockets.close_unused();
    info!("running");
    systemd::ready();
    while !stop.wait(systemd::interval().unwrap_or(Duration::from_secs(3600))) {
        // What takes nothing in any more is better started anew.
        if seen.blocks_intake().is_none() {
            systemd::alive();
        }
    }
    let clean = threads.join();
    intake.checkpoint();
    intake.spool().close();
    let _was_there = std::fs::remove_file(socket);
    info!("stopped");
    Ok(clean)
}

fn keep_ledger(intake: &Intake, stop: &Stop) {
    while !stop.wait(LEDGER_INTERVAL) {
        intake.checkpoint();
    }
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "why the command failed")]
fn complain(text: &str) {
    eprintln!("{text}");
}

fn keygen(out: &Path) -> ExitCode {
    match KeyPair::generate().and_then(|keys| keys.write(out).map(|()| keys)) {
        Ok(keys) => say(&keys.public.to_string()),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn audit(data_dir: &Path, json: bool) -> ExitCode {
    match admin::ask::<Audit>(data_dir, "/audit") {
        Ok(audit) => {
            let text =
                if json { serde_json::to_string(&audit).unwrap_or_default() } else { audit.to_string() };
            say(&text);
            ExitCode::from(audit.verdict.exit_code())
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
