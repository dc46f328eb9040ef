//! The settings of the file output.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use metlog_pipeline::config::{Size, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

/// An `[[output]]` of `type = "file"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file, mode 0640. It and the directories above it are created when they are missing. `%Y`, `%m`, `%d`, `%H`, `%M`,
    /// `%j` and their like stand for the time of writing (UTC), `%Type%`, `%Hostname%`, `%field.name%` for what the
    /// message says, in which everything but letters, digits, `.`, `-` and `_` becomes `_`.
    pub path: PathBuf,
    /// How a message is written: `json` by default.
    #[serde(default)]
    pub format: FileFormat,
    /// The line of the format `text`, with `%Field%`: `%Payload%` by default.
    pub template: Option<String>,
    /// A file that has grown beyond this is renamed to `<name>.<time>` and begun anew; never when left out.
    #[schemars(with = "Option<Size>")]
    pub rotate_bytes: Option<ByteSize>,
    /// A file is renamed so often, at multiples of this since the epoch; never when left out.
    #[serde(default, deserialize_with = "rotate_every")]
    #[schemars(with = "Option<Duration>")]
    pub rotate_every: Option<Duration>,
    /// How a file is compressed once nothing is written to it any more: not at all by default.
    #[serde(default)]
    pub compress: Compression,
    /// How many renamed files are kept of each; all when left out.
    pub keep_files: Option<usize>,
    /// Files that are open at once, at most, where the path depends on the message; 64 by default.
    #[serde(default = "default_open")]
    pub max_open_files: usize,
    /// Files that messages can name between two starts; 1,000 by default. Beyond, messages are dead letters.
    #[serde(default = "default_files")]
    pub max_files: usize,
}

impl FileConfig {
    /// JSON lines in one file.
    #[must_use]
    pub fn json(path: PathBuf) -> Self {
        Self {
            path,
            format: FileFormat::Json,
            template: None,
            rotate_bytes: None,
            rotate_every: None,
            compress: Compression::None,
            keep_files: None,
            max_open_files: default_open(),
            max_files: default_files(),
        }
    }
}

fn default_open() -> usize {
    64
}

fn default_files() -> usize {
    1_000
}

fn rotate_every<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some).map_err(|error| D::Error::custom(format!("rotate_every: {error}")))
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// One line of JSON with the nine keys of the envelope.
    #[default]
    Json,
    /// A line made by the template; further lines of one message begin with a tab.
    Text,
}

/// How closed files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// They stay as they are.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}
