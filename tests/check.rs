//! `check` of the real daemons: everything at once, and nothing is taken from one that runs.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as it does")]

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    process::Output,
};

use metlog_tests::{Daemon, Setup, System};
use serde_json::Value;

fn check(daemon: &Daemon, options: &[&str]) -> (Option<i32>, Output) {
    let done = daemon.command("check").args(options).output().unwrap();
    (done.status.code(), done)
}

fn found(done: &Output) -> Value {
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn a_daemon_that_runs_keeps_its_sockets_and_they_are_no_fault() {
    // A port that is the daemon's for the whole of the test.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut system = System::start(Setup {
        sidecar: &format!(
            "[admin]\naddress = \"{admin}\"\n[input.statsd_tcp]\naddress = \"{port}\"\n\
             [input.statsd_unix]\npath = \"HOME/statsd.sock\"\n[rollup]\nflush_interval = \"1s\"\n"
        ),
        ..Setup::default()
    });
    let (code, done) = check(&system.sidecar, &["--json"]);
    assert_eq!(code, Some(0), "{done:?}");
    let said = found(&done)["found"].to_string();
    for part in [
        format!("tcp://{port} is held"),
        format!("tcp://{admin} is held"),
        "statsd.sock is held".into(),
        "push.sock is held".into(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    // It listens still.
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"checked:1|c", system.sidecar.listening("statsd_udp")).unwrap();
    metlog_tests::wait_until("the count", || system.counted("checked") >= 1.0);
    assert_eq!(check(&system.grater, &[]).0, Some(0));

    // Held by somebody else, the same is a fault.
    system.sidecar.kill();
    let _other = TcpListener::bind(port).unwrap();
    let (code, done) = check(&system.sidecar, &[]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains(&format!("input.statsd_tcp.address: cannot listen on tcp://{port}")), "{said}");
    assert_eq!(check(&system.sidecar, &["--offline"]).0, Some(0));
}

#[test]
fn everything_wrong_is_said_at_once_and_warnings_apart() {
    let mut system = System::start(Setup::default());
    system.sidecar.kill();
    let occupied = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = system.home().display().to_string();
    fs::write(system.home().join("file"), "").unwrap();
    let config = format!(
        "data_dir = \"{at}/file/data\"\n\
         [input.push]\nendpoints = [\"tcp://0.0.0.0:1\"]\n[input.link]\nendpoints = []\n\
         [input.json_udp]\naddress = \"{}\"\n[input.statsd_udp]\naddress = \"192.0.2.1:8125\"\n\
         [input.files.none]\npaths = [\"{at}/*.none\"]\n\
         [formatter.bad]\nformat = \"regex\"\npattern = \"(\"\n\
         [filter.bad]\ntype = \"drop\"\nmatch = \"Typ == 1\"\n\
         [rollup]\nflush_interval = \"1500ms\"\n",
        occupied.local_addr().unwrap()
    );
    fs::write(system.sidecar.config_path(), config).unwrap();
    let (code, done) = check(&system.sidecar, &["--json"]);
    assert_eq!(code, Some(78), "{done:?}");
    let found = found(&done);
    let errors = found["errors"].as_array().unwrap();
    for part in [
        "input.push.endpoints: endpoint \"tcp://0.0.0.0:1\" is no address on loopback",
        "input.json_udp.address: cannot listen on udp://127.0.0.1:",
        "input.statsd_udp.address: cannot listen on udp://192.0.2.1:8125",
        "formatter.bad.pattern: ",
        "filter.bad.match: ",
        "rollup.flush_interval is 1.5s",
        "file is no folder",
    ] {
        assert!(errors.iter().any(|line| line.as_str().unwrap().contains(part)), "{part}: {errors:#?}");
    }
    let warnings = found["warnings"].to_string();
    assert!(warnings.contains("input.files.none.paths: no file is there now"), "{warnings}");
    assert!(!errors.iter().any(|line| line.as_str().unwrap().contains("files.none")), "{errors:#?}");

    let said = check(&system.sidecar, &[]).1;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.lines().any(|line| line.starts_with("warning: input.files.none")), "{said}");
}
