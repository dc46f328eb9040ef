//! Log lines for operators, at most one per reason per ten seconds.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a reason stays quiet after it has been said.
const QUIET: Duration = Duration::from_secs(10);

/// Remembers what was said when. One per thread that says something.
#[derive(Debug, Default)]
pub struct Quiet(HashMap<&'static str, Instant>);

impl Quiet {
    /// Runs `line` unless `reason` was said a moment ago.
    pub fn say(&mut self, reason: &'static str, line: impl FnOnce()) {
        if self.0.get(reason).is_none_or(|last| last.elapsed() >= QUIET) {
            self.0.insert(reason, Instant::now());
            line();
        }
    }
}
