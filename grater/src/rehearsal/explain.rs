//! The word `explain`: the way of one message through the routes.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use metlog_core::{
    Message,
    wire::{
        batch::ProducerId,
        json::{from_json, to_json},
    },
};
use metlog_pipeline::{
    matcher::{Matcher, look},
    rollup::{ROLLUP_TYPE, Share},
    tools::{Failed, matcher, newest},
};
use serde::Serialize;

use super::{named, routes};
use crate::{
    aggregate::PRODUCER,
    config::Config,
    route::{CONSUMED, Decision, Routes, Step, Trace},
};

/// Shown below the help of `explain`.
pub const EXAMPLES: &str = "Examples:
  explain --config /etc/metlog/grater.toml --where 'Type == \"services\" && Severity < 4'
  echo '{\"type\": \"counter\", \"fields\": {\"name\": \"a\"}}' | metlog-grater explain -
  explain --json message.json";

/// Which message.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A file with messages as JSON, one a line; - for the standard input. Without it, the newest message of the spool.
    file: Option<PathBuf>,
    /// The newest message of the spool that fits this expression.
    #[arg(long = "where", value_name = "MATCHER", value_parser = matcher, conflicts_with = "file")]
    matching: Option<Matcher>,
    /// Prints a JSON object for each message.
    #[arg(long)]
    json: bool,
}

/// A message, and where it comes from when it lies in a spool.
struct Subject {
    message: Message,
    origin: Option<(ProducerId, u64)>,
}

/// What an output gets.
#[derive(Debug, Serialize)]
struct Arrival {
    output: String,
    /// Whether it accounts for the message in the ledger.
    principal: bool,
    /// Whether a route has changed it.
    changed: bool,
    message: Message,
}

/// All there is to tell.
#[derive(Debug, Serialize)]
struct Report {
    message: Message,
    #[serde(flatten)]
    trace: Trace,
    outputs: Vec<Arrival>,
    /// What the ledger counts it under when it goes nowhere.
    counted_as: Option<String>,
}

pub(super) fn run(args: &ExplainArgs, config: &Config, out: &mut dyn Write) -> Result<bool, Failed> {
    let (routes, names) = (routes(config)?, config.output_names());
    let subjects = match &args.file {
        Some(file) => read(file)?,
        None => vec![from_spool(args.matching.as_ref(), config)?],
    };
    for subject in subjects {
        let report = if config.aggregate.is_some() && is_merged(&subject.message) {
            merged(subject.message)
        } else {
            let trace = look(&subject.message, |view| routes.trace(view, subject.origin))?;
            report(subject.message, trace, &routes, &names)
        };
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&report).unwrap_or_default())?;
        } else {
            tell(&report, out)?;
        }
    }
    Ok(true)
}

fn from_spool(matching: Option<&Matcher>, config: &Config) -> Result<Subject, Failed> {
    let everything = Matcher::compile("TRUE").map_err(|error| Failed::because(error.to_string()))?;
    let found = newest(&config.data_dir, matching.unwrap_or(&everything))?;
    let found = found.ok_or_else(|| {
        Failed::because("the spool holds no such message: what every output is done with is gone from it")
    })?;
    Ok(Subject { message: found.message, origin: Some((found.producer, found.sequence)) })
}

/// One message over several lines, or one a line.
fn read(file: &Path) -> Result<Vec<Subject>, Failed> {
    let cannot = |error: io::Error| Failed::because(format!("cannot read {}: {error}", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map_err(cannot)?;
    } else {
        text = fs::read_to_string(file).map_err(cannot)?;
    }
    let subject =
        |text: &str| from_json(text.as_bytes()).map(|read| Subject { message: read.message, origin: None });
    if let Ok(one) = subject(&text) {
        return Ok(vec![one]);
    }
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let subjects = lines.map(|(number, line)| {
        subject(line).map_err(|error| Failed::because(format!("{}, line {number}: {error}", file.display())))
    });
    subjects.collect()
}

/// Whether an aggregator merges the message of a sidecar.
fn is_merged(message: &Message) -> bool {
    message.kind == ROLLUP_TYPE && message.logger != PRODUCER && Share::of(message).is_some()
}

fn merged(message: Message) -> Report {
    let trace = Trace { steps: Vec::new(), is_caught: false, decision: Decision::default() };
    Report { message, trace, outputs: Vec::new(), counted_as: Some(CONSUMED.to_owned()) }
}

fn report(message: Message, trace: Trace, routes: &Routes, names: &[String]) -> Report {
    let decision = trace.decision;
    let outputs = decision.outputs().zip(named(names, decision.outputs()));
    let outputs = outputs.map(|(position, output)| arrival(&message, decision, (position, output), routes));
    let outputs = outputs.collect();
    let counted_as = decision.is_empty().then(|| routes.reason(decision).to_owned());
    Report { outputs, counted_as, message, trace }
}

fn arrival(
    message: &Message,
    decision: Decision,
    (position, output): (usize, String),
    routes: &Routes,
) -> Arrival {
    let mut changed = message.clone();
    routes.change(decision, position, &mut changed);
    let principal = decision.principal() == Some(position);
    Arrival { output, principal, changed: changed != *message, message: changed }
}

fn tell(report: &Report, out: &mut dyn Write) -> Result<(), Failed> {
    writeln!(out, "message {}", to_json(&report.message))?;
    for step in &report.trace.steps {
        tell_step(step, out)?;
    }
    if report.trace.is_caught {
        writeln!(out, "no route with outputs takes it: catchall")?;
    }
    for arrival in &report.outputs {
        let principal = if arrival.principal { " (answers for it in the ledger)" } else { "" };
        let changed =
            if arrival.changed { format!(": {}", to_json(&arrival.message)) } else { String::new() };
        writeln!(out, "goes to {}{principal}{changed}", arrival.output)?;
    }
    if let Some(reason) = &report.counted_as {
        writeln!(out, "goes nowhere, counted as {reason}")?;
    }
    Ok(())
}

fn tell_step(step: &Step, out: &mut dyn Write) -> Result<(), Failed> {
    let takes = if step.takes { "takes it" } else { "does not take it" };
    writeln!(out, "route {} {takes}", step.route)?;
    for why in &step.why {
        writeln!(out, "    {why}")?;
    }
    if !step.takes {
        return Ok(());
    }
    if !step.tags.is_empty() {
        writeln!(out, "    gives {}", step.tags.join(", "))?;
    }
    if !step.is_in_share {
        writeln!(out, "    it is not among the share of this route")?;
    } else if !step.outputs.is_empty() {
        let changes: Vec<_> = step.changes.iter().map(|change| format!("{change}; ")).collect();
        writeln!(out, "    {}to {}", changes.concat(), step.outputs.join(", "))?;
    }
    if step.is_last {
        writeln!(out, "    final: later routes are not asked")?;
    }
    Ok(())
}
