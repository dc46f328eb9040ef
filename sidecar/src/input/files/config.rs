//! The sections `[input.files.<name>]`.

use std::{collections::BTreeMap, time::Duration};

use bytesize::ByteSize;
use metlog_pipeline::config::{Size, duration, nearest};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    lines::{Charset, Splitter},
    multiline::MultilineConfig,
    order::Order,
};
use crate::formatter::{Formatter, FormatterConfig};

/// A line may be at most this long: read, replaced and formatted it must still fit a message of 1 MiB.
const MOST_LINE_BYTES: u64 = 256 * 1024;

/// Where reading begins in files that are there when the input starts for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At their first line.
    #[default]
    Beginning,
    /// After their last one.
    End,
}

/// One input of log files.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Patterns of paths: `*`, `?`, `[abc]`, and `**` for any folders between. Those of rotated files are wanted as well.
    pub paths: Vec<String>,
    /// Patterns of paths to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Formatters by name, tried in this order; none keeps lines as they are.
    #[serde(default)]
    pub formatters: Vec<String>,
    /// The logger of lines that name none; the file's path by default.
    pub logger: Option<String>,
    /// Where reading begins in files that are there at the first start; those that come later are read from their beginning.
    #[serde(default)]
    pub start: Start,
    /// Files that were not written to for so long are left alone, unless they were being read; 30 days by default.
    #[serde(default = "month", deserialize_with = "duration")]
    pub oldest: Duration,
    /// A line, or lines that belong together, is at most so long: 64 KiB by default, 256 KiB at most. The rest is cut off.
    #[schemars(with = "Size")]
    #[serde(default = "line_bytes")]
    pub max_line_bytes: ByteSize,
    /// `utf-8` or `latin-1`.
    #[serde(default)]
    pub encoding: Charset,
    /// Which lines belong together.
    pub multiline: Option<MultilineConfig>,
    /// How often all files are looked at, beside what the system tells of changes: 10 s by default.
    #[serde(default = "ten_seconds", deserialize_with = "duration")]
    pub scan_interval: Duration,
    /// False looks each `scan_interval` and does not rely on the system: for network file systems.
    #[serde(default = "yes")]
    pub notify: bool,
    /// A regular expression with named groups that the path must match; its groups are `%File.<group>%` in texts.
    #[serde(rename = "match")]
    pub pattern: Option<String>,
    /// Groups of `match` by which the files of a stream are ordered, oldest first; with a `^` the largest value comes first,
    /// as the numbers of rotated files want it. Without it they are ordered by age.
    #[serde(default)]
    pub priority: Vec<String>,
    /// Groups of `match`, or texts, that together name a stream; the name is the logger of its lines.
    #[serde(default)]
    pub differentiator: Vec<String>,
}

fn month() -> Duration {
    Duration::from_secs(30 * 24 * 3_600)
}

fn line_bytes() -> ByteSize {
    ByteSize::kib(64)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn yes() -> bool {
    true
}

/// What an input is made of once its configuration is good.
#[derive(Debug)]
pub struct Compiled {
    /// Patterns of paths.
    pub paths: Vec<String>,
    /// Patterns to leave out.
    pub exclude: Vec<glob::Pattern>,
    /// Tried in order.
    pub formatters: Vec<Formatter>,
    /// What bounds records.
    pub splitter: Splitter,
    /// Which files are one stream.
    pub order: Order,
}

impl FilesConfig {
    /// Compiles it; `section` is how errors call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, a line each.
    pub fn compile(
        &self,
        section: &str,
        formatters: &BTreeMap<String, FormatterConfig>,
    ) -> Result<Compiled, Vec<String>> {
        let mut wrong = Vec::new();
        if self.paths.is_empty() {
            wrong.push(format!("{section}.paths is empty, expected for example [\"/var/log/app/*.log*\"]"));
        }
        for (key, patterns) in [("paths", &self.paths), ("exclude", &self.exclude)] {
            wrong.extend(patterns.iter().filter_map(|pattern| check_pattern(section, key, pattern)));
        }
        if !(1..=MOST_LINE_BYTES).contains(&self.max_line_bytes.as_u64()) {
            let found = self.max_line_bytes;
            wrong.push(format!(
                "{section}.max_line_bytes is {found}, expected at most {}",
                ByteSize::b(MOST_LINE_BYTES)
            ));
        }
        let joiner =
            self.multiline.as_ref().map(|multiline| multiline.compile(&format!("{section}.multiline")));
        let joiner = joiner.transpose().unwrap_or_else(|error| {
            wrong.push(error);
            None
        });
        let order = Order::compile(self, section).map_err(|error| wrong.push(error));
        let formatters = self.compile_formatters(section, formatters, &mut wrong);
        match order {
            Ok(order) if wrong.is_empty() => Ok(Compiled {
                paths: self.paths.clone(),
                exclude: self.exclude.iter().filter_map(|pattern| glob::Pattern::new(pattern).ok()).collect(),
                formatters,
                splitter: Splitter {
                    max_bytes: usize::try_from(self.max_line_bytes.as_u64()).unwrap_or(usize::MAX),
                    joiner,
                },
                order,
            }),
            _ => Err(wrong),
        }
    }

    /// Formatters that are wrong themselves are told where they stand.
    fn compile_formatters(
        &self,
        section: &str,
        known: &BTreeMap<String, FormatterConfig>,
        wrong: &mut Vec<String>,
    ) -> Vec<Formatter> {
        let mut formatters = Vec::new();
        for name in &self.formatters {
            match known.get(name) {
                Some(config) => formatters.extend(config.compile(&format!("formatter.{name}"))),
                None => {
                    let hint = nearest(name, known.keys().map(String::as_str));
                    let hint = hint.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default();
                    wrong.push(format!("{section}.formatters: there is no [formatter.{name}]{hint}"));
                }
            }
        }
        formatters
    }
}

fn check_pattern(section: &str, key: &str, pattern: &str) -> Option<String> {
    if key == "paths" && !pattern.starts_with('/') {
        return Some(format!("{section}.paths: {pattern:?} is no absolute path"));
    }
    let error = glob::Pattern::new(pattern).err()?;
    Some(format!("{section}.{key}: {pattern:?} is no pattern: {}", error.msg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<Compiled, String> {
        let formatters =
            BTreeMap::from([("web".to_owned(), FormatterConfig::new(crate::formatter::Format::Nginx))]);
        let config: FilesConfig =
            metlog_pipeline::config::parse(text, "test.toml", |_| None).map_err(|error| error.to_string())?;
        config.compile("input.files.a", &formatters).map_err(|wrong| wrong.join("\n"))
    }

    #[test]
    fn a_pattern_is_enough() {
        let compiled = compile("paths = [\"/var/log/*.log*\"]").unwrap();
        assert_eq!((compiled.formatters.len(), compiled.splitter.max_bytes), (0, 64 * 1024));
        assert_eq!(compile("paths = [\"/a\"]\nformatters = [\"web\"]").unwrap().formatters.len(), 1);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_and_named() {
        for (text, parts) in [
            (
                "paths = []\nformatters = [\"wab\"]",
                vec!["input.files.a.paths is empty", "no [formatter.wab]; did you mean \"web\"?"],
            ),
            ("paths = [\"a.log\", \"/a[\"]", vec!["\"a.log\" is no absolute path", "\"/a[\" is no pattern"]),
            (
                "paths = [\"/a\"]\nmax_line_bytes = \"1 MiB\"",
                vec!["input.files.a.max_line_bytes is 1.0 MiB, expected at most"],
            ),
            ("paths = [\"/a\"]\nmultiline = {}", vec!["input.files.a.multiline wants exactly one"]),
            ("paths = [\"/a\"]\nmatch = \"(\"", vec!["input.files.a.match is no regular expression"]),
            ("paths = [\"/a\"]\nformater = [\"web\"]", vec!["did you mean `formatters`?"]),
        ] {
            let wrong = compile(text).unwrap_err();
            assert!(parts.iter().all(|part| wrong.contains(part)), "{text}: {wrong}");
        }
    }
}
