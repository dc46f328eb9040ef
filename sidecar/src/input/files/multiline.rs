//! Which lines belong together: by a pattern of first lines, by a pattern of lines that continue, or as the tracebacks of a
//! language do.

use std::time::Duration;

use metlog_pipeline::config::duration;
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

/// The tracebacks and entries that are known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Tracebacks of Python, chained ones too.
    Python,
    /// Stack traces of Java and its kin.
    Java,
    /// Panics of Go.
    Go,
    /// Errors of Node with their stack.
    Node,
    /// Backtraces of Ruby.
    Ruby,
    /// Entries of MySQL's slow query log.
    MysqlSlow,
}

/// The table `multiline` of an input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultilineConfig {
    /// A known kind of entries.
    pub preset: Option<Preset>,
    /// A line that matches begins an entry, every other continues one.
    pub start: Option<String>,
    /// A line that matches continues the entry before it.
    pub continuation: Option<String>,
    /// An entry ends when nothing has come for so long.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
}

impl Default for MultilineConfig {
    fn default() -> Self {
        Self { preset: None, start: None, continuation: None, timeout: Duration::from_secs(1) }
    }
}

/// Tells whether a line continues what came before it.
#[derive(Debug)]
pub enum Joiner {
    /// See [`MultilineConfig::start`].
    Start(Regex),
    /// See [`MultilineConfig::continuation`].
    Continuation(Regex),
    /// See [`Preset::Python`].
    Python,
    /// See [`Preset::Go`].
    Go,
    /// See [`Preset::MysqlSlow`].
    MysqlSlow,
}

/// What is known of an entry after some of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing special.
    Text,
    /// Inside a traceback.
    Trace,
    /// After its last line.
    Traced,
}

impl MultilineConfig {
    /// Compiles it; `section` is how errors call it.
    ///
    /// # Errors
    /// When it does not name exactly one way, or the pattern is none.
    pub fn compile(&self, section: &str) -> Result<Joiner, String> {
        let regex = |key: &str, pattern: &str| {
            Regex::new(pattern).map_err(|error| {
                let why = error.to_string();
                format!(
                    "{section}.{key} is no regular expression: {}",
                    why.lines().last().unwrap_or_default()
                )
            })
        };
        match (self.preset, self.start.as_deref(), self.continuation.as_deref()) {
            (Some(preset), None, None) => preset.compile(section),
            (None, Some(start), None) => regex("start", start).map(Joiner::Start),
            (None, None, Some(pattern)) => regex("continuation", pattern).map(Joiner::Continuation),
            _ => Err(format!("{section} wants exactly one of preset, start and continuation")),
        }
    }
}

impl Preset {
    fn compile(self, section: &str) -> Result<Joiner, String> {
        let pattern = match self {
            Self::Python => return Ok(Joiner::Python),
            Self::Go => return Ok(Joiner::Go),
            Self::MysqlSlow => return Ok(Joiner::MysqlSlow),
            Self::Java => r"^(\s+\S|Caused by: )",
            Self::Node => r"^(\s+\S|\}$|\]$)",
            Self::Ruby => r"^\s+\S",
        };
        Regex::new(pattern).map(Joiner::Continuation).map_err(|error| format!("{section}: {error}"))
    }
}

impl Joiner {
    /// The state after an entry's first line.
    pub fn first(&self, line: &[u8]) -> State {
        let begins = match self {
            Self::Python => line == TRACEBACK,
            Self::Go => is_panic(line),
            Self::MysqlSlow => line.starts_with(b"# Time:"),
            Self::Start(_) | Self::Continuation(_) => false,
        };
        if begins { State::Trace } else { State::Text }
    }

    /// True when `line` continues the entry.
    pub fn joins(&self, state: &mut State, line: &[u8]) -> bool {
        match self {
            Self::Start(regex) => !regex.is_match(line),
            Self::Continuation(regex) => regex.is_match(line),
            Self::Python => python(state, line),
            Self::Go => go(state, line),
            Self::MysqlSlow => mysql_slow(state, line),
        }
    }
}

const TRACEBACK: &[u8] = b"Traceback (most recent call last):";

/// Frames are indented; the line after them names the exception. Another traceback may follow, between blank lines.
fn python(state: &mut State, line: &[u8]) -> bool {
    let is_indented = line.first().is_some_and(u8::is_ascii_whitespace);
    match *state {
        _ if line == TRACEBACK => {
            *state = State::Trace;
            true
        }
        _ if is_indented => true,
        State::Trace => {
            *state = State::Traced;
            true
        }
        State::Traced => {
            line.is_empty()
                || line.starts_with(b"During handling of the above exception")
                || line.starts_with(b"The above exception was the direct cause")
        }
        State::Text => false,
    }
}

fn is_panic(line: &[u8]) -> bool {
    line.starts_with(b"panic: ") || line.starts_with(b"fatal error: ") || is_goroutine(line)
}

fn is_goroutine(line: &[u8]) -> bool {
    line.starts_with(b"goroutine ") && line.ends_with(b"]:")
}

/// After a panic: blank lines, goroutines, calls (`main.run(...)`) and the indented places of these.
fn go(state: &mut State, line: &[u8]) -> bool {
    if *state == State::Text {
        *state = if is_panic(line) { State::Trace } else { State::Text };
        // A logger writes its line, and the panic comes after it on its own.
        return false;
    }
    line.is_empty()
        || line.first() == Some(&b'\t')
        || is_panic(line)
        || line.ends_with(b")")
        || line.starts_with(b"created by ")
        || line.starts_with(b"[signal ")
        || line.starts_with(b"exit status ")
}

/// `# Time:` begins an entry, and `# User@Host:` does unless it follows one.
fn mysql_slow(state: &mut State, line: &[u8]) -> bool {
    let follows_time = *state == State::Trace;
    *state = State::Text;
    if line.starts_with(b"# Time:") {
        return false;
    }
    !line.starts_with(b"# User@Host:") || follows_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::files::lines::{Found, Splitter};

    fn entries(config: &MultilineConfig, text: &str) -> Vec<String> {
        let splitter = Splitter { max_bytes: 10_000, joiner: Some(config.compile("m").unwrap()) };
        let mut bytes = text.as_bytes();
        let mut entries = Vec::new();
        while let Found::Record { content, end, .. } = splitter.next(bytes, true, false) {
            entries.push(String::from_utf8_lossy(&bytes[..content]).into_owned());
            bytes = &bytes[end..];
        }
        entries
    }

    #[test]
    fn tracebacks_of_every_language_become_one_entry() {
        for (preset, trace) in [
            (
                Preset::Python,
                "ERROR it broke\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\n\
                 KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n\
                 Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nValueError: b",
            ),
            (
                Preset::Java,
                "java.lang.IllegalStateException: a\n\tat A.b(A.java:1)\n\t... 3 more\nCaused by: java.io.IOException: c\n\tat D.e(D.java:2)",
            ),
            (
                Preset::Go,
                "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.run(...)\n\t/a/main.go:7\n\
                 main.main()\n\t/a/main.go:3 +0x1d\nexit status 2",
            ),
            (
                Preset::Node,
                "Error: ENOENT\n    at open (node:fs:1:2)\n    at main (a.js:3:4) {\n  errno: -2,\n  code: 'ENOENT'\n}",
            ),
            (
                Preset::Ruby,
                "a.rb:1:in `b': c (RuntimeError)\n\tfrom a.rb:3:in `d'\n\tfrom a.rb:5:in `<main>'",
            ),
            (
                Preset::MysqlSlow,
                "# Time: 2024-01-02T03:04:05Z\n# User@Host: a[a] @ b []\n# Query_time: 2\nSELECT 1;",
            ),
        ] {
            let next = if preset == Preset::MysqlSlow { "# User@Host: x[x] @ y []" } else { "INFO goes on" };
            let before =
                if preset == Preset::MysqlSlow { "# Time: 2024-01-01T03:04:05Z" } else { "INFO before" };
            let config = MultilineConfig { preset: Some(preset), ..MultilineConfig::default() };
            let found = entries(&config, &format!("{before}\n{trace}\n{next}\n"));
            assert_eq!(found, [before, trace, next], "{preset:?}");
        }
    }

    #[test]
    fn patterns_of_ones_own_join_lines() {
        let text = "2024 a\n b\nc\n2024 d\n";
        let start = MultilineConfig { start: Some(r"^\d{4}".to_owned()), ..MultilineConfig::default() };
        assert_eq!(entries(&start, text), ["2024 a\n b\nc", "2024 d"]);
        let continuation =
            MultilineConfig { continuation: Some("^ ".to_owned()), ..MultilineConfig::default() };
        assert_eq!(entries(&continuation, text), ["2024 a\n b", "c", "2024 d"]);
    }

    #[test]
    fn exactly_one_way_is_wanted() {
        let none = MultilineConfig::default();
        let two = MultilineConfig { preset: Some(Preset::Go), start: Some("a".to_owned()), ..none.clone() };
        let wrong = MultilineConfig { start: Some("(".to_owned()), ..none.clone() };
        for (config, part) in
            [(none, "exactly one of"), (two, "exactly one of"), (wrong, "m.start is no regular")]
        {
            assert!(config.compile("m").unwrap_err().contains(part));
        }
    }
}
