//! JSON messages of the original clients that publish over ZeroMQ, and the answer to those that ask first whether anybody
//! hears them.
//!
//! A frame is a message. Of several frames the first is the topic, unless it is an object itself, as every message is. A
//! publisher whose messages are not read in time drops them by itself; ours are bounded by `HIGH_WATER_MARK`.

use metlog_core::{Error, wire::batch::MAX_BATCH_BYTES};
use metlog_pipeline::{
    counters::Counters,
    endpoint::{self, Bound},
    intake::Intake,
    sockets::{Lent, Sockets},
    stop::Stop,
    waiter::Waiter,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{WAIT, drain, json::Messages};

/// Messages of each publisher that may lie in the socket, as in the originals' routers.
const HIGH_WATER_MARK: i32 = 1_000;

/// Where the originals' routers listened.
const USUAL_ENDPOINT: &str = "tcp://127.0.0.1:5565";

/// The section `[input.sub]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubConfig {
    /// Where publishers connect to: `ipc://` paths and `tcp://` addresses on loopback. When `connect` is empty too,
    /// `tcp://127.0.0.1:5565`, where the originals' routers listened.
    pub bind: Vec<String>,
    /// Publishers that bind, as those of Node do.
    pub connect: Vec<String>,
    /// What a message or its topic must begin with, one of these; by default everything.
    pub topics: Vec<String>,
    /// Where clients ask whether anybody hears them, as `ZmqHandshakePubSender` does; they expect `tcp://127.0.0.1:5180`.
    pub handshake: Option<String>,
}

impl Default for SubConfig {
    fn default() -> Self {
        Self { bind: Vec::new(), connect: Vec::new(), topics: vec![String::new()], handshake: None }
    }
}

impl SubConfig {
    /// Everything that is wrong with it, a line each.
    pub fn check(&self) -> impl Iterator<Item = String> {
        let wrong = |key: &'static str| move |error: Error| format!("input.sub.{key}: {error}");
        let bind =
            self.bind.iter().filter_map(|endpoint| endpoint::check(endpoint, None).err()).map(wrong("bind"));
        let connect = self.connect.iter().filter(|endpoint| !endpoint::can_be_connected(endpoint));
        let connect = connect.map(|endpoint| {
            format!("input.sub.connect: {endpoint:?} is neither ipc:///path/to/socket nor tcp://host:port")
        });
        let handshake = self.handshake.as_deref().and_then(|endpoint| endpoint::check(endpoint, None).err());
        let topics = self.topics.is_empty().then(|| {
            "input.sub.topics is empty, so that nothing would come; expected [\"\"] for everything".to_owned()
        });
        bind.chain(connect).chain(handshake.map(wrong("handshake"))).chain(topics)
    }

    /// What is bound.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        if self.bind.is_empty() && self.connect.is_empty() {
            return vec![USUAL_ENDPOINT.to_owned()];
        }
        self.bind.clone()
    }

    /// A socket that was given back is the one wanted only when all of this is as it was.
    fn kind(&self) -> String {
        format!("zmq SUB to {:?} of {:?}", self.topics, self.connect)
    }

    fn open(&self) -> Result<Bound, Error> {
        endpoint::open(zmq::SUB, &self.endpoints(), None, |socket| {
            socket.set_rcvhwm(HIGH_WATER_MARK)?;
            socket.set_rcvtimeo(i32::try_from(WAIT.as_millis()).unwrap_or(i32::MAX))?;
            socket.set_maxmsgsize(i64::try_from(MAX_BATCH_BYTES).unwrap_or(i64::MAX))?;
            self.topics.iter().try_for_each(|topic| socket.set_subscribe(topic.as_bytes()))?;
            self.connect.iter().try_for_each(|endpoint| socket.connect(endpoint))
        })
    }
}

/// The input `sub`.
pub struct SubInput {
    socket: Lent<Bound>,
    config: SubConfig,
    messages: Messages,
}

impl SubInput {
    /// Binds and connects.
    ///
    /// # Errors
    /// When an endpoint cannot be bound; the message names it.
    pub fn open(
        config: &SubConfig,
        sockets: &Sockets,
        intake: Intake,
        counters: Counters,
    ) -> Result<Self, Error> {
        let socket = sockets.take(&config.kind(), &config.endpoints(), || config.open())?;
        Ok(Self { socket, config: config.clone(), messages: Messages::new("sub", intake, counters) })
    }

    /// Where it listens, with the port the system chose, or what it is connected to.
    ///
    /// # Errors
    /// When ZeroMQ does not say.
    pub fn endpoint(&self) -> Result<String, Error> {
        endpoint::last(&self.socket)
    }

    /// Receives until told to stop, and then what has been sent already.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            if !self.take(zmq::DONTWAIT) {
                waiter.socket(&self.socket, None);
            }
        }
        if stop.is_pause() {
            return;
        }
        // As for PULL: what the kernel holds of connections is read before they are cut off, what ZeroMQ has read after.
        drain(|| self.take(zmq::DONTWAIT));
        self.close();
        drain(|| self.take(0));
    }

    /// Nothing more comes in. An endpoint whose port the system chose goes by the name that ZeroMQ has for it.
    fn close(&self) {
        for endpoint in &self.config.connect {
            let _not_connected = self.socket.disconnect(endpoint);
        }
        let last = self.endpoint().ok();
        for endpoint in self.config.endpoints().iter().chain(&last) {
            let _not_under_this_name = self.socket.unbind(endpoint);
        }
    }

    /// Stores what comes now; false when nothing has come.
    fn take(&mut self, flags: i32) -> bool {
        let Self { socket, messages, .. } = self;
        // Only the first is waited for.
        let mut flags = flags;
        messages.gather(|add| {
            let Ok(frames) = socket.recv_multipart(std::mem::replace(&mut flags, zmq::DONTWAIT)) else {
                return false;
            };
            without_topic(&frames).iter().for_each(|message| add(message));
            true
        })
    }
}

/// The messages of several frames that came as one.
fn without_topic(frames: &[Vec<u8>]) -> &[Vec<u8>] {
    match frames {
        [topic, messages @ ..] if !messages.is_empty() && !topic.trim_ascii_start().starts_with(b"{") => {
            messages
        }
        frames => frames,
    }
}

/// Answers clients that ask whether anybody hears what they publish.
pub struct Handshake {
    socket: Lent<Bound>,
}

impl Handshake {
    /// Binds the endpoint.
    ///
    /// # Errors
    /// When it cannot be bound; the message names it.
    pub fn bind(endpoint: &str, sockets: &Sockets) -> Result<Self, Error> {
        let endpoints = [endpoint.to_owned()];
        // A question has no bytes.
        let socket =
            endpoint::bind(sockets, zmq::REP, &endpoints, None, |socket| socket.set_maxmsgsize(1_024))?;
        Ok(Self { socket })
    }

    /// Where it listens, with the port the system chose.
    ///
    /// # Errors
    /// When ZeroMQ does not say.
    pub fn endpoint(&self) -> Result<String, Error> {
        endpoint::last(&self.socket)
    }

    /// Answers until told to stop.
    pub fn run(&self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            match self.socket.recv_multipart(zmq::DONTWAIT) {
                // Who asked and left gets no answer.
                Ok(_) => {
                    let _has_gone = self.socket.send("", zmq::DONTWAIT);
                }
                Err(_) => {
                    waiter.socket(&self.socket, None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_what_comes_before_messages_and_is_none() {
        let frames = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        for (came, messages) in [
            (vec!["{}"], vec!["{}"]),
            (vec!["metlog", "{}"], vec!["{}"]),
            (vec!["", " {}", "{}"], vec![" {}", "{}"]),
            (vec![" {}", "{}"], vec![" {}", "{}"]),
            (vec!["nonsense"], vec!["nonsense"]),
            (vec![""], vec![""]),
        ] {
            assert_eq!(without_topic(&frames(&came)), frames(&messages), "{came:?}");
        }
    }

    #[test]
    fn settings_are_checked_and_the_usual_endpoint_stands_in() {
        let read = |text: &str| toml::from_str::<SubConfig>(text).unwrap();
        assert_eq!(read("").endpoints(), [USUAL_ENDPOINT]);
        assert_eq!(read("connect = ['tcp://app:1']").endpoints(), Vec::<String>::new());
        let good = read("bind = ['ipc:///x']\nconnect = ['tcp://app:1']\nhandshake = 'tcp://127.0.0.1:5180'");
        assert_eq!(good.check().count(), 0);
        let wrong: Vec<_> = read(
            "bind = ['tcp://0.0.0.0:1']\nconnect = ['app:1']\nhandshake = 'tcp://127.0.0.1'\ntopics = []",
        )
        .check()
        .collect();
        for (line, part) in
            wrong.iter().zip(["bind: ", "connect: \"app:1\"", "handshake: ", "topics is empty"])
        {
            assert!(line.starts_with("input.sub.") && line.contains(part), "{line}");
        }
        assert_eq!(wrong.len(), 4, "{wrong:?}");
    }
}
