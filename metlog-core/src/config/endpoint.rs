//! Where a client sends when nobody says: the sidecar of this host.

use std::{env, path::Path};

/// The environment variable that names the sidecar's PULL endpoint.
pub const ENDPOINT_VARIABLE: &str = "METLOG_ENDPOINT";

/// The environment variable that names the sidecar's link endpoint, for acknowledged delivery.
pub const LINK_ENDPOINT_VARIABLE: &str = "METLOG_LINK_ENDPOINT";

/// The system-wide folder of the sidecar's sockets.
const RUN_FOLDER: &str = "/run/metlog";

/// A socket of the sidecar: a file of this name in its folder, and where it listens whatever folders it may write.
struct Place {
    variable: &'static str,
    file: &'static str,
    tcp: &'static str,
}

const PUSH: Place = Place { variable: ENDPOINT_VARIABLE, file: "push.sock", tcp: "tcp://127.0.0.1:5566" };

const LINK: Place =
    Place { variable: LINK_ENDPOINT_VARIABLE, file: "link.sock", tcp: "tcp://127.0.0.1:5567" };

/// The endpoints of the sidecar's PULL socket: `METLOG_ENDPOINT`, which may name several with commas between them, else
/// `push.sock` under `/run/metlog` or `$XDG_RUNTIME_DIR/metlog`, whichever a sidecar has made, else
/// `tcp://127.0.0.1:5566`.
#[must_use]
pub fn default_endpoints() -> Vec<String> {
    several(&PUSH.find(|name| env::var(name).ok(), Path::exists))
}

/// The endpoints of the sidecar's link socket: those of `METLOG_LINK_ENDPOINT`, else `link.sock` where
/// [`default_endpoints`] looks for its file, else `tcp://127.0.0.1:5567`.
#[must_use]
pub fn default_link_endpoints() -> Vec<String> {
    several(&LINK.find(|name| env::var(name).ok(), Path::exists))
}

fn several(named: &str) -> Vec<String> {
    named.split(',').map(str::trim).filter(|endpoint| !endpoint.is_empty()).map(str::to_owned).collect()
}

impl Place {
    fn find(&self, variable: impl Fn(&str) -> Option<String>, exists: impl Fn(&Path) -> bool) -> String {
        if let Some(named) = variable(self.variable).filter(|text| !text.is_empty()) {
            return named;
        }
        let runtime = variable("XDG_RUNTIME_DIR").map(|folder| format!("{folder}/metlog"));
        let folders = [Some(RUN_FOLDER.to_owned()), runtime];
        let mut sockets = folders.into_iter().flatten().map(|folder| format!("{folder}/{}", self.file));
        sockets
            .find(|path| exists(Path::new(path)))
            .map_or_else(|| self.tcp.to_owned(), |path| format!("ipc://{path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_named_or_found_or_tcp() {
        let runtime = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/7".to_owned());
        let named = |name: &str| (name == ENDPOINT_VARIABLE).then(|| "tcp://a:1".to_owned());
        let only_mine = |path: &Path| path.starts_with("/run/user");
        assert_eq!(PUSH.find(named, |_| true), "tcp://a:1");
        assert_eq!(PUSH.find(runtime, |_| true), "ipc:///run/metlog/push.sock");
        assert_eq!(PUSH.find(runtime, only_mine), "ipc:///run/user/7/metlog/push.sock");
        assert_eq!(LINK.find(runtime, only_mine), "ipc:///run/user/7/metlog/link.sock");
        assert_eq!(PUSH.find(|_| Some(String::new()), |_| false), "tcp://127.0.0.1:5566");
        assert_eq!(LINK.find(named, |_| false), "tcp://127.0.0.1:5567", "not the PULL endpoint");
        assert_eq!(several("tcp://a:1, tcp://b:1,"), ["tcp://a:1", "tcp://b:1"]);
    }
}
