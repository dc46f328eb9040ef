//! The sidecar's configuration.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use metlog_pipeline::{
    admin::AdminConfig,
    config::{LinkSockets, Sockets, SpoolConfig, default_data_dir, duration},
    link::ForwardConfig,
    rollup::RollupOptions,
    sockets::{tcp, udp, unix},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    filter::{self, FilterConfigs},
    formatter::FormatterConfig,
    input::{
        files::{FilesConfig, config::Compiled},
        statsd::{TcpConfig, UdpConfig, UnixConfig},
        sub::SubConfig,
    },
};

/// All of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where spool, checkpoints and the admin socket lie.
    pub data_dir: PathBuf,
    /// What comes in.
    pub input: Inputs,
    /// What lines of log files say, by name.
    pub formatter: BTreeMap<String, FormatterConfig>,
    /// What is forwarded, and what of it, by name.
    pub filter: FilterConfigs,
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
            formatter: BTreeMap::new(),
            filter: FilterConfigs::new(),
            rollup: RollupConfig::default(),
            forward: ForwardConfig::plain(vec!["tcp://127.0.0.1:5568".to_owned()]),
            spool: SpoolConfig::default(),
            admin: AdminConfig::default(),
        }
    }
}

/// The sections `[input.*]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inputs {
    /// ZeroMQ PULL: clients with `push` delivery.
    pub push: Sockets,
    /// ZeroMQ ROUTER: senders that want acknowledgement.
    pub link: LinkSockets,
    /// JSON datagrams of the original clients.
    pub json_udp: Datagrams,
    /// ZeroMQ SUB: the original clients that publish; off unless the section is there.
    pub sub: Option<SubConfig>,
    /// statsd datagrams.
    pub statsd_udp: UdpConfig,
    /// statsd lines over TCP; off unless the section is there.
    pub statsd_tcp: Option<TcpConfig>,
    /// statsd datagrams to a unix socket; off unless the section is there.
    pub statsd_unix: Option<UnixConfig>,
    /// statsd over a unix stream socket; off unless the section is there.
    pub statsd_stream: Option<UnixConfig>,
    /// Log files, by name.
    pub files: BTreeMap<String, FilesConfig>,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            push: Sockets { endpoints: local_endpoints("push.sock", 5566) },
            link: LinkSockets::plain(local_endpoints("link.sock", 5567)),
            json_udp: Datagrams { enabled: true, address: SocketAddr::from(([127, 0, 0, 1], 5565)) },
            sub: None,
            statsd_udp: UdpConfig::default(),
            statsd_tcp: None,
            statsd_unix: None,
            statsd_stream: None,
            files: BTreeMap::new(),
        }
    }
}

impl Inputs {
    /// The setting of each input that listens, and where.
    pub(crate) fn listens(&self) -> Vec<(String, String)> {
        let mut listens: Vec<_> =
            self.push.listens("input.push").chain(self.link.listens("input.link")).collect();
        let mut add = |setting: &str, address: Option<String>| {
            listens.extend(address.map(|address| (format!("input.{setting}"), address)));
        };
        let sub = self.sub.iter();
        sub.clone().flat_map(SubConfig::endpoints).for_each(|endpoint| add("sub.bind", Some(endpoint)));
        sub.for_each(|sub| add("sub.handshake", sub.handshake.clone()));
        add("json_udp.address", self.json_udp.enabled.then(|| udp(self.json_udp.address)));
        add("statsd_udp.address", self.statsd_udp.enabled.then(|| udp(self.statsd_udp.address)));
        add("statsd_tcp.address", self.statsd_tcp.as_ref().map(|config| tcp(config.address)));
        add("statsd_unix.path", self.statsd_unix.as_ref().map(|config| unix(&config.path)));
        add("statsd_stream.path", self.statsd_stream.as_ref().map(|config| unix(&config.path)));
        listens
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollupConfig {
    /// How often roll-ups leave, aligned to the clock; whole seconds.
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
        let admin = self.admin.check().err().map(|error| error.to_string());
        inputs
            .chain(self.input.sub.iter().flat_map(SubConfig::check))
            .chain(self.rollup.check())
            .chain(filter::check(&self.filter))
            .chain(self.forward.check("forward"))
            .chain(admin)
            .chain(self.check_files())
            .collect()
    }

    fn check_files(&self) -> Vec<String> {
        let formatters =
            self.formatter.iter().map(|(name, config)| config.compile(&format!("formatter.{name}")).err());
        let inputs = self.input.files.iter().map(|(name, config)| {
            let names = check_name(name).map(|wrong| vec![wrong]);
            names.or_else(|| config.compile(&format!("input.files.{name}"), &self.formatter).err())
        });
        formatters.chain(inputs).flatten().flatten().collect()
    }

    /// The log files that are followed, by name; those that are not good are not among them.
    pub fn log_files(&self) -> impl Iterator<Item = (&str, (FilesConfig, Compiled))> {
        self.input.files.iter().filter_map(|(name, config)| {
            let compiled = config.compile(&format!("input.files.{name}"), &self.formatter).ok()?;
            Some((name.as_str(), (config.clone(), compiled)))
        })
    }
}

/// The name of an input is part of the name of a file.
fn check_name(name: &str) -> Option<String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (name.is_empty() || !name.bytes().all(is_good))
        .then(|| format!("input.files.{name:?} is no name, expected letters, digits, - and _"))
}

impl RollupConfig {
    /// Carbon's times are whole seconds, and so are the multiples of the interval at which a flush is due.
    fn check(&self) -> Option<String> {
        let interval = self.flush_interval;
        (interval.is_zero() || interval.subsec_nanos() != 0).then(|| {
            format!("rollup.flush_interval is {interval:?}, expected whole seconds, for example \"10s\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good() {
        assert_eq!(Config::default().check(), Vec::<String>::new());
    }

    #[test]
    fn a_flush_interval_is_whole_seconds() {
        for (millis, good) in [(1_000, true), (60_000, true), (0, false), (500, false), (1_500, false)] {
            let flush_interval = Duration::from_millis(millis);
            let rollup = RollupConfig { flush_interval, ..RollupConfig::default() };
            let wrong = Config { rollup, ..Config::default() }.check();
            assert_eq!(wrong.is_empty(), good, "{millis}");
            assert!(wrong.iter().all(|line| line.starts_with("rollup.flush_interval is ")), "{wrong:?}");
        }
    }
}
