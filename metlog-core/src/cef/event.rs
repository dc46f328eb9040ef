//! What a CEF event is made of: the device, the request it is about, and what the application adds.

use std::{borrow::Cow, fmt};

use super::HeaderBreaks;
use crate::error::Error;

/// The keys of a configuration that [`Device::from_config`] asks for.
pub const CONFIG_KEYS: [&str; 4] = ["cef.version", "cef.vendor", "cef.product", "cef.device_version"];

/// The product that reports: the same for every event of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The version of the format, `0`.
    pub version: String,
    /// Who makes the product.
    pub vendor: String,
    /// The product.
    pub product: String,
    /// The product's version.
    pub device_version: String,
}

impl Device {
    /// Reads [`CONFIG_KEYS`] with `lookup`; other keys of the configuration are not looked at.
    ///
    /// # Errors
    /// `Config`, naming the key that is missing.
    pub fn from_config(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let [version, vendor, product, device_version] = CONFIG_KEYS.map(|key| {
            lookup(key).ok_or_else(|| {
                Error::config(format!(
                    "{key} is missing, expected {} in the CEF settings",
                    CONFIG_KEYS.join(", ")
                ))
            })
        });
        Ok(Self { version: version?, vendor: vendor?, product: product?, device_version: device_version? })
    }
}

/// How bad the event is: 0 to 10 by convention, which nobody checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level<'a> {
    /// `5`.
    Number(i64),
    /// `High`.
    Text(&'a str),
}

impl From<i64> for Level<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Level<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Level<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The request an event is about. Nothing of it is trusted: all of it comes from the application's client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// `requestMethod`; empty when unknown.
    pub method: Option<Cow<'a, str>>,
    /// `request`, the path; empty when unknown.
    pub path: Option<Cow<'a, str>>,
    /// `cs1`, the user agent; `none` when unknown.
    pub user_agent: Option<Cow<'a, str>>,
    /// `dhost`, the host that was asked for; `none` when unknown.
    pub host: Option<Cow<'a, str>>,
    /// `src`, the first entry of `X-Forwarded-For`, or else the peer's address; `None` when unknown.
    pub source: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// The request that a WSGI environment describes.
    pub fn from_environ<T: Into<Cow<'a, str>>>(lookup: impl Fn(&str) -> Option<T>) -> Self {
        let get = |key| lookup(key).map(Into::into);
        Self {
            method: get("REQUEST_METHOD"),
            path: get("PATH_INFO"),
            user_agent: get("HTTP_USER_AGENT"),
            host: get("HTTP_HOST"),
            source: source(get("HTTP_X_FORWARDED_FOR").as_deref(), get("REMOTE_ADDR")),
        }
    }

    /// The same request with the source that a proxy's header and the peer's address make out.
    #[must_use]
    pub fn with_source(self, forwarded_for: Option<&'a str>, peer: Option<&'a str>) -> Self {
        Self { source: source(forwarded_for, peer.map(Into::into)), ..self }
    }
}

fn source<'a>(forwarded_for: Option<&str>, peer: Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    let first = forwarded_for.and_then(|list| list.split(',').next()).map(str::trim);
    match first {
        Some(first) if !first.is_empty() => Some(Cow::Owned(first.to_owned())),
        _ => peer,
    }
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Who reports.
    pub device: &'a Device,
    /// What happened, for people.
    pub name: &'a str,
    /// How bad it is; no severity of Metlog's.
    pub severity: Level<'a>,
    /// What kind of event it is, for machines; the name when `None`.
    pub signature: Option<&'a str>,
    /// `suser`, the user it is about; `none` by default.
    pub username: &'a str,
    /// The request it is about.
    pub request: Request<'a>,
    /// More keys and values for the extension. A key that names a part of the event (`url`, `method`, `source`,
    /// `dest`, `user_agent`, `suser`, `host`, `name` and the like) replaces that part as well.
    pub extras: &'a [(&'a str, &'a str)],
    /// The host that reports; this one when `None`.
    pub host: Option<&'a str>,
    /// How a line break within the header is written.
    pub header_breaks: HeaderBreaks,
}

impl<'a> Event<'a> {
    /// An event with everything else left at its default.
    #[must_use]
    pub fn new(device: &'a Device, name: &'a str, severity: impl Into<Level<'a>>) -> Self {
        Self {
            device,
            name,
            severity: severity.into(),
            signature: None,
            username: "none",
            request: Request::default(),
            extras: &[],
            host: None,
            header_breaks: HeaderBreaks::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_the_first_forwarded_address_or_else_the_peer() {
        let cases = [
            (Some("1.2.3.4, 10.0.0.1"), Some("10.0.0.2"), Some("1.2.3.4")),
            (Some("1.2.3.4"), None, Some("1.2.3.4")),
            (Some(""), Some("10.0.0.2"), Some("10.0.0.2")),
            (None, Some("10.0.0.2"), Some("10.0.0.2")),
            (None, None, None),
        ];
        for (forwarded_for, peer, expected) in cases {
            let request = Request::default().with_source(forwarded_for, peer);
            assert_eq!(request.source.as_deref(), expected, "{forwarded_for:?} {peer:?}");
        }
    }

    #[test]
    fn a_missing_setting_is_named() {
        let lookup = |key: &str| (key != "cef.vendor").then(|| "x".to_owned());
        let error = Device::from_config(lookup).unwrap_err().to_string();
        assert!(error.starts_with("cef.vendor is missing"), "{error}");
    }
}
