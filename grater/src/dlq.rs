//! The words `dlq ls | show | replay | drop`.
//!
//! They work on the files of the dead letters, under their lock, whether the grater runs or not. `replay` marks letters and
//! leaves the sending to the output's own thread, so that nobody else writes to its back end; when the grater does not
//! run, they are sent at its next start.

mod replay;

use std::{collections::BTreeMap, io::Write, process::ExitCode};

use clap::{Args, Subcommand};
use metlog_core::wire::json::to_json;
use metlog_pipeline::{
    matcher::Matcher,
    tools::{Failed, Format, Table, answer, holds, matcher, size},
};
use serde::Serialize;

use crate::{
    config::Config,
    dead_letters::{Change, DeadLetters, Letter, Shelf},
};

/// Shown below the help of `dlq`.
pub const EXAMPLES: &str = "Examples:
  dlq --config /etc/metlog/grater.toml ls
  dlq show --output graphite --where 'Logger == \"bookmarks\"'
  dlq replay --output graphite
  dlq drop --output graphite --where 'Timestamp < 1767225600000000000'";

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqWord {
    /// Counts the letters of each output, with their reasons.
    Ls(Format),
    /// Prints letters: when they were refused last, how often they were tried, why, and the message.
    Show {
        /// Which letters.
        #[command(flatten)]
        choice: Choice,
        /// Prints a JSON object for each letter.
        #[arg(long)]
        json: bool,
    },
    /// Has letters sent again by their output, and takes away those that went well.
    ///
    /// Waits for the outcome when the grater runs. A crash of the grater meanwhile can send a letter twice.
    Replay(replay::ReplayArgs),
    /// Takes letters away for good; the ledger goes on counting them as dropped.
    Drop {
        /// Which letters.
        #[command(flatten)]
        choice: Choice,
        /// All letters of the output, and lines that are no letters, without an expression.
        #[arg(long, conflicts_with = "matching", required_unless_present = "matching")]
        all: bool,
    },
}

/// Which letters.
#[derive(Debug, Clone, Args)]
pub struct Choice {
    /// Only those of this output.
    #[arg(long)]
    pub output: Option<String>,
    /// Only messages that fit this expression, such as `Type == "counter" && Fields[name] =~ /^sync/`.
    #[arg(long = "where", value_name = "MATCHER", value_parser = matcher)]
    pub matching: Option<Matcher>,
}

/// Does what the word says.
#[must_use]
pub fn run(word: &DlqWord, config: Config) -> ExitCode {
    let desk = Desk { config };
    answer(|out| match word {
        DlqWord::Ls(format) => desk.list(*format, out),
        DlqWord::Show { choice, json } => desk.show(choice, *json, out),
        DlqWord::Replay(args) => desk.replay(args, out),
        DlqWord::Drop { choice, all } => desk.drop_letters(choice, *all, out),
    })
}

/// Where the letters are looked after.
struct Desk {
    config: Config,
}

/// The letters of one output, counted.
#[derive(Debug, Serialize)]
struct OutputRow {
    output: String,
    /// False when the configuration has no such output any more.
    configured: bool,
    letters: usize,
    bytes: u64,
    max_bytes: u64,
    /// Marked to be sent again.
    to_replay: usize,
    unreadable: usize,
    max_attempts: u64,
    /// When the oldest of them was refused last.
    oldest: Option<String>,
    newest: Option<String>,
    reasons: BTreeMap<String, usize>,
}

impl Desk {
    /// The chosen outputs: those of the configuration, and those that have letters from an earlier one.
    fn outputs(&self, choice: Option<&str>) -> Result<Vec<(String, DeadLetters)>, Failed> {
        let mut names = self.config.output_names();
        for name in DeadLetters::outputs(&self.config.data_dir) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if let Some(output) = choice.filter(|output| !names.iter().any(|name| name == output)) {
            return Err(Failed::because(format!(
                "no output {output:?}; the outputs are {}",
                names.join(", ")
            )));
        }
        names.retain(|name| choice.is_none_or(|output| name == output));
        Ok(names.into_iter().map(|name| (name.clone(), self.letters(&name))).collect())
    }

    fn letters(&self, output: &str) -> DeadLetters {
        DeadLetters::new(&self.config.data_dir, output, self.max_bytes(output))
    }

    fn max_bytes(&self, output: &str) -> u64 {
        let configured = self.config.outputs.iter().find(|config| config.name == output);
        configured.map_or(0, crate::config::OutputConfig::max_dead_letter_bytes)
    }

    fn list(&self, format: Format, out: &mut dyn Write) -> Result<bool, Failed> {
        let mut rows = Vec::new();
        for (output, letters) in self.outputs(None)? {
            rows.push(self.row(output, &read(&letters)?));
        }
        if format.json {
            writeln!(out, "{}", serde_json::to_string(&rows).unwrap_or_default())?;
            return Ok(true);
        }
        let names =
            ["OUTPUT", "LETTERS", "BYTES", "OF", "TO REPLAY", "UNREADABLE", "ATTEMPTS", "OLDEST", "REASONS"];
        let mut table = Table::new(&names);
        rows.iter().for_each(|row| table.row(row.cells()));
        write!(out, "{table}")?;
        Ok(true)
    }

    fn row(&self, output: String, shelf: &Shelf) -> OutputRow {
        let mut reasons = BTreeMap::new();
        for letter in &shelf.letters {
            *reasons.entry(letter.reason.clone()).or_insert(0) += 1;
        }
        let times = || shelf.letters.iter().map(|letter| letter.time.clone());
        OutputRow {
            configured: self.config.output_names().contains(&output),
            letters: shelf.letters.len(),
            bytes: shelf.bytes,
            max_bytes: self.max_bytes(&output),
            to_replay: shelf.letters.iter().filter(|letter| letter.replay).count(),
            unreadable: shelf.unreadable.len(),
            max_attempts: shelf.letters.iter().map(|letter| letter.attempts).max().unwrap_or(0),
            oldest: times().min(),
            newest: times().max(),
            reasons,
            output,
        }
    }

    fn show(&self, choice: &Choice, json: bool, out: &mut dyn Write) -> Result<bool, Failed> {
        for (output, letters) in self.outputs(choice.output.as_deref())? {
            for letter in read(&letters)?.letters.iter().filter(|letter| choice.takes(letter)) {
                if json {
                    let mut value = serde_json::to_value(letter).unwrap_or_default();
                    if let Some(object) = value.as_object_mut() {
                        object.insert("output".to_owned(), output.clone().into());
                    }
                    writeln!(out, "{value}")?;
                } else {
                    let Letter { time, attempts, reason, .. } = letter;
                    let marked = if letter.replay { ", to be sent again" } else { "" };
                    writeln!(out, "{output}, {time}, attempt {attempts}{marked}: {reason}")?;
                    writeln!(out, "  {}", to_json(&letter.message))?;
                }
            }
        }
        Ok(true)
    }

    fn drop_letters(&self, choice: &Choice, all: bool, out: &mut dyn Write) -> Result<bool, Failed> {
        for (output, letters) in self.outputs(choice.output.as_deref())? {
            let (mut count, mut unreadable) = (0, 0);
            let done = if all {
                letters.clear().map(|had| (count, unreadable) = (had.letters.len(), had.unreadable.len()))
            } else {
                letters.rewrite(|letter| {
                    if !choice.takes(&letter) {
                        return Change::Stay(letter);
                    }
                    count += 1;
                    Change::Go
                })
            };
            done.map_err(|error| failed(&output, &error))?;
            let lines =
                if unreadable > 0 { format!(" and {unreadable} unreadable lines") } else { String::new() };
            writeln!(out, "{output}: {count} letters{lines} dropped")?;
        }
        Ok(true)
    }
}

impl OutputRow {
    fn cells(&self) -> Vec<String> {
        let reasons: Vec<_> =
            self.reasons.iter().map(|(reason, count)| format!("{count} x {reason}")).collect();
        let output =
            if self.configured { self.output.clone() } else { format!("{} (not configured)", self.output) };
        let numbers =
            [self.to_replay.to_string(), self.unreadable.to_string(), self.max_attempts.to_string()];
        [output, self.letters.to_string(), size(self.bytes), size(self.max_bytes)]
            .into_iter()
            .chain(numbers)
            .chain([self.oldest.clone().unwrap_or_else(|| "-".to_owned()), reasons.join("; ")])
            .collect()
    }
}

impl Choice {
    /// Whether the letter is chosen. What fits into no batch any more fits no expression.
    fn takes(&self, letter: &Letter) -> bool {
        holds(self.matching.as_ref(), &letter.message).unwrap_or(false)
    }
}

fn read(letters: &DeadLetters) -> Result<Shelf, Failed> {
    letters.read().map_err(|error| Failed::because(format!("cannot read the dead letters: {error}")))
}

fn failed(output: &str, error: &std::io::Error) -> Failed {
    Failed::because(format!("cannot change the dead letters of {output}: {error}"))
}
