//! Settings of a client, and where it sends when nobody says.

use std::{env, path::Path, time::Duration};

use crate::error::Error;

/// How long the hooks at the end of a process wait for what is left.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The environment variable that names the sidecar's PULL endpoint.
pub const ENDPOINT_VARIABLE: &str = "METLOG_ENDPOINT";

/// The system-wide folder of the sidecar's sockets.
const RUN_FOLDER: &str = "/run/metlog";

/// Where a sidecar listens on every host, whatever folders it may write.
const TCP_ENDPOINT: &str = "tcp://127.0.0.1:5566";

/// Bounds of the hand-off and of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Encoded messages the hand-off holds before it refuses more; 4 MiB by default.
    pub queue_bytes: usize,
    /// A batch leaves when its body has this many bytes; 64 KiB by default.
    pub batch_bytes: usize,
    /// A batch leaves when it has this many messages; 512 by default.
    pub batch_messages: u64,
    /// A batch leaves when its first message has waited this long; 10 ms by default.
    pub batch_age: Duration,
    /// True sums `incr`, gauges and timers in the process and sends one message a name and interval instead of one a
    /// call; false by default, as the originals. Handles (`Client::counter`) sum in any case.
    pub aggregate: bool,
    /// How often sums leave; 10 s by default.
    pub aggregate_interval: Duration,
    /// Names that are summed one by one; 10,000 by default. Further ones share a series that says so.
    pub max_names: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_bytes: 4 * 1024 * 1024,
            batch_bytes: 64 * 1024,
            batch_messages: 512,
            batch_age: Duration::from_millis(10),
            aggregate: false,
            aggregate_interval: Duration::from_secs(10),
            max_names: 10_000,
        }
    }
}

impl Settings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    pub fn check(&self) -> Result<(), Error> {
        let settings = [
            ("queue_bytes", self.queue_bytes == 0),
            ("batch_bytes", self.batch_bytes == 0),
            ("batch_messages", self.batch_messages == 0),
            ("aggregate_interval", self.aggregate_interval.is_zero()),
        ];
        match settings.into_iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(Error::config(format!("{name} is 0, expected at least 1"))),
            None => Ok(()),
        }
    }
}

/// The endpoint of the sidecar's PULL socket: `METLOG_ENDPOINT`, else `push.sock` under `/run/metlog` or
/// `$XDG_RUNTIME_DIR/metlog`, whichever a sidecar has made, else `tcp://127.0.0.1:5566`.
#[must_use]
pub fn default_endpoint() -> String {
    endpoint_from(env::var(ENDPOINT_VARIABLE).ok(), env::var("XDG_RUNTIME_DIR").ok(), Path::exists)
}

fn endpoint_from(named: Option<String>, runtime: Option<String>, exists: impl Fn(&Path) -> bool) -> String {
    if let Some(named) = named.filter(|text| !text.is_empty()) {
        return named;
    }
    let folders = [Some(RUN_FOLDER.to_owned()), runtime.map(|folder| format!("{folder}/metlog"))];
    let mut sockets = folders.into_iter().flatten().map(|folder| format!("{folder}/push.sock"));
    sockets
        .find(|path| exists(Path::new(path)))
        .map_or_else(|| TCP_ENDPOINT.to_owned(), |path| format!("ipc://{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_named_or_found_or_tcp() {
        let runtime = || Some("/run/user/7".to_owned());
        assert_eq!(endpoint_from(Some("tcp://a:1".into()), runtime(), |_| true), "tcp://a:1");
        assert_eq!(endpoint_from(None, runtime(), |_| true), "ipc:///run/metlog/push.sock");
        let only_mine = |path: &Path| path.starts_with("/run/user");
        assert_eq!(endpoint_from(None, runtime(), only_mine), "ipc:///run/user/7/metlog/push.sock");
        assert_eq!(endpoint_from(Some(String::new()), None, |_| false), TCP_ENDPOINT);
    }

    #[test]
    fn a_setting_of_zero_is_named() {
        let settings = Settings { batch_bytes: 0, ..Settings::default() };
        assert_eq!(settings.check().unwrap_err().to_string(), "batch_bytes is 0, expected at least 1");
    }
}
