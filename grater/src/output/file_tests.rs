//! The file output against real files: rotation, crashes, a full disk.

use std::{os::unix::fs::PermissionsExt, process::Command};

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
    FileOutput::new(FileConfig { path: path.to_owned(), format: FileFormat::Json }).unwrap()
}

fn deliver(output: &mut FileOutput, payloads: &[&str]) {
    assert_eq!(output.deliver(&messages(payloads)).unwrap(), Delivered::default());
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
        let config = FileConfig { path: path.to_owned(), format: FileFormat::Json };
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
    let error = output.deliver(&messages(&["1"])).unwrap_err().error.to_string();
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
        assert_eq!(fs::read(&path).unwrap(), found, "{name}");
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
    assert_eq!(state, FileState::of(&fs::metadata(&path).unwrap()));
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
    let error = output.deliver(&messages(&[long.as_str(); 10])).unwrap_err().error.to_string();
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
        output.file.as_ref().unwrap().write_all(b"{\"type").unwrap();
        output.torn_at = Some(whole);
    };
    tear(&mut output);
    let OutputState::File(state) = output.checkpoint().unwrap() else { panic!("no file") };
    assert_eq!(state.length, whole);
    tear(&mut output);
    deliver(&mut output, &["2"]);
    assert_eq!(payloads(&path), ["1", "2"]);
    tear(&mut output);
    empty(&path);
    deliver(&mut output, &["3"]);
    assert_eq!(payloads(&path), ["3"]);
}
