//! Formatters: what a line of a log file says, as a message. A formatter is a pure function over the line; what none takes
//! is kept whole by the input.
//!
//! Formats: [`nginx`] and [`apache`] (both compile to [`access`]), [`json`], logfmt and key=value ([`pairs`]), [`syslog`],
//! [`cef`], [`mysql`], regular expressions ([`pattern`]). [`rules`] is what all have in common: timestamp, severity, types of
//! fields, and the texts of type, logger and payload.

pub mod access;
pub mod apache;
pub mod cef;
pub mod command;
pub mod config;
pub mod json;
pub mod mysql;
pub mod nginx;
pub mod pairs;
pub mod parsed;
pub mod pattern;
pub mod rules;
pub mod severity;
pub mod syslog;
pub mod template;
pub mod test;
pub mod time;

use std::fmt;

use metlog_core::Timestamp;

pub use config::{Format, FormatterConfig};
pub use parsed::{Field, Parsed};
pub use template::Labels;

/// One format.
pub trait Parse: fmt::Debug + Send + Sync {
    /// What the line says, or `None` when it is of another format. `now` gives missing years.
    fn parse<'a>(&'a self, line: &'a str, now: Timestamp) -> Option<Parsed<'a>>;
}

/// Where a line stood.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The file.
    pub path: &'a str,
    /// The host.
    pub hostname: &'a str,
    /// What the path says, by the input's `match`.
    pub labels: Option<&'a Labels>,
}

/// A compiled formatter.
#[derive(Debug)]
pub struct Formatter {
    format: Box<dyn Parse>,
    rules: rules::Rules,
}

impl Formatter {
    /// What the line says, or `None` when this formatter does not take it.
    pub fn format<'a>(&'a self, line: &'a str, now: Timestamp, origin: &Origin<'_>) -> Option<Parsed<'a>> {
        let mut parsed = self.format.parse(line, now)?;
        self.rules.apply(line, &mut parsed, now, origin);
        Some(parsed)
    }
}
