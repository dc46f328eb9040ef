//! TLS towards a back end: rustls with ring, the system's certificates unless the configuration names others.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::OutputError;

/// The section `tls` of an `[[output]]`. The peer's certificate is always checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM with the authorities that the peer's certificate may come from; the system's when left out.
    pub ca_file: Option<PathBuf>,
    /// PEM with our certificate and those between it and its authority, for peers that ask for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM with the key of `certificate_file`.
    pub key_file: Option<PathBuf>,
    /// The name that the peer's certificate must be for; the host of the address when left out.
    pub server_name: Option<String>,
}

impl TlsConfig {
    /// What connections are made with. Reads the files that are named.
    ///
    /// # Errors
    /// Names the setting whose file is missing or not what it should be.
    pub fn client(&self) -> Result<Arc<ClientConfig>, OutputError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("tls", error))?
            .with_root_certificates(self.roots()?);
        let config = match self.identity()? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong("tls.certificate_file and tls.key_file", error))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// Whom the peer's certificate must be for, when it is reached at `host`.
    ///
    /// # Errors
    /// When that is neither a name nor an address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, OutputError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned())
            .map_err(|_| OutputError::setting("tls.server_name", format!("{name:?} is no name of a host")))
    }

    fn roots(&self) -> Result<RootCertStore, OutputError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca_file else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let message = "is left out and the system has no certificates, expected a file with the \
                               authorities of the back end";
                return Err(OutputError::setting("tls.ca_file", message));
            }
            return Ok(roots);
        };
        for certificate in certificates("tls.ca_file", path)? {
            roots.add(certificate).map_err(|error| wrong("tls.ca_file", error))?;
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<Option<Identity>, OutputError> {
        match (&self.certificate_file, &self.key_file) {
            (Some(chain), Some(key)) => {
                let chain = certificates("tls.certificate_file", chain)?;
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unread("tls.key_file", key, &error))?;
                Ok(Some((chain, key)))
            }
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err(wrong("tls.key_file", "is left out, expected the key of certificate_file"))
            }
            (None, Some(_)) => Err(wrong("tls.certificate_file", "is left out, expected that of key_file")),
        }
    }
}

/// Our certificate with those between it and its authority, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificates in a file, at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, OutputError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unread(key, path, &pem::Error::NoItemsFound)),
        Ok(found) => Ok(found),
        Err(error) => Err(unread(key, path, &error)),
    }
}

fn unread(key: &'static str, path: &Path, error: &pem::Error) -> OutputError {
    OutputError::setting(key, format!("cannot read {} as PEM: {error}", path.display()))
}

fn wrong(key: &'static str, error: impl fmt::Display) -> OutputError {
    OutputError::setting(key, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        toml::from_str::<TlsConfig>(text).unwrap().client().unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_names_the_setting_and_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text.pem");
        std::fs::write(&text, "no certificate").unwrap();
        let text = text.display();
        for (settings, expected) in [
            ("ca_file = '/nowhere.pem'".to_owned(), "tls.ca_file: cannot read /nowhere.pem as PEM: "),
            (format!("ca_file = '{text}'"), "tls.ca_file: cannot read "),
            ("key_file = 'k'".to_owned(), "tls.certificate_file: is left out, expected that of key_file"),
            ("certificate_file = 'c'".to_owned(), "tls.key_file: is left out, expected the key of"),
            ("certificate_file = 'c'\nkey_file = 'k'".to_owned(), "tls.certificate_file: cannot read c as"),
        ] {
            let error = said(&settings);
            assert!(error.starts_with(expected), "{settings}: {error}");
        }
    }

    #[test]
    fn the_name_of_the_peer_is_the_host_unless_it_is_given() {
        let given = TlsConfig { server_name: Some("logs.example".to_owned()), ..TlsConfig::default() };
        assert_eq!(given.server_name("127.0.0.1").unwrap().to_str(), "logs.example");
        assert_eq!(TlsConfig::default().server_name("127.0.0.1").unwrap().to_str(), "127.0.0.1");
        assert!(TlsConfig::default().server_name("a b").is_err());
    }
}
