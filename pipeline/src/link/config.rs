//! The section `[forward]`: the next hops, and how they are reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Compression;
use crate::{
    curve::{CurveClient, PublicKey},
    endpoint,
};

/// Where to forward to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardConfig {
    /// ROUTER endpoints of the next hop, tried in turn.
    pub endpoints: Vec<String>,
    /// Whether batches are compressed on the way.
    #[serde(default)]
    pub compression: Compression,
    /// Who we are, and who the next hops at `tcp://` endpoints are; without it nothing leaves the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<CurveClient>,
}

impl ForwardConfig {
    /// Without encryption, so to this host alone.
    #[must_use]
    pub fn plain(endpoints: Vec<String>) -> Self {
        Self { endpoints, compression: Compression::default(), curve: None }
    }

    /// Everything that is wrong with it, a line each; `section` is where it stands in the file.
    #[must_use]
    pub fn check(&self, section: &str) -> Vec<String> {
        if self.endpoints.is_empty() {
            return vec![format!("{section}.endpoints is empty, expected the grater's link endpoint")];
        }
        let wrong = self.endpoints.iter().filter_map(|endpoint| {
            let why = if !endpoint::can_be_connected(endpoint) {
                "is neither ipc:///path/to/socket nor tcp://host:port"
            } else if self.curve.is_none() && !endpoint::is_local(endpoint) {
                "leaves this host, for which it needs CURVE: see docs/encryption.md"
            } else {
                return None;
            };
            Some(format!("{section}.endpoints: {endpoint:?} {why}"))
        });
        let curve = self
            .curve
            .iter()
            .flat_map(|curve| curve.check(&format!("{section}.curve"), self.encrypted().count()));
        wrong.chain(curve).collect()
    }

    fn encrypted(&self) -> impl Iterator<Item = &String> {
        self.endpoints.iter().filter(|endpoint| endpoint.starts_with("tcp://"))
    }

    /// The key of the receiver there, where the link is encrypted.
    pub(super) fn server_key(&self, endpoint: &str) -> Option<(&CurveClient, PublicKey)> {
        let curve = self.curve.as_ref()?;
        let place = self.encrypted().position(|known| known == endpoint)?;
        Some((curve, curve.server_key(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_one_that_can_be_connected_and_does_not_leave_the_host_in_the_clear() {
        let wrong = |endpoint: &str| {
            ForwardConfig::plain(vec!["ipc:///run/good".to_owned(), endpoint.to_owned()]).check("forward")
        };
        for good in ["tcp://localhost:5568", "tcp://127.0.0.1:1", "tcp://[::1]:5568", "ipc:///run/x"] {
            assert_eq!(wrong(good), Vec::<String>::new(), "{good}");
        }
        for (bad, why) in [
            ("", "is neither"),
            ("grater:5568", "is neither"),
            ("ipc://", "is neither"),
            ("tcp://grater", "is neither"),
            ("tcp://:1", "is neither"),
            ("tcp://*:1", "is neither"),
            ("tcp://a:0", "is neither"),
            ("tcp://a:x", "is neither"),
            ("tcp://grater:5568", "needs CURVE"),
            ("tcp://10.0.0.7:5568", "needs CURVE"),
        ] {
            let said = wrong(bad);
            assert_eq!(said.len(), 1, "{bad}: {said:?}");
            assert!(
                said[0].starts_with(&format!("forward.endpoints: {bad:?} ")) && said[0].contains(why),
                "{said:?}"
            );
        }
    }
}
