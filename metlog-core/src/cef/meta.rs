//! How a syslog is to take the lines: options, facility, identity and priority, checked once.

use crate::{
    error::Error,
    value::{Fields, Value},
};

const OPTIONS: [&str; 5] = ["PID", "CONS", "NDELAY", "NOWAIT", "LOG_PERROR"];

const FACILITIES: [&str; 17] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "LPR", "NEWS", "UUCP", "CRON", "LOCAL0", "LOCAL1", "LOCAL2",
    "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
];

const PRIORITIES: [&str; 8] = ["EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// What `cef` messages carry in the field `cef_meta`; what is unset there is null, and the output decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CefMeta {
    options: Option<String>,
    facility: Option<&'static str>,
    ident: Option<String>,
    priority: Option<&'static str>,
}

impl CefMeta {
    /// Checks the four settings: `options` is a list with commas of `PID`, `CONS`, `NDELAY`, `NOWAIT` and `PERROR`
    /// (or `LOG_PERROR`), `facility` `KERN` to `LOCAL7`, `priority` `EMERG` to `DEBUG`, `ident` any text.
    ///
    /// # Errors
    /// `Config`, naming the setting and the names it may have.
    pub fn new(
        options: Option<&str>,
        facility: Option<&str>,
        ident: Option<&str>,
        priority: Option<&str>,
    ) -> Result<Self, Error> {
        Ok(Self {
            options: options.map(options_of).transpose()?,
            facility: facility.map(|name| known("syslog_facility", name, &FACILITIES)).transpose()?,
            ident: ident.map(ToOwned::to_owned),
            priority: priority.map(|name| known("syslog_priority", name, &PRIORITIES)).transpose()?,
        })
    }

    /// The value of the field `cef_meta`.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
        [
            ("syslog_options", text(self.options.as_deref())),
            ("syslog_facility", text(self.facility)),
            ("syslog_ident", text(self.ident.as_deref())),
            ("syslog_priority", text(self.priority)),
        ]
        .into_iter()
        .collect()
    }
}

fn options_of(list: &str) -> Result<String, Error> {
    let option = |name: &str| match name.trim() {
        "PERROR" => Ok("LOG_PERROR"),
        name => known("syslog_options", name, &OPTIONS),
    };
    Ok(list.split(',').map(option).collect::<Result<Vec<_>, Error>>()?.join(","))
}

fn known(setting: &str, name: &str, names: &[&'static str]) -> Result<&'static str, Error> {
    names
        .iter()
        .find(|known| **known == name)
        .copied()
        .ok_or_else(|| Error::config(format!("{setting} has {name:?}, expected one of {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(meta: &CefMeta) -> String {
        serde_json::to_string(&meta.fields()).unwrap()
    }

    #[test]
    fn what_is_unset_is_null() {
        assert_eq!(
            shown(&CefMeta::default()),
            r#"{"syslog_options":null,"syslog_facility":null,"syslog_ident":null,"syslog_priority":null}"#
        );
    }

    #[test]
    fn spaces_and_both_names_of_perror_are_fine() {
        for options in ["PID, CONS,LOG_PERROR", "PID,CONS, PERROR"] {
            let meta = CefMeta::new(Some(options), Some("LOCAL7"), Some("my app"), Some("EMERG")).unwrap();
            assert_eq!(
                shown(&meta),
                r#"{"syslog_options":"PID,CONS,LOG_PERROR","syslog_facility":"LOCAL7","syslog_ident":"my app","syslog_priority":"EMERG"}"#
            );
        }
    }

    #[test]
    fn every_wrong_value_names_its_setting() {
        let cases = [
            (Some("PID;CONS"), None, None, "syslog_options has \"PID;CONS\""),
            (Some(""), None, None, "syslog_options has \"\""),
            (None, Some("LOCAL8"), None, "syslog_facility has \"LOCAL8\""),
            (None, Some("local0"), None, "syslog_facility has \"local0\""),
            (None, None, Some("ERROR"), "syslog_priority has \"ERROR\""),
        ];
        for (options, facility, priority, expected) in cases {
            let error = CefMeta::new(options, facility, None, priority).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
