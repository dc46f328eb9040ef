//! The table of all settings: a row names a key, says what it may be and where it goes. TOML, INI and the environment
//! are read by this table alone.

use super::{
    MAX_BODY_BYTES,
    raw::Raw,
    sender::{Delivery, SenderClass},
    values::{Config, FilterRule, is_interval},
};

/// A row of the table.
pub(super) struct Setting {
    /// The key in an INI file. In TOML what stands before the first `_` of `sender_` and `filters_` may be a table; in the
    /// environment it is in capitals behind `METLOG_`.
    pub(super) name: &'static str,
    /// What the same setting is called in a configuration of the originals.
    pub(super) also: Option<&'static str>,
    /// What it may be, for errors.
    pub(super) expected: &'static str,
    /// Takes a value over; `None` when it is not what is expected.
    pub(super) set: fn(&mut Config, &Raw) -> Option<()>,
}

const fn row(
    name: &'static str,
    expected: &'static str,
    set: fn(&mut Config, &Raw) -> Option<()>,
) -> Setting {
    Setting { name, also: None, expected, set }
}

impl Setting {
    const fn also(self, also: &'static str) -> Self {
        Self { also: Some(also), ..self }
    }

    /// Both of its names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.also)
    }
}

const TEXT: &str = "a text";
const NAMES: &str = "a name or a list of names";
const COUNT: &str = "a whole number from 1 on";
const FLAG: &str = "true or false";
const ADDRESSES: &str = "tcp://host:port or ipc://path, or a list of them";
const SIZE: &str = "a size from 1 byte on, for example \"4MiB\"";
const BOUND: &str = "0 (emergency) to 7 (debug)";

/// All settings, in the order of their documentation.
pub(super) static SETTINGS: [Setting; 26] = [
    row("logger", TEXT, |config, raw| put(&mut config.logger, raw.text())),
    row("severity", BOUND, |config, raw| put(&mut config.severity, raw.severity())),
    row("disabled_timers", NAMES, |config, raw| put(&mut config.disabled_timers, raw.texts())),
    row("filters_severity_max", BOUND, |config, raw| {
        filter(config, raw.severity().map(FilterRule::SeverityMax))
    }),
    row("filters_type_blacklist", NAMES, |config, raw| {
        filter(config, raw.texts().map(FilterRule::TypeBlacklist))
    }),
    row("filters_type_whitelist", NAMES, |config, raw| {
        filter(config, raw.texts().map(FilterRule::TypeWhitelist))
    }),
    row("filters_type_severity_max", "types with a severity of 0 to 7 each", |config, raw| {
        filter(config, raw.map(Raw::severity).map(FilterRule::TypeSeverityMax))
    }),
    row("filters_type_rate", "types with a share of 0 to 1 each", |config, raw| {
        filter(config, raw.map(Raw::rate).map(FilterRule::TypeRate))
    }),
    row("sender_class", SenderClass::EXPECTED, |config, raw| {
        put(&mut config.sender.class, raw.text().and_then(|name| SenderClass::from_name(&name)))
    }),
    row("delivery", "push or acked", |config, raw| {
        put(&mut config.sender.delivery, raw.text().and_then(|name| Delivery::from_name(&name)))
    }),
    row("endpoint", ADDRESSES, |config, raw| put(&mut config.sender.endpoint, raw.endpoints()))
        .also("sender_endpoints"),
    row("link_endpoint", ADDRESSES, |config, raw| put(&mut config.sender.link_endpoint, raw.endpoints())),
    row("sender_bindstrs", ADDRESSES, |config, raw| put(&mut config.sender.bindstrs, raw.endpoints())),
    row("sender_bind", FLAG, |config, raw| put(&mut config.sender.bind, raw.flag())),
    row("sender_host", "a host name or a list of them", |config, raw| {
        put(&mut config.sender.host, raw.list(Raw::text))
    })
    .also("sender_hosts"),
    row("sender_port", "a port of 1 to 65535 or a list of them", |config, raw| {
        put(&mut config.sender.port, raw.list(Raw::count::<u16>))
    })
    .also("sender_ports"),
    row("sender_newline", FLAG, |config, raw| put(&mut config.sender.newline, raw.flag())),
    row("sender_filepath", "the path of a file", |config, raw| {
        put(&mut config.sender.filepath, raw.text().filter(|path| !path.is_empty()))
    }),
    row("queue_bytes", SIZE, |config, raw| put(&mut config.settings.queue_bytes, raw.bytes())),
    row("batch_bytes", "a size from 1 byte to 2MiB, for example \"64KiB\"", |config, raw| {
        put(&mut config.settings.batch_bytes, raw.bytes().filter(|bytes| *bytes <= MAX_BODY_BYTES))
    }),
    row("batch_messages", COUNT, |config, raw| put(&mut config.settings.batch_messages, raw.count())),
    row("batch_age", "a time of at most a day, for example \"10ms\"", |config, raw| {
        put(&mut config.settings.batch_age, raw.duration().filter(|time| is_interval(*time)))
    }),
    row("aggregate", FLAG, |config, raw| put(&mut config.settings.aggregate, raw.flag())),
    row("aggregate_interval", "a time over 0 and of at most a day, for example \"10s\"", |config, raw| {
        let time = raw.duration().filter(|time| is_interval(*time) && !time.is_zero());
        put(&mut config.settings.aggregate_interval, time)
    }),
    row("max_names", COUNT, |config, raw| put(&mut config.settings.max_names, raw.count())),
    row("stats_interval", "a time of at most a day, for example \"60s\", or 0 for never", |config, raw| {
        put(&mut config.settings.stats_interval, raw.duration().filter(|time| is_interval(*time)))
    }),
];

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn filter(config: &mut Config, rule: Option<FilterRule>) -> Option<()> {
    config.filters.push(rule?);
    Some(())
}

/// The row of a key.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.names().any(|known| known == name))
}

/// The keys of all settings, as an INI file has them.
pub fn keys() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name)
}

/// The environment variable of a key.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

/// What the variables of all settings begin with.
pub(super) const PREFIX: &str = "METLOG_";
