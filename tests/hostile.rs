//! Bad input of every kind: a clear message, a counter, and everything else goes on.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::{fs, net::UdpSocket, process::Output, time::Duration};

use metlog_core::{
    Options,
    link::{Frame, SenderId, VERSIONS},
    wire::batch::MAX_BATCH_BYTES,
};
use metlog_pipeline::audit::Verdict;
use metlog_tests::{Setup, System, wait_until};

/// A message sent after the bad input arrives: the input lives.
fn still_works(system: &System) {
    let client = system.client("after");
    client.metlog("after", Options::default());
    client.close(Duration::from_secs(5));
    assert_eq!(system.wait_for("after", 1).len(), 1);
}

fn malformed(input: &str, reason: &str) -> String {
    format!("metlog_input_malformed_total{{input=\"{input}\",reason=\"{reason}\"}}")
}

#[test]
fn frames_that_are_no_batches_are_counted_and_everything_goes_on() {
    let system = System::start(Setup::default());
    let context = zmq::Context::new();
    let socket = context.socket(zmq::PUSH).unwrap();
    socket.connect(&system.push_endpoint()).unwrap();
    for frame in [&b""[..], b"{\"type\":\"json\"}", b"MLB\x01", b"MLB\x01\xff\xff\xff\xff", &[0xc1; 3_000]] {
        socket.send(frame, 0).unwrap();
    }
    socket.send(&b"MLB\x02\x00\x00\x00\x00"[..], 0).unwrap();
    wait_until("malformed frames", || system.sidecar.counter(&malformed("push", "malformed")) == 5);
    wait_until("the version", || system.sidecar.counter(&malformed("push", "version")) == 1);
    assert!(
        system.sidecar.log().contains("batch of major version 2, this build reads 1"),
        "{}",
        system.sidecar.log()
    );
    // Over the bound ZeroMQ itself ends the connection.
    socket.send(vec![0; MAX_BATCH_BYTES + 1], 0).unwrap();
    still_works(&system);
    assert_eq!(system.grater.audit().verdict, Verdict::Balanced);
}

#[test]
fn datagrams_that_are_no_messages_are_in_the_books() {
    let system = System::start(Setup { sidecar: "[rollup]\nflush_interval = \"1s\"\n", ..Setup::default() });
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (json, statsd) = (system.sidecar.listening("json_udp"), system.sidecar.listening("statsd_udp"));
    let deep = "[".repeat(30_000);
    for datagram in ["", "{", "[]", "\u{0}", "{\"payload\":1}", &deep] {
        socket.send_to(datagram.as_bytes(), &json).unwrap();
    }
    let packets: [&[u8]; 8] = [
        b"constructor:1|ms\n__proto__:1|ms\ntoString:1|s",
        b"a:1|c|@ 5",
        b"a:1|c|@+5",
        b"a:1|c|@0",
        b"a:1e999|c",
        b"a:nan|g\na:inf|ms",
        b"\xff\xfe\x00:1|c",
        b"no colon at all\n:1|c\na:|c\na:1\na:1|",
    ];
    for packet in packets {
        socket.send_to(packet, &statsd).unwrap();
    }
    socket.send_to(b"good:1|c", &statsd).unwrap();
    // 3 odd names and the good one are metrics; the rest is refused.
    let refused = 6 + 4 + 2 + 1 + 5;
    wait_until("the books", || system.grater.audit().sent.dropped == refused);
    wait_until("the metrics", || system.grater.audit().sent.consumed == 4);
    let audit = system.grater.audit();
    assert_eq!((audit.verdict, audit.sent.attempted), (Verdict::Balanced, refused + 4), "{audit}");
    for reason in [
        "dropped:malformed",
        "dropped:bad_rate",
        "dropped:not_finite",
        "dropped:no_colon",
        "dropped:not_utf8",
    ] {
        assert!(audit.to_string().contains(reason), "{reason}: {audit}");
    }
    still_works(&system);
}

/// A DEALER that speaks to the sidecar's link input by hand.
fn dealer(system: &System) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_rcvtimeo(10_000).unwrap();
    socket.connect(&format!("ipc://{}/link.sock", system.home().display())).unwrap();
    socket
}

fn refusal(socket: &zmq::Socket) -> String {
    let bytes = socket.recv_bytes(0).expect("an answer");
    match Frame::decode(&bytes).unwrap() {
        Frame::Refusal { kind, message } => format!("{kind}: {message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_link_peer_that_makes_no_sense_is_told_why_and_ignored_until_its_next_hello() {
    let system = System::start(Setup::default());
    let sender = SenderId { id: [7; 16], incarnation: 1 };
    for (frame, said) in [
        (b"nonsense".to_vec(), "malformed: "),
        (Frame::Hello { versions: (7, 9), sender }.encode(), "version: peer speaks link versions 7 to 9"),
        (
            Frame::Batch { sequence: 1, previous: 0, batch: b"" }.encode(),
            "malformed: this sender has not said hello",
        ),
    ] {
        let socket = dealer(&system);
        socket.send(frame, 0).unwrap();
        let answer = refusal(&socket);
        assert!(answer.starts_with(said), "{answer}");
    }
    let socket = dealer(&system);
    let hello = Frame::Hello { versions: VERSIONS, sender }.encode();
    socket.send(&hello, 0).unwrap();
    assert!(matches!(
        Frame::decode(&socket.recv_bytes(0).unwrap()).unwrap(),
        Frame::Welcome { accepted: 0, .. }
    ));
    socket.send(Frame::Batch { sequence: 9, previous: 8, batch: b"x" }.encode(), 0).unwrap();
    assert!(refusal(&socket).starts_with("malformed"));
    socket.send(Frame::Ping.encode(), 0).unwrap();
    socket.send(&hello, 0).unwrap();
    let answer = socket.recv_bytes(0).unwrap();
    assert!(
        matches!(Frame::decode(&answer).unwrap(), Frame::Welcome { .. }),
        "the ping was ignored, the hello is not"
    );
    still_works(&system);
}

fn check(system: &System, file: &str, text: &str) -> Output {
    let daemon = if file == "metlog-sidecar" { &system.sidecar } else { &system.grater };
    let config = system.home().join("other.toml");
    fs::write(&config, text).unwrap();
    let mut command = daemon.command("check");
    command.arg("--config").arg(&config);
    // The second --config would be refused: start afresh with the same program.
    let program = command.get_program().to_owned();
    std::process::Command::new(program).arg("check").arg("--config").arg(&config).output().unwrap()
}

#[test]
fn a_bad_configuration_is_refused_with_the_line_the_key_and_the_way_out() {
    let system = System::start(Setup::default());
    for (file, text, said) in [
        (
            "metlog-sidecar",
            "[input.push]\nendpoint = []\n",
            "line 2: unknown field `endpoint`, expected `endpoints`; did you mean `endpoints`?",
        ),
        ("metlog-sidecar", "[rollup]\nflush_interval = \"fast\"\n", "\"fast\" is no duration"),
        ("metlog-sidecar", "[input.push]\nendpoints = [\"tcp://0.0.0.0:5566\"]\n", "no address on loopback"),
        (
            "metlog-grater",
            "catchall = [\"files\"]\n[[output]]\nname = \"file\"\ntype = \"file\"\npath = \"/tmp/x\"\n",
            "file",
        ),
        ("metlog-grater", "[[route]]\nname = \"r\"\nmatcher = \"Type ==\"\noutputs = [\"file\"]\n", "column"),
    ] {
        let output = check(&system, file, text);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{errors}");
        assert!(errors.contains(said), "{text}: {errors}");
    }
    assert!(system.sidecar.command("check").output().unwrap().status.success());
}

#[test]
fn a_port_in_use_and_a_folder_in_use_are_named() {
    let system = System::start(Setup::default());
    let second = system.sidecar.command("run").output().unwrap();
    let errors = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && errors.contains("another daemon uses this spool"), "{errors}");

    let taken = system.sidecar.listening("statsd_udp");
    let config = system.home().join("second.toml");
    let text = fs::read_to_string(system.home().join("metlog-sidecar.toml")).unwrap();
    let text = text.replace("metlog-sidecar\"", "second\"").replace("127.0.0.1:0", &taken);
    fs::write(&config, &text).unwrap();
    let program = system.sidecar.command("run").get_program().to_owned();
    let run =
        || std::process::Command::new(&program).arg("run").arg("--config").arg(&config).output().unwrap();
    let errors = String::from_utf8_lossy(&run().stderr).into_owned();
    assert!(errors.contains("push.sock: another daemon does"), "{errors}");
    fs::write(&config, text.replace("push.sock", "push2.sock").replace("link.sock", "link2.sock")).unwrap();
    let errors = String::from_utf8_lossy(&run().stderr).into_owned();
    assert!(errors.contains(&format!("address {taken}")), "{errors}");
    still_works(&system);
}

#[test]
fn a_full_spool_drops_and_counts_and_recovers() {
    let setup = Setup {
        sidecar: "[spool]\nmax_bytes = \"256 KiB\"\nsegment_bytes = \"64 KiB\"\n",
        ..Setup::default()
    };
    let mut system = System::start(setup);
    system.grater.kill();
    let client = system.client("app");
    let text = "x".repeat(500);
    for n in 0..4_000 {
        client.info(&text);
        if n % 100 == 0 {
            client.flush(Duration::from_secs(5));
        }
    }
    wait_until("the spool to be full", || system.sidecar.page("/readyz").0 == 503);
    let report = client.close(Duration::from_secs(5));
    assert_eq!((report.sent, report.dropped), (4_000, 0));
    system.grater.restart();
    wait_until("the rest to arrive and the loss to be on record", || {
        let figures = system.grater.audit().sent;
        figures.attempted == 4_000 && figures.delivered + figures.dropped == 4_000
    });
    let audit = system.grater.audit();
    assert!(audit.sent.dropped > 0 && audit.sent.delivered > 100, "{audit}");
    assert!(audit.to_string().contains("dropped:spool_full"), "{audit}");
    assert_eq!(system.delivered_of("oldstyle").len(), usize::try_from(audit.sent.delivered).unwrap());
    wait_until("readiness", || system.sidecar.page("/readyz") == (200, "ready\n".to_owned()));
    assert_eq!(system.sidecar.page("/livez"), (200, "ok\n".to_owned()));
}

#[test]
fn an_output_that_is_down_delays_no_other() {
    let refused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outputs = format!(
        "catchall = [\"file\"]\n\
         [[output]]\nname = \"carbon\"\ntype = \"carbon\"\naddress = \"{refused}\"\n\
         [[output]]\nname = \"file\"\ntype = \"file\"\npath = \"HOME/metlog-grater/messages.jsonl\"\n\
         [[route]]\nname = \"graphite\"\nmatcher = \"Type == 'statmetric'\"\noutputs = [\"carbon\", \"file\"]\n"
    );
    let system = System::start(Setup { sidecar: "[rollup]\nflush_interval = \"1s\"\n", grater: &outputs });
    let client = system.client("app");
    (0..1_000).for_each(|_| client.metlog("plain", Options::default()));
    client.incr("clicks");
    client.close(Duration::from_secs(5));
    assert_eq!(system.wait_for("plain", 1_000).len(), 1_000);
    assert!(!system.wait_for("statmetric", 1).is_empty());
    wait_until("retries", || system.grater.counter("metlog_output_retries_total{output=\"carbon\"}") > 1);
    let audit = system.grater.audit();
    assert_eq!((audit.sent.delivered, audit.sent.consumed), (1_000, 1), "{audit}");
    assert!(
        audit.created.waiting > 0,
        "roll-ups wait for the carbon output, which answers for them: {audit}"
    );
}

#[test]
fn an_output_that_is_down_drops_what_lags_too_far_and_the_spool_does_not_fill() {
    let refused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outputs = format!(
        "catchall = [\"carbon\", \"file\"]\n\
         [spool]\nmax_bytes = \"2 MiB\"\nsegment_bytes = \"128 KiB\"\n\
         [[output]]\nname = \"carbon\"\ntype = \"carbon\"\naddress = \"{refused}\"\nmax_lag_bytes = \"64 KiB\"\n\
         [[output]]\nname = \"file\"\ntype = \"file\"\npath = \"HOME/metlog-grater/messages.jsonl\"\n"
    );
    // No roll-up of the sidecar's own among the messages that are counted.
    let system = System::start(Setup { sidecar: "[rollup]\nflush_interval = \"1h\"\n", grater: &outputs });
    let client = system.client("app");
    // Twice what the spool takes, and lines that carbon would take.
    let payload = format!("a.b 1 1700000000\n{}", "a.much.longer.name.of.a.metric 1 1700000000\n".repeat(25));
    for n in 0..4_000 {
        client.metlog("statmetric", Options { payload: Some(&payload), ..Options::default() });
        if n % 100 == 0 {
            client.flush(Duration::from_secs(5));
        }
    }
    let report = client.close(Duration::from_secs(5));
    assert_eq!((report.sent, report.dropped), (4_000, 0));
    assert_eq!(system.wait_for("statmetric", 4_000).len(), 4_000, "the file has them all");
    wait_until("the carbon output to drop", || system.grater.audit().sent.dropped > 3_500);
    let audit = system.grater.audit();
    assert!(audit.to_string().contains("dropped:lag"), "{audit}");
    assert_eq!(audit.sent.delivered, 0, "the carbon output answers for them: {audit}");
    let dropped = system.grater.counter("metlog_lag_dropped_messages_total{output=\"carbon\"}");
    assert!(dropped >= audit.sent.dropped, "{dropped}: {audit}");
    assert_eq!(system.grater.page("/readyz"), (200, "ready\n".to_owned()));
}
