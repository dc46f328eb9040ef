//! Clients set up by files and the environment.
//!
//! What code says comes before the environment, and the environment before a file.

use std::{env, ffi::OsString, fs, path::Path};

use super::{environment, found::Found, ini, raw::Raw, toml, values::Config};
use crate::{
    client::{Client, ClientBuilder},
    error::{Error, ErrorKind},
    stats::complain,
};

/// What code says by key: what a language's face takes as keywords.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// How errors call the code.
    pub place: String,
    /// Keys as an INI file has them, with their values.
    pub settings: Vec<(String, Raw)>,
}

/// What a file says, before anything else is looked at.
#[derive(Debug, Clone, Copy)]
pub enum File<'a> {
    /// TOML, and how errors call it.
    Toml(&'a str, &'a str),
    /// INI, and the section that configures the client.
    Ini(&'a str, &'a str),
}

impl Config {
    /// The defaults with what `METLOG_*` variables say over them.
    ///
    /// # Errors
    /// `Config`, naming every variable that cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        Self::told(Given::default(), None)
    }

    /// What a TOML text says, with the environment over it.
    ///
    /// # Errors
    /// `Config`, naming the line and the key of everything that cannot be used.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Self::told(Given::default(), Some(File::Toml(text, "")))
    }

    /// What a TOML file says, with the environment over it.
    ///
    /// # Errors
    /// `Config`, naming the file, the line and the key of everything that cannot be used; `Io` when the file cannot be
    /// read.
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_code(Given::default(), Some(path.as_ref()))
    }

    /// What code says by key, over the environment, over a TOML file if there is one.
    ///
    /// # Errors
    /// As [`Config::from_toml_file`], naming the key of everything that code cannot say.
    pub fn from_code(given: Given, file: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = file else { return Self::told(given, None) };
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot read the configuration {name}: {source}"))
                .with_source(source)
        })?;
        Self::told(given, Some(File::Toml(&text, &name)))
    }

    /// What the section `section` of an INI text and its filters say, with the environment over it: the configuration
    /// files of the original metlog-py. Plugins and `global_` keys, which are Python's, are left alone.
    ///
    /// # Errors
    /// `Config`, naming the section and the key of everything that cannot be used.
    pub fn from_ini(text: &str, section: &str) -> Result<Self, Error> {
        Self::told(Given::default(), Some(File::Ini(text, section)))
    }

    /// With the environment of this process, and what is odd about it said on stderr.
    fn told(given: Given, file: Option<File<'_>>) -> Result<Self, Error> {
        // What is no text is one that no setting takes: its bytes are shown as replacement characters.
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let variables = env::vars_os().map(|(name, value)| (text(name), text(value)));
        let (config, warnings) = Self::read_given(given, file, variables)?;
        if !warnings.is_empty() {
            complain("config", &warnings.join("; "));
        }
        Ok(config)
    }

    /// What a file says, with what `variables` say over it, and what is odd about those.
    ///
    /// # Errors
    /// `Config`, naming the place and the key of everything that cannot be used, a line each.
    pub fn read(
        file: Option<File<'_>>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<String>), Error> {
        Self::read_given(Given::default(), file, variables)
    }

    fn read_given(
        given: Given,
        file: Option<File<'_>>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<String>), Error> {
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        let variable =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let file = match file {
            None => Found::default(),
            Some(File::Toml(text, name)) => toml::read(text, name, variable),
            Some(File::Ini(text, section)) => ini::read(text, section, variable),
        };
        let environment = environment::read(variables.iter().cloned());
        let mut code = Found::default();
        for (key, raw) in given.settings {
            code.add(&given.place, &key, raw, str::to_owned);
        }
        let mut config = Self::default();
        let mut problems = file.apply(&mut config);
        problems.extend(environment.apply(&mut config));
        problems.extend(code.apply(&mut config));
        // What is missing may only have been refused above.
        if problems.is_empty() {
            problems = config.sender.problems();
        }
        if problems.is_empty() {
            Ok((config, environment.warnings))
        } else {
            Err(Error::config(problems.join("\n")))
        }
    }
}

/// Each is the configuration of the same name with nothing from code over it.
impl Client {
    /// A client set up by `METLOG_*` variables.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_env() -> Result<Self, Error> {
        Config::from_env().map(Self::from_config)
    }

    /// A client set up by a TOML text, and by `METLOG_*` variables before it.
    ///
    /// # Errors
    /// As [`Config::from_toml`].
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Config::from_toml(text).map(Self::from_config)
    }

    /// A client set up by a TOML file, and by `METLOG_*` variables before it.
    ///
    /// # Errors
    /// As [`Config::from_toml_file`].
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Config::from_toml_file(path).map(Self::from_config)
    }

    /// A client set up by a section of an INI text, and by `METLOG_*` variables before it.
    ///
    /// # Errors
    /// As [`Config::from_ini`].
    pub fn from_ini(text: &str, section: &str) -> Result<Self, Error> {
        Config::from_ini(text, section).map(Self::from_config)
    }

    fn from_config(config: Config) -> Self {
        Self::builder().configured(config).build()
    }
}

impl ClientBuilder {
    /// Sets what code has not set, whether before or after this call. Filters of both count. Of two configurations the
    /// first counts.
    pub fn configured(self, config: Config) -> Self {
        let Config { logger, severity, disabled_timers, filters, sender, settings } = config;
        let mut builder = self;
        builder.logger.get_or_insert(logger);
        builder.severity.get_or_insert(severity);
        builder.disabled_timers.get_or_insert(disabled_timers);
        builder.settings.get_or_insert(settings);
        builder.target = builder.target.or_else(|| sender.target());
        filters.into_iter().fold(builder, |builder, rule| rule.add_to(builder))
    }

    /// Sets what code has not set by `METLOG_*` variables.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn settings_from_env(self) -> Result<Self, Error> {
        Ok(self.configured(Config::from_env()?))
    }
}
