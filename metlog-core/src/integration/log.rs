//! Records of the `log` crate as messages (feature `log`).
//!
//! | of the record | in the message |
//! |---|---|
//! | | `type` is `log`, or what [`Logger::kind`] says |
//! | level error, warn, info, debug, trace | `severity` 3, 4, 6, 7, 7 |
//! | the text | `payload`, cut at 64 KiB |
//! | target, module, file, line | fields `target`, `module`, `file`, `line` |
//! | key-values | fields of their names: integers, floats, booleans, text; an error is text with its sources; anything else is text as it prints. They win over the four above. |
//!
//! ```
//! use metlog_core::{Client, integration::log::Logger, sender};
//!
//! let (memory, captured) = sender::memory::channel();
//! let client = Client::builder().logger("bookmarks").sender(memory).build();
//! Logger::new(client.clone()).init()?;
//!
//! log::warn!(user = 25, path = "/1.1/bookmarks"; "no such bookmark");
//!
//! client.close(std::time::Duration::from_secs(2));
//! let message = &captured.messages()[0];
//! assert_eq!((message.kind.as_str(), message.severity.as_u8()), ("log", 4));
//! assert_eq!(message.fields.get("user"), Some(&25.into()));
//! # Ok::<(), log::SetLoggerError>(())
//! ```

use std::{fmt, time::Duration};

use ::log::{
    Level, LevelFilter, Log, Metadata, Record, SetLoggerError,
    kv::{self, Key, VisitSource, VisitValue},
};

use super::draft::{self, Draft};
use crate::{client::Client, config::EXIT_TIMEOUT, message::Severity, stats::Reason};

/// Sends what the application logs.
#[derive(Debug, Clone)]
pub struct Logger {
    client: Client,
    kind: String,
    flush_timeout: Duration,
}

impl Logger {
    /// A logger that sends with `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, kind: "log".to_owned(), flush_timeout: EXIT_TIMEOUT }
    }

    /// The `type` of the messages; `log` by default.
    #[must_use]
    pub fn kind(self, kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..self }
    }

    /// How long [`Log::flush`] waits at most; 2 s by default.
    #[must_use]
    pub fn flush_timeout(self, flush_timeout: Duration) -> Self {
        Self { flush_timeout, ..self }
    }

    /// Makes this the logger of the program, and lets the macros skip what the client's bound of severity refuses.
    ///
    /// # Errors
    /// When the program has a logger already; that one stays.
    pub fn init(self) -> Result<(), SetLoggerError> {
        let most = most_detailed(&self.client);
        ::log::set_boxed_logger(Box::new(self))?;
        ::log::set_max_level(most);
        Ok(())
    }

    fn write(&self, record: &Record<'_>, draft: &mut Draft) {
        draft.payload(*record.args());
        draft.field("target", record.target());
        record.module_path().into_iter().for_each(|module| draft.field("module", module));
        record.file().into_iter().for_each(|file| draft.field("file", file));
        record.line().into_iter().for_each(|line| draft.field("line", &line));
        let _ours_never_fails = record.key_values().visit(&mut Pairs(draft));
        draft.send(&self.client, &self.kind, severity(record.level()));
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.client.is_enabled(severity(metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return self.client.refuse(Reason::Filtered);
        }
        if let Err(reason) = draft::compose(|draft| self.write(record, draft)) {
            self.client.refuse(reason);
        }
    }

    /// Waits until what was logged before has left, at most [`Logger::flush_timeout`].
    fn flush(&self) {
        // A thread of the client would wait for itself.
        if !draft::is_own_thread() {
            self.client.flush(self.flush_timeout);
        }
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Error => Severity::ERROR,
        Level::Warn => Severity::WARNING,
        Level::Info => Severity::INFORMATIONAL,
        Level::Debug | Level::Trace => Severity::DEBUG,
    }
}

/// The last level that the client's bound of severity lets pass.
fn most_detailed(client: &Client) -> LevelFilter {
    let passing = Level::iter().filter(|level| client.is_enabled(severity(*level)));
    passing.last().map_or(LevelFilter::Off, |level| level.to_level_filter())
}

/// Adds key-values to a draft.
struct Pairs<'a>(&'a mut Draft);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        value.visit(Pair { name: key.as_str(), draft: self.0 })
    }
}

/// Adds one value to a draft.
struct Pair<'a> {
    name: &'a str,
    draft: &'a mut Draft,
}

impl Pair<'_> {
    fn text(&mut self, value: impl fmt::Display) {
        self.draft.text_field(self.name, format_args!("{value}"));
    }
}

/// Methods that take a value for what it is.
macro_rules! typed {
    ($($method:ident $type:ty),+ $(,)?) => {$(
        fn $method(&mut self, value: $type) -> Result<(), kv::Error> {
            self.draft.field(self.name, &value);
            Ok(())
        }
    )+};
}

impl<'v> VisitValue<'v> for Pair<'_> {
    typed! {
        visit_u64 u64,
        visit_i64 i64,
        visit_i128 i128,
        visit_f64 f64,
        visit_bool bool,
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
        self.draft.wide_field(self.name, value);
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.draft.field(self.name, &crate::Value::Null);
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.text(value);
        Ok(())
    }

    fn visit_error(&mut self, error: &(dyn std::error::Error + 'static)) -> Result<(), kv::Error> {
        self.draft.error_field(self.name, error);
        Ok(())
    }

    fn visit_borrowed_error(
        &mut self,
        error: &'v (dyn std::error::Error + 'static),
    ) -> Result<(), kv::Error> {
        self.visit_error(error)
    }

    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.text(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::SeverityMax;

    #[test]
    fn the_clients_bound_of_severity_is_one_of_levels() {
        let table = [
            (Severity::CRITICAL, LevelFilter::Off),
            (Severity::ERROR, LevelFilter::Error),
            (Severity::WARNING, LevelFilter::Warn),
            (Severity::NOTICE, LevelFilter::Warn),
            (Severity::INFORMATIONAL, LevelFilter::Info),
            (Severity::DEBUG, LevelFilter::Trace),
        ];
        for (bound, expected) in table {
            let client = Client::builder().filter(SeverityMax(bound)).build();
            assert_eq!(most_detailed(&client), expected, "{bound:?}");
        }
    }
}
