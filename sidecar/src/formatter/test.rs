//! Tests of formatters, written beside them in the configuration: a line, and what is expected of it.

use metlog_core::Timestamp;
use metlog_pipeline::expected::Expected;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Formatter, Origin};
use crate::input::files::entry;

/// One line and what it becomes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatterTest {
    /// The line, or several joined to one.
    pub line: String,
    /// The file it stood in.
    #[serde(default = "some_path")]
    pub path: String,
    /// True when no formatter is to take it.
    #[serde(default)]
    pub unformatted: bool,
    /// What the message must hold; what is not named here may be anything.
    #[serde(default)]
    pub expect: Expected,
}

fn some_path() -> String {
    "/var/log/test.log".to_owned()
}

impl FormatterTest {
    /// What is not as expected, a line each.
    #[must_use]
    pub fn run(&self, formatter: &Formatter) -> Vec<String> {
        let origin = Origin { path: &self.path, hostname: "localhost", labels: None };
        let parsed = formatter.format(&self.line, Timestamp::now(), &origin);
        match (parsed, self.unformatted) {
            (None, true) => Vec::new(),
            (None, false) => vec!["the formatter does not take this line".to_owned()],
            (Some(_), true) => vec!["the formatter takes this line, expected that it does not".to_owned()],
            (Some(parsed), false) => {
                self.expect.compare(&entry::message(&parsed, &self.path, Timestamp::now(), "localhost"))
            }
        }
    }
}
