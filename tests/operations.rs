//! The tools an operator has beside the daemons, on running and on stopped ones.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use metlog_core::{
    Options, fields,
    wire::{
        batch::{Counts, Header, ProducerId, encode},
        record::Identity,
    },
};
use metlog_pipeline::audit::Verdict;
use metlog_tests::{Daemon, Setup, System, number, wait_until};
use serde_json::Value;

/// Runs `metlog-x <word> --config ... <args>`: exit code, stdout, stderr.
fn tool(daemon: &Daemon, word: &str, args: &[&str]) -> (i32, String, String) {
    finish(daemon.command(word).args(args))
}

fn finish(command: &mut Command) -> (i32, String, String) {
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

/// Sends numbered messages and waits until the sidecar has them on disk.
fn send_numbered(system: &System, count: u64) {
    let client = system.client("app");
    for n in 0..count {
        client.metlog("numbered", Options { fields: fields(&[("n", &n)]), ..Options::default() });
    }
    let report = client.close(Duration::from_secs(10));
    assert_eq!((report.sent, report.waiting), (count, 0));
    wait_until("the spool to have it", || system.sidecar.stats().safe.iter().any(|(_, end)| *end == count));
}

fn numbers(lines: &str) -> Vec<u64> {
    lines.lines().map(|line| number(&serde_json::from_str(line).unwrap(), "/fields/n")).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

#[test]
fn the_spool_of_a_running_daemon_is_listed_verified_and_exported_and_it_never_notices() {
    let mut system = System::start(Setup::default());
    let client = system.client("first");
    client.metlog("warm-up", Options::default());
    client.close(Duration::from_secs(10));
    // The forwarder is in the list once it has saved its cursor.
    wait_until("the forwarder's cursor", || tool(&system.sidecar, "spool", &["ls"]).1.contains("forward "));
    assert_eq!(system.wait_for("warm-up", 1).len(), 1);
    system.grater.kill();
    send_numbered(&system, 300);

    let (code, text, error) = tool(&system.sidecar, "spool", &["ls"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(text.contains("a daemon is running on it") && text.contains("forward "), "{text}");
    let (code, text, _) = tool(&system.sidecar, "spool", &["ls", "--json"]);
    let listing = json(&text);
    let last = number(&listing, "/last");
    assert_eq!((code, listing["live"].as_bool(), last), (0, Some(true), system.sidecar.stats().appended));
    let consumers = listing["consumers"].as_array().unwrap();
    let forward = consumers.iter().find(|consumer| consumer["name"] == "forward");
    assert!(forward.is_some_and(|forward| number(forward, "/behind_records") > 0), "{listing}");

    let (code, text, _) = tool(&system.sidecar, "spool", &["verify"]);
    assert!(code == 0 && text.starts_with("good: ") && text.contains("301 messages"), "{code} {text}");
    let (code, lines, error) = tool(&system.sidecar, "spool", &["export", "--where", "Type == 'numbered'"]);
    assert_eq!((code, error.as_str(), numbers(&lines)), (0, "", (0..300).collect()));
    let some = [
        "export",
        "--where",
        "Type == 'numbered' && Fields[n] < 3",
        "--from",
        "1",
        "--to",
        "2000-01-01T00:00:00Z",
    ];
    assert_eq!(numbers(&tool(&system.sidecar, "spool", &some[..5]).1), [0, 1, 2]);
    assert_eq!(tool(&system.sidecar, "spool", &some).1, "", "nothing is so old");

    system.grater.restart();
    assert_eq!(system.wait_for("numbered", 300).len(), 300);
    assert_eq!(system.sidecar.audit().verdict, Verdict::Balanced);
}

#[test]
fn damage_of_a_stopped_spool_is_named_and_the_rest_exported() {
    let mut system = System::start(Setup::default());
    system.grater.kill();
    for n in 0..20_u64 {
        let client = system.client("app");
        client.metlog("numbered", Options { fields: fields(&[("n", &n)]), ..Options::default() });
        client.close(Duration::from_secs(10));
    }
    wait_until("the spool to have it", || system.sidecar.audit().sent.attempted == 20);
    assert!(system.sidecar.terminate().success());
    let found = json(&tool(&system.sidecar, "spool", &["verify", "--json"]).1);
    assert_eq!(found["good"], Value::Bool(true), "{found}");

    let (segment, bytes) = only_segment(&system);
    let file = fs::File::options().write(true).open(&segment).unwrap();
    let offset = bytes.windows(8).position(|window| window == b"numbered").unwrap();
    file.write_all_at(b"N", u64::try_from(offset).unwrap()).unwrap();
    let (code, text, _) = tool(&system.sidecar, "spool", &["verify", "--json"]);
    let findings = json(&text)["findings"].clone();
    assert_eq!((code, findings.as_array().unwrap().len()), (1, 1), "{text}");
    let finding = &findings[0];
    let (start, length) = (number(finding, "/offset"), number(finding, "/bytes"));
    let at = u64::try_from(offset).unwrap();
    assert!(finding["what"] == "damaged" && start < at && at < start + length, "{finding} {at}");
    assert_eq!(number(finding, "/records"), 1);

    let (code, lines, error) = tool(&system.sidecar, "spool", &["export", "--where", "Type == 'numbered'"]);
    assert_eq!((code, numbers(&lines)), (1, (1..20).collect()), "{error}");
    assert!(error.contains("1 damaged stretches") && error.contains("spool verify"), "{error}");
}

/// The one segment of the sidecar's spool, and its bytes.
fn only_segment(system: &System) -> (PathBuf, Vec<u8>) {
    let entries = fs::read_dir(system.sidecar.data_dir().join("spool")).unwrap();
    let mut segments = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"));
    let path = segments.next().unwrap();
    assert_eq!(segments.next(), None);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn what_was_exported_is_sent_again_and_whole_batches_are_not_taken_twice() {
    let system = System::start(Setup::default());
    send_numbered(&system, 100);
    assert_eq!(system.wait_for("numbered", 100).len(), 100);
    let endpoint = format!("ipc://{}/grater.sock", system.home().display());

    let keep = ["replay", "--endpoint", &endpoint, "--keep-origin"];
    let (code, text, error) = tool(&system.grater, "spool", &keep);
    assert!(code == 0 && text.contains("messages are on the disk of"), "{text} {error}");
    let (_, lines, _) = tool(&system.grater, "spool", &["export", "--where", "Fields[n] >= 90"]);
    let file = system.home().join("exported.jsonl");
    fs::write(&file, format!("{lines}no message\n")).unwrap();
    let again = [
        "replay",
        "--endpoint",
        &endpoint,
        "--file",
        file.to_str().unwrap(),
        "--where",
        "Fields[n] > 94",
        "--json",
    ];
    let (code, text, error) = tool(&system.grater, "spool", &again);
    assert_eq!((code, number(&json(&text), "/messages")), (1, 5), "one line is no message: {error}");
    assert!(error.contains("line 11"), "{error}");
    let delivered = system.wait_for("numbered", 105);
    let mut found: Vec<u64> = delivered.iter().map(|message| number(message, "/fields/n")).collect();
    found.sort_unstable();
    let mut expected: Vec<u64> = (0..100).chain(95..100).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    wait_until("a balance", || system.grater.audit().sent.delivered == 105);
    let audit = system.grater.audit();
    assert_eq!((audit.verdict, audit.sent.attempted), (Verdict::Balanced, 105), "{audit}");
    assert!(audit.to_string().contains("metlog-replay"), "{audit}");
}

#[test]
fn exit_codes_tell_usage_configuration_and_failure_apart() {
    let mut system = System::start(Setup::default());
    for (args, said) in [
        (&["export", "--where", "Type = 'x'"][..], "column"),
        (&["export", "--from", "yesterday"], "expected an ordinal"),
        (&["export", "--frm", "1"], "--from"),
        (&["replay"], "--endpoint"),
    ] {
        let (code, _, error) = tool(&system.sidecar, "spool", args);
        assert!(code == 2 && error.contains(said), "{args:?}: {code} {error}");
    }
    let nowhere = format!("ipc://{}/nobody.sock", system.home().display());
    let (code, _, error) = tool(&system.sidecar, "spool", &["replay", "--endpoint", &nowhere]);
    assert!(code == 1 && error.contains("no welcome from"), "{code} {error}");
    assert!(system.sidecar.terminate().success());
    fs::remove_dir_all(system.sidecar.data_dir()).unwrap();
    let (code, _, error) = tool(&system.sidecar, "spool", &["ls"]);
    assert!(code == 1 && error.contains("no spool can be read"), "{code} {error}");
    assert!(!system.sidecar.data_dir().exists(), "looking leaves nothing behind");
    fs::write(system.home().join("metlog-sidecar.toml"), "dta_dir = 'x'\n").unwrap();
    let (code, _, error) = tool(&system.sidecar, "spool", &["ls"]);
    assert!(code == 78 && error.contains("data_dir"), "{code} {error}");
}

#[test]
fn what_a_client_gave_up_shows_as_dropped_by_the_client_on_every_hop() {
    let system = System::start(Setup::default());
    let socket = zmq::Context::new().socket(zmq::PUSH).unwrap();
    socket.connect(&system.push_endpoint()).unwrap();
    let identity = Identity { env_version: "0.8", pid: 7, hostname: "h" };
    // Ten were taken, three of them given up before anything was sent; the rest was taken out on the way.
    let header = Header {
        first_sequence: 3,
        span: 7,
        removed: Counts::from([("filtered:rule".to_owned(), 7)]),
        attempted: 10,
        dropped: Counts::from([("send".to_owned(), 3)]),
        last: true,
        ..Header::new(ProducerId([9; 16]), identity, "gave-up")
    };
    socket.send(encode(&header, &[]), 0).unwrap();
    for daemon in [&system.sidecar, &system.grater] {
        wait_until("the batch", || daemon.audit().sent.attempted == 10);
        let audit = daemon.audit();
        assert_eq!(
            (audit.sent.dropped, audit.sent.unknown, audit.verdict),
            (3, 0, Verdict::Balanced),
            "{audit}"
        );
        let (code, text, _) = tool(daemon, "audit", &[]);
        assert!(code == 0 && text.contains("dropped by the client: send 3"), "{code} {text}");
        assert_eq!(daemon.stats().dropped_by_clients, Counts::from([("send".to_owned(), 3)]));
        assert_eq!(daemon.counter("metlog_client_dropped_messages{reason=\"send\"}"), 3);
    }
}

/// Routes everything to one output of the name `graphite`.
fn one_output(kind: &str) -> String {
    format!("catchall = [\"graphite\"]\n[[output]]\nname = \"graphite\"\n{kind}\n")
}

#[test]
fn dead_letters_are_listed_shown_dropped_and_sent_again() {
    let carbon = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = carbon.local_addr().unwrap();
    let setup = one_output(&format!("type = \"carbon\"\naddress = \"{address}\""));
    let mut system = System::start(Setup { grater: &setup, ..Setup::default() });
    // Carbon takes roll-ups alone.
    send_numbered(&system, 10);
    let dead = |system: &System| {
        let rows = json(&tool(&system.grater, "dlq", &["ls", "--json"]).1);
        number(&rows, "/0/letters")
    };
    wait_until("the letters", || dead(&system) == 10);
    wait_until("the books", || system.grater.audit().sent.dropped == 10);

    let (code, text, error) = tool(&system.grater, "dlq", &["ls"]);
    assert!(code == 0 && text.contains("graphite") && text.contains("10 x "), "{text} {error}");
    let (_, text, _) = tool(&system.grater, "dlq", &["show", "--where", "Fields[n] == 7"]);
    assert!(text.lines().count() == 2 && text.contains("attempt 1") && text.contains("\"n\":7"), "{text}");
    let (code, text, _) = tool(&system.grater, "dlq", &["drop", "--where", "Fields[n] < 4"]);
    assert_eq!((code, text.trim_end(), dead(&system)), (0, "graphite: 4 letters dropped", 6));
    let (code, text, _) =
        tool(&system.grater, "dlq", &["replay", "--output", "graphite", "--where", "Fields[n] == 9"]);
    assert_eq!((code, text.trim_end()), (1, "graphite: 0 letters sent, 1 refused again, 0 still waiting"));
    let (_, text, _) = tool(&system.grater, "dlq", &["show", "--json", "--where", "Fields[n] == 9"]);
    assert_eq!(number(&json(&text), "/attempts"), 2, "{text}");

    // Somebody mends the back end: it takes everything now.
    assert!(system.grater.terminate().success());
    let (code, text, _) = tool(&system.grater, "dlq", &["replay", "--where", "Fields[n] == 4"]);
    assert_eq!((code, text.trim_end()), (0, "graphite: 1 letters are sent when the grater starts"));
    let config = system.home().join("metlog-grater.toml");
    let file = system.grater.data_dir().join("messages.jsonl");
    let mended = fs::read_to_string(&config).unwrap().replace("\"carbon\"", "\"file\"");
    let mended =
        mended.replace(&format!("address = \"{address}\""), &format!("path = \"{}\"", file.display()));
    fs::write(&config, mended).unwrap();
    system.grater.restart();
    assert_eq!(number(&system.wait_for("numbered", 1)[0], "/fields/n"), 4);
    wait_until("the letter to be taken away", || dead(&system) == 5);
    let (code, text, error) = tool(&system.grater, "dlq", &["replay"]);
    assert_eq!(
        (code, text.trim_end()),
        (0, "graphite: 5 letters sent, 0 refused again, 0 still waiting"),
        "{error}"
    );
    let delivered = system.wait_for("numbered", 6);
    assert_eq!(delivered.iter().map(|m| number(m, "/fields/n")).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
    let audit = system.grater.audit();
    assert_eq!(
        (audit.sent.delivered, audit.sent.dropped, audit.verdict),
        (6, 4, Verdict::Balanced),
        "{audit}"
    );
    assert_eq!(system.grater.counter("metlog_replayed_messages_total{output=\"graphite\"}"), 6);
    let (code, text, _) = tool(&system.grater, "dlq", &["replay"]);
    assert_eq!((code, text.trim_end()), (0, "no letters to send again"));

    for (args, code, said) in [
        (&["drop"][..], 2, "--all"),
        (&["show", "--where", "Nothing"], 2, "column"),
        (&["show", "--output", "cabron"], 1, "the outputs are graphite"),
    ] {
        let (found, _, error) = tool(&system.grater, "dlq", args);
        assert!(found == code && error.contains(said), "{args:?}: {found} {error}");
    }
}

#[test]
fn a_part_that_stands_still_is_named_once_in_the_log_and_on_every_page() {
    // A port that nobody listens on, and that this test takes later.
    let carbon = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = carbon.local_addr().unwrap();
    drop(carbon);
    let output = one_output(&format!("type = \"carbon\"\naddress = \"{address}\""));
    let setup = format!("{output}[admin]\nstalled_after = \"1s\"\n");
    let system = System::start(Setup { grater: &setup, ..Setup::default() });
    let client = system.client("app");
    client.metlog("statmetric", Options { payload: Some(&"a 1 2\n"), ..Options::default() });
    client.close(Duration::from_secs(10));

    let series = "metlog_stalled_seconds{part=\"output-graphite\"}";
    wait_until("the watchdog", || system.grater.counter(series) >= 1);
    let (status, text) = system.grater.page("/readyz");
    assert!(
        status == 200 && text.contains("output-graphite has work and has not moved for"),
        "{status} {text}"
    );
    let stalled = system.grater.stats().stalled;
    assert_eq!(stalled.keys().collect::<Vec<_>>(), ["output-graphite"]);

    let _listening = std::net::TcpListener::bind(address).unwrap();
    wait_until("the delivery", || system.grater.stats().stalled.is_empty());
    assert_eq!(system.grater.page("/readyz"), (200, "ready\n".to_owned()));
    let log = system.grater.log();
    let said = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((said("does not move"), said("moves again")), (1, 1), "{log}");
}

#[test]
fn every_command_of_the_page_for_operators_works_as_it_says() {
    let carbon = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = one_output(&format!("type = \"carbon\"\naddress = \"{}\"", carbon.local_addr().unwrap()));
    let system = System::start(Setup { grater: &setup, ..Setup::default() });
    let client = system.client("bookmarks");
    client.metlog("exception", Options { payload: Some(&"oh"), ..Options::default() });
    client.metlog("services", Options::default());
    client.close(Duration::from_secs(10));
    wait_until("the letters", || system.grater.audit().sent.dropped == 2);

    let home = system.home().display().to_string();
    let page = fs::read_to_string(metlog_tests::root().join("docs/operations.md")).unwrap();
    let path = PathBuf::from(system.grater.command("check").get_program());
    let path = format!("{}:{}", path.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let commands: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let expected = if command.ends_with("# exit code 1") { 1 } else { 0 };
        let line = command
            .replace("/etc/metlog/", &format!("{home}/metlog-"))
            .replace("tcp://127.0.0.1:5568", &format!("ipc://{home}/grater.sock"));
        let mut shell = Command::new("sh");
        let (code, text, error) = finish(shell.args(["-c", &line]).env("PATH", &path).current_dir(&home));
        assert_eq!(code, expected, "{command}\n{text}{error}");
    }
}

#[test]
fn a_record_that_is_being_written_never_passes_for_torn() {
    let mut system =
        System::start(Setup { sidecar: "[spool]\nsegment_bytes = \"256 KiB\"\n", ..Setup::default() });
    system.grater.kill();
    let client = system.client("app");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let text = "x".repeat(4096);
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    client.metlog("numbered", Options { payload: Some(&text), ..Options::default() });
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let found: Vec<_> = (0..8).map(|_| tool(&system.sidecar, "spool", &["verify"])).collect();
        stop.store(true, Ordering::Relaxed);
        for (code, text, error) in found {
            assert!(code == 0 && text.starts_with("good: "), "{code} {text} {error}");
        }
    });
    assert!(system.sidecar.stats().appended > 10, "it was written meanwhile");
}

#[test]
fn a_grater_killed_while_it_keeps_dead_letters_has_each_once() {
    let carbon = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = one_output(&format!("type = \"carbon\"\naddress = \"{}\"", carbon.local_addr().unwrap()));
    let mut system = System::start(Setup { grater: &setup, ..Setup::default() });
    let client = system.client("app");
    for n in 0..3_000_u64 {
        client.metlog("numbered", Options { fields: fields(&[("n", &n)]), ..Options::default() });
        if n % 500 == 499 {
            assert!(client.flush(Duration::from_secs(10)));
            system.grater.kill();
            system.grater.restart();
        }
    }
    client.close(Duration::from_secs(10));
    wait_until("the books", || system.grater.audit().sent.dropped == 3_000);
    let (code, lines, _) = tool(&system.grater, "dlq", &["show", "--json"]);
    let mut found: Vec<u64> = lines.lines().map(|line| number(&json(line), "/message/fields/n")).collect();
    found.sort_unstable();
    assert_eq!((code, found), (0, (0..3_000).collect()));
    assert_eq!(system.grater.audit().verdict, Verdict::Balanced);
}
