//! Configuration files: TOML with `${VAR}`, sizes and durations with units, and errors that say what to write instead.

mod schema;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use metlog_core::config::expand;
pub use metlog_core::config::nearest;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

pub use schema::{Size, schema};

use crate::{
    curve::CurveServer,
    endpoint,
    spool::{Durability, SpoolOptions},
};

/// A configuration that cannot be used. The text names the file, the line and the key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Exit code of a bad configuration (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// Reads the file, or takes the defaults when there is none.
///
/// # Errors
/// When the file cannot be read, is no TOML, has an unknown key or a value out of range, or names a variable that is
/// not set.
pub fn load<T: DeserializeOwned>(file: Option<&Path>) -> Result<T, ConfigError> {
    let Some(path) = file else { return parse("", "defaults", |name| env::var(name).ok()) };
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError(format!("cannot read the configuration {name}: {source}")))?;
    parse(&text, &name, |variable| env::var(variable).ok())
}

/// Reads a configuration from text; `name` is how errors call it.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned>(
    text: &str,
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<T, ConfigError> {
    let expanded =
        expand(text, variable).map_err(|(line, why)| ConfigError(format!("{name}, line {line}: {why}")))?;
    toml::from_str(&expanded).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + expanded.get(..span.start).map_or(0, newlines));
        let hint = suggestion(error.message()).map(|known| format!("; did you mean `{known}`?"));
        let message = error.message().trim().replace('\n', " ");
        ConfigError(format!("{name}, line {line}: {message}{}", hint.unwrap_or_default()))
    })
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The known key nearest to the unknown one in serde's words "unknown field `x`, expected one of `a`, `b`".
fn suggestion(message: &str) -> Option<String> {
    let mut names = message.strip_prefix("unknown field")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    nearest(unknown, names)
}

/// Reads `"10s"`, `"1m 30s"`; for `#[serde(deserialize_with)]`.
///
/// # Errors
/// When it is no duration, or none at all.
pub fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    match humantime::parse_duration(&text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(D::Error::custom(format!(
            "{text:?} is no duration, expected for example \"10s\" or \"500ms\""
        ))),
    }
}

/// The section `[spool]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// The spool takes nothing more when it holds so much; 1 GiB by default.
    #[schemars(with = "Size")]
    pub max_bytes: ByteSize,
    /// A segment file is at most so large; 64 MiB by default.
    #[schemars(with = "Size")]
    pub segment_bytes: ByteSize,
    /// `sync` acknowledges what is on disk, `buffered` what the operating system has.
    pub durability: Durability,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        let options = SpoolOptions::default();
        Self {
            max_bytes: ByteSize::b(options.max_bytes),
            segment_bytes: ByteSize::b(options.segment_bytes),
            durability: options.durability,
        }
    }
}

impl SpoolConfig {
    /// As the spool takes it.
    #[must_use]
    pub fn options(&self) -> SpoolOptions {
        SpoolOptions {
            max_bytes: self.max_bytes.as_u64(),
            segment_bytes: self.segment_bytes.as_u64(),
            durability: self.durability,
        }
    }
}

/// A ZeroMQ input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sockets {
    /// `ipc://` paths and `tcp://` addresses on loopback to bind; none switches the input off.
    pub endpoints: Vec<String>,
}

impl Sockets {
    /// The setting of each, and where it is.
    pub fn listens(&self, section: &str) -> impl Iterator<Item = (String, String)> {
        listens(&self.endpoints, section)
    }

    /// Everything that is wrong with them, a line each; `section` is where they stand in the file.
    pub fn check(&self, section: &str) -> impl Iterator<Item = String> {
        let errors = self.endpoints.iter().filter_map(|endpoint| endpoint::check(endpoint, None).err());
        errors.map(move |error| format!("{section}.endpoints: {error}"))
    }
}

fn listens(endpoints: &[String], section: &str) -> impl Iterator<Item = (String, String)> {
    endpoints.iter().map(move |endpoint| (format!("{section}.endpoints"), endpoint.clone()))
}

/// The input of links.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkSockets {
    /// `ipc://` paths and `tcp://` addresses to bind; none switches the input off. An address that other hosts can reach needs
    /// `curve`.
    pub endpoints: Vec<String>,
    /// Encrypts what comes over `tcp://`, and says who may connect.
    pub curve: Option<CurveServer>,
}

impl LinkSockets {
    /// Links on these endpoints, of this host alone.
    #[must_use]
    pub fn plain(endpoints: Vec<String>) -> Self {
        Self { endpoints, curve: None }
    }

    /// The setting of each, and where it is.
    pub fn listens(&self, section: &str) -> impl Iterator<Item = (String, String)> {
        listens(&self.endpoints, section)
    }

    /// Everything that is wrong with them, a line each; `section` is where they stand in the file.
    #[must_use]
    pub fn check(&self, section: &str) -> Vec<String> {
        let curve = self.curve.as_ref();
        let errors = self.endpoints.iter().filter_map(|endpoint| endpoint::check(endpoint, curve).err());
        let errors = errors.map(|error| format!("{section}.endpoints: {error}"));
        let tcp = self.endpoints.iter().filter(|endpoint| endpoint.starts_with("tcp://")).count();
        errors
            .chain(curve.into_iter().flat_map(|curve| curve.check(&format!("{section}.curve"), tcp)))
            .collect()
    }
}

/// Where a daemon keeps its data when nobody says: `$METLOG_DATA_DIR/<daemon>`, else `metlog/<daemon>` under
/// `$XDG_STATE_HOME` or `~/.local/state`.
#[must_use]
pub fn default_data_dir(daemon: &str) -> PathBuf {
    let state = || {
        let home =
            || env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from).join(".local/state");
        env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from).join("metlog")
    };
    env::var_os("METLOG_DATA_DIR").map_or_else(state, PathBuf::from).join(daemon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        spool: SpoolConfig,
        #[serde(default)]
        endpoints: Vec<String>,
        #[serde(default = "ten", deserialize_with = "duration")]
        interval: Duration,
    }

    fn ten() -> Duration {
        Duration::from_secs(10)
    }

    fn read(text: &str) -> Result<Sample, ConfigError> {
        parse(text, "sample.toml", |name| (name == "PORT").then(|| "5566".to_owned()))
    }

    #[test]
    fn variables_are_expanded_outside_comments() {
        let sample =
            read("# ${NOT_SET}\nendpoints = [\"tcp://a:${PORT}\", \"${HOST:-b}#\"] # ${NOT_SET}\n").unwrap();
        assert_eq!(sample.endpoints, ["tcp://a:5566", "b#"]);
    }

    #[test]
    fn units_are_read() {
        let sample = read("interval = \"500ms\"\n[spool]\nmax_bytes = \"2 GiB\"\n").unwrap();
        assert_eq!((sample.interval, sample.spool.max_bytes.as_u64()), (Duration::from_millis(500), 2 << 30));
    }

    #[test]
    fn errors_name_the_file_the_line_the_key_and_the_way_out() {
        for (text, parts) in [
            ("\n\nendpoint = []\n", vec!["sample.toml, line 3", "`endpoint`", "did you mean `endpoints`?"]),
            ("[spool]\nmax_byte = \"1 GiB\"\n", vec!["line 2", "`max_byte`", "did you mean `max_bytes`?"]),
            ("interval = \"soon\"\n", vec!["line 1", "\"soon\"", "\"10s\""]),
            ("interval = \"0s\"\n", vec!["line 1", "\"0s\""]),
            ("a = \"${MISSING}\"\n", vec!["line 1", "MISSING is not set"]),
            ("a = \"${MISSING\n", vec!["line 1", "without `}`"]),
            ("endpoints = 7\n", vec!["line 1", "expected a sequence"]),
            ("a = [\n", vec!["sample.toml, line"]),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{text:?}: {error}");
        }
    }
}
