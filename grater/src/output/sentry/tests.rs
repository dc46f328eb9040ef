//! Tests against a server that answers what the test tells it to, and keeps what it was sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use flate2::read::GzDecoder;
use metlog_core::exception::{Event, Exception, raven::About};
use serde_json::{Value as Json, json};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it came.
struct Request {
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn text(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(self.body.as_slice()).read_to_string(&mut text).unwrap();
        text
    }
}

/// Answers each request with the next of `answers`, and the last of them for ever.
struct Server {
    port: u16,
    requests: Receiver<Request>,
}

impl Server {
    fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (kept, requests) = mpsc::channel();
        let mut answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if serve(&connection, &mut answers, &kept).is_none() {
                    continue;
                }
            }
        });
        Self { port, requests }
    }

    fn dsn(&self) -> String {
        format!("http://hunter2:s3cret@127.0.0.1:{}/base/7", self.port)
    }

    fn output(&self, settings: &str) -> SentryOutput {
        let config = format!("dsn = '{}'\n{settings}", self.dsn());
        SentryOutput::new(toml::from_str(&config).unwrap()).unwrap()
    }

    fn request(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

/// Requests of one connection; nothing when the peer has closed it.
fn serve(connection: &TcpStream, answers: &mut Vec<String>, kept: &Sender<Request>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let path = lines.first()?.split(' ').nth(1)?.to_owned();
        let headers: HashMap<String, String> = lines
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        kept.send(Request { path, headers, body }).ok()?;
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let mut writer = connection;
        writer.write_all(answer.as_bytes()).ok()?;
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn taken() -> String {
    answer("200 OK", "", "{\"id\":\"1\"}")
}

fn payload(kind: &str) -> String {
    let exception = Exception { kind: kind.into(), value: "declined".into(), ..Exception::default() };
    let about = About { logger: None, severity: 3, hostname: "h", project: None };
    raven::payload(&Event::new("python", vec![exception]), &about).unwrap()
}

fn item(kind: &str, payload: &str, dsn: &Json) -> Item {
    let text = json!({"type": kind, "logger": "web", "severity": 3, "payload": payload,
        "timestamp": "2026-11-22T10:00:00Z", "env_version": "0.8", "metlog_pid": 7, "metlog_hostname": "h",
        "fields": {"dsn": dsn, "epoch_timestamp": 1353578400.25}});
    metlog_core::wire::json::from_json(text.to_string().as_bytes()).unwrap().message.into()
}

fn event() -> Item {
    item("sentry", &payload("PaymentError"), &Json::Null)
}

#[test]
fn an_envelope_carries_the_event_and_who_sends_it() {
    let server = Server::start(&[&taken()]);
    assert_eq!(server.output("").deliver(&[event()]).unwrap(), Delivered::default());
    let request = server.request();
    assert_eq!(request.path, "/base/api/7/envelope/");
    let auth = &request.headers["x-sentry-auth"];
    assert!(auth.contains("sentry_version=7, sentry_key=hunter2, sentry_secret=s3cret"), "{auth}");
    let text = request.text();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event_id"], lines[2]["event_id"]);
    assert_eq!(lines[1]["length"], text.lines().nth(2).unwrap().len());
    assert_eq!(lines[2]["exception"]["values"][0]["type"], "PaymentError");
}

#[test]
fn older_servers_get_what_they_know() {
    let server = Server::start(&[&taken()]);
    server.output("protocol = 'store'").deliver(&[event()]).unwrap();
    let request = server.request();
    assert_eq!(request.path, "/base/api/7/store/");
    let sent: Json = serde_json::from_str(&request.text()).unwrap();
    assert_eq!(sent["exception"]["values"][0]["type"], "PaymentError");

    let item = event();
    server.output("protocol = 'raven'").deliver(std::slice::from_ref(&item)).unwrap();
    let request = server.request();
    assert_eq!(request.path, "/base/api/7/store/");
    assert_eq!(request.body, item.message.payload.as_text().unwrap().as_bytes(), "as the client made it");
    let auth = &request.headers["x-sentry-auth"];
    assert!(auth.starts_with("Sentry sentry_timestamp=1353578400.25, "), "{auth}");
}

#[test]
fn what_is_refused_for_good_is_told_from_what_is_tried_again() {
    let later = [
        ("401 Unauthorized", "", "bad key", "see key and project of dsn"),
        ("403 Forbidden", "x-sentry-error: unknown project\r\n", "", "unknown project: see key"),
        ("404 Not Found", "", "no", "see scheme, host and path of dsn"),
        ("301 Moved", "location: http://elsewhere/\r\n", "", "see scheme, host and path of dsn"),
        ("500 Oops", "", "<html>\nbroken", "status 500, <html> broken"),
        ("200 OK", "", "<html>Welcome", "like no Sentry does"),
    ];
    for (status, headers, body, said) in later {
        let server = Server::start(&[&taken(), &answer(status, headers, body)]);
        let halted = server.output("").deliver(&[event(), event(), event()]).unwrap_err();
        let error = halted.error.to_string();
        assert_eq!((halted.settled, halted.dead.len()), (1, 0), "{status}");
        assert!(error.contains(said) && !error.contains("hunter2"), "{status}: {error}");
    }
    for (status, headers, body, said) in [
        ("400 Bad Request", "x-sentry-error: no JSON\r\n", "long text", "status 400, no JSON"),
        ("413 Too Large", "", "{\"detail\":\"event over 1 MB\"}", "event over 1 MB"),
    ] {
        let server = Server::start(&[&answer(status, headers, body), &taken()]);
        let dead = server.output("").deliver(&[event(), event()]).unwrap().dead;
        assert_eq!((dead.len(), dead[0].0), (1, 0));
        assert!(dead[0].1.contains(said) && !dead[0].1.contains("hunter2"), "{dead:?}");
    }
}

#[test]
fn a_message_that_is_no_event_is_refused_without_asking_the_server() {
    let server = Server::start(&[&taken()]);
    let items = [
        item("counter", "1", &Json::Null),
        item("sentry", "%%%", &Json::Null),
        event(),
        item("sentry", &payload("X"), &json!("udp://k:s@127.0.0.1:1/1")),
        item("sentry", &payload("X"), &json!("http://k:s@169.254.169.254/1")),
    ];
    let dead = server.output("").deliver(&items).unwrap().dead;
    let expected = [
        (0, "takes \"sentry\" only"),
        (1, "no base64"),
        (3, "udp"),
        (4, "names 169.254.169.254:80, which is not in allowed_hosts"),
    ];
    for ((position, said), (found, reason)) in expected.iter().zip(&dead) {
        assert_eq!(position, found);
        assert!(reason.contains(said), "{reason}");
    }
    assert_eq!(dead.len(), expected.len());
    server.request();
    assert!(server.requests.try_recv().is_err(), "one request in all");
}

#[test]
fn a_message_may_name_projects_of_listed_hosts_only() {
    let (ours, theirs) = (Server::start(&[&taken()]), Server::start(&[&answer("403 No", "", "x"), &taken()]));
    let other = json!(format!("http://k2@127.0.0.1:{}/9", theirs.port));
    let listed = format!("allowed_hosts = ['127.0.0.1:{}']", theirs.port);
    let items = [item("sentry", &payload("A"), &other), item("sentry", &payload("B"), &other), event()];

    // A key that is wrong in a message holds nobody up.
    let dead = ours.output(&listed).deliver(&items).unwrap().dead;
    assert_eq!((dead.len(), dead[0].0), (1, 0), "{dead:?}");
    assert_eq!(
        (theirs.request().path.as_str(), ours.request().path.as_str()),
        ("/api/9/envelope/", "/base/api/7/envelope/")
    );

    ours.output("message_dsn = 'ignore'").deliver(&items[..1]).unwrap();
    assert_eq!(ours.request().path, "/base/api/7/envelope/");
}

#[test]
fn a_server_that_asks_for_a_pause_is_left_alone() {
    for (status, header, seconds) in [
        ("429 Slow down", "retry-after: 30\r\n", 30),
        ("429 Slow down", "x-sentry-rate-limits: 20:error:key, 900:transaction:key\r\n", 20),
        ("429 Slow down", "", 60),
        ("200 OK", "x-sentry-rate-limits: 40::organization\r\n", 40),
    ] {
        let server = Server::start(&[&answer(status, header, "{}")]);
        let mut output = server.output("");
        let halted = output.deliver(&[event(), event()]).unwrap_err();
        let delivered = usize::from(status.starts_with("200"));
        assert_eq!((halted.settled, halted.dead.len()), (delivered, 0), "{header}");
        let error = output.deliver(&[event()]).unwrap_err().error.to_string();
        let left: u64 = error.split(", ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(error.contains("rate limit") && (seconds - 10..=seconds).contains(&left), "{error}");
        server.request();
        assert!(server.requests.try_recv().is_err(), "asked once: {header}");
    }
}

#[test]
fn a_server_that_is_down_silent_or_speaks_something_else_loses_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = free.local_addr().unwrap().port();
    let garbage = Server::start(&["SSH-2.0-OpenSSH_9.2\r\n"]);
    for (port, said) in [(silent, "timeout"), (garbage.port, "post to http://127.0.0.1")] {
        let config = format!("dsn = 'http://hunter2@127.0.0.1:{port}/1'\ntimeout = '500ms'");
        let mut output = SentryOutput::new(toml::from_str(&config).unwrap()).unwrap();
        let halted = output.deliver(&[event()]).unwrap_err();
        let error = halted.error.to_string();
        assert_eq!(halted.settled, 0);
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        assert!(output.probe().is_err());
    }
    drop(free);
    let config = format!("dsn = 'http://hunter2@127.0.0.1:{silent}/1'");
    let error = SentryOutput::new(toml::from_str(&config).unwrap()).unwrap().probe().unwrap_err().to_string();
    assert!(error.contains("refused") && error.contains(&silent.to_string()), "{error}");
}

#[test]
fn a_probe_says_what_the_server_thinks_of_key_and_project() {
    for (status, said) in [
        ("200 OK", "known"),
        ("400 Bad Request", "known"),
        ("403 No", "see key and project"),
        ("404 No", "see scheme, host"),
    ] {
        let server = Server::start(&[&answer(status, "", "{}")]);
        let said_it = match server.output("").probe() {
            Ok(found) => found,
            Err(error) => error.to_string(),
        };
        assert!(said_it.contains(said) && !said_it.contains("hunter2"), "{status}: {said_it}");
    }
}

#[test]
fn settings_that_cannot_work_are_named() {
    for (settings, said) in [
        ("", "dsn: is missing, expected a project"),
        ("message_dsn = 'ignore'\nallowed_hosts = ['h']", "dsn: is missing"),
        ("dsn = 'hunter2'", "dsn: the DSN begins with"),
        ("dsn = 'http://k@h/1'\ndsn_file = '/x'", "dsn and dsn_file are both given"),
        ("dsn = 'http://k@h/1'\n[tls]\nserver_name = 'x'", "tls.server_name: has no effect over HTTP"),
        ("dsn = 'http://k@h/1'\n[tls]\nca_file = '/nowhere'", "tls.ca_file: cannot read /nowhere"),
    ] {
        let error = SentryOutput::new(toml::from_str(settings).unwrap()).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("hunter2"), "{settings}: {error}");
    }
    let shown = format!("{:?}", Server::start(&[&taken()]).output(""));
    assert!(!shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
}
