//! What brings messages to a back end. One file per back end; each output is driven by one thread of its own.

mod carbon;
mod connection;
mod datagrams;
mod delivery;
mod error;
mod file;
mod frames;
mod http;
mod kind;
mod nagios;
mod net;
mod secret;
mod sentry;
mod statsd;
mod stream;
mod syslog;
mod tls;
mod way;

use serde::{Deserialize, Serialize};

pub use carbon::{CarbonConfig, CarbonOutput, CarbonProtocol};
pub use delivery::{Delivered, Halted, Item};
pub use error::OutputError;
pub use file::{Compression, FileConfig, FileFormat, FileOutput, FileState, Kept};
pub use kind::OutputKind;
pub use nagios::{NagiosConfig, NagiosOutput};
pub use net::Address;
pub use secret::{Secret, SecretError};
pub use sentry::{SentryConfig, SentryOutput};
pub use statsd::{Namespace, StatsdConfig, StatsdOutput, StatsdProtocol};
pub use syslog::{CefHeader, Facility, Framing, SyslogConfig, SyslogFormat, SyslogOutput, SyslogProtocol};
pub use tls::TlsConfig;

/// A back end, as the thread that reads the spool for it sees it.
///
/// The caller keeps the state of each [`checkpoint`](Output::checkpoint) with its cursor, in one write. After a
/// restart it gives that state to [`restore`](Output::restore) and delivers again from that cursor on. It takes a
/// checkpoint before the first delivery too, so that there is a state to come back to.
pub trait Output: Send {
    /// Delivers items in order.
    ///
    /// # Errors
    /// How many items are settled nevertheless, from the first on: the caller tries the others again later, or after a
    /// checkpoint when that is what the error asks for.
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted>;

    /// Makes everything delivered so far as safe as the back end allows.
    ///
    /// # Errors
    /// What was delivered since the last checkpoint may be lost in a crash: the caller does not move its cursor, and
    /// tries again later.
    fn checkpoint(&mut self) -> Result<OutputState, OutputError>;

    /// The state of the last checkpoint is saved: there is no way back before it any more.
    fn saved(&mut self) {}

    /// Goes back to the state of the last checkpoint. A state of another kind of output changes nothing.
    ///
    /// # Errors
    /// The back end cannot be reached or refuses: the caller tries again before it delivers anything.
    fn restore(&mut self, state: &OutputState) -> Result<(), OutputError>;

    /// Reaches the back end as a delivery would, credentials included, and says what it found. Writes nothing there,
    /// and takes no longer than the output's own timeouts.
    ///
    /// # Errors
    /// What a delivery would fail with: the name, port, credential or path that is wrong.
    fn probe(&self) -> Result<String, OutputError>;
}

/// What an output remembers over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputState {
    /// Nothing.
    #[default]
    Nothing,
    /// How far files were written.
    File(FileState),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_being_kept() {
        let kept = Kept { path: "/tmp/x".into(), length: 7, device: 1, inode: 2 };
        let file = OutputState::File(FileState { files: vec![kept], closed: vec!["/tmp/y".into()] });
        for state in [OutputState::Nothing, file] {
            let kept = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<OutputState>(&kept).unwrap(), state, "{kept}");
        }
    }
}
