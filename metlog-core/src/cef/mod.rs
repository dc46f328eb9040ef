//! Security events in ArcSight's Common Event Format, as `cef` messages for a syslog.
//!
//! The line is `Mon DD HH:MM:SS host CEF:version|vendor|product|device_version|signature|name|severity|` and then the
//! extension, `key=value` after `key=value`. Time is local, months are English whatever the locale. Nothing that a
//! client of the application sends can forge a key or a line: see [`format()`].
//!
//! ```
//! use metlog_core::{Client, cef, sender};
//!
//! let (memory, _captured) = sender::memory::channel();
//! let client = Client::builder().sender(memory).build();
//! let device = cef::Device::from_config(|key| match key {
//!     "cef.version" => Some("0".to_owned()),
//!     _ => Some("example".to_owned()),
//! })?;
//! let request = cef::Request { method: Some("POST".into()), path: Some("/login".into()), ..cef::Request::default() };
//! let event = cef::Event { username: "jane", request, ..cef::Event::new(&device, "Login failed", 4) };
//! let sent = client.cef(&event, &cef::CefMeta::default());
//! assert!(sent.line.ends_with("|Login failed|4|cs1Label=requestClientApplication cs1=none requestMethod=POST \
//!     request=/login src=None dhost=none suser=jane"));
//! # Ok::<(), metlog_core::Error>(())
//! ```

mod escape;
mod event;
mod format;
mod meta;

pub use event::{CONFIG_KEYS, Device, Event, Level, Request};
pub use format::{Formatted, HeaderBreaks, MAX_LINE_BYTES, Warning, format};
pub use meta::CefMeta;

use crate::{
    client::{Client, Options, fields},
    timestamp::Timestamp,
    value::Encode,
};

/// Signature of a failed authentication.
pub const AUTH_FAILURE: &str = "AuthFail";
/// Signature of a failed captcha.
pub const CAPTCHA_FAILURE: &str = "CaptchaFail";
/// Signature of an administrator's override that was refused.
pub const OVERRIDE_FAILURE: &str = "InvalidAdmin";
/// Signature of an account that was locked.
pub const ACCOUNT_LOCKED: &str = "AccountLockout";
/// Signature of a password reset that was taken back.
pub const PASSWD_RESET_CLR: &str = "PasswordResetCleared";

impl Client {
    /// Sends the event as a `cef` message and gives the line back, with what the application should be told about it.
    pub fn cef(&self, event: &Event<'_>, meta: &CefMeta) -> Formatted {
        let timestamp = Timestamp::now();
        let formatted = format(event, timestamp);
        let meta = meta.fields();
        let pairs: [(&str, &dyn Encode); 1] = [("cef_meta", &meta)];
        self.metlog(
            "cef",
            Options {
                payload: Some(&formatted.line),
                fields: fields(&pairs),
                timestamp: Some(timestamp),
                ..Options::default()
            },
        );
        formatted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Severity, Value, sender};

    #[test]
    fn the_message_carries_the_line_and_the_meta() {
        let (memory, captured) = sender::memory::channel();
        let client = Client::builder().logger("app").sender(memory).build();
        let device = Device::from_config(|_| Some("x".to_owned())).unwrap();
        let meta = CefMeta::new(None, Some("LOCAL4"), None, None).unwrap();
        let formatted = client.cef(&Event::new(&device, AUTH_FAILURE, "High"), &meta);
        client.close(Duration::from_secs(5));

        let message = captured.messages().pop().unwrap();
        assert_eq!((message.kind.as_str(), message.severity), ("cef", Severity::INFORMATIONAL));
        assert_eq!(message.payload, Value::from(formatted.line));
        let fields: crate::Fields = [("cef_meta", meta.fields())].into_iter().collect();
        assert_eq!(message.fields, fields);
    }
}
