//! Where messages go below Python: the core's targets, by name.

use std::{path::PathBuf, sync::Arc};

use metlog_core::{
    Error, config,
    sender::{self, Sender, acked::Acked, stream::Stream, udp::Udp, zmq},
};
use pyo3::prelude::*;

use crate::{client::seconds, handshake::Handshake};

/// A place the core sends to by itself. Making one opens nothing.
#[pyclass(frozen, module = "metlog._metlog")]
pub(crate) struct Target(Shared);

/// The core owns its target; Python may give one to several clients.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn sender::Target>);

impl sender::Target for Shared {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        self.0.connect()
    }
}

impl Target {
    fn new(target: impl sender::Target + 'static) -> Self {
        Self(Shared(Arc::new(target)))
    }

    /// One that a configuration made.
    pub(crate) fn of(target: Arc<dyn sender::Target>) -> Self {
        Self(Shared(target))
    }

    pub(crate) fn shared(&self) -> Shared {
        self.0.clone()
    }
}

#[pymethods]
impl Target {
    /// Batches by ZeroMQ PUSH to sidecars.
    #[staticmethod]
    fn push(endpoints: Vec<String>) -> Self {
        Self::new(zmq::Push { endpoints })
    }

    /// Batches over the link to sidecars, each kept until a sidecar has it on disk.
    #[staticmethod]
    fn acked(endpoints: Vec<String>) -> Self {
        Self::new(Acked { endpoints })
    }

    /// Single messages by ZeroMQ PUB, connected to receivers of the original family.
    #[staticmethod]
    fn publish(endpoints: Vec<String>) -> Self {
        Self::new(zmq::Publish { endpoints, bind: false })
    }

    /// As `publish`, to receivers that answer at `asked` within `timeout` seconds, asked every `livecheck` seconds.
    #[staticmethod]
    fn handshake(asked: Vec<String>, endpoints: Vec<String>, timeout: f64, livecheck: f64) -> Self {
        Self::new(Handshake { asked, endpoints, timeout: seconds(timeout), livecheck: seconds(livecheck) })
    }

    /// Single messages as JSON datagrams, each to every destination.
    #[staticmethod]
    fn udp(destinations: Vec<(String, u16)>) -> Self {
        Self::new(Udp { destinations, newline: false })
    }

    /// Messages as JSON, a line each, appended to a file.
    #[staticmethod]
    fn file(path: PathBuf) -> Self {
        Self::new(Stream::File(path))
    }

    /// The sidecar's endpoints when nobody names any.
    #[staticmethod]
    fn default_endpoints() -> Vec<String> {
        config::default_endpoints()
    }

    /// The endpoints of the sidecar's link when nobody names any.
    #[staticmethod]
    fn default_link_endpoints() -> Vec<String> {
        config::default_link_endpoints()
    }
}
