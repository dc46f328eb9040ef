//! Which output an `[[output]]` is, told by its `type`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    CarbonConfig, CarbonOutput, FileConfig, FileOutput, NagiosConfig, NagiosOutput, Output, OutputError,
    SentryConfig, SentryOutput, StatsdConfig, StatsdOutput, SyslogConfig, SyslogOutput,
};

/// The part of an `[[output]]` that depends on its `type`. To be flattened into what all outputs share: each variant
/// refuses the keys that neither knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputKind {
    /// Lines in a file.
    File(FileConfig),
    /// Roll-ups to Graphite's carbon.
    Carbon(CarbonConfig),
    /// Metrics to a statsd daemon.
    Statsd(StatsdConfig),
    /// Lines and CEF events to a syslog server.
    Syslog(Box<SyslogConfig>),
    /// Results of passive checks to Nagios.
    Nagios(NagiosConfig),
    /// Exceptions to Sentry.
    Sentry(SentryConfig),
}

impl OutputKind {
    /// The output. Touches no file and no socket: those are opened when first needed.
    ///
    /// # Errors
    /// What can be seen to be wrong without opening anything, such as a path that is a directory.
    pub fn build(&self) -> Result<Box<dyn Output>, OutputError> {
        Ok(match self {
            Self::File(config) => Box::new(FileOutput::new(config.clone())?),
            Self::Carbon(config) => Box::new(CarbonOutput::new(config.clone())),
            Self::Statsd(config) => Box::new(StatsdOutput::new(config.clone())),
            Self::Syslog(config) => Box::new(SyslogOutput::new((**config).clone())?),
            Self::Nagios(config) => Box::new(NagiosOutput::new(config.clone())?),
            Self::Sentry(config) => Box::new(SentryOutput::new(config.clone())?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::FileFormat;

    /// As the configuration has it: what all outputs share, and the rest flattened.
    #[derive(Debug, Deserialize)]
    struct OutputConfig {
        name: String,
        #[serde(flatten)]
        kind: OutputKind,
    }

    #[test]
    fn an_output_is_read_by_its_type() {
        let file: OutputConfig = toml::from_str("name = 'f'\ntype = 'file'\npath = '/tmp/x'").unwrap();
        assert_eq!(file.name, "f");
        let OutputKind::File(config) = file.kind else { panic!("no file") };
        assert_eq!((config.path.to_str(), config.format), (Some("/tmp/x"), FileFormat::Json));
        let carbon: OutputConfig =
            toml::from_str("name = 'c'\ntype = 'carbon'\naddress = 'localhost:2003'\ntimeout = '250ms'")
                .unwrap();
        let OutputKind::Carbon(config) = carbon.kind else { panic!("no carbon") };
        assert_eq!(config.address.as_str(), "localhost:2003");
        assert_eq!(config.timeout, std::time::Duration::from_millis(250));
    }

    #[test]
    fn what_is_unknown_or_missing_is_named() {
        for (text, said) in [
            ("type = 'file'\npath = 'x'\npth = 'y'", "unknown field `pth`, expected one of `path`, `format`"),
            ("type = 'file'\npath = 'x'\naddress = 'a:1'", "unknown field `address`"),
            ("type = 'file'", "missing field `path`"),
            ("type = 'file'\npath = 'x'\nformat = 'xml'", "unknown variant `xml`, expected `json`"),
            (
                "type = 'carbon'\naddress = 'a:1'\npath = 'y'",
                "unknown field `path`, expected one of `address`, `protocol`",
            ),
            ("type = 'carbon'\naddress = 'a'", "address \"a\" is not host:port"),
            ("type = 'carbon'\naddress = 'a:1'\ntimeout = '5'", "timeout: \"5\" is no duration"),
            ("type = 'carbon'\naddress = 'a:1'\ntimeout = '0s'", "timeout: \"0s\" is no duration"),
            ("type = 'fil'", "unknown variant `fil`, expected one of `file`"),
            ("path = 'x'", "missing field `type`"),
        ] {
            let error =
                toml::from_str::<OutputConfig>(&format!("name = 'o'\n{text}")).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
