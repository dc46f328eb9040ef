//! A million names from one sender: memory stays bounded, the sender is named, and nobody else notices.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as it does")]

use std::{
    fs,
    io::Write,
    net::{TcpStream, UdpSocket},
    os::unix::net::{UnixDatagram, UnixStream},
    thread,
    time::Duration,
};

use metlog_tests::{Setup, System, wait_until};

/// Names that one sender makes.
const NAMES: u32 = 1_000_000;

/// What the process may have had in memory at most, in MiB. A million names at the 100 bytes that a short one takes at least
/// would be more.
const PEAK: u64 = 90;

/// Samples of each of those who are not to be disturbed.
const SAMPLES: u32 = 200;

#[test]
fn a_flood_of_names_is_bounded_and_named_and_disturbs_nobody() {
    let system = System::start(Setup {
        sidecar: "[input.statsd_tcp]\naddress = \"127.0.0.1:0\"\n\
            [input.statsd_unix]\npath = \"HOME/datagrams.sock\"\n\
            [input.statsd_stream]\npath = \"HOME/stream.sock\"\n\
            [rollup]\nflush_interval = \"2s\"\n\
            [rollup.options]\nmax_names = 20000\nmax_names_per_source = 15000\n",
        ..Setup::default()
    });
    let udp = system.sidecar.listening("statsd_udp");
    let flood = thread::spawn(move || flood(&udp));
    let mut tcp = TcpStream::connect(system.sidecar.listening("statsd_tcp")).unwrap();
    let mut stream = UnixStream::connect(system.home().join("stream.sock")).unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    datagrams.connect(system.home().join("datagrams.sock")).unwrap();
    for _ in 0..SAMPLES {
        tcp.write_all(b"calm.tcp:1|c\n").unwrap();
        stream.write_all(b"calm.stream:1|c\n").unwrap();
        datagrams.send(b"calm.datagrams:1|c").unwrap();
        thread::sleep(Duration::from_millis(10));
    }
    let sent = flood.join().unwrap();
    for name in ["calm.tcp", "calm.stream", "calm.datagrams"] {
        wait_until(name, || system.counted(name) >= f64::from(SAMPLES));
        assert_eq!(system.counted(name), f64::from(SAMPLES), "{name}");
    }
    let named = || system.sidecar.log().contains("flood.#.hits");
    wait_until("the name of the flood", named);
    let refused = |reason: &str| {
        let series = format!("metlog_input_malformed_total{{input=\"statsd_udp\",reason=\"{reason}\"}}");
        system.sidecar.counter(&series)
    };
    let dropped = system.sidecar.counter("metlog_input_kernel_dropped_total{input=\"statsd_udp\"}");
    let refused = refused("source_overflow") + refused("name_overflow");
    assert!(
        refused + dropped * NAMES_PER_PACKET > u64::from(NAMES) / 2,
        "{refused} refused, {dropped} of {sent}"
    );
    assert_eq!(system.sidecar.stats().kernel_dropped.get("statsd_udp").copied().unwrap_or(0), dropped);
    let peak = peak(system.sidecar.pid());
    assert!(peak <= PEAK, "{peak} MiB");
}

/// Lines of one packet.
const NAMES_PER_PACKET: u64 = 50;

/// Sends each name once; how many packets it were.
fn flood(address: &str) -> u32 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    let names: Vec<u32> = (0..NAMES).collect();
    for packet in names.chunks(usize::try_from(NAMES_PER_PACKET).unwrap()) {
        let lines: String = packet.iter().map(|n| format!("flood.{n}.hits:1|c\n")).collect();
        socket.send_to(lines.as_bytes(), address).unwrap();
        sent += 1;
        if sent % 20 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    sent
}

/// The most that the process has had in memory, in MiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    line.unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn several_threads_of_statsd_share_a_port_and_a_reload_changes_how_many() {
    let setup = "[rollup]\nflush_interval = \"1s\"\n";
    let system = System::start(Setup { sidecar: setup, ..Setup::default() });
    let threads = |pid: u32| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        names.filter(|name| name.starts_with("input-statsd")).count()
    };
    let mut expected = 0.0;
    for count in [1, 4, 2] {
        let path = system.sidecar.config_path();
        let text = fs::read_to_string(&path).unwrap();
        let (before, after) = text.split_once("[input.statsd_udp]\n").unwrap();
        let others: Vec<&str> = after.lines().filter(|line| !line.starts_with("threads")).collect();
        let section = format!("[input.statsd_udp]\nthreads = {count}\n");
        fs::write(&path, format!("{before}{section}{}\n", others.join("\n"))).unwrap();
        metlog_tests::reload(&system.sidecar);
        assert!(!system.sidecar.log().contains("back to the one before"), "{}", system.sidecar.log());
        wait_until("the threads", || threads(system.sidecar.pid()) == count);
        // The kernel chooses the thread by the sender.
        let target = system.sidecar.listening("statsd_udp");
        for _ in 0..50 {
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"shared:1|c", &target).unwrap();
        }
        expected += 50.0;
        wait_until("all counts", || system.counted("shared") >= expected);
        assert_eq!(system.counted("shared"), expected);
    }
}
