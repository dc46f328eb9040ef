//! What is wrong with where a daemon forwards to.

use super::sender::ForwardConfig;
use crate::endpoint::can_be_connected;

impl ForwardConfig {
    /// Everything that is wrong, a line each; `section` is where it stands in the file.
    #[must_use]
    pub fn check(&self, section: &str) -> Vec<String> {
        if self.endpoints.is_empty() {
            return vec![format!("{section}.endpoints is empty, expected the grater's link endpoint")];
        }
        let wrong = self.endpoints.iter().filter(|endpoint| !can_be_connected(endpoint));
        wrong
            .map(|endpoint| {
                format!(
                    "{section}.endpoints: {endpoint:?} is neither ipc:///path/to/socket nor tcp://host:port"
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Compression;

    #[test]
    fn a_forward_endpoint_is_one_that_can_be_connected() {
        for bad in ["", "grater:5568"] {
            let endpoints = vec!["tcp://good:1".to_owned(), bad.to_owned()];
            let wrong = ForwardConfig { endpoints, compression: Compression::default() }.check("forward");
            assert_eq!(wrong.len(), 1, "{bad}: {wrong:?}");
            assert!(wrong[0].starts_with(&format!("forward.endpoints: {bad:?} is neither")), "{wrong:?}");
        }
        let none = ForwardConfig { endpoints: Vec::new(), compression: Compression::default() };
        assert!(none.check("aggregate.forward")[0].starts_with("aggregate.forward.endpoints is empty"));
    }
}
