//! Log files against what they cannot do without: plain lines against `wc -l` and a synced copy of the same bytes, parsed
//! nginx lines against the same pattern in Python's `re`. Ratios are what counts: other work may run beside.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

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
/// What is asked of plain lines: this part of the floor's speed.
const PLAIN_BAR: f64 = 0.5;
/// What is asked of parsed lines: so many times Python's speed.
const PARSED_BAR: f64 = 10.0;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, parsed) = (plain_lines(dir.path()), parsed_lines(dir.path()));
    if plain < PLAIN_BAR || parsed < PARSED_BAR {
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
    let text = format!("[input.files.a]\npaths = [\"{}/*.log\"]\n", logs.display());
    let config: Config = metlog_pipeline::config::parse(&text, "bench", |_| None).unwrap();
    let options = SpoolOptions { max_bytes: 8 << 30, ..SpoolOptions::default() };
    let intake = Intake::open(data, options).unwrap();
    let (name, parts) = config.log_files().next().unwrap();
    let mut input = FilesInput::open(name, parts, &intake, data, Counters::default()).unwrap();
    let stop = Stop::default();
    let told = stop.for_thread();
    let started = Instant::now();
    let thread = std::thread::spawn(move || input.run(&told));
    while intake.ledger().origins().map(|(_, origin)| origin.present).sum::<u64>() < LINES {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(intake.spool().wait_synced(intake.spool().appended(), Duration::from_secs(60)));
    let took = started.elapsed();
    stop.set();
    thread.join().unwrap();
    intake.spool().close();
    fs::remove_dir_all(data).unwrap();
    took
}

/// How many times faster nginx lines become records than Python's `re` takes them apart.
fn parsed_lines(dir: &Path) -> f64 {
    let lines: Vec<String> = (0..200_000).map(|number| line(number).trim_end().to_owned()).collect();
    let file = dir.join("parsed.log");
    fs::write(&file, lines.join("\n")).unwrap();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (python, ours) = (python(&file), ours(&lines));
        println!(
            "parsed  Python {python:.0} ns, ours {ours:.0} ns a line: {:.1} times its speed",
            python / ours
        );
        ratios.push(python / ours);
    }
    median("parsed nginx lines, times the speed of Python's re", ratios, PARSED_BAR)
}

fn ours(lines: &[String]) -> f64 {
    let formatters = [FormatterConfig::new(Format::Nginx).compile("bench").unwrap()];
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "web1" };
    let header = Header::new(ProducerId([1; 16]), identity, "bench");
    let origin = Origin { path: "/var/log/nginx/access.log", hostname: "web1", labels: None };
    let started = Instant::now();
    for lines in lines.chunks(4_000) {
        let mut batch = Builder::new(header.clone());
        let now = Timestamp::now();
        for line in lines {
            let (parsed, is_unformatted) = entry::parse(line, &formatters, now, &origin);
            assert!(!is_unformatted);
            entry::push(&mut batch, &parsed, "logger", now).unwrap();
        }
        std::hint::black_box(batch.finish());
    }
    nanos(started.elapsed()) / f64::from(u32::try_from(lines.len()).unwrap())
}

/// The pattern that takes the same fields; no timestamp is read and no number, which is all in Python's favour.
const PYTHON: &str = r#"
import re, sys, time
pattern = re.compile(
    r'^(?P<remote_addr>\S+) - (?P<remote_user>\S+) \[(?P<time_local>[^\]]+)\] '
    r'"(?P<request_method>\S+) (?P<request_uri>\S+) (?P<server_protocol>[^"]+)" (?P<status>\d+) '
    r'(?P<body_bytes_sent>\d+) "(?P<http_referer>[^"]*)" "(?P<http_user_agent>[^"]*)"$'
)
lines = open(sys.argv[1]).read().split("\n")
started = time.perf_counter_ns()
for line in lines:
    pattern.match(line).groupdict()
print((time.perf_counter_ns() - started) / len(lines))
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
