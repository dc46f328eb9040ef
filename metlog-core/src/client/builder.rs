//! Setting a client up.

use std::{collections::HashSet, sync::Arc};

use super::{Client, Inner, close_all};
use crate::{
    channel::Channel,
    config::{EXIT_TIMEOUT, Settings},
    filter::{Filter, Front},
    message::Severity,
    process,
    sender::Target,
    stats::complain,
};

/// Sets up a [`Client`].
#[derive(Default)]
#[must_use]
pub struct ClientBuilder {
    pub(crate) logger: Option<String>,
    pub(crate) severity: Option<Severity>,
    pub(crate) disabled_timers: Option<HashSet<String>>,
    front: Front,
    filters: Vec<Box<dyn Filter>>,
    pub(crate) target: Option<Arc<dyn Target>>,
    pub(crate) settings: Option<Settings>,
    /// Whose hand-off to use.
    beside: Option<Client>,
}

impl ClientBuilder {
    /// The default logger of every message, and the application's name in reports; empty by default.
    pub fn logger(self, logger: impl Into<String>) -> Self {
        Self { logger: Some(logger.into()), ..self }
    }

    /// The default severity; informational (6) by default.
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    /// Names of timers that measure nothing, `*` for all of them; none by default.
    pub fn disabled_timers<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { disabled_timers: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// Adds a filter; a message must pass all of them.
    pub fn filter(mut self, filter: impl Filter + 'static) -> Self {
        match filter.plain() {
            Some(rule) => self.front.add(rule),
            None => self.filters.push(Box::new(filter)),
        }
        self
    }

    /// Where to send; the sidecar of this host by default.
    pub fn sender(self, target: impl Target + 'static) -> Self {
        Self { target: Some(Arc::new(target)), ..self }
    }

    /// Bounds of the hand-off and of a batch.
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// Uses the hand-off, books and sums of `client`, with its target and bounds. What looks at a call before that is new:
    /// the filters, the defaults, and whether calls are summed.
    pub fn beside(self, client: &Client) -> Self {
        Self { beside: Some(client.clone()), ..self }
    }

    /// The client. It starts no thread and opens no socket before its first message.
    pub fn build(self) -> Client {
        process::install_hooks(|| close_all(EXIT_TIMEOUT));
        let target = self.target.unwrap_or_else(default_target);
        let logger = self.logger.unwrap_or_default();
        let settings = usable(self.settings.unwrap_or_default());
        let channel = match self.beside {
            Some(client) => Arc::clone(&client.0.channel),
            None => Channel::new(target, logger.clone(), settings),
        };
        Client(Arc::new(Inner {
            logger,
            severity: self.severity.unwrap_or_default(),
            front: self.front,
            disabled_timers: self.disabled_timers.unwrap_or_default(),
            aggregate: settings.aggregate,
            filters: self.filters,
            channel,
        }))
    }
}

/// Settings that cannot work are told of, and the usual ones stand in: an application is not ended by its logging. Who
/// wants the error asks [`Settings::check`] before.
fn usable(settings: Settings) -> Settings {
    if let Err(error) = settings.check() {
        complain("settings", &format!("{error}; the defaults are used"));
        return Settings::default();
    }
    settings
}

#[cfg(feature = "zmq")]
fn default_target() -> Arc<dyn Target> {
    Arc::new(crate::sender::zmq::Push { endpoints: crate::config::default_endpoints() })
}

/// Without ZeroMQ in the build there is no sidecar to reach.
#[cfg(not(feature = "zmq"))]
fn default_target() -> Arc<dyn Target> {
    Arc::new(crate::sender::stream::Stream::Stderr)
}
