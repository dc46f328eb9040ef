//! The same packets to the npm package `statsd` and to our parser and roll-up: every line both print is the same.
//!
//! `make backends` installs the package; without it (in `.cache/backends/node_modules`, or where `METLOG_STATSD` says) there is
//! nothing to compare with. Thousands of generated lines of all types over several intervals; the ways in which we differ on
//! purpose are in docs/statsd.md, and the generator stays clear of them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of a test fail as it does"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use metlog_pipeline::rollup::{Accumulators, RollupOptions};
use metlog_sidecar::statsd::{Item, lines};

/// How often etsy's daemon flushes. What is sent in one interval has to arrive in it.
const INTERVAL: Duration = Duration::from_secs(2);

/// Intervals with packets, then one without.
const INTERVALS: usize = 3;

/// Lines of one interval.
const LINES: usize = 2_500;

/// Etsy's setting and ours.
const SETTINGS: [(&str, &str); 4] = [
    (
        r#""percentThreshold":[90,-10,99.9,50,1],"graphite":{"legacyNamespace":false}"#,
        "percent_thresholds = [90, -10, 99.9, 50, 1]",
    ),
    (
        r#""flush_counts":false,"graphite":{"legacyNamespace":true}"#,
        "naming = 'legacy'\nflush_counts = false",
    ),
    (
        r#""deleteIdleStats":true,"deleteGauges":false,"graphite":{"legacyNamespace":false,"globalPrefix":"",
            "prefixCounter":"c","globalSuffix":"web1"},"histogram":[{"metric":"a","bins":[0.5,10,"inf"]},
            {"metric":"","bins":[100]}]"#,
        "delete_idle = true\ndelete_gauges = false\nsuffix = 'web1'\nprefixes.global = ''\nprefixes.counters = 'c'\n\
            [[histogram]]\nmetric = 'a'\nbins = [0.5, 10, 'inf']\n[[histogram]]\nmetric = ''\nbins = [100]",
    ),
    (
        r#""deleteGauges":true,"keyNameSanitize":false,"percentThreshold":[],"graphite":{"legacyNamespace":false}"#,
        "delete_gauges = true\nkey_name_sanitize = false\npercent_thresholds = []",
    ),
];

#[test]
fn every_line_of_etsys_daemon_is_ours_too() {
    let Some(module) = module() else {
        eprintln!("skipped: no npm package statsd, `make backends` installs it");
        return;
    };
    let runs: Vec<_> = SETTINGS
        .iter()
        .zip(1..)
        .map(|((etsys, ours), seed)| {
            let module = module.clone();
            thread::spawn(move || compare(&module, etsys, ours, seed))
        })
        .collect();
    runs.into_iter().for_each(|run| run.join().unwrap());
}

fn module() -> Option<PathBuf> {
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/backends/node_modules/statsd");
    let module = std::env::var_os("METLOG_STATSD").map_or_else(|| PathBuf::from(built_in), PathBuf::from);
    module.join("stats.js").is_file().then_some(module)
}

fn compare(module: &Path, etsys: &str, ours: &str, seed: u64) {
    let options: RollupOptions = toml::from_str(ours).unwrap();
    let etsy = Etsy::start(module, etsys);
    let mut random = Random { state: seed, is_raw: !options.key_name_sanitize };
    let mut sums = Accumulators::default();
    etsy.flushed();
    for interval in 0..=INTERVALS {
        let packets = if interval < INTERVALS { packets(&mut random) } else { Vec::new() };
        let sent = etsy.send(&packets);
        for packet in &packets {
            for item in lines(packet.as_bytes()).flatten() {
                let Item::Metric(metric) = item else { panic!("{item:?}") };
                let series = &mut String::new();
                assert_eq!(sums.add(metric.series(series), metric.sample, &options).refused(), None);
            }
        }
        let text: String =
            sums.flush(&options, INTERVAL).iter().map(|rollup| rollup.lines(&options, 1)).collect();
        let (mut theirs, mut ours) = (figures(&etsy.flushed()), figures(&text));
        let received =
            theirs.iter().find(|(name, _)| name.contains("statsd.metrics_received")).map(|(_, n)| *n);
        assert!(
            received.is_none_or(|n| n == sent as f64 || n == sent as f64 / 2.0),
            "{received:?} of {sent} arrived"
        );
        theirs.retain(|name, _| !name.contains("statsd.") || name.starts_with("stats.counters.x"));
        ours.retain(|name, _| {
            !name.contains("statsd.") && !name.ends_with("numStats") && !name.contains("numStats.")
        });
        assert!(interval == INTERVALS || ours.len() > 500, "{}", ours.len());
        for (name, value) in &ours {
            assert_eq!(theirs.get(name), Some(value), "seed {seed}, interval {interval}: ours has {name}");
        }
        for name in theirs.keys() {
            assert!(ours.contains_key(name), "seed {seed}, interval {interval}: etsy has {name}");
        }
    }
}

/// Paths and their values.
fn figures(text: &str) -> BTreeMap<String, f64> {
    let figure = |line: &str| {
        let mut words = line.split(' ');
        let (path, value) = (words.next().unwrap(), words.next().unwrap());
        (path.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    text.lines().map(figure).collect()
}

/// A running daemon of the npm package, and the carbon it sends to.
struct Etsy {
    process: Child,
    carbon: TcpListener,
    address: String,
    config: tempfile::NamedTempFile,
}

impl Etsy {
    fn start(module: &Path, settings: &str) -> Self {
        let carbon = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = tempfile::NamedTempFile::new().unwrap();
        let graphite = carbon.local_addr().unwrap().port();
        // It takes 0 for 8126, where the next one would be in its way.
        let manage = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            r#"{{"port":{port},"address":"127.0.0.1","mgmt_port":{manage},"mgmt_address":"127.0.0.1","graphiteHost":"127.0.0.1",
            "graphitePort":{graphite},"flushInterval":{},"backends":["./backends/graphite"],{settings}}}"#,
            INTERVAL.as_millis()
        );
        fs::write(config.path(), text).unwrap();
        let process = Command::new("node")
            .arg(module.join("stats.js"))
            .arg(config.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, carbon, address: format!("127.0.0.1:{port}"), config }
    }

    /// Sends packets, slowly enough for a socket with the usual buffer; how many lines it was.
    fn send(&self, packets: &[String]) -> usize {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let started = Instant::now();
        for some in packets.chunks(4) {
            some.iter().for_each(|packet| assert!(socket.send_to(packet.as_bytes(), &self.address).is_ok()));
            thread::sleep(Duration::from_millis(8));
        }
        assert!(started.elapsed() < INTERVAL * 3 / 4, "too slow to be in one interval");
        packets.iter().map(|packet| packet.lines().filter(|line| !line.is_empty()).count()).sum()
    }

    /// The lines of the next flush.
    fn flushed(&self) -> String {
        self.carbon.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + INTERVAL * 10;
        let mut stream = loop {
            match self.carbon.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "no flush of etsy's daemon: {error}"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Etsy {
    fn drop(&mut self) {
        let _has_ended = self.process.kill();
        let _waited = self.process.wait();
        let _removed = fs::remove_file(self.config.path());
    }
}

/// A linear congruential generator (Knuth's MMIX): the same cases in each run.
struct Random {
    state: u64,
    /// True where names are not cleaned: two that are cleaned to the same path would print one line over the other, and tags
    /// are cleaned by us alone.
    is_raw: bool,
}

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Packets of one to twenty lines, a few of them malformed in ways that both refuse.
fn packets(random: &mut Random) -> Vec<String> {
    let mut packets = Vec::new();
    let mut left = LINES;
    while left > 0 {
        let count = (1 + random.below(20)).min(left);
        let lines: Vec<_> = (0..count).map(|_| line(random)).collect();
        packets.push(lines.join("\n") + random.of(&["", "\n", "\n\n"]));
        left -= count;
    }
    packets
}

fn line(random: &mut Random) -> String {
    if random.below(50) == 0 {
        return random
            .of(&[
                "no.colon",
                "a:1",
                "a:x|c",
                "a:|ms",
                "a:-1|ms",
                "a:1|c|0.5",
                "a:1|c|@",
                "a:1|g|@-1",
                "a:1|c|@0.1x",
            ])
            .to_owned();
    }
    let name = name(random);
    let values = if random.below(8) == 0 { 1 + random.below(4) } else { 1 };
    let values: Vec<_> = (0..values).map(|_| value(random)).collect();
    let tags = if random.below(6) == 0 {
        random.of(&[
            "|#env:prod",
            "|#a:b,canary",
            "|#",
            if random.is_raw { "|#k:v" } else { "|#url:http://x/ y" },
        ])
    } else {
        ""
    };
    format!("{name}:{}{tags}", values.join(":"))
}

fn name(random: &mut Random) -> String {
    let odd = [
        "a  \t b",
        "a b",
        "path/to/x",
        "bl\u{e9}.x",
        "p%q",
        "x;host=1",
        "UPPER.case",
        "a-b_c.d",
        "\u{4e16}y",
        "0",
    ];
    match random.below(5) {
        0 => random.of(odd.get(usize::from(random.is_raw)..).unwrap()).to_owned(),
        1 => format!("svc{}.time", random.below(40)),
        _ => format!("{}.{}", random.of(&["web", "db", "a"]), random.below(60)),
    }
}

fn value(random: &mut Random) -> String {
    let number = match random.below(6) {
        0 => random
            .of(&["0", "0.1", "1e3", "1.5e-3", ".5", "5.", "007", " 4 ", "123456789.123456789", "1e21"])
            .to_owned(),
        1 => (random.below(1_000_000) as f64 / 1_000.0).to_string(),
        _ => random.below(500).to_string(),
    };
    let rate = random.of(&["", "", "", "|@0.1", "|@1", "|@0.5", "|@.25", "|@0.333"]);
    match random.below(10) {
        0..=2 => format!("{}{number}|c{rate}", random.of(&["", "", "-"]).trim_end()),
        3..=6 => format!("{number}|ms{rate}"),
        7..=8 => format!("{}{number}|g", random.of(&["", "+", "-"])),
        _ => format!("{}|s", random.of(&["joe", "ann", "1", "", "x y", "\u{e9}"])),
    }
}
