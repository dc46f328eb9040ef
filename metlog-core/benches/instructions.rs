//! Instructions per call, counted by valgrind's callgrind: the same on every machine, however busy it is.
//!
//! The program runs itself under valgrind with two numbers of calls; the difference is what a call costs.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints, and is called by itself")]

mod support;

use std::{
    collections::HashSet,
    env,
    process::{Command, ExitCode},
    time::Duration,
};

use metlog_core::{
    Client, Options, Severity,
    filter::{SeverityMax, TypeBlacklist},
    sender,
};
use support::message::{encode, send};

/// Calls of the short and of the long run.
const COUNTS: (u32, u32) = (2_000, 4_000);

/// Name, bar in instructions (0: none), and what is run.
type Operation = (&'static str, u64, fn(u32));

const OPERATIONS: [Operation; 5] = [
    ("nothing", 0, |count| {
        (0..count).for_each(|n| {
            std::hint::black_box(n);
        });
    }),
    ("refused by its severity", 40, |count| {
        let client = client(|builder| builder.filter(SeverityMax(Severity::ERROR)));
        (0..count).for_each(|_| client.info("x"));
    }),
    ("refused by a filter of types", 40, |count| {
        let types = HashSet::from(["services".to_owned()]);
        let client = client(|builder| builder.filter(TypeBlacklist(types)));
        (0..count).for_each(|_| client.metlog("services", Options::default()));
    }),
    ("rmp encode of the message", 0, |count| {
        let mut out = Vec::with_capacity(4096);
        (0..count).for_each(|_| {
            out.clear();
            let _infallible = encode(std::hint::black_box(&mut out));
        });
    }),
    ("message with three fields, calling thread", 0, |count| {
        let client = client(|builder| builder);
        (0..count).for_each(|_| send(&client));
        // The worker is left out: its thread is counted apart.
        client.flush(Duration::from_secs(60));
    }),
];

fn client(set: impl FnOnce(metlog_core::ClientBuilder) -> metlog_core::ClientBuilder) -> Client {
    let (memory, _captured) = sender::memory::channel();
    set(Client::builder().logger("syncstorage").sender(memory)).build()
}

/// Instructions of this program's first thread when it makes `count` calls of `operation`.
fn instructions(operation: &str, count: u32) -> Option<u64> {
    let folder = tempfile::tempdir().ok()?;
    let out = folder.path().join("callgrind");
    let valgrind = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().ok()?)
        .args(["--operation", operation, "--count", &count.to_string()])
        .output()
        .ok()?;
    let first =
        std::fs::read_to_string(folder.path().join("callgrind-01")).or_else(|_| std::fs::read_to_string(out));
    let text = first.ok().filter(|_| valgrind.status.success())?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    total?.trim().parse().ok()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1).cloned()
    };
    if let (Some(operation), Some(count)) = (value("--operation"), value("--count")) {
        let (_, _, run) = OPERATIONS.iter().find(|(name, ..)| *name == operation).expect("an operation");
        run(count.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions are counted by valgrind, which is not installed");
        return ExitCode::SUCCESS;
    }
    let mut missed = false;
    for (name, bar, _) in OPERATIONS {
        let counted = instructions(name, COUNTS.1).zip(instructions(name, COUNTS.0));
        let Some((long, short)) = counted else {
            println!("{name}: valgrind counted nothing");
            return ExitCode::FAILURE;
        };
        let each = long.saturating_sub(short) as f64 / f64::from(COUNTS.1 - COUNTS.0);
        missed |= bar > 0 && each > bar as f64;
        let word = match bar {
            0 => String::new(),
            bar if each <= bar as f64 => format!("ok, bar at most {bar}"),
            bar => format!("MISSED, bar at most {bar}"),
        };
        println!("{name:<45} {each:>8.1} instructions a call  {word}");
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
