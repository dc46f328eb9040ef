//! Which files are one stream, and in which order they are read: by age, or as their names say.

use std::{cmp::Ordering, path::Path, time::SystemTime};

use regex::Regex;

use super::config::FilesConfig;
use crate::formatter::Labels;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A compiled order.
#[derive(Debug)]
pub struct Order {
    pattern: Option<Regex>,
    priority: Vec<(String, bool)>,
    differentiator: Vec<String>,
}

/// Where a file belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The stream it is part of.
    pub stream: String,
    /// Its rank in it.
    pub rank: Rank,
    /// What its path says.
    pub labels: Labels,
    /// True when the stream's name is the logger.
    pub is_named: bool,
}

/// What orders the files of a stream: the oldest is the least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    values: Vec<Value>,
    modified: SystemTime,
}

/// The value of a group. What is missing is newer than anything.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(i64),
    Text(String),
    Missing,
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Missing, Self::Missing) => Ordering::Equal,
            (Self::Number(_), _) | (Self::Text(_), Self::Missing) => Ordering::Less,
            (_, Self::Number(_)) | (Self::Missing, Self::Text(_)) => Ordering::Greater,
        }
    }
}

impl Order {
    /// The order that an input's configuration asks for; `section` is how errors call it.
    ///
    /// # Errors
    /// When the pattern is none, or a group of `priority` is not in it.
    pub fn compile(config: &FilesConfig, section: &str) -> Result<Self, String> {
        let pattern = config.pattern.as_deref().map(Regex::new).transpose().map_err(|error| {
            let why = error.to_string();
            format!("{section}.match is no regular expression: {}", why.lines().last().unwrap_or_default())
        })?;
        let priority: Vec<_> = config
            .priority
            .iter()
            .map(|group| {
                group.strip_prefix('^').map_or((group.clone(), false), |group| (group.to_owned(), true))
            })
            .collect();
        let is_known = |name: &str| {
            pattern
                .as_ref()
                .is_some_and(|pattern| pattern.capture_names().flatten().any(|known| known == name))
        };
        if let Some((name, _)) = priority.iter().find(|(name, _)| !is_known(name)) {
            return Err(format!("{section}.priority names {name:?}, which is no group of {section}.match"));
        }
        Ok(Self { pattern, priority, differentiator: config.differentiator.clone() })
    }

    /// Where the file belongs; `None` when it does not match.
    pub fn place(&self, path: &Path, modified: SystemTime) -> Option<Place> {
        let text = path.to_string_lossy();
        let mut labels = Labels::new();
        if let Some(pattern) = &self.pattern {
            let found = pattern.captures(&text)?;
            let groups = pattern.capture_names().flatten();
            labels.extend(
                groups.filter_map(|name| Some((name.to_owned(), found.name(name)?.as_str().to_owned()))),
            );
        }
        let values = self.priority.iter().map(|(name, is_reversed)| value(labels.get(name), *is_reversed));
        let rank = Rank { values: values.collect(), modified };
        let is_named = !self.differentiator.is_empty();
        let stream = if is_named {
            let part = |part: &String| labels.get(part).unwrap_or(part).clone();
            self.differentiator.iter().map(part).collect()
        } else {
            stem(path)
        };
        Some(Place { stream, rank, labels, is_named })
    }
}

fn value(text: Option<&String>, is_reversed: bool) -> Value {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Value::Missing };
    let month = || {
        let short = text.get(..3)?.to_ascii_lowercase();
        MONTHS.iter().zip(1..).find(|(name, _)| **name == short).map(|(_, number)| number)
    };
    match text.parse().ok().or_else(month) {
        Some(number) if is_reversed => Value::Number(-number),
        Some(number) => Value::Number(number),
        None => Value::Text(text.clone()),
    }
}

/// What the names of a log and of its rotated files have in common: folder and name, up to the first dot, or the dash or
/// underscore before a number.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bytes = name.as_bytes();
    let is_end = |at: usize| match bytes.get(at) {
        Some(b'.') => at > 0,
        Some(b'-' | b'_') => bytes.get(at + 1).is_some_and(u8::is_ascii_digit),
        _ => false,
    };
    let end = (0..bytes.len()).find(|at| is_end(*at)).unwrap_or(bytes.len());
    name.get(..end).unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn compile(text: &str) -> Result<Order, String> {
        let config = metlog_pipeline::config::parse(&format!("paths = []\n{text}"), "test.toml", |_| None);
        Order::compile(&config.unwrap(), "i")
    }

    #[test]
    fn a_log_and_its_rotated_files_share_a_stem_and_others_do_not() {
        for (name, expected) in [
            ("app.log", "app"),
            ("app.log.1", "app"),
            ("app.log.2.gz", "app"),
            ("app-20240101.log", "app"),
            ("app.2024-01-01.log", "app"),
            ("access_log", "access_log"),
            ("access_log-20240101.zst", "access_log"),
            ("web1.log", "web1"),
            ("web10.log", "web10"),
            (".hidden.log", ".hidden"),
            ("syslog", "syslog"),
        ] {
            assert_eq!(stem(&PathBuf::from("/var/log").join(name)), expected, "{name}");
        }
    }

    #[test]
    fn files_are_ordered_as_their_names_say() {
        let order = compile(
            r#"
            match = '/(?<app>[a-z]+)-(?<year>\d{4})(?<month>[A-Z][a-z]+)\.log(\.(?<seq>\d+))?$'
            priority = ["year", "month", "^seq"]
            differentiator = ["app", ".log"]
            "#,
        )
        .unwrap();
        let names = [
            "/a-2023Dec.log",
            "/a-2024February.log.2",
            "/a-2024February.log.1",
            "/a-2024February.log",
            "/a-2024Mar.log",
        ];
        let places: Vec<Place> =
            names.iter().map(|name| order.place(Path::new(name), SystemTime::UNIX_EPOCH).unwrap()).collect();
        assert!(places.is_sorted_by_key(|place| place.rank.clone()), "{places:?}");
        assert!(places.iter().all(|place| place.stream == "a.log" && place.is_named));
        assert!(order.place(Path::new("/other"), SystemTime::UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_priority_must_be_a_group() {
        let error = compile("priority = [\"^seq\"]").unwrap_err();
        assert!(error.contains("i.priority names \"seq\""), "{error}");
    }
}
