//! Settings of a client: from code, from TOML, from the originals' INI files, from `METLOG_*` variables.
//!
//! Without the feature `config` there are only settings from code, and where a client sends when nobody says.
//! `docs/configuration.md` lists every key.

#[cfg(feature = "config")]
mod client;
mod endpoint;
#[cfg(feature = "config")]
mod environment;
#[cfg(feature = "config")]
mod found;
#[cfg(feature = "config")]
mod ini;
#[cfg(feature = "config")]
mod keys;
#[cfg(feature = "config")]
mod raw;
#[cfg(feature = "config")]
mod sender;
mod settings;
#[cfg(feature = "config")]
mod text;
#[cfg(feature = "config")]
mod toml;
#[cfg(feature = "config")]
mod values;

pub use endpoint::{ENDPOINT_VARIABLE, LINK_ENDPOINT_VARIABLE, default_endpoints, default_link_endpoints};
pub use settings::{EXIT_TIMEOUT, MAX_BODY_BYTES, MAX_INTERVAL, Settings};
#[cfg(feature = "config")]
pub use {
    client::{File, Given},
    keys::{keys, variable},
    raw::Raw,
    sender::{Delivery, SenderClass, SenderConfig},
    text::{expand, nearest},
    values::{Config, FilterRule},
};
