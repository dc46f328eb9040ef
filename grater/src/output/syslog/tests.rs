//! The lines of syslog, what cannot be forged in them, and where they go.

use std::{
    io::{Read, Write as _},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::net::{UnixDatagram, UnixListener},
    sync::Arc,
    thread,
    time::Duration,
};

use metlog_core::wire::json::from_json;
use proptest::prelude::*;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto::ring, server::WebPkiClientVerifier,
};

use super::*;

fn message(kind: &str, payload: &str, fields: &str) -> Message {
    let text = format!(
        r#"{{"timestamp":"2026-11-02T03:04:05.123456Z","type":"{kind}","logger":"app","severity":3,"payload":{payload},
        "fields":{{{fields}}},"env_version":"0.8","metlog_pid":42,"metlog_hostname":"web1"}}"#
    );
    from_json(text.as_bytes()).unwrap().message
}

fn output(settings: &str) -> SyslogOutput {
    SyslogOutput::new(toml::from_str(settings).unwrap()).unwrap()
}

const ANYWHERE: &str = "address = 'localhost:514'\n";

fn line(settings: &str, message: &Message) -> Result<String, String> {
    output(&format!("{ANYWHERE}{settings}")).line(message)
}

const CEF: &str = "Nov 02 03:04:05 web1 CEF:0|mozilla|product|3|AuthFail|Auth|5|src=127.0.0.1";

#[test]
fn headers_are_those_of_both_documents() {
    let meta = |meta: &str| message("cef", &format!("{CEF:?}"), &format!(r#""cef_meta":{{{meta}}}"#));
    let all = r#""syslog_ident":"sync","syslog_priority":"ERR","syslog_facility":"AUTH","syslog_options":"PID,NDELAY""#;
    let text = message("oldstyle", r#""disk full""#, "");
    for (settings, message, expected) in [
        ("", &text, "<163>1 2026-11-02T03:04:05.123456Z web1 app 42 oldstyle - disk full".to_owned()),
        (
            "facility = 'user'\nident = 'x y'",
            &text,
            "<11>1 2026-11-02T03:04:05.123456Z web1 x_y 42 oldstyle - disk full".to_owned(),
        ),
        ("", &meta(""), format!("<166>1 2026-11-02T03:04:05.123456Z web1 app 42 cef - {CEF}")),
        ("", &meta(all), format!("<35>1 2026-11-02T03:04:05.123456Z web1 sync 42 cef - {CEF}")),
        (
            "",
            &meta(r#""syslog_facility":"LOCAL9""#),
            format!("<166>1 2026-11-02T03:04:05.123456Z web1 app 42 cef - {CEF}"),
        ),
        (
            "cef_header = 'strip'",
            &meta(""),
            format!("<166>1 2026-11-02T03:04:05.123456Z web1 app 42 cef - {}", &CEF[21..]),
        ),
        (
            "template = '%Logger%: %Payload% %user%'",
            &message("t", "7", r#""user":"ada""#),
            "<163>1 2026-11-02T03:04:05.123456Z web1 app 42 t - app: 7 ada".to_owned(),
        ),
    ] {
        assert_eq!(line(settings, message), Ok(expected), "{settings}");
    }
}

/// The time is that of where this runs.
#[test]
fn the_old_header_has_the_local_time_and_a_tag() {
    let made = line("format = 'rfc3164'\nident = 'my app[1]'", &message("t", r#""x""#, "")).unwrap();
    assert!(made.starts_with("<163>Nov ") && made.ends_with(" web1 my_app_1_[42]: x"), "{made}");
    assert_eq!(made.len(), "<163>Nov  2 03:04:05 web1 my_app_1_[42]: x".len());
}

#[test]
fn a_message_without_text_is_written_as_json() {
    let made = line("", &message("t", r#"{"a":1}"#, "")).unwrap();
    assert!(made.contains(r#" t - {"timestamp""#) || made.contains(r#" t - {"type""#), "{made}");
}

#[test]
fn what_has_no_line_says_why() {
    let long = format!("\"{}\"", "x".repeat(200));
    for (settings, message, reason) in [
        ("", message("cef", "7", ""), "payload is no text, expected a line of the Common Event Format"),
        (
            "",
            message("cef", r#""hello""#, ""),
            "payload is \"hello\", expected a line of the Common Event Format",
        ),
        ("template = '%gone%'", message("t", "1", ""), "the message lacks what template asks for"),
        (
            "max_line_bytes = 100",
            message("t", &long, ""),
            "line has 251 bytes, expected at most 100: see max_line_bytes",
        ),
    ] {
        assert_eq!(line(settings, &message), Err(reason.to_owned()), "{settings}");
    }
}

#[test]
fn line_breaks_are_written_as_each_format_writes_them() {
    let forged = r#""a\nb\r\u0000<34>1 c\u0085d\u2028e""#;
    let made = line("", &message("t", forged, "")).unwrap();
    assert!(made.ends_with("a#012b#015#000<34>1 c d e"), "{made}");
    // The originals leave the byte behind a backslash; what is no break stays as it is.
    let cef = r#""CEF:0|v|p|1|s|n|5|msg=a\\\nb\\\\\nc\nd\\=e""#;
    let made = line("", &message("cef", cef, "")).unwrap();
    assert!(made.ends_with(r"msg=a\nb\\\nc\nd\=e"), "{made}");
}

proptest! {
    /// Whatever a client puts anywhere, a line is one line with one header.
    #[test]
    fn nothing_a_client_sends_begins_another_line(
        texts in prop::collection::vec("[\\PC\n\r\u{0}\u{85}\u{2028} <>:\\[\\]|=\\\\]{0,30}", 6),
        cef in any::<bool>(),
        old in any::<bool>(),
    ) {
        let mut message = message("t", "\"\"", "");
        let [kind, logger, hostname, payload, ident, facility] = texts.try_into().unwrap();
        message.kind = if cef { "cef".to_owned() } else { kind };
        (message.logger, message.hostname, message.payload) = (logger, hostname, format!("CEF:{payload}").into());
        let mut meta = metlog_core::Fields::new();
        meta.insert("syslog_ident", ident);
        meta.insert("syslog_facility", facility);
        message.fields.insert("cef_meta", meta);
        let settings = if old { "format = 'rfc3164'\nmax_line_bytes = '1MB'" } else { "max_line_bytes = '1MB'" };
        let made = line(settings, &message).unwrap();
        prop_assert!(!made.contains(|letter: char| letter.is_control() || "\u{2028}\u{2029}".contains(letter)), "{made:?}");
        if !old {
            let words: Vec<&str> = made.splitn(8, ' ').collect();
            prop_assert_eq!((words.len(), words[6]), (8, "-"), "{}", made);
            prop_assert!(words[7].starts_with("CEF:"));
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (settings, said) in [
        ("", "address: is needed without path, expected host:port of the server"),
        ("address = 'a:1'\npath = '/x'", "path: is needed without address, expected the server's socket"),
        (
            "address = 'a:1'\nprotocol = 'unix'",
            "path: is needed without address, expected the server's socket",
        ),
        ("address = 'a:1'\ntls = {}", "tls: is given, expected protocol = \"tls\" with it"),
        ("address = 'a:1'\ntemplate = '50%'", "template: \"50%\" has a single %"),
    ] {
        let error = SyslogOutput::new(toml::from_str(settings).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(said), "{settings}: {error}");
    }
    let error =
        toml::from_str::<SyslogConfig>("address = 'a:1'\nfacility = 'local8'").unwrap_err().to_string();
    assert!(error.contains("facility \"local8\" is unknown, expected one of kern, user"), "{error}");
}

fn deliver(output: &mut SyslogOutput) {
    let items = ["\"a\"", "\"b\""].map(|payload| Item::from(message("t", payload, "")));
    assert_eq!(output.deliver(&items).unwrap(), Delivered::default());
    output.checkpoint().unwrap();
}

const HEADER: &str = "<163>1 2026-11-02T03:04:05.123456Z web1 app 42 t - ";

#[test]
fn streams_are_framed_as_asked() {
    for (framing, expected) in [
        ("octet_counting", format!("{0} {HEADER}a{0} {HEADER}b", HEADER.len() + 1)),
        ("line_feed", format!("{HEADER}a\n{HEADER}b\n")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut output = output(&format!("address = '{address}'\nprotocol = 'tcp'\nframing = '{framing}'"));
        deliver(&mut output);
        drop(output);
        let mut all = String::new();
        listener.accept().unwrap().0.read_to_string(&mut all).unwrap();
        assert_eq!(all, expected);
    }
}

#[test]
fn each_line_is_a_packet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (udp, unix) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UnixDatagram::bind(&path).unwrap());
    udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    deliver(&mut output(&format!("address = '{}'", udp.local_addr().unwrap())));
    deliver(&mut output(&format!("path = '{}'", path.display())));
    for payload in ["a", "b"] {
        let mut packet = [0; 100];
        let length = udp.recv(&mut packet).unwrap();
        assert_eq!(packet[..length], *format!("{HEADER}{payload}").as_bytes());
        let length = unix.recv(&mut packet).unwrap();
        assert_eq!(packet[..length], *format!("{HEADER}{payload}").as_bytes());
    }
}

#[test]
fn a_unix_stream_is_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let listener = UnixListener::bind(&path).unwrap();
    let mut output =
        output(&format!("path = '{}'\nprotocol = 'unix_stream'\nframing = 'line_feed'", path.display()));
    deliver(&mut output);
    drop(output);
    let mut all = String::new();
    listener.accept().unwrap().0.read_to_string(&mut all).unwrap();
    assert_eq!(all, format!("{HEADER}a\n{HEADER}b\n"));
}

/// Certificates of one authority: the server's for `localhost`, and a client's.
struct Certificates {
    directory: tempfile::TempDir,
    authority: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority =
            rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        Self { directory, authority }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    /// A server that wants a certificate of the same authority; gives back what a client wrote.
    fn serve(&self, connections: usize) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let (certificate, key) = self.issue("localhost");
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let read = |_| {
                let socket = listener.accept().unwrap().0;
                let mut stream =
                    StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
                let mut all = Vec::new();
                let _ended_without_farewell = stream.read_to_end(&mut all);
                let _gone = stream.flush();
                String::from_utf8(all).unwrap()
            };
            (0..connections).map(read).collect()
        });
        (address, server)
    }

    fn settings(&self, address: SocketAddr, tls: &str) -> String {
        let ca = self.directory.path().join("ca.pem");
        let port = address.port();
        format!(
            "address = 'localhost:{port}'\nprotocol = 'tls'\nframing = 'line_feed'\n[tls]\nca_file = '{}'\n{tls}",
            ca.display()
        )
    }
}

#[test]
fn tls_is_agreed_on_with_both_certificates_and_refused_without() {
    let certificates = Certificates::new();
    let (address, server) = certificates.serve(3);
    let (certificate, key) = certificates.issue("client");
    let path = |name: &str| certificates.directory.path().join(name);
    std::fs::write(path("client.pem"), certificate.pem()).unwrap();
    std::fs::write(path("client.key"), key.serialize_pem()).unwrap();
    let own = format!(
        "certificate_file = '{}'\nkey_file = '{}'\n",
        path("client.pem").display(),
        path("client.key").display()
    );
    let mut good = output(&certificates.settings(address, &own));
    deliver(&mut good);
    drop(good);
    let error = output(&certificates.settings(address, "")).probe().unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    let error = output(&certificates.settings(address, &format!("{own}server_name = 'other'"))).probe();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("agree on TLS") && error.contains("not valid for name"), "{error}");
    assert_eq!(server.join().unwrap().first(), Some(&format!("{HEADER}a\n{HEADER}b\n")));
}
