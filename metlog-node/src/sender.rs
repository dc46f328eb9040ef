//! Senders: where messages go. JavaScript holds each as an opaque handle.
//!
//! A sender has one core client, made when the first JavaScript client names it: one socket, one queue, one thread, however
//! many clients share it.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::{path::PathBuf, sync::Arc};

use metlog_core::{
    Client, Error,
    config::default_endpoints,
    sender::{
        Target,
        acked::Acked,
        memory::{self, Captured},
        stream::Stream,
        udp::Udp,
        zmq::{Publish, Push},
    },
    wire::json,
};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use once_cell::sync::OnceCell;

/// A target chosen at run time.
struct Chosen(Arc<dyn Target>);

impl Target for Chosen {
    fn connect(&self) -> Result<Box<dyn metlog_core::sender::Sender>, Error> {
        self.0.connect()
    }
}

/// Where messages go, with its core client once it is in use.
pub struct Sender {
    target: Arc<dyn Target>,
    captured: Option<Captured>,
    client: OnceCell<Client>,
}

impl Sender {
    fn handle(target: impl Target + 'static, captured: Option<Captured>) -> External<Self> {
        External::new(Self { target: Arc::new(target), captured, client: OnceCell::new() })
    }

    /// Where a configuration says, with its client.
    pub(crate) fn of(target: Arc<dyn Target>, client: Client) -> External<Self> {
        External::new(Self { target, captured: None, client: OnceCell::with_value(client) })
    }

    /// The core client; one that nobody has named yet has an empty logger.
    pub(crate) fn client(&self) -> &Client {
        self.named("")
    }

    fn named(&self, logger: &str) -> &Client {
        let target = || Chosen(Arc::clone(&self.target));
        self.client.get_or_init(|| Client::builder().logger(logger).sender(target()).build())
    }
}

/// Batches to the sidecar; no endpoint means the sidecar of this host.
#[napi(catch_unwind)]
pub fn push_sender(endpoints: Vec<String>) -> External<Sender> {
    let endpoints = if endpoints.is_empty() { default_endpoints() } else { endpoints };
    Sender::handle(Push { endpoints }, None)
}

/// Batches over the sidecar's link, each kept until the sidecar has it on disk.
#[napi(catch_unwind)]
pub fn acked_sender(endpoints: Vec<String>) -> External<Sender> {
    Sender::handle(Acked { endpoints }, None)
}

/// Single messages to SUB receivers that connect to `endpoints`.
#[napi(catch_unwind)]
pub fn publish_sender(endpoints: Vec<String>) -> External<Sender> {
    Sender::handle(Publish { endpoints, bind: true }, None)
}

/// One datagram a message; hosts and ports are taken in pairs.
#[napi(catch_unwind)]
pub fn udp_sender(hosts: Vec<String>, ports: Vec<u16>) -> External<Sender> {
    Sender::handle(Udp { destinations: hosts.into_iter().zip(ports).collect(), newline: true }, None)
}

/// Lines on standard output.
#[napi(catch_unwind)]
pub fn stdout_sender() -> External<Sender> {
    Sender::handle(Stream::Stdout, None)
}

/// Lines at the end of a file.
#[napi(catch_unwind)]
pub fn file_sender(path: String) -> External<Sender> {
    Sender::handle(Stream::File(PathBuf::from(path)), None)
}

/// Messages kept for [`captured`].
#[napi(catch_unwind)]
pub fn memory_sender() -> External<Sender> {
    let (target, captured) = memory::channel();
    Sender::handle(target, Some(captured))
}

/// What a memory sender has got so far, each message as JSON.
#[napi(catch_unwind)]
pub fn captured(sender: &External<Sender>) -> Vec<String> {
    sender.captured.iter().flat_map(Captured::messages).map(|message| json::to_json(&message)).collect()
}

/// Names the sender after the first client that uses it.
#[napi(catch_unwind)]
pub fn open(sender: &External<Sender>, logger: String) {
    sender.named(&logger);
}
