//! Which sender a configuration means.

use std::sync::Arc;

#[cfg(feature = "zmq")]
use super::endpoint::{default_endpoints, default_link_endpoints};
use crate::sender::{Target, stream::Stream, udp::Udp};
#[cfg(feature = "zmq")]
use crate::sender::{
    acked::Acked,
    zmq::{Publish, Push},
};

/// Where to send, and what each sender takes. A sender leaves what is another's alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SenderConfig {
    /// Which sender.
    pub class: SenderClass,
    /// How batches reach the sidecar.
    pub delivery: Delivery,
    /// The sidecar's PULL sockets; empty: the one of this host.
    pub endpoint: Vec<String>,
    /// The sidecar's link sockets, for acknowledged delivery; empty: the one of this host.
    pub link_endpoint: Vec<String>,
    /// Where `pub` publishes.
    pub bindstrs: Vec<String>,
    /// True binds `bindstrs`, as the Node original does; false connects to them, as the Python original does.
    pub bind: bool,
    /// Hosts of `udp`.
    pub host: Vec<String>,
    /// Ports of `udp`, one for each host; the last one is that of further hosts.
    pub port: Vec<u16>,
    /// True ends each datagram with a newline, as the Node original does.
    pub newline: bool,
    /// The file that `file` appends to.
    pub filepath: String,
}

/// Kinds of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderClass {
    /// Batches to the sidecar.
    #[default]
    Sidecar,
    /// Single JSON messages to subscribers.
    Pub,
    /// JSON datagrams.
    Udp,
    /// JSON lines on standard output.
    Stdout,
    /// JSON lines on standard error.
    Stderr,
    /// JSON lines in a file.
    File,
}

/// How batches reach the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Sent once: what lies in sockets when a sidecar dies is lost.
    #[default]
    Push,
    /// Kept until the sidecar has it on disk.
    Acked,
}

impl SenderClass {
    /// Short names.
    const NAMES: [(&str, Self); 6] = [
        ("sidecar", Self::Sidecar),
        ("pub", Self::Pub),
        ("udp", Self::Udp),
        ("stdout", Self::Stdout),
        ("stderr", Self::Stderr),
        ("file", Self::File),
    ];

    /// Classes of the Python packages, original and ours, that are the same sender. The package is part of the name: an
    /// application's own `UdpSender` is no sender of ours.
    const CLASSES: [(&str, Self); 5] = [
        ("ZmqPushSender", Self::Sidecar),
        ("ZmqPubSender", Self::Pub),
        ("UdpSender", Self::Udp),
        ("StdOutSender", Self::Stdout),
        ("FileSender", Self::File),
    ];

    /// What [`Self::from_name`] takes, for errors.
    pub(super) const EXPECTED: &str = "sidecar, pub, udp, stdout, stderr or file, or metlog.senders' ZmqPushSender, \
                                       ZmqPubSender, UdpSender, StdOutSender or FileSender (other Python classes \
                                       cannot be used from Rust)";

    /// The sender of a short name, or of a dotted one of the Python packages.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let find = |names: &[(&str, Self)], name: &str| {
            names.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
        };
        let dotted = || {
            let (module, class) = name.rsplit_once(['.', ':'])?;
            let ours = module == "metlog.senders" || module.starts_with("metlog.senders.");
            find(&Self::CLASSES, class).filter(|_| ours)
        };
        find(&Self::NAMES, name).or_else(dotted)
    }

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, class)| *class == self).map_or("", |(name, _)| name)
    }

    fn needs_zmq(self) -> bool {
        matches!(self, Self::Sidecar | Self::Pub)
    }
}

impl Delivery {
    /// The delivery of a name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "push" => Some(Self::Push),
            "acked" => Some(Self::Acked),
            _ => None,
        }
    }
}

impl SenderConfig {
    /// What this sender lacks.
    pub(super) fn problems(&self) -> Vec<String> {
        let name = self.class.name();
        let missing: &[(&str, &str)] = match self.class {
            SenderClass::Pub if self.bindstrs.is_empty() => {
                &[("sender_bindstrs", "the addresses of the subscribers")]
            }
            SenderClass::Udp => match (self.host.is_empty(), self.port.is_empty()) {
                (true, true) => &[("sender_host", "a host name"), ("sender_port", "a port")],
                (true, false) => &[("sender_host", "a host name")],
                (false, true) => &[("sender_port", "a port")],
                (false, false) => &[],
            },
            SenderClass::File if self.filepath.is_empty() => &[("sender_filepath", "a file to append to")],
            _ => &[],
        };
        let missing = missing
            .iter()
            .map(|(key, what)| format!("{key} is not set, expected {what}: sender_class is {name}"));
        missing.chain(self.lacks_zmq()).collect()
    }

    fn lacks_zmq(&self) -> Option<String> {
        let asked =
            self.class == SenderClass::Pub || self.delivery == Delivery::Acked || !self.endpoint.is_empty();
        (cfg!(not(feature = "zmq")) && self.class.needs_zmq() && asked).then(|| {
            format!(
                "sender_class is {}, but this build has no ZeroMQ: build metlog-core with the feature zmq",
                self.class.name()
            )
        })
    }

    /// The sender; `None` for what a client takes when nobody says.
    #[must_use]
    pub fn target(self) -> Option<Arc<dyn Target>> {
        match self.class {
            SenderClass::Stdout => Some(Arc::new(Stream::Stdout)),
            SenderClass::Stderr => Some(Arc::new(Stream::Stderr)),
            SenderClass::File => Some(Arc::new(Stream::File(self.filepath.into()))),
            SenderClass::Udp => Some(Arc::new(self.udp())),
            SenderClass::Sidecar | SenderClass::Pub => self.zmq(),
        }
    }

    fn udp(self) -> Udp {
        let last = self.port.last().copied().unwrap_or_default();
        let ports = self.port.into_iter().chain(std::iter::repeat(last));
        Udp { destinations: self.host.into_iter().zip(ports).collect(), newline: self.newline }
    }

    #[cfg(feature = "zmq")]
    fn zmq(self) -> Option<Arc<dyn Target>> {
        let or = |given: Vec<String>, default: fn() -> Vec<String>| {
            if given.is_empty() { default() } else { given }
        };
        Some(match (self.class, self.delivery) {
            (SenderClass::Pub, _) => Arc::new(Publish { endpoints: self.bindstrs, bind: self.bind }),
            (_, Delivery::Push) => Arc::new(Push { endpoints: or(self.endpoint, default_endpoints) }),
            (_, Delivery::Acked) => {
                Arc::new(Acked { endpoints: or(self.link_endpoint, default_link_endpoints) })
            }
        })
    }

    #[cfg(not(feature = "zmq"))]
    fn zmq(self) -> Option<Arc<dyn Target>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_of_the_originals_have_their_counterparts() {
        for (name, class) in [
            ("sidecar", Some(SenderClass::Sidecar)),
            ("metlog.senders.zmq.ZmqPubSender", Some(SenderClass::Pub)),
            ("metlog.senders:UdpSender", Some(SenderClass::Udp)),
            ("metlog.senders.StdOutSender", Some(SenderClass::Stdout)),
            ("metlog.senders.logging.StdLibLoggingSender", None),
            ("myapp.senders.UdpSender", None),
            ("metlog.sendersandmore.UdpSender", None),
            ("UdpSender", None),
            ("", None),
        ] {
            assert_eq!(SenderClass::from_name(name), class, "{name}");
        }
    }

    #[test]
    fn the_last_port_is_that_of_further_hosts() {
        let host = ["a", "b", "c"].map(str::to_owned).to_vec();
        let sender = SenderConfig { host, port: vec![1, 2], ..SenderConfig::default() };
        let expected = [("a", 1), ("b", 2), ("c", 2)].map(|(host, port)| (host.to_owned(), port));
        assert_eq!(sender.udp().destinations, expected);
    }
}
