//! Settings of a client: from code, from TOML, from the originals' INI files, from `METLOG_*` variables.
//!
//! ```
//! use metlog_core::{Client, config::Config};
//!
//! let mut config = Config::from_toml("logger = \"bookmarks\"\n[sender]\nclass = \"stdout\"\n")?;
//! config.settings.max_names = 100; // code comes before the environment, the environment before the file
//! let client = Client::builder().configured(config).build();
//! # Ok::<(), metlog_core::Error>(())
//! ```
//! `Client::from_toml_file("metlog.toml")?` does the same in one call. `docs/configuration.md` lists every key.

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

pub use endpoint::{
    ENDPOINT_VARIABLE, LINK_ENDPOINT_VARIABLE, default_endpoint, default_endpoints, default_link_endpoints,
};
pub use settings::{EXIT_TIMEOUT, MAX_BODY_BYTES, MAX_INTERVAL, Settings};
#[cfg(feature = "config")]
pub use {
    client::File,
    keys::{keys, variable},
    sender::{Delivery, SenderClass, SenderConfig},
    text::{expand, nearest},
    values::{Config, FilterRule},
};
