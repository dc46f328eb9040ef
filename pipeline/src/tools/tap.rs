//! The word `tap`: shows live messages of a running daemon.

use std::{
    io::{BufRead, IsTerminal, Write},
    path::Path,
};

use clap::Args;
use metlog_core::{Message, Severity, wire::json::from_json};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{Failed, select};
use crate::admin;

/// Which messages to show, and how.
#[derive(Debug, Clone, Args)]
pub struct TapArgs {
    /// Only messages that fit this expression, such as `Type == "counter" && Fields[name] =~ /^sync/`.
    #[arg(long = "where", value_name = "MATCHER", value_parser = checked)]
    matching: Option<String>,
    /// Ends after so many messages.
    #[arg(long, short = 'n', value_name = "COUNT")]
    limit: Option<u64>,
    /// Prints JSON, a message a line.
    #[arg(long)]
    json: bool,
}

/// The daemon compiles it; what is wrong with it is said here, by column.
fn checked(text: &str) -> Result<String, crate::matcher::MatcherError> {
    select::matcher(text).map(|_| text.to_owned())
}

pub(super) fn run(data_dir: &Path, args: &TapArgs, out: &mut dyn Write) -> Result<bool, Failed> {
    let page = match &args.matching {
        Some(matcher) => format!("/tap?where={}", utf8_percent_encode(matcher, NON_ALPHANUMERIC)),
        None => "/tap".to_owned(),
    };
    let lines = admin::open(data_dir, &page, None)
        .map_err(|error| Failed::because(error.to_string()))?
        .lines()
        .take(args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for line in lines {
        let line = line.map_err(|error| Failed::because(format!("the daemon has gone: {error}")))?;
        if args.json {
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", for_people(&from_json(line.as_bytes())?.message, colours))?;
        }
        out.flush()?;
    }
    Ok(true)
}

/// On one line: time, severity, type, logger, payload, fields. Messages come from anywhere: what would move the cursor or
/// colour the terminal is left out.
fn for_people(message: &Message, colours: bool) -> String {
    let Message { timestamp, severity, kind, logger, payload, fields, .. } = message;
    let severity = match (colours, *severity) {
        (true, severity) if severity <= Severity::ERROR => format!("\x1b[31m{}\x1b[0m", severity.as_u8()),
        (true, Severity::WARNING) => "\x1b[33m4\x1b[0m".to_owned(),
        (_, severity) => severity.as_u8().to_string(),
    };
    let payload = payload.as_text().map_or_else(|| json(payload), str::to_owned);
    let fields = if fields.is_empty() { String::new() } else { json(fields) };
    let said = format!("{kind} {logger} {payload} {fields}");
    let said: String =
        said.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    format!("{timestamp} {severity} {}", said.trim_end())
}

/// Values of messages are always JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_cannot_move_the_cursor() {
        let read = from_json(
            br#"{"type":"services","timestamp":"2026-01-01T00:00:10Z","severity":3,"logger":"sync",
                 "payload":"two\nlines \u001b[2J","fields":{"n":1}}"#,
        );
        let line = for_people(&read.unwrap().message, true);
        assert_eq!(
            line,
            "2026-01-01T00:00:10.000000Z \x1b[31m3\x1b[0m services sync two\u{fffd}lines \u{fffd}[2J {\"n\":1}"
        );
    }
}
