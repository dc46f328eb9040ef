//! The address of a Sentry project, checked once.

use crate::error::Error;

/// Schemes that original clients were configured with; the part before `+` named their transport.
const SCHEMES: [&str; 3] = ["udp", "http", "https"];

/// Transports of the original clients.
const TRANSPORTS: [&str; 5] = ["gevent", "eventlet", "threaded", "twisted", "tornado"];

/// `scheme://user:password@host[:port]/[path/]project`. It travels with each event, credentials and all: the output
/// that delivers to Sentry takes it from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dsn {
    text: String,
    project: String,
}

impl Dsn {
    /// Checks a DSN.
    ///
    /// # Errors
    /// `Config`: `Unsupported Sentry DSN scheme` or `Invalid Sentry DSN`, the words applications of the original look for.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        if !is_supported(scheme) {
            return Err(Error::config(format!(
                "Unsupported Sentry DSN scheme: {scheme:?}, expected {}",
                SCHEMES.join(", ")
            )));
        }
        let project = project_of(rest, scheme.ends_with("udp")).ok_or_else(|| {
            // The DSN itself is left out of the message: it holds a password.
            Error::config("Invalid Sentry DSN, expected scheme://user:password@host[:port]/project, with a port for udp")
        })?;
        Ok(Self { text: text.to_owned(), project: project.to_owned() })
    }

    /// The DSN as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The project's identifier.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }
}

fn is_supported(scheme: &str) -> bool {
    match scheme.split_once('+') {
        Some((transport, scheme)) => TRANSPORTS.contains(&transport) && SCHEMES.contains(&scheme),
        None => SCHEMES.contains(&scheme),
    }
}

fn project_of(rest: &str, needs_port: bool) -> Option<&str> {
    let (authority, path) = rest.split_once('/')?;
    let (user_info, host) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    let project = path.split(['?', '#']).next()?.rsplit('/').next()?;
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let port_is_right = if port.is_empty() { !needs_port } else { port.parse::<u16>().is_ok() };
    let complete = [user, password, name, project].iter().all(|part| !part.is_empty());
    (complete && port_is_right).then_some(project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_originals_is_read() {
        for (text, project) in [
            ("udp://username:password@127.0.0.1:9000/2", "2"),
            ("http://u:p@sentry.example.com/base/path/7", "7"),
            ("gevent+https://u:p@h:8080/web", "web"),
        ] {
            let dsn = Dsn::parse(text).unwrap();
            assert_eq!((dsn.as_str(), dsn.project()), (text, project));
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let cases = [
            ("ftp://u:pw@h/1", "Unsupported Sentry DSN scheme"),
            ("foo+http://u:pw@h/1", "Unsupported Sentry DSN scheme"),
            ("", "Unsupported Sentry DSN scheme"),
            ("http://u@h/1", "Invalid Sentry DSN"),
            ("http://h/1", "Invalid Sentry DSN"),
            ("http://u:pw@h/", "Invalid Sentry DSN"),
            ("http://u:pw@h", "Invalid Sentry DSN"),
            ("http://u:pw@h:x/1", "Invalid Sentry DSN"),
            ("udp://u:pw@h/1", "Invalid Sentry DSN"),
        ];
        for (text, expected) in cases {
            let error = Dsn::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected) && !error.contains("pw"), "{text}: {error}");
        }
    }
}
