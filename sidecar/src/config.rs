//! The sidecar's configuration.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use metlog_pipeline::{
    admin::AdminConfig,
    config::{Sockets, SpoolConfig, default_data_dir, duration},
    link::sender::ForwardConfig,
    rollup::RollupOptions,
};
use serde::Deserialize;

/// All of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where spool, checkpoints and the admin socket lie.
    pub data_dir: PathBuf,
    /// What comes in.
    pub input: Inputs,
    /// What is summed.
    pub rollup: RollupConfig,
    /// Where the rest goes.
    pub forward: ForwardConfig,
    /// Bounds of the spool.
    pub spool: SpoolConfig,
    /// The pages for operators.
    pub admin: AdminConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir("sidecar"),
            input: Inputs::default(),
            rollup: RollupConfig::default(),
            forward: ForwardConfig { endpoints: vec!["tcp://127.0.0.1:5568".to_owned()] },
            spool: SpoolConfig::default(),
            admin: AdminConfig::default(),
        }
    }
}

/// The sections `[input.*]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inputs {
    /// ZeroMQ PULL: clients with `push` delivery.
    pub push: Sockets,
    /// ZeroMQ ROUTER: senders that want acknowledgement.
    pub link: Sockets,
    /// JSON datagrams of the original clients.
    pub json_udp: Datagrams,
    /// statsd datagrams.
    pub statsd_udp: Datagrams,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            push: Sockets { endpoints: local_endpoints("push.sock", 5566) },
            link: Sockets { endpoints: local_endpoints("link.sock", 5567) },
            json_udp: Datagrams { enabled: true, address: SocketAddr::from(([127, 0, 0, 1], 5565)) },
            statsd_udp: Datagrams { enabled: true, address: SocketAddr::from(([127, 0, 0, 1], 8125)) },
        }
    }
}

/// The folder where clients look for the sidecar's sockets.
const RUN_FOLDER: &str = "/run/metlog";

/// A unix socket where there is a folder for it, and a port on loopback.
fn local_endpoints(socket: &str, port: u16) -> Vec<String> {
    let run = Path::new(RUN_FOLDER);
    let runtime = || std::env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("metlog"));
    let folder = if run.is_dir() { Some(run.to_owned()) } else { runtime() };
    let ipc = folder.map(|folder| format!("ipc://{}", folder.join(socket).display()));
    ipc.into_iter().chain([format!("tcp://127.0.0.1:{port}")]).collect()
}

/// A UDP input.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datagrams {
    /// False switches the input off.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where to listen.
    pub address: SocketAddr,
}

fn yes() -> bool {
    true
}

/// How counter, timer and gauge messages are named in the roll-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// By name alone.
    None,
    /// `fields.logger` before the name, where there is one.
    Fields,
    /// `fields.logger`, else the message's logger, before the name.
    Envelope,
}

/// The section `[rollup]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollupConfig {
    /// How often roll-ups leave, aligned to the clock.
    #[serde(deserialize_with = "duration")]
    pub flush_interval: Duration,
    /// True keeps what was summed from travelling on one by one.
    pub consume: bool,
    /// How messages are named.
    pub namespace: Namespace,
    /// What is computed, and its bounds.
    pub options: RollupOptions,
}

impl Default for RollupConfig {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(10),
            consume: true,
            namespace: Namespace::Envelope,
            options: RollupOptions::default(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it, a line each.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let inputs = self.input.push.check("input.push").chain(self.input.link.check("input.link"));
        let forward = self.forward.endpoints.is_empty();
        let forward =
            forward.then(|| "forward.endpoints is empty, expected the grater's link endpoint".to_owned());
        let admin = self.admin.check().err().map(|error| error.to_string());
        inputs.chain(forward).chain(admin).collect()
    }
}
