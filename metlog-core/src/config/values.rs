//! What all sources together say: everything a client is set up with.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{MAX_INTERVAL, Settings, sender::SenderConfig};
use crate::{
    client::ClientBuilder,
    filter::{SeverityMax, TypeBlacklist, TypeRate, TypeSeverityMax, TypeWhitelist},
    message::Severity,
    sample::Rate,
};

/// Everything a client is set up with. Code may still change each field before [`ClientBuilder::configured`] takes it.
///
/// ```
/// use metlog_core::{Client, config::Config};
///
/// let mut config = Config::from_toml("logger = \"bookmarks\"\n[sender]\nclass = \"stdout\"\n")?;
/// config.settings.max_names = 100; // code comes before the environment, the environment before the file
/// let client = Client::builder().configured(config).build();
/// # Ok::<(), metlog_core::Error>(())
/// ```
/// `Client::from_toml_file("metlog.toml")?` does the same in one call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The default logger of every message.
    pub logger: String,
    /// The default severity.
    pub severity: Severity,
    /// Names of timers that measure nothing; `*` is all of them.
    pub disabled_timers: HashSet<String>,
    /// What is kept from leaving.
    pub filters: Vec<FilterRule>,
    /// Where to send.
    pub sender: SenderConfig,
    /// Bounds of the hand-off and of a batch.
    pub settings: Settings,
}

/// A filter as configurations have them; a message must pass all of them.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterRule {
    /// Drops what is less severe than a bound.
    SeverityMax(Severity),
    /// Drops the types named.
    TypeBlacklist(HashSet<String>),
    /// Drops every type but those named.
    TypeWhitelist(HashSet<String>),
    /// Drops what is less severe than its type's bound.
    TypeSeverityMax(HashMap<String, Severity>),
    /// Lets a share of each type named pass.
    TypeRate(HashMap<String, Rate>),
}

impl FilterRule {
    /// The key that sets it.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::SeverityMax(_) => "filters_severity_max",
            Self::TypeBlacklist(_) => "filters_type_blacklist",
            Self::TypeWhitelist(_) => "filters_type_whitelist",
            Self::TypeSeverityMax(_) => "filters_type_severity_max",
            Self::TypeRate(_) => "filters_type_rate",
        }
    }

    /// The builder with this filter.
    pub(super) fn add_to(self, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::SeverityMax(bound) => builder.filter(SeverityMax(bound)),
            Self::TypeBlacklist(types) => builder.filter(TypeBlacklist(types)),
            Self::TypeWhitelist(types) => builder.filter(TypeWhitelist(types)),
            Self::TypeSeverityMax(bounds) => builder.filter(TypeSeverityMax(bounds)),
            Self::TypeRate(rates) => builder.filter(TypeRate(rates)),
        }
    }
}

/// True for a time that an interval may be.
pub(super) fn is_interval(time: Duration) -> bool {
    time <= MAX_INTERVAL
}
