//! The file output against real files: rotation, crashes, a full disk.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    process::Command,
    time::Duration,
};

use metlog_core::{Message, wire::json::from_json};

use super::*;

/// Where the test under a file size limit finds its directory.
const LIMITED_DIRECTORY: &str = "METLOG_TEST_LIMITED_DIRECTORY";

fn message(payload: &str) -> Message {
    from_json(format!(r#"{{"type":"a","payload":"{payload}"}}"#).as_bytes()).unwrap().message
}

fn messages(payloads: &[&str]) -> Vec<Item> {
    payloads.iter().map(|payload| message(payload).into()).collect()
}

fn output(path: &Path) -> FileOutput {
    FileOutput::new(FileConfig::json(path.to_owned())).unwrap()
}

/// As the output's thread does it: a checkpoint between when it is asked for.
fn try_deliver(output: &mut FileOutput, items: &[Item]) -> Result<Delivered, Halted> {
    match output.deliver(items) {
        Err(Halted { error: OutputError::CheckpointFirst, .. }) => {
            output.checkpoint()?;
            output.saved();
            output.deliver(items)
        }
        delivered => delivered,
    }
}

fn deliver(output: &mut FileOutput, payloads: &[&str]) {
    assert_eq!(try_deliver(output, &messages(payloads)).unwrap(), Delivered::default());
}

fn save(output: &mut FileOutput) -> OutputState {
    let state = output.checkpoint().unwrap();
    output.saved();
    state
}

/// The payloads in a file; fails on anything but whole lines of JSON.
fn payloads(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    let payload =
        |line: &str| from_json(line.as_bytes()).unwrap().message.payload.as_text().unwrap().to_owned();
    text.lines().map(payload).collect()
}

fn empty(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn messages_are_appended_as_lines_and_the_path_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/metrics.log");
    let mut first = output(&path);
    deliver(&mut first, &["1", "2"]);
    deliver(&mut first, &[]);
    drop(first);
    deliver(&mut output(&path), &["3"]);
    assert_eq!(payloads(&path), ["1", "2", "3"]);
    // The umask of the process may take away more.
    assert_eq!((mode(&path) & !0o640, mode(path.parent().unwrap()) & !0o750), (0, 0));
}

#[test]
fn what_is_no_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (path, what) in
        [(directory.path(), "a directory"), (Path::new("/dev/null"), "a pipe, socket or device")]
    {
        let config = FileConfig::json(path.to_owned());
        let error = FileOutput::new(config).unwrap_err().to_string();
        let shown = path.display();
        assert_eq!(error, format!("path {shown} is {what}, expected a file: name one in it or beside it"));
    }
    let path = directory.path().join("later");
    let mut output = output(&path);
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        output.deliver(&messages(&["1"])),
        Err(Halted { error: OutputError::NoFile { .. }, .. })
    ));
}

#[test]
fn a_path_that_cannot_be_made_is_an_error_that_passes() {
    let directory = tempfile::tempdir().unwrap();
    let blocker = directory.path().join("blocker");
    fs::write(&blocker, "").unwrap();
    let path = blocker.join("metrics.log");
    let mut output = output(&path);
    let error = try_deliver(&mut output, &messages(&["1"])).unwrap_err().error.to_string();
    assert!(error.starts_with(&format!("cannot create directory {}: ", blocker.display())), "{error}");
    fs::remove_file(&blocker).unwrap();
    deliver(&mut output, &["1"]);
    assert_eq!(payloads(&path), ["1"]);
}

#[test]
fn restart_cuts_off_what_came_after_the_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.log");
    let mut before = output(&path);
    let at_start = before.checkpoint().unwrap();
    deliver(&mut before, &["1"]);
    let kept = before.checkpoint().unwrap();
    deliver(&mut before, &["2", "3"]);
    drop(before); // as in a crash: the cursor still stands behind "1"

    let mut after = output(&path);
    after.restore(&kept).unwrap();
    assert_eq!(payloads(&path), ["1"]);
    deliver(&mut after, &["2", "3"]);
    assert_eq!(payloads(&path), ["1", "2", "3"]);

    output(&path).restore(&at_start).unwrap();
    assert_eq!(payloads(&path), [""; 0]);
}

#[test]
fn restart_leaves_a_file_alone_that_is_not_the_one_of_the_checkpoint() {
    // As long a line as each of the two kept, so that only the inode tells the files apart.
    let other =
        |path: &Path| fs::write(path, format!("{}\n", json::to_json(&message("x"))).repeat(3)).unwrap();
    type Change<'a> = (&'a str, &'a dyn Fn(&Path));
    let changes: [Change<'_>; 4] = [
        ("rotated", &|path| {
            fs::rename(path, path.with_extension("1")).unwrap();
            other(path);
        }),
        ("rotated and not created", &|path| fs::rename(path, path.with_extension("1")).unwrap()),
        ("emptied", &|path| fs::write(path, "").unwrap()),
        ("emptied and written again", &|path| {
            fs::write(path, format!("{}\n", json::to_json(&message(&"x".repeat(900))))).unwrap();
        }),
    ];
    for (name, change) in changes {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.log");
        let mut before = output(&path);
        deliver(&mut before, &["1", "2"]);
        let kept = before.checkpoint().unwrap();
        drop(before);
        change(&path);
        let found = fs::read(&path).unwrap_or_default();
        output(&path).restore(&kept).unwrap();
        assert_eq!(fs::read(&path).unwrap_or_default(), found, "{name}");
    }
}

#[test]
fn a_state_of_another_output_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.log");
    let mut output = output(&path);
    deliver(&mut output, &["1"]);
    output.restore(&OutputState::Nothing).unwrap();
    assert_eq!(payloads(&path), ["1"]);
}

#[test]
fn a_file_renamed_or_deleted_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.log");
    let rotated = directory.path().join("metrics.log.1");
    let mut output = output(&path);
    deliver(&mut output, &["1"]);
    fs::rename(&path, &rotated).unwrap();
    deliver(&mut output, &["2"]);
    assert_eq!((payloads(&rotated), payloads(&path)), (vec!["1".to_owned()], vec!["2".to_owned()]));
    fs::remove_file(&path).unwrap();
    deliver(&mut output, &["3"]);
    assert_eq!(payloads(&path), ["3"]);
    let OutputState::File(state) = output.checkpoint().unwrap() else { panic!("no file") };
    assert_eq!(state.files, [Kept::of(&path, &fs::metadata(&path).unwrap())]);
}

/// `copytruncate` of logrotate, as the original's rotation used it.
#[test]
fn a_file_emptied_under_us_goes_on_from_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.log");
    let mut output = output(&path);
    deliver(&mut output, &["1", "2"]);
    empty(&path);
    deliver(&mut output, &["3"]);
    assert_eq!(payloads(&path), ["3"]);
}

/// The limit of `ulimit -f` stands in for a full disk: the kernel takes part of the write, then refuses.
#[test]
fn a_write_that_fails_in_the_middle_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let script =
        r#"trap '' XFSZ; ulimit -f 8; exec "$0" --exact output::file::tests::under_a_limit --ignored"#;
    let ran = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(LIMITED_DIRECTORY, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(payloads(&directory.path().join("metrics.log")), ["1", "2"]);
}

#[test]
#[ignore = "run by a_write_that_fails_in_the_middle_leaves_no_trace, under a file size limit"]
fn under_a_limit() {
    let Some(directory) = std::env::var_os(LIMITED_DIRECTORY) else { return };
    let path = Path::new(&directory).join("metrics.log");
    let mut output = output(&path);
    deliver(&mut output, &["1"]);
    let long = "x".repeat(3_000);
    let error = try_deliver(&mut output, &messages(&[long.as_str(); 10])).unwrap_err().error.to_string();
    assert!(error.starts_with(&format!("cannot write to {}: ", path.display())), "{error}");
    assert_eq!(payloads(&path), ["1"]);
    deliver(&mut output, &["2"]);
    assert_eq!(payloads(&path), ["1", "2"]);
}

#[test]
fn a_torn_end_is_cut_before_anything_else_is_written_or_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.log");
    let mut output = output(&path);
    deliver(&mut output, &["1"]);
    let whole = fs::metadata(&path).unwrap().len();
    let tear = |output: &mut FileOutput| {
        let file = output.open.get_mut(&path).unwrap();
        (&file.file).write_all(b"{\"type").unwrap();
        file.torn_at = Some(whole);
    };
    tear(&mut output);
    let OutputState::File(state) = output.checkpoint().unwrap() else { panic!("no file") };
    assert_eq!(state.files[0].length, whole);
    tear(&mut output);
    deliver(&mut output, &["2"]);
    assert_eq!(payloads(&path), ["1", "2"]);
    tear(&mut output);
    empty(&path);
    deliver(&mut output, &["3"]);
    assert_eq!(payloads(&path), ["3"]);
}

fn configured(directory: &Path, settings: &str) -> FileOutput {
    let settings = settings.replace("DIR", directory.to_str().unwrap());
    FileOutput::new(toml::from_str(&settings).unwrap()).unwrap()
}

fn item(kind: &str, payload: &str) -> Item {
    let text = format!(r#"{{"timestamp":"2026-11-02T03:04:05Z","type":{kind:?},"payload":{payload:?}}}"#);
    from_json(text.as_bytes()).unwrap().message.into()
}

/// Names in a directory; of those that rotation makes, without their time.
fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    let timeless = |name: &String| match name.split_once(".20") {
        Some((own, time)) => format!("{own}{}", &time[21..]),
        None => name.clone(),
    };
    names.iter().map(timeless).collect()
}

#[test]
fn text_is_written_by_its_template_and_no_message_begins_a_line_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let settings = "path = 'DIR/a.log'\nformat = 'text'\ntemplate = '%Timestamp% %Payload% %user%'";
    let mut output = configured(directory.path(), settings);
    let mut good = item("t", "a\r\nb\n2026 c");
    good.message.fields.insert("user", "ada".to_owned());
    let dead = try_deliver(&mut output, &[item("t", "x"), good]).unwrap().dead;
    assert_eq!(dead, [(0, "the message lacks what template asks for".to_owned())]);
    let text = fs::read_to_string(directory.path().join("a.log")).unwrap();
    assert_eq!(text, "2026-11-02T03:04:05.000000Z a\n\tb\n\t2026 c ada\n");
}

#[test]
fn messages_name_their_files_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let mut output =
        configured(directory.path(), "path = 'DIR/%Type%.log'\nmax_files = 3\nmax_open_files = 1");
    let dead =
        try_deliver(&mut output, &["a", "../b", "a", "c", "d"].map(|kind| item(kind, kind))).unwrap().dead;
    assert_eq!(dead, [(4, "would be in one more than 3 files: see max_files".to_owned())]);
    assert_eq!(names(directory.path()), ["_._b.log", "a.log", "c.log"]);
    assert!(try_deliver(&mut output, &[item("a", "again")]).unwrap().dead.is_empty());
    save(&mut output);
    assert_eq!(output.open.len(), 1);
    assert_eq!(payloads(&directory.path().join("a.log")), ["a", "a", "again"]);
}

/// Before, what was written to a file between its creation and the next checkpoint came twice.
#[test]
fn a_file_is_written_to_only_once_a_checkpoint_knows_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = configured(directory.path(), "path = 'DIR/%Type%.log'");
    let items = [item("a", "1"), item("b", "2")];
    assert!(matches!(
        before.deliver(&items),
        Err(Halted { settled: 0, error: OutputError::CheckpointFirst, .. })
    ));
    assert_eq!(fs::metadata(directory.path().join("a.log")).unwrap().len(), 0);
    let kept = save(&mut before);
    before.deliver(&items).unwrap();
    drop(before);
    let mut after = configured(directory.path(), "path = 'DIR/%Type%.log'");
    after.restore(&kept).unwrap();
    try_deliver(&mut after, &items).unwrap();
    assert_eq!(payloads(&directory.path().join("a.log")), ["1"]);
    assert_eq!(payloads(&directory.path().join("b.log")), ["2"]);
}

#[test]
fn a_write_that_fails_in_one_file_leaves_no_trace_in_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut output = configured(directory.path(), "path = 'DIR/%Type%.log'");
    let items = [item("a", "1"), item("b", "2")];
    try_deliver(&mut output, &items).unwrap();
    let path = directory.path().join("b.log");
    output.open.get_mut(&path).unwrap().file = File::open(&path).unwrap();
    let error = output.deliver(&items).unwrap_err().error.to_string();
    assert!(error.starts_with(&format!("cannot write to {}", path.display())), "{error}");
    assert_eq!(payloads(&directory.path().join("a.log")), ["1"]);
}

#[test]
fn a_full_file_is_renamed_compressed_and_thinned_out() {
    for (compression, suffix) in [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
        let directory = tempfile::tempdir().unwrap();
        let settings =
            format!("path = 'DIR/a.log'\nrotate_bytes = 1\nkeep_files = 2\ncompress = '{compression}'");
        let mut output = configured(directory.path(), &settings);
        for payload in ["1", "2", "3", "4"] {
            deliver(&mut output, &[payload]);
            save(&mut output);
        }
        assert_eq!(
            names(directory.path()),
            ["a.log".to_owned(), format!("a.log{suffix}"), format!("a.log{suffix}")]
        );
        let mut closed: Vec<PathBuf> = open::siblings(&directory.path().join("a.log")).unwrap();
        assert_eq!(read(&closed.pop().unwrap()), ["4"], "{compression}");
    }
}

/// The payloads in a file that may be compressed.
fn read(path: &Path) -> Vec<String> {
    let file = File::open(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap(),
        "zst" => zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap(),
        _ => file.take(u64::MAX).read_to_string(&mut text).unwrap(),
    };
    text.lines()
        .map(|line| from_json(line.as_bytes()).unwrap().message.payload.as_text().unwrap().to_owned())
        .collect()
}

#[test]
fn a_file_of_an_earlier_turn_is_renamed_before_it_is_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    fs::write(&path, "old\n").unwrap();
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(&path).unwrap().set_modified(hours_ago).unwrap();
    deliver(&mut configured(directory.path(), "path = 'DIR/a.log'\nrotate_every = '1h'"), &["1"]);
    assert_eq!(payloads(&path), ["1"]);
    assert_eq!(fs::read_to_string(&open::siblings(&path).unwrap()[0]).unwrap(), "old\n");
}

#[test]
fn a_dated_file_is_compressed_when_its_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut output = configured(directory.path(), "path = 'DIR/%Y.log'\ncompress = 'zstd'");
    deliver(&mut output, &["1"]);
    let path = output.open.keys().next().unwrap().clone();
    output.open.get_mut(&path).unwrap().period = "the year before".to_owned();
    save(&mut output);
    assert!(!path.exists() || fs::metadata(&path).unwrap().len() == 0, "begun anew or gone");
    assert_eq!(read(&open::siblings(&path).unwrap()[0]), ["1"]);
}

/// Whether we or logrotate renamed it: the file of the checkpoint is known by its inode.
#[test]
fn a_file_renamed_after_the_checkpoint_is_cut_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (path, renamed) = (directory.path().join("a.log"), directory.path().join("a.log.1"));
    let mut before = output(&path);
    deliver(&mut before, &["1"]);
    let kept = save(&mut before);
    deliver(&mut before, &["2"]);
    fs::rename(&path, &renamed).unwrap();
    drop(before);
    let mut after = output(&path);
    after.restore(&kept).unwrap();
    deliver(&mut after, &["2"]);
    assert_eq!((payloads(&renamed), payloads(&path)), (vec!["1".to_owned()], vec!["2".to_owned()]));
}

#[test]
fn a_crash_while_compressing_is_made_up_for() {
    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("a.log.20260101T000000.000000Z");
    fs::write(&closed, format!("{}\n", json::to_json(&message("1")))).unwrap();
    fs::write(directory.path().join("a.log.20260101T000000.000000Z.part"), "half").unwrap();
    let state = OutputState::File(FileState { files: Vec::new(), closed: vec![closed.clone()] });
    let mut output = configured(directory.path(), "path = 'DIR/a.log'\ncompress = 'gzip'");
    output.restore(&state).unwrap();
    save(&mut output);
    assert_eq!(read(&directory.path().join("a.log.20260101T000000.000000Z.gz")), ["1"]);
    assert!(!closed.exists());
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (settings, said) in [
        ("path = '/tmp/x'\ntemplate = '%Payload%'", "template: is given, expected format = \"text\" with it"),
        ("path = '/tmp/x'\nformat = 'text'\ntemplate = '50%'", "template: \"50%\" has a single %"),
    ] {
        let error = FileOutput::new(toml::from_str(settings).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
}
