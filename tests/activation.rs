//! Sockets that systemd opens and passes: taken by the inputs, kept over a reload, named when none wants them.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as it does")]

use std::{
    fs,
    io::Write,
    net::{TcpStream, UdpSocket},
    os::unix::net::{UnixDatagram, UnixStream},
    process::{Child, Command, Stdio},
};

use metlog_tests::{Setup, System, binaries, wait_until};

/// Does as systemd does: opens sockets, puts them at descriptor 3 and on, names them, and becomes the daemon. Each argument
/// is `<type>:<address>`, where the address may have port 0; in the configuration `{0}` stands for what the first has become.
/// The first packet is sent before the daemon is there.
const SYSTEMD: &str = r#"
import os, socket, sys
config, daemon, *wanted = sys.argv[1:]
opened = []
for want in wanted:
    kind, _, where = want.partition(":")
    if kind == "pipe":
        opened.append((os.pipe()[0], ""))
        continue
    family = socket.AF_UNIX if kind.startswith("unix") else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM if kind in ("udp", "unixdgram") else socket.SOCK_STREAM)
    host, _, port = where.rpartition(":")
    made.bind(where if family == socket.AF_UNIX else (host, int(port)))
    if kind in ("tcp", "unix"):
        made.listen()
    if kind == "udp":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"early:1|c", made.getsockname())
    name = made.getsockname()
    opened.append((made.detach(), name if family == socket.AF_UNIX else "%s:%d" % name))
text = open(config).read()
for number, (_, where) in enumerate(opened):
    text = text.replace("{%d}" % number, where)
open(config, "w").write(text)
high = [os.dup2(made, 100 + number) for number, (made, _) in enumerate(opened)]
for number, made in enumerate(high):
    os.dup2(made, 3 + number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(opened))
os.environ["LISTEN_FDNAMES"] = ":".join("unit%d.socket" % number for number in range(len(opened)))
os.execv(daemon, [daemon, "run", "--config", config])
"#;

/// The daemon, ended with the test.
struct Activated(Child);

impl Drop for Activated {
    fn drop(&mut self) {
        let _it_may_have_ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts the sidecar of a system with passed sockets, and what it logs.
fn activate(system: &mut System, sockets: &[String], config: &str) -> Activated {
    system.sidecar.kill();
    let path = system.sidecar.config_path();
    fs::write(&path, config.replace("HOME", &system.home().display().to_string())).unwrap();
    let log = fs::File::create(system.home().join("activated.log")).unwrap();
    let mut start = Command::new("python3");
    start.args(["-c", SYSTEMD]).arg(&path).arg(binaries().join("metlog-sidecar")).args(sockets);
    Activated(start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn log(system: &System) -> String {
    fs::read_to_string(system.home().join("activated.log")).unwrap_or_default()
}

/// Sections of all inputs off, but for what is added.
const BASE: &str = "data_dir = \"HOME/metlog-sidecar\"\n\
    [rollup]\nflush_interval = \"1s\"\n\
    [forward]\nendpoints = [\"ipc://HOME/grater.sock\"]\n\
    [input.push]\nendpoints = [\"ipc://HOME/push.sock\"]\n\
    [input.link]\nendpoints = []\n";

#[test]
fn sockets_of_systemd_are_taken_and_outlive_a_reload() {
    let mut system = System::start(Setup::default());
    let home = system.home().display().to_string();
    let (stream, datagrams) = (format!("{home}/s.sock"), format!("{home}/d.sock"));
    let config = format!(
        "{BASE}[input.json_udp]\naddress = \"{{1}}\"\n[input.statsd_udp]\naddress = \"{{0}}\"\n\
         [input.statsd_tcp]\naddress = \"{{2}}\"\n[input.statsd_stream]\npath = \"{{3}}\"\n\
         [input.statsd_unix]\npath = \"{{4}}\"\n"
    );
    let sockets = ["udp:127.0.0.1:0", "udp:127.0.0.1:0", "tcp:127.0.0.1:0"].map(str::to_owned);
    let sockets: Vec<_> =
        sockets.into_iter().chain([format!("unix:{stream}"), format!("unixdgram:{datagrams}")]).collect();
    let running = activate(&mut system, &sockets, &config);
    wait_until("the daemon", || {
        assert!(!log(&system).contains("cannot start"), "{}", log(&system));
        log(&system).contains(" running\n")
    });
    let address = |input: &str| system.sidecar.listening(input);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unix = UnixDatagram::unbound().unwrap();
    let send = |n: u32| {
        udp.send_to(b"udp:1|c", address("statsd_udp")).unwrap();
        let message = format!(r#"{{"type":"passed","fields":{{"n":{n}}}}}"#);
        udp.send_to(message.as_bytes(), address("json_udp")).unwrap();
        TcpStream::connect(address("statsd_tcp")).unwrap().write_all(b"tcp:1|c\n").unwrap();
        UnixStream::connect(&stream).unwrap().write_all(b"stream:1|c\n").unwrap();
        unix.send_to(b"datagram:1|c", &datagrams).unwrap();
    };
    send(1);
    let hangup = Command::new("kill").args(["-HUP", &running.0.id().to_string()]).status().unwrap();
    assert!(hangup.success());
    wait_until("the next run", || log(&system).matches(" running\n").count() == 2);
    send(2);
    let _both = system.wait_for("passed", 2);
    for (name, count) in [("early", 1.0), ("udp", 2.0), ("tcp", 2.0), ("stream", 2.0), ("datagram", 2.0)] {
        wait_until(&format!("{count} of {name}"), || system.counted(name) >= count);
        assert_eq!(system.counted(name), count, "{name}");
    }
}

#[test]
fn a_passed_socket_that_fits_no_setting_is_named() {
    let mut system = System::start(Setup::default());
    let udp = "[input.json_udp]\naddress = \"127.0.0.1:0\"\n[input.statsd_udp]\naddress = \"{0}\"\n";
    for (socket, said) in [
        ("udp:127.0.0.2:0", "(unit1.socket), which fits no setting: the inputs listen on "),
        ("tcp:127.0.0.1:0", "(unit1.socket), which fits no setting"),
        (
            "stream:127.0.0.1:0",
            "unit1.socket (descriptor 4), which is no UDP, TCP or unix socket that listens",
        ),
        ("pipe:", "unit1.socket (descriptor 4), which is no UDP, TCP or unix socket that listens"),
    ] {
        let sockets = ["udp:127.0.0.1:0".to_owned(), socket.to_owned()];
        let mut started = activate(&mut system, &sockets, &format!("{BASE}{udp}"));
        assert_eq!(started.0.wait().unwrap().code(), Some(1), "{socket}: {}", log(&system));
        assert!(log(&system).contains(said), "{socket}: {}", log(&system));
    }
}
