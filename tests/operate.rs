//! Signals, `tap` and what systemd and shells are told.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use metlog_core::{Client, Options, fields};
use metlog_pipeline::audit::Verdict;
use metlog_tests::{PATIENCE, Setup, System, number, reload, root, wait_until};

fn send(client: &Client, numbers: std::ops::Range<u64>) {
    for n in numbers {
        client.metlog("numbered", Options { fields: fields(&[("n", &n)]), ..Options::default() });
    }
}

/// Ends what goes on until it is set, also when the test fails meanwhile: a scope waits for its threads.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn reloads_in_mid_traffic_lose_nothing_and_repeat_nothing() {
    let system = System::start(Setup::default());
    let stop = AtomicBool::new(false);
    let sent: Vec<u64> = std::thread::scope(|scope| {
        let until = Until(&stop);
        let applications = [system.client("push"), system.acked_client("acked")].map(|client| {
            let stop = &stop;
            scope.spawn(move || {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    send(&client, sent..sent + 100);
                    sent += 100;
                    std::thread::sleep(Duration::from_millis(2));
                }
                let report = client.close(Duration::from_secs(20));
                assert_eq!((report.waiting, report.dropped, client.stats().refused.total()), (0, 0, 0));
                sent
            })
        });
        for _ in 0..3 {
            reload(&system.sidecar);
            reload(&system.grater);
        }
        drop(until);
        applications.map(|application| application.join().unwrap()).to_vec()
    });
    let all: u64 = sent.iter().sum();
    wait_until("a balance", || system.grater.audit().sent.delivered == all);
    let delivered = system.delivered_of("numbered");
    for (logger, sent) in ["push", "acked"].into_iter().zip(sent) {
        let mine = delivered.iter().filter(|message| message["logger"] == logger);
        let numbers: Vec<u64> = mine.map(|message| number(message, "/fields/n")).collect();
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!((numbers.len() as u64, distinct.len() as u64), (sent, sent), "{logger}");
    }
    assert_eq!(system.grater.audit().verdict, Verdict::Balanced);
}

#[test]
fn datagrams_that_come_while_the_sidecar_reloads_wait_in_its_sockets() {
    let system = System::start(Setup { sidecar: "[rollup]\nflush_interval = \"1s\"\n", ..Setup::default() });
    let addresses = ["json_udp", "statsd_udp"].map(|input| system.sidecar.listening(input));
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let until = Until(&stop);
        let sender = scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sent = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let message = format!(r#"{{"type":"datagram","fields":{{"n":{sent}}}}}"#);
                socket.send_to(message.as_bytes(), &addresses[0]).unwrap();
                socket.send_to(b"reloads:1|c", &addresses[1]).unwrap();
                sent += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            sent
        });
        for _ in 0..3 {
            reload(&system.sidecar);
        }
        drop(until);
        sender.join().unwrap()
    });
    let messages = system.wait_for("datagram", usize::try_from(sent).unwrap());
    let numbers: BTreeSet<u64> = messages.iter().map(|message| number(message, "/fields/n")).collect();
    assert_eq!((messages.len(), numbers.len()), (numbers.len(), usize::try_from(sent).unwrap()));
    wait_until("every count", || system.counted("reloads") >= f64::from(sent));
    assert_eq!(system.counted("reloads"), f64::from(sent));
}

#[test]
fn a_reload_changes_what_the_file_says_and_nothing_when_it_is_wrong() {
    let system = System::start(Setup::default());
    let path = system.grater.config_path();
    let good = fs::read_to_string(&path).unwrap();
    let client = system.client("app");
    let deliver = |numbers: std::ops::Range<u64>| {
        let end = usize::try_from(numbers.end).unwrap();
        send(&client, numbers);
        let _as_many = system.wait_for("numbered", end);
    };
    deliver(0..10);

    // What is wrong is named, and the daemon goes on as it was.
    fs::write(&path, format!("{good}\n[spool]\nmax_byte = \"1 GiB\"\n")).unwrap();
    system.grater.signal("HUP");
    wait_until("the refusal", || system.grater.log().contains("did you mean `max_bytes`?"));
    deliver(10..20);

    // Other data would leave behind what lies there.
    fs::write(&path, good.replace("/metlog-grater\"", "/elsewhere\"")).unwrap();
    system.grater.signal("HUP");
    wait_until("the refusal", || system.grater.log().contains("what lies there would be left behind"));
    deliver(20..30);

    // A configuration with which nothing can start gives way to the one before.
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    fs::write(&path, format!("{good}\n[admin]\naddress = \"{address}\"\n")).unwrap();
    reload(&system.grater);
    assert!(system.grater.log().contains("back to the one before"), "{}", system.grater.log());
    deliver(30..40);

    // One that is good counts: there is another output.
    let other = system.home().join("other.jsonl");
    let output = format!("\n[[output]]\nname = \"other\"\ntype = \"file\"\npath = {other:?}\n");
    let route = "\n[[route]]\nname = \"numbered\"\nmatcher = \"Type == 'numbered'\"\noutputs = [\"other\"]\n";
    fs::write(&path, format!("{good}{output}{route}")).unwrap();
    reload(&system.grater);
    send(&client, 40..50);
    wait_until("the new output", || fs::read_to_string(&other).is_ok_and(|text| text.contains("\"n\":49")));
    client.close(Duration::from_secs(5));
}

#[test]
fn tap_shows_what_comes_in_and_fits() {
    let system = System::start(Setup::default());
    let mut tap = system.sidecar.command("tap");
    tap.args(["--json", "-n", "5", "--where", "Type == \"numbered\" && Fields[n] >= 100"]);
    let mut child = tap.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let client = system.client("app");
    // Nothing says when it has begun; what it does not see yet does not matter.
    let seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let until = Until(&seen);
        scope.spawn(|| {
            let mut n = 0;
            while !seen.load(Ordering::Relaxed) {
                send(&client, n..n + 10);
                n += 10;
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let lines: Vec<u64> =
            lines.map(|line| number(&serde_json::from_str(&line.unwrap()).unwrap(), "/fields/n")).collect();
        drop(until);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines.iter().all(|n| *n >= 100) && lines.is_sorted(), "{lines:?}");
    });
    assert!(child.wait().unwrap().success());

    let wrong = system.sidecar.command("tap").args(["--where", "Typ == 1"]).output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(said.contains("column 1"), "{said}");
}

#[test]
fn a_report_is_written_into_the_log() {
    let system = System::start(Setup::default());
    system.sidecar.signal("USR1");
    wait_until("the report", || system.sidecar.log().contains("report: {\"listening\":[[\"push\","));
}

#[test]
fn systemd_is_told() {
    let mut system = System::start(Setup::default());
    system.sidecar.kill();
    let socket = system.home().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut run = system.sidecar.command("run");
    run.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let mut child = run.stderr(Stdio::null()).spawn().unwrap();
    let hear = |what: &str| {
        let mut said = [0; 256];
        loop {
            let length = manager.recv(&mut said).unwrap_or_else(|error| panic!("{what}: {error}"));
            if String::from_utf8_lossy(&said[..length]).contains(what) {
                return;
            }
        }
    };
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    signal("-HUP");
    hear("RELOADING=1");
    hear("READY=1");
    signal("-TERM");
    hear("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn shells_and_people_are_told_every_word() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(Setup::default());
    for (daemon, name) in [(&system.sidecar, "metlog-sidecar"), (&system.grater, "metlog-grater")] {
        let program = daemon.command("run").get_program().to_owned();
        for shell in ["bash", "zsh", "fish"] {
            let done = Command::new(&program).args(["completions", shell]).output().unwrap();
            let text = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(["audit", "check", "spool", "tap"].iter().all(|word| text.contains(word)), "{shell}");
        }
        assert!(Command::new(&program).arg("man").arg(folder.path()).status().unwrap().success());
        for page in [format!("{name}.1"), format!("{name}-run.1"), format!("{name}-tap.1")] {
            let text =
                fs::read_to_string(folder.path().join(&page)).unwrap_or_else(|e| panic!("{page}: {e}"));
            assert!(text.contains(".SH SYNOPSIS"), "{page}");
        }
    }
}

#[test]
fn units_are_sandboxed() {
    let analyze = Command::new("systemd-analyze").arg("--version").output();
    if !analyze.is_ok_and(|done| done.status.success()) {
        return;
    }
    for unit in ["metlog-sidecar.service", "metlog-grater.service"] {
        let path = root().join("packaging/systemd").join(unit);
        let done = Command::new("systemd-analyze").args(["security", "--offline=yes"]).arg(path).output();
        let said = String::from_utf8_lossy(&done.unwrap().stdout).into_owned();
        let exposure =
            said.lines().find_map(|line| line.split_once("exposure level for ")?.1.split_once(": "));
        let exposure = exposure.and_then(|(_, level)| level.split(' ').next()?.parse::<f64>().ok());
        assert!(exposure.is_some_and(|exposure| exposure < 2.0), "{unit}: {said}");
    }
}
