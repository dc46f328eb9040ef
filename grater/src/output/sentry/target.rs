//! Where an event goes: the server, project and key that a DSN names, and whether a message may name it.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// What a DSN says, taken apart: `scheme://key[:secret]@host[:port]/[prefix/]project`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    host: Host,
    /// `scheme://host[:port]/[prefix/]api/project`.
    api: String,
    key: String,
    secret: Option<String>,
}

impl Target {
    /// Takes a DSN apart. Schemes of original clients that named a transport (`gevent+https`) are read too.
    ///
    /// # Errors
    /// What is wrong with it, without the DSN itself: it holds a key.
    pub(super) fn parse(dsn: &str) -> Result<Self, String> {
        let (scheme, rest) = dsn.split_once("://").unwrap_or(("", dsn));
        let scheme = scheme.rsplit('+').next().unwrap_or_default();
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            "udp" => return Err("the DSN is for udp, which Sentry gave up in 2013: use https".to_owned()),
            _ => return Err(format!("the DSN begins with {scheme:?}, expected http:// or https://")),
        };
        let wrong = || "the DSN is not scheme://key@host[:port]/project".to_owned();
        let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
        let (user, host) = authority.rsplit_once('@').ok_or_else(wrong)?;
        let (key, secret) = user.split_once(':').map_or((user, None), |(key, secret)| (key, Some(secret)));
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let (prefix, project) =
            path.rsplit_once('/').map_or(("", path), |(prefix, project)| (prefix, project));
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        // What goes into a header or a path must not end it.
        if ![key, project].into_iter().all(is_plain) || key.contains(',') || !path.bytes().all(is_path_byte) {
            return Err(wrong());
        }
        let named = Host::try_from(host.to_owned()).map_err(|_| wrong())?;
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            host: Host { port: named.port.or(Some(default_port)), ..named },
            api: format!("{scheme}://{host}/{prefix}{slash}api/{project}"),
            key: key.to_owned(),
            secret: secret.filter(|secret| is_plain(secret) && !secret.contains(',')).map(str::to_owned),
        })
    }

    /// The address of an endpoint (`store`, `envelope`).
    #[must_use]
    pub(super) fn url(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}/", self.api)
    }

    /// The header `X-Sentry-Auth`.
    #[must_use]
    pub(super) fn auth(&self, version: &str, sent_at: Option<f64>) -> String {
        let mut auth = String::from("Sentry ");
        if let Some(seconds) = sent_at {
            auth.push_str(&format!("sentry_timestamp={seconds}, "));
        }
        auth.push_str(&format!(
            "sentry_client={}, sentry_version={version}, sentry_key={}",
            CLIENT, self.key
        ));
        if let Some(secret) = &self.secret {
            auth.push_str(&format!(", sentry_secret={secret}"));
        }
        auth
    }

    /// Whether one of `allowed` is its host and port.
    #[must_use]
    pub(super) fn is_allowed(&self, allowed: &[Host]) -> bool {
        let default_port = if self.api.starts_with("https:") { 443 } else { 80 };
        allowed.iter().any(|host| {
            host.name == self.host.name
                && host.port.unwrap_or(default_port) == self.host.port.unwrap_or_default()
        })
    }

    /// Its host and port.
    #[must_use]
    pub(super) fn host(&self) -> &Host {
        &self.host
    }
}

/// How we call ourselves.
pub(super) const CLIENT: &str = concat!("metlog/", env!("CARGO_PKG_VERSION"));

/// Neither key nor secret belongs into logs.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.api)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.api)
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte)
}

/// `name` or `name:port`; without a port, the default one of the scheme it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no host, expected for example \"sentry.example.com:9000\"");
        // The colons of an address of IPv6 stand in brackets.
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().map_err(|_| wrong())?)),
            _ => (text.as_str(), None),
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_good = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            }
        };
        is_good.then(|| Self { name: name.to_ascii_lowercase(), port }).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_names_the_endpoints_of_its_server() {
        for (dsn, url) in [
            ("https://k@sentry.example.com/7", "https://sentry.example.com/api/7/envelope/"),
            ("http://k:s@h:9000/a/b/7", "http://h:9000/a/b/api/7/envelope/"),
            ("gevent+https://k:s@h/web/", "https://h/api/web/envelope/"),
            ("http://k@[::1]:80/1?verify_ssl=0", "http://[::1]:80/api/1/envelope/"),
        ] {
            assert_eq!(Target::parse(dsn).unwrap().url("envelope"), url, "{dsn}");
        }
    }

    #[test]
    fn the_header_names_key_secret_and_time() {
        let auth = Target::parse("http://k:s@h/1").unwrap().auth("2.0", Some(1.5));
        let expected = format!(
            "Sentry sentry_timestamp=1.5, sentry_client={CLIENT}, sentry_version=2.0, sentry_key=k, sentry_secret=s"
        );
        assert_eq!(auth, expected);
        assert!(!Target::parse("http://k@h/1").unwrap().auth("7", None).contains("secret"));
    }

    #[test]
    fn what_is_no_dsn_is_told_without_its_key() {
        for (dsn, said) in [
            ("udp://hunter2:s@h:9000/1", "udp"),
            ("ftp://hunter2@h/1", "expected http:// or https://"),
            ("hunter2@h/1", "expected http:// or https://"),
            ("http://hunter2@h", "scheme://key@host"),
            ("http://h/1", "scheme://key@host"),
            ("http://hunter2@h/", "scheme://key@host"),
            ("http://hunter2@h:x/1", "scheme://key@host"),
            ("http://hunter2@/1", "scheme://key@host"),
            ("http://hunter2\r\nX: y@h/1", "scheme://key@host"),
            ("http://hunter2@h/1 HTTP", "scheme://key@host"),
            ("http://hunter2@good\\@evil/1", "scheme://key@host"),
        ] {
            match Target::parse(dsn) {
                Err(error) => assert!(error.contains(said) && !error.contains("hunter2"), "{dsn}: {error}"),
                Ok(target) => assert_eq!(dsn, "http://hunter2@good\\@evil/1", "{target}"),
            }
        }
    }

    #[test]
    fn only_hosts_of_the_list_are_allowed() {
        let hosts = |list: &[&str]| -> Vec<Host> {
            list.iter().map(|host| Host::try_from((*host).to_owned()).unwrap()).collect()
        };
        let allowed = hosts(&["sentry.example.com", "127.0.0.1:9000"]);
        for (dsn, expected) in [
            ("https://k@Sentry.Example.com/1", true),
            ("https://k@sentry.example.com:443/1", true),
            ("http://k@sentry.example.com/1", true),
            ("https://k@sentry.example.com:8443/1", false),
            ("https://k@sentry.example.com.evil.org/1", false),
            ("https://sentry.example.com@evil.org/1", false),
            ("https://k:sentry.example.com@evil.org/1", false),
            ("http://k@127.0.0.1:9000/1", true),
            ("http://k@127.0.0.1/1", false),
        ] {
            assert_eq!(Target::parse(dsn).unwrap().is_allowed(&allowed), expected, "{dsn}");
        }
        for text in ["", "http://h", "h:x", "h:99999", "a b", "[h]", "h/x"] {
            assert!(Host::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", Target::parse("http://hunter2:hunter3@h/1").unwrap());
        assert_eq!(shown, "Target(http://h/api/1)");
    }
}
