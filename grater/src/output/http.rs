//! HTTP towards a back end: one agent with its connections kept open, no redirects, answers read up to a bound.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use ureq::{
    Agent,
    http::header::HeaderMap,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig as UreqTls},
};

use super::{OutputError, TlsConfig};

/// As much of an answer as is worth reading; refusals say why in their first line.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// As much of an answer as goes into a reason.
const MAX_REASON_CHARS: usize = 200;

/// What a server said.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status of HTTP.
    pub(super) status: u16,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body, as far as it was read.
    pub(super) body: String,
}

impl Answer {
    /// A header, when it is there and text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body for a log line: its beginning, on one line.
    pub(super) fn reason(&self) -> String {
        let line: String = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(MAX_REASON_CHARS).collect()
    }
}

/// An agent that takes at most `timeout` for each request, and answers whatever the status is. Redirects are not
/// followed: a server must not send credentials elsewhere.
///
/// # Errors
/// Names the setting of `tls` whose file cannot be read.
pub(super) fn agent(timeout: Duration, tls: &TlsConfig) -> Result<Agent, OutputError> {
    if tls.server_name.is_some() {
        return Err(OutputError::setting("tls.server_name", "has no effect over HTTP: leave it out"));
    }
    // Reads and checks every file that is named.
    tls.client()?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(timeout))
        .tls_config(ureq_tls(tls)?)
        .build();
    Ok(config.into())
}

fn ureq_tls(tls: &TlsConfig) -> Result<UreqTls, OutputError> {
    let roots = match &tls.ca_file {
        Some(path) => certificates("tls.ca_file", path)?,
        None => owned(&rustls_native_certs::load_native_certs().certs),
    };
    let mut config = UreqTls::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots));
    if let (Some(chain), Some(key)) = (&tls.certificate_file, &tls.key_file) {
        let chain = certificates("tls.certificate_file", chain)?;
        let pem = fs::read(key).map_err(OutputError::file("read tls.key_file", key))?;
        let key = PrivateKey::from_pem(&pem)
            .map_err(|error| OutputError::setting("tls.key_file", error.to_string()))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<Certificate<'static>>, OutputError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map(|found| owned(&found)).map_err(|error| OutputError::setting(key, error.to_string()))
}

fn owned(found: &[CertificateDer<'_>]) -> Vec<Certificate<'static>> {
    found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

/// Posts `body`; whatever the server answers is no error.
///
/// # Errors
/// `Network` when there is no answer, or none that is HTTP.
pub(super) fn post(
    agent: &Agent,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, OutputError> {
    let failed = |error: ureq::Error| {
        OutputError::network("post to", url)(match error {
            ureq::Error::Io(source) => source,
            other => io::Error::other(other),
        })
    };
    let mut request = agent.post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(body).map_err(failed)?;
    let mut read = Vec::new();
    // What was said counts even when the rest of it does not come.
    let _cut_short = response.body_mut().as_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut read);
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: String::from_utf8_lossy(&read).into_owned(),
    })
}
