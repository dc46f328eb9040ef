//! The sections `[formatter.<name>]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Formatter, Parse, apache,
    cef::Cef,
    json::Json,
    mysql::MysqlSlow,
    nginx,
    pairs::Pairs,
    pattern::Pattern,
    rules::{FieldType, Rules},
    severity::SeverityRule,
    syslog::Syslog,
    template::Template,
    test::FormatterTest,
    time::TimeFormat,
};

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `log_format` of nginx.
    Nginx,
    /// `LogFormat` of Apache's httpd.
    Apache,
    /// An object a line.
    Json,
    /// `a=1 b="two words"`.
    Logfmt,
    /// Pairs with separators of one's own.
    KeyValue,
    /// RFC 5424, RFC 3164, and files of rsyslog.
    Syslog,
    /// ArcSight's Common Event Format.
    Cef,
    /// The slow query log.
    MysqlSlow,
    /// A regular expression with named groups.
    Regex,
}

/// Which field says when it happened, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampRule {
    /// The field's name.
    pub field: String,
    /// `rfc3339`, `common_log`, `epoch`, `epoch_ms`, `epoch_us`, `epoch_ns`, or a pattern of strftime.
    #[serde(default = "auto")]
    pub format: String,
}

fn auto() -> String {
    "auto".to_owned()
}

/// One formatter.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatterConfig {
    /// What lines look like.
    pub format: Format,
    /// For `nginx` and `apache`: the server's own string, or the name of a usual one.
    pub log_format: Option<String>,
    /// For `regex`: the expression.
    pub pattern: Option<String>,
    /// For `key_value`: what stands between a name and its value; `=` by default.
    pub key_separator: Option<String>,
    /// For `key_value`: what stands between two pairs; a blank by default.
    pub pair_separator: Option<String>,
    /// The zone of times that name none: `UTC` (the default), `local`, or a name such as `Europe/Berlin`.
    #[serde(default)]
    pub zone: String,
    /// Which field is the timestamp.
    pub timestamp: Option<TimestampRule>,
    /// Which field is the severity.
    pub severity: Option<SeverityRule>,
    /// Types of fields.
    #[serde(default)]
    pub types: BTreeMap<String, FieldType>,
    /// The message's type, with `%Field%`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The message's logger, with `%Field%`.
    pub logger: Option<String>,
    /// The message's payload, with `%Field%`.
    pub payload: Option<String>,
    /// Lines and what is expected of them; `metlog-sidecar test` runs them.
    #[serde(default)]
    pub test: Vec<FormatterTest>,
}

impl FormatterConfig {
    /// A formatter with nothing but its format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            log_format: None,
            pattern: None,
            key_separator: None,
            pair_separator: None,
            zone: String::new(),
            timestamp: None,
            severity: None,
            types: BTreeMap::new(),
            kind: None,
            logger: None,
            payload: None,
            test: Vec::new(),
        }
    }

    /// Compiles it; `section` is how errors call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, a line each.
    pub fn compile(&self, section: &str) -> Result<Formatter, Vec<String>> {
        let mut wrong = self.misplaced(section);
        if let Some(severity) = &self.severity {
            wrong.extend(severity.check(&format!("{section}.severity")));
        }
        let mut keep = |key: &str, error: String| wrong.push(format!("{section}.{key}: {error}"));
        let rules = self.rules(&mut keep);
        match (self.parser(), wrong.is_empty()) {
            (Ok(format), true) => Ok(Formatter { format, rules }),
            (Ok(_), false) => Err(wrong),
            (Err((key, error)), _) => {
                wrong.push(format!("{section}.{key}: {error}"));
                Err(wrong)
            }
        }
    }

    /// Keys that another format has.
    fn misplaced(&self, section: &str) -> Vec<String> {
        let is_access = matches!(self.format, Format::Nginx | Format::Apache);
        let is_pairs = self.format == Format::KeyValue;
        let keys = [
            ("log_format", self.log_format.is_some(), is_access, "nginx and apache"),
            ("pattern", self.pattern.is_some(), self.format == Format::Regex, "regex"),
            ("key_separator", self.key_separator.is_some(), is_pairs, "key_value"),
            ("pair_separator", self.pair_separator.is_some(), is_pairs, "key_value"),
        ];
        let misplaced = keys.iter().filter(|(_, given, meant, _)| *given && !meant);
        misplaced.map(|(key, _, _, format)| format!("{section}.{key} is for format = {format}")).collect()
    }

    fn parser(&self) -> Result<Box<dyn Parse>, (&'static str, String)> {
        let zone = self.zone.as_str();
        let log_format = self.log_format.as_deref().unwrap_or("combined");
        Ok(match self.format {
            Format::Nginx => Box::new(nginx::compile(log_format).map_err(|error| ("log_format", error))?),
            Format::Apache => Box::new(apache::compile(log_format).map_err(|error| ("log_format", error))?),
            Format::Json => Box::new(Json),
            Format::Logfmt => Box::new(Pairs::logfmt()),
            Format::KeyValue => Box::new(self.pairs()?),
            Format::Syslog => Box::new(Syslog::new(zone).map_err(|error| ("zone", error))?),
            Format::Cef => Box::new(Cef),
            Format::MysqlSlow => Box::new(MysqlSlow::new(zone).map_err(|error| ("zone", error))?),
            Format::Regex => {
                let missing = || ("pattern", "is missing: format = \"regex\" needs one".to_owned());
                let pattern = self.pattern.as_deref().ok_or_else(missing)?;
                Box::new(Pattern::compile(pattern).map_err(|error| ("pattern", error))?)
            }
        })
    }

    fn pairs(&self) -> Result<Pairs, (&'static str, String)> {
        let separator = |key, given: &Option<String>, usual: &str| match given.as_deref() {
            Some("") => Err((key, "is empty, expected at least one character".to_owned())),
            given => Ok(given.unwrap_or(usual).to_owned()),
        };
        Ok(Pairs {
            key_separator: separator("key_separator", &self.key_separator, "=")?,
            pair_separator: separator("pair_separator", &self.pair_separator, " ")?,
        })
    }

    fn rules(&self, keep: &mut impl FnMut(&str, String)) -> Rules {
        let mut template = |key: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(Template::parse).transpose();
            parsed.unwrap_or_else(|error| {
                keep(key, error);
                None
            })
        };
        let (kind, logger) = (template("type", &self.kind), template("logger", &self.logger));
        let payload = template("payload", &self.payload);
        let (fields, format) = match &self.timestamp {
            Some(rule) => (vec![rule.field.clone()], rule.format.as_str()),
            None => (owned(self.usual_times()), "auto"),
        };
        let timestamp = match TimeFormat::parse(format, &self.zone) {
            Ok(format) => Some((fields, format)),
            Err(error) => {
                keep(if self.timestamp.is_some() { "timestamp" } else { "zone" }, error);
                None
            }
        };
        let severity = match &self.severity {
            Some(rule) => vec![rule.clone()],
            None => self.usual_severities(),
        };
        let types = self.types.iter().map(|(name, kind)| (name.clone(), *kind)).collect();
        let payload_fields = if self.is_structured() { vec!["message", "msg", "event"] } else { Vec::new() };
        Rules { timestamp, severity, payload_fields, types, kind, logger, payload }
    }

    /// True for formats whose fields have the names that logging libraries give them.
    fn is_structured(&self) -> bool {
        matches!(self.format, Format::Json | Format::Logfmt | Format::KeyValue)
    }

    fn usual_times(&self) -> &'static [&'static str] {
        if self.is_structured() { &["timestamp", "@timestamp", "time", "ts", "asctime"] } else { &[] }
    }

    fn usual_severities(&self) -> Vec<SeverityRule> {
        let names: &[&str] =
            if self.is_structured() { &["severity", "level", "levelname", "lvl", "log.level"] } else { &[] };
        let rule = |name: &&str| SeverityRule { field: (*name).to_owned(), ..SeverityRule::default() };
        names.iter().map(rule).collect()
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use metlog_core::Timestamp;

    use super::*;
    use crate::formatter::{Field, Origin};

    const ORIGIN: Origin<'_> = Origin { path: "/var/log/app.log", hostname: "web1", labels: None };

    fn config(text: &str) -> FormatterConfig {
        metlog_pipeline::config::parse(text, "test.toml", |_| None).unwrap()
    }

    #[test]
    fn json_lines_of_common_libraries_become_messages() {
        let formatter = FormatterConfig::new(Format::Json).compile("f").unwrap();
        for (line, severity, payload) in [
            (r#"{"level":"error","time":"2024-01-02T03:04:05Z","msg":"a","x":1}"#, 3, "a"),
            (r#"{"levelname":"WARNING","asctime":"2024-01-02 03:04:05,000","message":"b"}"#, 4, "b"),
            (r#"{"severity":"INFO","ts":1704164645,"event":"c"}"#, 6, "c"),
        ] {
            let parsed = formatter.format(line, Timestamp::now(), &ORIGIN).unwrap();
            assert_eq!(parsed.timestamp.unwrap().to_string(), "2024-01-02T03:04:05.000000Z", "{line}");
            assert_eq!(parsed.severity.unwrap().as_u8(), severity, "{line}");
            assert_eq!(parsed.payload.as_deref(), Some(payload));
        }
    }

    #[test]
    fn rules_make_of_fields_what_they_say() {
        let formatter = config(
            r#"
            format = "regex"
            pattern = '^(?<at>\S+ \S+) \[(?<how>\w+)\] (?<area>\w+) took (?<took>\S+): (?<text>.*)$'
            zone = "Europe/Berlin"
            type = "app.%area%"
            logger = "shop@%Hostname%"
            payload = "%text%"
            timestamp = { field = "at", format = "%d.%m.%Y %H:%M:%S" }
            severity = { field = "how", map = { BAD = 2 } }
            types = { took = "float" }
            "#,
        )
        .compile("f")
        .unwrap();
        let line = "02.01.2024 04:04:05 [BAD] orders took 1.5: it broke";
        let parsed = formatter.format(line, Timestamp::now(), &ORIGIN).unwrap();
        assert_eq!(parsed.timestamp.unwrap().to_string(), "2024-01-02T03:04:05.000000Z");
        assert_eq!(parsed.severity.unwrap().as_u8(), 2);
        let texts = [parsed.kind.as_deref(), parsed.logger.as_deref(), parsed.payload.as_deref()];
        assert_eq!(texts, [Some("app.orders"), Some("shop@web1"), Some("it broke")]);
        let left: Vec<&str> = parsed.fields.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(left, ["area", "took", "text"], "what became timestamp or severity is no field");
        assert_eq!(parsed.get("took"), Some(&Field::Float(1.5)));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_and_named() {
        for (text, parts) in [
            (
                "format = \"json\"\nlog_format = \"x\"\npattern = \"y\"",
                vec!["f.log_format is for", "f.pattern is for"],
            ),
            ("format = \"regex\"", vec!["f.pattern: is missing"]),
            ("format = \"regex\"\npattern = \"(\"", vec!["f.pattern: is no regular expression"]),
            ("format = \"nginx\"\nlog_format = \"$a$b\"", vec!["f.log_format: nothing separates"]),
            ("format = \"key_value\"\npair_separator = \"\"", vec!["f.pair_separator: is empty"]),
            ("format = \"syslog\"\nzone = \"Nowhere\"", vec!["f.zone: zone \"Nowhere\""]),
            ("format = \"json\"\ntype = \"50%\"\npayload = \"%\"", vec!["f.type:", "f.payload:"]),
            (
                "format = \"json\"\nseverity = { field = \"l\", map = { x = 9 } }",
                vec!["f.severity.map.x is 9"],
            ),
            (
                "format = \"json\"\ntimestamp = { field = \"t\", format = \"iso\" }",
                vec!["f.timestamp: \"iso\""],
            ),
        ] {
            let wrong = config(text).compile("f").unwrap_err().join("\n");
            assert!(parts.iter().all(|part| wrong.contains(part)), "{text}: {wrong}");
        }
    }
}
