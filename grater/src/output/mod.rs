//! What brings messages to a back end. One file per back end; each output is driven by one thread of its own.

mod carbon;
mod error;
mod file;

use metlog_core::Message;
use serde::{Deserialize, Serialize};

pub use carbon::{Address, CarbonConfig, CarbonOutput};
pub use error::OutputError;
pub use file::{FileConfig, FileFormat, FileOutput, FileState};

/// A back end, as the thread that reads the spool for it sees it.
///
/// The caller keeps the state of each [`checkpoint`](Output::checkpoint) with its cursor, in one write. After a
/// restart it gives that state to [`restore`](Output::restore) and delivers again from that cursor on. It takes a
/// checkpoint before the first delivery too, so that there is a state to come back to.
pub trait Output: Send {
    /// Delivers messages in order.
    ///
    /// # Errors
    /// Nothing of this call counts as delivered: the caller tries all of it again later.
    fn deliver(&mut self, messages: &[Message]) -> Result<Delivered, OutputError>;

    /// Makes everything delivered so far as safe as the back end allows.
    ///
    /// # Errors
    /// What was delivered since the last checkpoint may be lost in a crash: the caller does not move its cursor, and
    /// tries again later.
    fn checkpoint(&mut self) -> Result<OutputState, OutputError>;

    /// Goes back to the state of the last checkpoint. A state of another kind of output changes nothing.
    ///
    /// # Errors
    /// The back end cannot be reached or refuses: the caller tries again before it delivers anything.
    fn restore(&mut self, state: &OutputState) -> Result<(), OutputError>;
}

/// What became of the messages of one call. Those it does not name were delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Messages that the back end will never take: position in the call, and why.
    pub dead: Vec<(usize, String)>,
}

/// What an output remembers over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputState {
    /// Nothing.
    #[default]
    Nothing,
    /// How far a file was written.
    File(FileState),
}

/// The part of an `[[output]]` that depends on its `type`. To be flattened into what all outputs share: each variant
/// refuses the keys that neither knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputKind {
    /// Lines in a file.
    File(FileConfig),
    /// Lines to Graphite's carbon over TCP.
    Carbon(CarbonConfig),
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("type = 'file'\npath = 'x'\npth = 'y'", "unknown field `pth`, expected `path` or `format`"),
            ("type = 'file'\npath = 'x'\naddress = 'a:1'", "unknown field `address`"),
            ("type = 'file'", "missing field `path`"),
            ("type = 'file'\npath = 'x'\nformat = 'xml'", "unknown variant `xml`, expected `json`"),
            (
                "type = 'carbon'\naddress = 'a:1'\npath = 'y'",
                "unknown field `path`, expected `address` or `timeout`",
            ),
            ("type = 'carbon'\naddress = 'a'", "address \"a\" is not host:port"),
            ("type = 'carbon'\naddress = 'a:1'\ntimeout = '5'", "timeout: \"5\" is no duration"),
            ("type = 'carbon'\naddress = 'a:1'\ntimeout = '0s'", "timeout: \"0s\" is no duration"),
            ("type = 'fil'", "unknown variant `fil`, expected `file` or `carbon`"),
            ("path = 'x'", "missing field `type`"),
        ] {
            let error =
                toml::from_str::<OutputConfig>(&format!("name = 'o'\n{text}")).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn states_survive_being_kept() {
        let file = OutputState::File(FileState { length: 7, device: 1, inode: 2 });
        for state in [OutputState::Nothing, file] {
            let kept = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<OutputState>(&kept).unwrap(), state, "{kept}");
        }
    }
}
