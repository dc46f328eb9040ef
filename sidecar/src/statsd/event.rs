//! Events and service checks of dogstatsd, which are no metrics: they become messages.
//!
//! ```text
//! _e{<bytes of title>,<bytes of text>}:<title>|<text>|d:<seconds>|h:<host>|k:<key>|p:<priority>|s:<source>|t:<alert>|#<tags>
//! _sc|<name>|<status 0..3>|d:<seconds>|h:<host>|#<tags>|m:<text>
//! ```

use metlog_core::{Fields, Severity, Timestamp, Value};

use super::Malformed;

/// What both may carry behind their own parts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Meta<'a> {
    /// When it happened, in seconds since the epoch.
    pub seconds: Option<i64>,
    /// The host it is about.
    pub hostname: Option<&'a str>,
    /// What follows `|#`: `env:prod,canary`.
    pub tags: Option<&'a str>,
    /// The container of the sender, `c:<id>`.
    pub container: Option<&'a str>,
    aggregation_key: Option<&'a str>,
    priority: Option<&'a str>,
    source: Option<&'a str>,
    alert: Option<&'a str>,
    text: Option<&'a str>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event<'a> {
    /// Its headline.
    pub title: &'a str,
    /// Its text, in which a newline is written `\n`.
    pub text: &'a str,
    /// The rest.
    pub meta: Meta<'a>,
}

/// How a service fares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check<'a> {
    /// The service.
    pub name: &'a str,
    /// 0 good, 1 warning, 2 critical, 3 unknown.
    pub status: u8,
    /// The rest.
    pub meta: Meta<'a>,
}

/// Reads an event behind its `_e{`.
pub(super) fn event(text: &str) -> Result<Event<'_>, Malformed> {
    let read = || {
        let (lengths, rest) = text.split_once("}:")?;
        let (title, body) = lengths.split_once(',')?;
        let (title, body) = (title.parse::<usize>().ok()?, body.parse::<usize>().ok()?);
        let (title, rest) = rest.split_at_checked(title)?;
        let (text, rest) = rest.strip_prefix('|')?.split_at_checked(body)?;
        let is_whole = rest.is_empty() || rest.starts_with('|');
        (is_whole && !title.is_empty()).then(|| Event { title, text, meta: Meta::read(rest) })
    };
    read().ok_or(Malformed::BadEvent)
}

/// Reads a service check behind its `_sc|`.
pub(super) fn check(text: &str) -> Result<Check<'_>, Malformed> {
    let (name, rest) = text.split_once('|').ok_or(Malformed::BadCheck)?;
    let (status, rest) = rest.split_once('|').map_or((rest, ""), |(status, rest)| (status, rest));
    let status = match status {
        "0" => 0,
        "1" => 1,
        "2" => 2,
        "3" => 3,
        _ => return Err(Malformed::BadCheck),
    };
    if name.is_empty() {
        return Err(Malformed::BadCheck);
    }
    Ok(Check { name, status, meta: Meta::read(rest) })
}

impl<'a> Meta<'a> {
    /// Reads what follows, each part behind a bar. A part that is not known, or no number where one belongs, is left out.
    fn read(mut rest: &'a str) -> Self {
        let mut meta = Self::default();
        while !rest.is_empty() {
            // A check's text is its last part and may have bars of its own.
            if let Some(text) = rest.strip_prefix("m:") {
                meta.text = Some(text);
                break;
            }
            let (part, after) = rest.split_once('|').unwrap_or((rest, ""));
            meta.take(part);
            rest = after;
        }
        meta
    }

    fn take(&mut self, part: &'a str) {
        if let Some(tags) = part.strip_prefix('#') {
            self.tags = Some(tags);
            return;
        }
        let Some((key, value)) = part.split_once(':') else { return };
        match key {
            "d" => self.seconds = value.parse().ok(),
            "h" => self.hostname = Some(value),
            "c" => self.container = Some(value),
            "k" => self.aggregation_key = Some(value),
            "p" => self.priority = Some(value),
            "s" => self.source = Some(value),
            "t" => self.alert = Some(value),
            _ => {}
        }
    }

    /// When it happened; `now` when it does not say.
    #[must_use]
    pub fn timestamp(&self, now: Timestamp) -> Timestamp {
        let nanos = self.seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000));
        nanos.map_or(now, Timestamp::from_nanos)
    }

    /// Adds what was said to the fields.
    fn add_to(&self, fields: &mut Fields) {
        for (key, value) in [
            ("aggregation_key", self.aggregation_key),
            ("priority", self.priority),
            ("source", self.source),
            ("alert_type", self.alert),
            ("container", self.container),
        ] {
            if let Some(value) = value {
                fields.insert(key, value);
            }
        }
        if let Some(tags) = self.tags.filter(|tags| !tags.is_empty()) {
            fields.insert("tags", Value::List(tags.split(',').map(Value::from).collect()));
        }
    }
}

impl Event<'_> {
    /// Its text with real newlines, for the payload.
    #[must_use]
    pub fn payload(&self) -> String {
        self.text.replace("\\n", "\n")
    }

    /// What it says beside its text.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.insert("title", self.title);
        self.meta.add_to(&mut fields);
        fields
    }

    /// From its kind of alert.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.meta.alert {
            Some("error") => Severity::ERROR,
            Some("warning") => Severity::WARNING,
            _ => Severity::INFORMATIONAL,
        }
    }
}

impl Check<'_> {
    /// Its text, for the payload; empty when it has none.
    #[must_use]
    pub fn payload(&self) -> String {
        self.meta.text.unwrap_or_default().replace("\\n", "\n")
    }

    /// What it says beside its text.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.insert("name", self.name);
        fields.insert("status", i64::from(self.status));
        self.meta.add_to(&mut fields);
        fields
    }

    /// From its status, as Nagios ranks them.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.status {
            0 => Severity::INFORMATIONAL,
            1 => Severity::WARNING,
            2 => Severity::CRITICAL,
            _ => Severity::NOTICE,
        }
    }
}
