//! The input over real files: every way of rotation, restarts, what is hostile, and the spool that results.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use metlog_core::{Message, wire::batch::Batch};
use metlog_pipeline::{
    config::parse,
    counters::Counters,
    intake::Intake,
    spool::{Reader, SpoolOptions},
    stop::Stop,
};
use tempfile::TempDir;

use super::FilesInput;
use crate::config::Config;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A spool, a folder of logs, and an input that runs or not.
struct Host {
    dir: TempDir,
    config: String,
    intake: Option<Intake>,
    running: Option<(Stop, JoinHandle<()>)>,
    counters: Counters,
    reader: Option<Reader>,
    messages: Vec<Message>,
}

impl Host {
    /// `keys` are those of the input beside its paths; what follows an empty line are further sections.
    fn new(keys: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let config = format!("[input.files.t]\npaths = [\"{}/*.log*\"]\n{keys}", logs.display());
        let mut host = Self {
            dir,
            config,
            intake: None,
            running: None,
            counters: Counters::default(),
            reader: None,
            messages: Vec::new(),
        };
        host.open();
        host
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    fn open(&mut self) {
        let options = SpoolOptions { segment_bytes: 1 << 20, max_bytes: 8 << 20, ..SpoolOptions::default() };
        let intake = Intake::open(&self.dir.path().join("data"), options).unwrap();
        let from = self.reader.as_ref().map_or(1, Reader::position);
        self.reader = Some(intake.spool().reader(from));
        self.intake = Some(intake);
    }

    fn start(&mut self) -> &mut Self {
        let config: Config = parse(&self.config, "test.toml", |_| None).unwrap();
        assert_eq!(config.check(), Vec::<String>::new());
        let (name, parts) = config.log_files().next().unwrap();
        let intake = self.intake.as_ref().unwrap();
        let data = self.dir.path().join("data");
        let mut input = FilesInput::open(name, parts, intake, &data, self.counters.clone()).unwrap();
        let stop = Stop::default();
        let told = stop.for_thread();
        self.running = Some((stop, std::thread::spawn(move || input.run(&told))));
        self
    }

    /// Ends the input in good order and starts it again, with what happens in between.
    fn restart(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.stop();
        self.intake.take().unwrap().spool().close();
        meanwhile(self);
        self.open();
        self.start();
    }

    fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.set();
            thread.join().unwrap();
        }
    }

    /// Reads the spool until it holds so many messages.
    fn wait_for(&mut self, count: usize) -> &[Message] {
        let deadline = Instant::now() + PATIENCE;
        while self.messages.len() < count {
            assert!(Instant::now() < deadline, "{} of {count}: {:?}", self.messages.len(), self.payloads());
            self.read(Duration::from_millis(20));
        }
        &self.messages
    }

    fn read(&mut self, timeout: Duration) {
        for record in self.reader.as_mut().unwrap().next(1 << 20, timeout) {
            let batch = Batch::parse(&record.frame).unwrap();
            self.messages.extend(batch.messages().map(|(_, message)| message.unwrap()));
        }
    }

    /// Exactly these payloads, in any order, and no more a moment later.
    fn expect(&mut self, expected: &[&str]) {
        self.wait_for(expected.len());
        self.read(Duration::from_millis(300));
        let mut found = self.payloads();
        let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    fn payloads(&self) -> Vec<String> {
        self.messages.iter().map(|message| message.payload.as_text().unwrap_or("?").to_owned()).collect()
    }

    fn counter(&self, reason: &str) -> u64 {
        let series = format!("metlog_input_malformed_total{{input=\"files.t\",reason=\"{reason}\"}} ");
        let text = self.counters.render();
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        if let Some(intake) = self.intake.take() {
            intake.spool().close();
        }
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn truncate(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
}

fn gzip(path: &Path) {
    let mut name = path.to_owned().into_os_string();
    name.push(".gz");
    let mut out = flate2::write::GzEncoder::new(File::create(name).unwrap(), flate2::Compression::default());
    out.write_all(&fs::read(path).unwrap()).unwrap();
    out.finish().unwrap();
    fs::remove_file(path).unwrap();
}

fn zstd(path: &Path) {
    let mut name = path.to_owned().into_os_string();
    name.push(".zst");
    fs::write(name, zstd::encode_all(&*fs::read(path).unwrap(), 3).unwrap()).unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn lines_become_messages_of_the_file() {
    let mut host = Host::new("");
    append(&host.log("a.log"), "one\ntwo\r\n\nhalf");
    host.start().wait_for(2);
    append(&host.log("a.log"), " a line\n");
    host.expect(&["one", "two", "half a line"]);
    let message = &host.messages[0];
    assert_eq!(
        (message.kind.as_str(), &message.logger),
        ("logfile", &host.log("a.log").display().to_string())
    );
}

/// What is done to `a.log` after two lines of it were read, and what is written to it then.
type Rotation = (&'static str, fn(&Host));

const ROTATIONS: &[Rotation] = &[
    ("renamed", |host| fs::rename(host.log("a.log"), host.log("a.log.1")).unwrap()),
    ("renamed to what the patterns do not find", |host| {
        fs::rename(host.log("a.log"), host.log("a.old")).unwrap();
    }),
    ("copied and truncated", |host| {
        fs::copy(host.log("a.log"), host.log("a.log.1")).unwrap();
        truncate(&host.log("a.log"));
    }),
    ("truncated", |host| truncate(&host.log("a.log"))),
    ("deleted", |host| fs::remove_file(host.log("a.log")).unwrap()),
    ("renamed and compressed", |host| {
        fs::rename(host.log("a.log"), host.log("a.log.1")).unwrap();
        gzip(&host.log("a.log.1"));
    }),
    ("renamed and compressed otherwise", |host| {
        fs::rename(host.log("a.log"), host.log("a.log.1")).unwrap();
        zstd(&host.log("a.log.1"));
    }),
    ("copied, truncated and compressed", |host| {
        fs::copy(host.log("a.log"), host.log("a.log.1")).unwrap();
        truncate(&host.log("a.log"));
        gzip(&host.log("a.log.1"));
    }),
];

#[test]
fn every_way_of_rotation_gives_each_line_once() {
    for (name, rotate) in ROTATIONS {
        println!("{name}");
        let mut host = Host::new("");
        append(&host.log("a.log"), "one\ntwo\n");
        host.start().expect(&["one", "two"]);
        rotate(&host);
        append(&host.log("a.log"), "three\n");
        host.expect(&["one", "two", "three"]);
    }
}

#[test]
fn every_way_of_rotation_while_the_daemon_is_down_gives_each_line_once() {
    for (name, rotate) in ROTATIONS {
        println!("{name}");
        let mut host = Host::new("");
        append(&host.log("a.log"), "one\ntwo\n");
        host.start().expect(&["one", "two"]);
        // What has been read is all there is of a file that is truncated or deleted; else a line more is found.
        let is_kept = !matches!(*name, "truncated" | "deleted" | "renamed to what the patterns do not find");
        host.restart(|host| {
            if is_kept {
                append(&host.log("a.log"), "late\n");
            }
            rotate(host);
            append(&host.log("a.log"), "three is longer than one and two\n");
        });
        let expected = ["one", "two", "three is longer than one and two", "late"];
        host.expect(if is_kept { &expected } else { &expected[..3] });
    }
}

#[test]
fn a_file_deleted_in_mid_line_gives_its_last_line() {
    let mut host = Host::new("");
    append(&host.log("a.log"), "one\nhalf");
    host.start().wait_for(1);
    fs::remove_file(host.log("a.log")).unwrap();
    host.expect(&["one", "half"]);
}

#[test]
fn a_link_that_changes_its_target_is_followed() {
    let mut host = Host::new("");
    let target = |name: &str| host.dir.path().join(name);
    let (old, new) = (target("old"), target("new"));
    append(&old, "one\n");
    std::os::unix::fs::symlink(&old, host.log("a.log")).unwrap();
    host.start().expect(&["one"]);
    append(&old, "two\n");
    host.expect(&["one", "two"]);
    append(&new, "three\n");
    std::os::unix::fs::symlink(&new, host.log("next")).unwrap();
    fs::rename(host.log("next"), host.log("a.log")).unwrap();
    host.expect(&["one", "two", "three"]);
}

#[test]
fn a_file_of_the_same_content_is_another_file_unless_its_name_is_that_of_a_copy() {
    let mut host = Host::new("");
    append(&host.log("a.log"), "one\n");
    host.start().expect(&["one"]);
    append(&host.log("b.log"), "one\n");
    host.expect(&["one", "one"]);
    fs::copy(host.log("a.log"), host.log("a.log.bak")).unwrap();
    host.expect(&["one", "one"]);
    // Deleted and made anew with the same content: it was written again.
    fs::remove_file(host.log("b.log")).unwrap();
    host.expect(&["one", "one"]);
    std::thread::sleep(Duration::from_millis(2_500));
    append(&host.log("b.log"), "one\n");
    host.expect(&["one", "one", "one"]);
}

#[test]
fn what_was_there_before_can_be_left_out() {
    let mut host = Host::new("start = \"end\"\n");
    append(&host.log("a.log"), "old\nha");
    append(&host.log("b.log.1"), "older\n");
    gzip(&host.log("b.log.1"));
    host.start();
    // New files are read from their beginning.
    std::thread::sleep(Duration::from_millis(200));
    append(&host.log("c.log"), "new\n");
    host.wait_for(1);
    append(&host.log("a.log"), "lf\nmore\n");
    host.expect(&["new", "half", "more"]);
    host.restart(|host| append(&host.log("a.log"), "after\n"));
    host.expect(&["new", "half", "more", "after"]);
}

#[test]
fn long_lines_are_cut_and_marked_and_what_follows_is_read() {
    let mut host = Host::new("max_line_bytes = \"100 B\"\n");
    let long = "x".repeat(3_000_000);
    append(&host.log("a.log"), &format!("before\n{long}"));
    host.start().wait_for(2);
    append(&host.log("a.log"), &format!("{long}\nafter\n"));
    host.expect(&["before", &"x".repeat(100), "after"]);
    let cut = host.messages.iter().filter(|message| message.fields.get("cut").is_some()).count();
    assert_eq!((cut, host.counter("cut")), (1, 1));
}

#[test]
fn what_is_no_text_disturbs_nothing() {
    let mut host = Host::new("");
    fs::write(host.log("a.log"), b"gr\xfcn\n\x00\x01\x1b[31m\n\xff\xff\xff\nend\n").unwrap();
    host.start().expect(&["gr\u{fffd}n", "\0\u{1}\u{1b}[31m", "\u{fffd}\u{fffd}\u{fffd}", "end"]);
    assert_eq!(host.counter("encoding"), 2);
    let mut latin = Host::new("encoding = \"latin-1\"\n");
    fs::write(latin.log("a.log"), b"gr\xfcn\n").unwrap();
    latin.start().expect(&["grün"]);
}

#[test]
fn archives_that_are_damaged_or_bombs_disturb_nothing() {
    let mut host = Host::new("");
    fs::write(host.log("bad.log.gz"), b"\x1f\x8bnonsense that is no archive at all").unwrap();
    fs::write(host.log("bad.log.zst"), b"\x28\xb5\x2f\xfdnonsense").unwrap();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b'x'; 100 << 20]).unwrap();
    fs::write(host.log("bomb.log.gz"), bomb.finish().unwrap()).unwrap();
    append(&host.log("good.log"), "one\n");
    host.start().wait_for(2);
    let deadline = Instant::now() + PATIENCE;
    while host.counter("decompression_bomb") == 0 || host.counter("unreadable") == 0 {
        assert!(Instant::now() < deadline, "{}", host.counters.render());
        host.read(Duration::from_millis(10));
    }
    append(&host.log("good.log"), "two\n");
    host.wait_for(3);
    assert!(host.payloads().contains(&"two".to_owned()));
}

#[test]
fn lines_are_formatted_joined_or_kept_whole_and_marked() {
    let mut host = Host::new(
        "formatters = [\"json\", \"web\"]\nmultiline = { preset = \"python\", timeout = \"100ms\" }\n\
         [formatter.json]\nformat = \"json\"\ntype = \"app\"\n[formatter.web]\nformat = \"nginx\"\ntype = \"access\"\n",
    );
    let trace = "it broke\nTraceback (most recent call last):\n  File \"a\", line 1\nValueError: b";
    append(
        &host.log("a.log"),
        &format!(
            "{{\"level\":\"error\",\"msg\":\"a\",\"n\":1}}\n\
             10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"\n{trace}\n"
        ),
    );
    host.start().expect(&["a", "GET / HTTP/1.1", trace]);
    let kinds: Vec<&str> = host.messages.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["app", "access", "logfile"]);
    assert_eq!(host.messages[0].severity.as_u8(), 3);
    assert_eq!(host.messages[1].timestamp.to_string(), "2000-10-10T20:55:36.000000Z");
    assert_eq!(host.messages[2].fields.get("unformatted"), Some(&true.into()));
    assert_eq!(host.counter("unformatted"), 1);
}

#[test]
fn files_of_a_stream_are_read_in_their_order() {
    let mut host = Host::new(
        "match = '/(?<app>[a-z]+)\\.log(\\.(?<seq>\\d+))?$'\npriority = [\"^seq\"]\ndifferentiator = [\"app\"]\n",
    );
    for (name, text) in
        [("a.log", "three\n"), ("a.log.2", "one\n"), ("a.log.1", "two\n"), ("other.txt.log.x", "no\n")]
    {
        append(&host.log(name), text);
    }
    host.start().expect(&["one", "two", "three"]);
    assert_eq!(host.payloads(), ["one", "two", "three"]);
    assert!(host.messages.iter().all(|message| message.logger == "a"));
}

/// The torture found that a file was never read which had got the inode of an archive.
#[test]
fn a_file_with_the_inode_of_an_archive_is_another_file() {
    let mut host = Host::new("");
    append(&host.log("a.log.1"), "one\n");
    gzip(&host.log("a.log.1"));
    host.start().expect(&["one"]);
    // In place: the inode stays.
    fs::write(host.log("a.log.1.gz"), "two\n").unwrap();
    fs::rename(host.log("a.log.1.gz"), host.log("b.log")).unwrap();
    host.expect(&["one", "two"]);
}

/// The torture found that the archive of a file was read again which had been renamed a moment before.
#[test]
fn the_archive_of_a_file_that_goes_by_another_name_is_known() {
    let mut host = Host::new("");
    append(&host.log("a.log"), "half");
    append(&host.log("b.log"), "there\n");
    host.start().expect(&["there"]);
    append(&host.log("a.log"), " a line\n");
    fs::rename(host.log("a.log"), host.log("a.log.1")).unwrap();
    gzip(&host.log("a.log.1"));
    host.expect(&["there", "half a line"]);
    std::thread::sleep(Duration::from_secs(3));
    host.expect(&["there", "half a line"]);
}

#[test]
fn files_wait_for_a_full_spool_and_never_hold_it_full() {
    let mut host = Host::new("");
    let lines: Vec<String> = (0..20_000).map(|number| format!("{number} {}", "x".repeat(1_000))).collect();
    append(&host.log("a.log"), &format!("{}\n", lines.join("\n")));
    let spool = host.intake.as_ref().unwrap().spool().clone();
    spool.register("test", 0);
    host.start();
    let deadline = Instant::now() + PATIENCE;
    while !spool.is_full() {
        assert!(Instant::now() < deadline, "the spool is never full");
        std::thread::sleep(Duration::from_millis(5));
    }
    while host.messages.len() < lines.len() {
        assert!(Instant::now() < deadline, "{} of {}", host.messages.len(), lines.len());
        host.read(Duration::from_millis(20));
        host.intake.as_ref().unwrap().checkpoint();
        spool.release("test", host.reader.as_ref().unwrap().position() - 1);
    }
    assert_eq!(host.payloads(), lines);
}

#[test]
fn positions_are_found_in_the_spool_when_their_table_is_gone() {
    let mut host = Host::new("");
    append(&host.log("a.log"), "one\n");
    host.start().expect(&["one"]);
    host.restart(|host| {
        let checkpoints = host.dir.path().join("data/checkpoints");
        for slot in ["input.files.t.0", "input.files.t.1"] {
            let _not_written_yet = fs::remove_file(checkpoints.join(slot));
        }
        append(&host.log("a.log"), "two\n");
    });
    host.expect(&["one", "two"]);
}
