//! Log files that are rotated in every way at random while the sidecar is killed at random: every line arrives once.
//!
//! `METLOG_TORTURE_LINES=1000000 cargo test -p metlog-tests --test logfiles` is the long form.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metlog_tests::{PATIENCE, Setup, System, text, wait_until};

/// Lines of the short form.
const LINES: u64 = 20_000;

/// The sidecar is killed after so many lines, or after a twentieth of all.
const LINES_A_KILL: u64 = 3_000;

/// Writes numbered lines and rotates their file.
struct Writer {
    logs: PathBuf,
    /// The last line in each rotated file.
    rotated: BTreeMap<PathBuf, u64>,
    next_name: u64,
    random: u64,
    /// Lines below this have arrived: files that hold no others may be deleted.
    arrived: Arc<AtomicU64>,
    counts: BTreeMap<&'static str, u64>,
}

impl Writer {
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn live(&self) -> PathBuf {
        self.logs.join("app.log")
    }

    fn write(&mut self, from: u64, to: u64) {
        let mut lines = String::new();
        for number in from..to {
            let padding = "x".repeat(usize::try_from(self.random(120)).unwrap());
            lines.push_str(&format!("line {number} {padding}\n"));
        }
        let mut file = OpenOptions::new().append(true).create(true).open(self.live()).unwrap();
        // Often in two pieces, so that a reader sees half a line.
        let (first, second) =
            lines.split_at(usize::try_from(self.random(u64::try_from(lines.len()).unwrap())).unwrap());
        file.write_all(first.as_bytes()).unwrap();
        file.write_all(second.as_bytes()).unwrap();
    }

    /// `app.log.1`, `app.log.2`, ..., or a name with a date, and never one that was there before.
    fn new_name(&mut self) -> PathBuf {
        self.next_name += 1;
        let number = self.next_name;
        self.logs.join(if number.is_multiple_of(2) {
            format!("app.log.{number}")
        } else {
            format!("app-{number:08}.log")
        })
    }

    fn rotate(&mut self, last: u64) {
        let way = match self.random(7) {
            0 | 1 => self.rename(last),
            2 | 3 => self.copy_and_truncate(last),
            4 => self.compress(gzip, "gz"),
            5 => self.compress(zstd, "zst"),
            _ => self.delete(),
        };
        *self.counts.entry(way).or_insert(0) += 1;
    }

    fn rename(&mut self, last: u64) -> &'static str {
        let name = self.new_name();
        fs::rename(self.live(), &name).unwrap();
        self.rotated.insert(name, last);
        "rename"
    }

    fn copy_and_truncate(&mut self, last: u64) -> &'static str {
        let name = self.new_name();
        fs::copy(self.live(), &name).unwrap();
        OpenOptions::new().write(true).open(self.live()).unwrap().set_len(0).unwrap();
        self.rotated.insert(name, last);
        "copytruncate"
    }

    fn any_rotated(&mut self, wanted: impl Fn(&Path, u64) -> bool) -> Option<(PathBuf, u64)> {
        let found = self.rotated.iter().filter(|(path, last)| wanted(path, **last));
        let found: Vec<_> = found.map(|(path, last)| (path.clone(), *last)).collect();
        let at = self.random(u64::try_from(found.len().max(1)).unwrap());
        found.into_iter().nth(usize::try_from(at).unwrap())
    }

    /// As gzip does: the archive grows, then the file is deleted.
    fn compress(&mut self, encode: fn(&[u8]) -> Vec<u8>, extension: &str) -> &'static str {
        let is_plain = |path: &Path, _: u64| path.extension().is_none_or(|it| it != "gz" && it != "zst");
        let Some((path, last)) = self.any_rotated(is_plain) else { return "nothing" };
        let bytes = encode(&fs::read(&path).unwrap());
        let mut name: OsString = path.clone().into();
        name.push(format!(".{extension}"));
        let mut archive = File::create(&name).unwrap();
        for part in bytes.chunks(bytes.len() / 3 + 1) {
            archive.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(&path).unwrap();
        self.rotated.remove(&path);
        self.rotated.insert(name.into(), last);
        "compress"
    }

    fn delete(&mut self) -> &'static str {
        let arrived = self.arrived.load(Ordering::SeqCst);
        let Some((path, _)) = self.any_rotated(|_, last| last < arrived) else { return "nothing" };
        fs::remove_file(&path).unwrap();
        self.rotated.remove(&path);
        "delete"
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::bufread::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn every_line_arrives_once_however_files_are_rotated_and_whenever_the_sidecar_dies() {
    let lines = env::var("METLOG_TORTURE_LINES").ok().and_then(|lines| lines.parse().ok()).unwrap_or(LINES);
    let seed = env::var("METLOG_TORTURE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(u64::from(std::process::id()) | 1);
    println!("METLOG_TORTURE_SEED={seed}");
    let setup =
        Setup { sidecar: "[input.files.torture]\npaths = [\"HOME/logs/app*\"]\n", ..Setup::default() };
    let mut system = System::start(setup);
    let logs = system.home().join("logs");
    fs::create_dir(&logs).unwrap();
    let (written, arrived) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let ended = Arc::new(AtomicBool::new(false));
    let mut writer = Writer {
        logs,
        rotated: BTreeMap::new(),
        next_name: 0,
        random: seed,
        arrived: Arc::clone(&arrived),
        counts: BTreeMap::new(),
    };
    let (progress, done) = (Arc::clone(&written), Arc::clone(&ended));
    let thread = std::thread::spawn(move || {
        let mut number = 0;
        while number < lines {
            let next = lines.min(number + 1 + writer.random(60));
            writer.write(number, next);
            number = next;
            progress.store(number, Ordering::SeqCst);
            if writer.random(4) == 0 {
                writer.rotate(number - 1);
            }
            std::thread::sleep(Duration::from_micros(writer.random(4_000)));
        }
        done.store(true, Ordering::SeqCst);
        writer.counts
    });

    let mut kills = 0;
    while !ended.load(Ordering::SeqCst) {
        let until = written.load(Ordering::SeqCst) + LINES_A_KILL.max(lines / 20);
        wait_until("lines to be written", || written.load(Ordering::SeqCst) >= until.min(lines));
        kills += 1;
        kill(&mut system, Duration::from_millis(kills * 37 % 200));
        // So many have arrived that a file of older lines may go.
        arrived.store(first_missing(&numbers(&system)), Ordering::SeqCst);
    }
    let ways = thread.join().unwrap();
    println!("{kills} kills, rotations: {ways:?}");
    assert!(ways.keys().filter(|way| **way != "nothing").count() >= 3, "{ways:?}");
    check(&system, lines);
}

fn kill(system: &mut System, pause: Duration) {
    system.sidecar.kill();
    std::thread::sleep(pause);
    system.sidecar.restart();
}

/// Every line once, and no more a moment later.
fn check(system: &System, lines: u64) {
    let deadline = Instant::now() + PATIENCE;
    while first_missing(&numbers(system)) < lines && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    // What is read twice would come within a scan.
    std::thread::sleep(Duration::from_secs(1));
    let mut times: BTreeMap<u64, usize> = (0..lines).map(|number| (number, 0)).collect();
    numbers(system).iter().for_each(|number| *times.entry(*number).or_insert(0) += 1);
    let wrong = ranges(times.into_iter().filter(|(_, times)| *times != 1));
    if !wrong.is_empty() {
        // What the sidecar made of the files (METLOG_LOG=metlog_sidecar=debug says most), and from which each line came.
        let kept = env::temp_dir().join("metlog-torture.log");
        let read: Vec<String> = system.delivered_of("logfile").iter().map(ToString::to_string).collect();
        fs::write(&kept, system.sidecar.log() + &read.join("\n")).unwrap();
        panic!("lines by how often they arrived: {wrong:?}; the sidecar's log is {}", kept.display());
    }
}

/// `first..last: times`, for lines that follow each other.
fn ranges(lines: impl Iterator<Item = (u64, usize)>) -> Vec<String> {
    let mut ranges: Vec<(u64, u64, usize)> = Vec::new();
    for (number, times) in lines {
        match ranges.last_mut() {
            Some((_, end, known)) if *end == number && *known == times => *end += 1,
            _ => ranges.push((number, number + 1, times)),
        }
    }
    ranges.iter().map(|(start, end, times)| format!("{start}..{end}: {times}")).collect()
}

fn numbers(system: &System) -> Vec<u64> {
    let messages = system.delivered_of("logfile");
    messages
        .iter()
        .map(|message| text(message, "/payload").split(' ').nth(1).unwrap().parse().unwrap())
        .collect()
}

fn first_missing(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let gap = sorted.iter().zip(0_u64..).find(|(number, expected)| *number != expected);
    gap.map_or(u64::try_from(sorted.len()).unwrap(), |(_, expected)| expected)
}
