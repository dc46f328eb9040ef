//! Log files against what they cannot do without: plain lines against `wc -l` and a synced copy of the same bytes, parsed
//! nginx lines against the same pattern in Python's `re`; and what 10,000 files cost that nobody writes to. Ratios are what
//! counts: other work may run beside. Words after `--` choose parts: `idle`, `plain`, `parsed`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    process::Command,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use cpu_time::{ProcessTime, ThreadTime};
use metlog_core::{
    Timestamp,
    wire::{
        batch::{Builder, Header, ProducerId},
        record::Identity,
    },
};
use metlog_pipeline::{counters::Counters, intake::Intake, spool::SpoolOptions, stop::Stop};
use metlog_sidecar::{
    config::Config,
    formatter::{Format, FormatterConfig, Origin},
    input::files::{FilesInput, entry},
};

const LINES: u64 = 1_000_000;
const ROUNDS: usize = 5;
/// Lines that are parsed in one round, and those of a batch of 256 KiB.
const PARSED_LINES: usize = 200_000;
const BATCH_LINES: usize = 1_000;
/// What is asked of plain lines: this part of the floor's speed.
const PLAIN_BAR: f64 = 0.5;
/// What is asked of parsed lines: so many times Python's speed.
const PARSED_BAR: f64 = 10.0;
/// Files that are followed while nothing is written to them.
const IDLE_FILES: u64 = 10_000;
/// Two looks at all of them fall into it.
const IDLE_TIME: Duration = Duration::from_secs(20);
/// What is asked of them: at most this part of a core.
const IDLE_BAR: f64 = 0.01;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let chosen: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    let missed = (is_chosen("idle") && idle_files(dir.path()) > IDLE_BAR)
        | (is_chosen("plain") && plain_lines(dir.path()) < PLAIN_BAR)
        | (is_chosen("parsed") && parsed_lines(dir.path()) < PARSED_BAR);
    if missed {
        println!("below the bar");
        std::process::exit(1);
    }
}

fn line(number: u64) -> String {
    format!(
        "10.0.{}.{} - - [22/Nov/2026:09:{:02}:{:02} +0000] \"GET /bookmarks/{number}?page=3 HTTP/1.1\" {} {} \"https://shop.example/start\" \"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0\"\n",
        number % 250,
        number % 199,
        number / 60_000 % 60,
        number / 1_000 % 60,
        if number.is_multiple_of(17) { 404 } else { 200 },
        number % 9_000,
    )
}

/// The speed of plain lines, from file to synced spool, as a part of the floor's.
fn plain_lines(dir: &Path) -> f64 {
    let logs = dir.join("logs");
    fs::create_dir(&logs).unwrap();
    let log = logs.join("a.log");
    let mut out = io::BufWriter::new(File::create(&log).unwrap());
    (0..LINES).for_each(|number| out.write_all(line(number).as_bytes()).unwrap());
    out.flush().unwrap();
    let megabytes = fs::metadata(&log).unwrap().len() / 1_000_000;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let floor = floor(&log, &dir.join("copy"));
        let ours = follow(&logs, &dir.join("data"));
        println!(
            "plain   floor {:>5.2} s, followed {:>5.2} s: {:.2} of its speed ({megabytes} MB)",
            floor.as_secs_f64(),
            ours.as_secs_f64(),
            floor.as_secs_f64() / ours.as_secs_f64()
        );
        ratios.push(floor.as_secs_f64() / ours.as_secs_f64());
    }
    median("plain lines, of the speed of wc -l and a synced copy", ratios, PLAIN_BAR)
}

fn floor(log: &Path, copy: &Path) -> Duration {
    let started = Instant::now();
    assert!(Command::new("wc").arg("-l").arg(log).output().unwrap().status.success());
    let mut out = File::create(copy).unwrap();
    io::copy(&mut File::open(log).unwrap(), &mut out).unwrap();
    out.sync_all().unwrap();
    let took = started.elapsed();
    fs::remove_file(copy).unwrap();
    took
}

fn follow(logs: &Path, data: &Path) -> Duration {
    let followed = Followed::start(&format!("{}/*.log", logs.display()), data);
    let took = followed.wait_for(LINES);
    followed.end(data);
    took
}

/// An input that runs, and its spool.
struct Followed {
    intake: Intake,
    stop: Stop,
    thread: JoinHandle<()>,
    started: Instant,
}

impl Followed {
    fn start(pattern: &str, data: &Path) -> Self {
        let text = format!("[input.files.a]\npaths = [\"{pattern}\"]\n");
        let config: Config = metlog_pipeline::config::parse(&text, "bench", |_| None).unwrap();
        let options = SpoolOptions { max_bytes: 8 << 30, ..SpoolOptions::default() };
        let intake = Intake::open(data, options).unwrap();
        let (name, parts) = config.log_files().next().unwrap();
        let mut input = FilesInput::open(name, parts, &intake, data, Counters::default()).unwrap();
        let stop = Stop::default();
        let told = stop.for_thread();
        let started = Instant::now();
        Self { intake, stop, thread: std::thread::spawn(move || input.run(&told)), started }
    }

    /// Until so many lines are safe.
    fn wait_for(&self, lines: u64) -> Duration {
        while self.intake.ledger().origins().map(|(_, origin)| origin.present).sum::<u64>() < lines {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(self.intake.spool().wait_synced(self.intake.spool().appended(), Duration::from_secs(60)));
        self.started.elapsed()
    }

    fn end(self, data: &Path) {
        self.stop.set();
        self.thread.join().unwrap();
        self.intake.spool().close();
        fs::remove_dir_all(data).unwrap();
    }
}

/// The part of a core that files take which nobody writes to.
fn idle_files(dir: &Path) -> f64 {
    let logs = dir.join("idle");
    for number in 0..IDLE_FILES {
        let folder = logs.join(format!("{}", number % 100));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number}.log")), line(number)).unwrap();
    }
    let data = dir.join("idle-data");
    let before = resident_kib();
    let followed = Followed::start(&format!("{}/*/*.log", logs.display()), &data);
    let took = followed.wait_for(IDLE_FILES);
    std::thread::sleep(Duration::from_secs(2));
    let cpu = ProcessTime::now();
    std::thread::sleep(IDLE_TIME);
    let part = cpu.elapsed().as_secs_f64() / IDLE_TIME.as_secs_f64();
    println!(
        "idle    {IDLE_FILES} files read in {:.2} s, then {:.2} % of a core, {} KiB more resident",
        took.as_secs_f64(),
        part * 100.0,
        resident_kib().saturating_sub(before)
    );
    followed.end(&data);
    part
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How many times faster nginx lines become records than Python's `re` takes them apart.
fn parsed_lines(dir: &Path) -> f64 {
    let text: String = (0..PARSED_LINES as u64).map(line).collect();
    let file = dir.join("parsed.log");
    fs::write(&file, &text).unwrap();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (python, ours) = (python(&file), ours(&text));
        println!(
            "parsed  Python {python:.0} ns, ours {ours:.0} ns a line: {:.1} times its speed",
            python / ours
        );
        ratios.push(python / ours);
    }
    median("parsed nginx lines, times the speed of Python's re", ratios, PARSED_BAR)
}

fn ours(text: &str) -> f64 {
    let formatters = [FormatterConfig::new(Format::Nginx).compile("bench").unwrap()];
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "web1" };
    let header = Header::new(ProducerId([1; 16]), identity, "bench");
    let origin = Origin { path: "/var/log/nginx/access.log", hostname: "web1", labels: None };
    let started = ThreadTime::now();
    let mut lines = text.lines();
    for _ in 0..PARSED_LINES / BATCH_LINES {
        let mut batch = Builder::new(header.clone());
        let now = Timestamp::now();
        for line in lines.by_ref().take(BATCH_LINES) {
            let (parsed, is_unformatted) = entry::parse(line, &formatters, now, &origin);
            assert!(!is_unformatted);
            entry::push(&mut batch, &parsed, "logger", now).unwrap();
        }
        std::hint::black_box(batch.finish());
    }
    nanos(started.elapsed()) / f64::from(u32::try_from(PARSED_LINES).unwrap())
}

/// The pattern that takes the same fields; no timestamp is read and no number, which is all in Python's favour.
const PYTHON: &str = r#"
import re, sys, time
pattern = re.compile(
    r'^(?P<remote_addr>\S+) - (?P<remote_user>\S+) \[(?P<time_local>[^\]]+)\] '
    r'"(?P<request_method>\S+) (?P<request_uri>\S+) (?P<server_protocol>[^"]+)" (?P<status>\d+) '
    r'(?P<body_bytes_sent>\d+) "(?P<http_referer>[^"]*)" "(?P<http_user_agent>[^"]*)"$'
)
lines = open(sys.argv[1]).read().splitlines()
started = time.process_time_ns()
for line in lines:
    pattern.match(line).groupdict()
print((time.process_time_ns() - started) / len(lines))
"#;

fn python(file: &Path) -> f64 {
    let done = Command::new("python3").arg("-c").arg(PYTHON).arg(file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().parse().unwrap()
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn median(what: &str, mut ratios: Vec<f64>, bar: f64) -> f64 {
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(0.0);
    println!("== {what}: median {median:.2}, bar {bar}");
    median
}
