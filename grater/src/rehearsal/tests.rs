//! Tests of the words, against one configuration.

use metlog_core::wire::{
    batch::{Builder, Header, ProducerId},
    json::from_json,
    record::Identity,
};
use metlog_pipeline::{
    config::parse,
    spool::{NewRecord, Spool, SpoolOptions},
};

use super::*;

const CONFIG: &str = r#"
    data_dir = "DIR"
    catchall = ["archive"]
    [[route]]
    name = "slow"
    matcher = "Type == 'services' && Fields[time] > 2"
    outputs = ["slow", "archive"]
    sample = 0.5
    set = { payload = "%path% took %time% s" }
    final = true
    [[route]]
    name = "errors"
    matcher = "Severity < 4"
    outputs = ["slow"]
    [[output]]
    name = "archive"
    type = "file"
    path = "/tmp/archive"
    [[output]]
    name = "slow"
    type = "file"
    path = "/tmp/slow"
"#;

const TESTS: &str = r#"
    [[test]]
    name = "slow requests are told"
    message = { type = "services", fields = { time = 3.5, path = "/a" } }
    outputs = ["slow", "archive"]
    [test.expect.slow]
    payload = "/a took 3.5 s"
    without = ["gone"]
    [[test]]
    name = "the rest is kept"
    message = '{"type": "x"}'
    outputs = ["archive"]
"#;

fn config(more: &str) -> Config {
    parse(&format!("{CONFIG}{more}"), "grater.toml", |_| None).unwrap()
}

/// What a word says, and whether all is well.
fn say(word: impl FnOnce(&mut dyn std::io::Write) -> Result<bool, Failed>) -> (String, bool) {
    let mut out = Vec::new();
    let is_well = word(&mut out).unwrap();
    (String::from_utf8(out).unwrap(), is_well)
}

fn args<A: clap::Args>(words: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("word").no_binary_name(true));
    A::from_arg_matches(&command.get_matches_from(words)).unwrap()
}

#[test]
fn tests_of_the_configuration_pass_or_say_what_is_not_as_expected() {
    let good = config(TESTS);
    assert_eq!(good.check(), Vec::<String>::new());
    let (said, is_well) = say(|out| test::run(args(&[]), &good, out));
    assert_eq!(said, "ok     slow requests are told\nok     the rest is kept\n2 tests, 0 failed\n");
    assert!(is_well);

    let bad = TESTS.replace("3.5 s", "4 s").replace("outputs = [\"archive\"]", "outputs = []");
    let bad = config(&format!("{bad}[test.expect.slow]\npayload = \"x\"\n"));
    let (said, is_well) = say(|out| test::run(args(&[]), &bad, out));
    assert!(!is_well);
    for part in [
        "slow: payload is \"/a took 3.5 s\", expected \"/a took 4 s\"",
        "outputs are archive, expected none",
        "slow: it does not get the message",
        "2 tests, 2 failed",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (said, _) = say(|out| test::run(args(&["--json"]), &bad, out));
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["passed"]), (2, &serde_json::Value::Bool(false)));

    let none = test::run(args(&[]), &config(""), &mut Vec::new()).unwrap_err();
    assert_eq!(none.to_string(), "the configuration has no [[test]]");
}

#[test]
fn a_test_that_cannot_work_is_said_by_check() {
    for (test, said) in [
        ("message = '{'\noutputs = []", "test \"t\": message is no JSON object"),
        ("message = { logger = 'x' }", "test \"t\": message has no \"type\""),
        (
            "message = { type = 'x' }\noutputs = ['slo']",
            "test \"t\": \"slo\" is no output; did you mean \"slow\"?",
        ),
        (
            "message = { type = 'x' }\nexpect = { file = { payload = 'x' } }",
            "test \"t\": \"file\" is no output",
        ),
    ] {
        let wrong = config(&format!("[[test]]\nname = 't'\n{test}\n")).check();
        assert!(wrong.len() == 1 && wrong[0].starts_with(said), "{said}: {wrong:?}");
    }
}

#[test]
fn a_message_of_a_file_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages");
    let lines = "{\"type\":\"services\",\"fields\":{\"time\":3,\"path\":\"/a\"}}\n{\"type\":\"x\"}\n";
    std::fs::write(&file, lines).unwrap();
    let path = file.display().to_string();
    let (said, _) = say(|out| explain::run(&args(&[&path]), &config(""), out));
    for part in [
        "route slow takes it\n    column 1: Type == 'services', found \"services\"\n    column 23: Fields[time] > 2, found 3\n",
        "    set payload to \"%path% took %time% s\"; to slow, archive\n    final: later routes are not asked\n",
        "goes to archive (answers for it in the ledger): {\"type\":\"services\"",
        "\"payload\":\"/a took 3 s\"",
        "route errors does not take it\n    column 1: Severity < 4, found 6\n",
        "no route with outputs takes it: catchall\ngoes to archive (answers for it in the ledger)\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::write(&file, "{\"type\":\"x\"}\nnothing\n").unwrap();
    let error = explain::run(&args(&[&path]), &config(""), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("line 2: message is no JSON object"), "{error}");
}

#[test]
fn the_newest_message_of_the_spool_that_fits_is_explained_with_its_share() {
    let dir = tempfile::tempdir().unwrap();
    let config = config("");
    let config = Config { data_dir: dir.path().to_owned(), ..config };
    let none = explain::run(&args(&[]), &config, &mut Vec::new()).unwrap_err().to_string();
    assert!(none.contains("no spool can be read"), "{none}");
    let (spool, _) = Spool::open(&dir.path().join("spool"), SpoolOptions::default()).unwrap();
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "h" };
    let mut last = 0;
    for number in 0..40_u64 {
        let header = Header { first_sequence: number, ..Header::new(ProducerId([7; 16]), identity, "app") };
        let mut batch = Builder::new(header);
        let text =
            format!("{{\"type\":\"services\",\"payload\":\"{number}\",\"fields\":{{\"time\":{number}}}}}");
        batch.push(&from_json(text.as_bytes()).unwrap().message).unwrap();
        last = spool.append(&[NewRecord { link: None, frame: &batch.finish() }]).unwrap();
    }
    assert!(spool.wait_synced(last, std::time::Duration::from_secs(10)));
    let mut shares = Vec::new();
    for number in 3..40 {
        let matcher = format!("Payload == '{number}'");
        let (said, _) = say(|out| explain::run(&args(&["--json", "--where", &matcher]), &config, out));
        let told: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(told["message"]["payload"], number.to_string());
        let is_in_share = told["steps"][0]["is_in_share"].as_bool().unwrap();
        assert_eq!(told["counted_as"] == "filtered:slow", !is_in_share, "{said}");
        shares.push(is_in_share);
    }
    assert!(shares.contains(&true) && shares.contains(&false), "{shares:?}");
    let (said, _) = say(|out| explain::run(&args(&["--json"]), &config, out));
    assert!(said.contains("\"payload\":\"39\""), "{said}");
    let none = explain::run(&args(&["--where", "Type == 'y'"]), &config, &mut Vec::new()).unwrap_err();
    assert!(none.to_string().contains("no such message"), "{none}");
}

#[test]
fn the_graph_has_every_way() {
    let (said, _) = say(|out| graph::run(args(&[]), &config(""), out));
    assert_eq!(
        said,
        "input link tcp://127.0.0.1:5568\n\
         route slow [share 0.5, changes, final]: Type == 'services' && Fields[time] > 2\n  -> slow\n  -> archive\n\
         route errors: Severity < 4\n  -> slow\n\
         otherwise\n  -> archive\n"
    );
    let (said, _) = say(|out| graph::run(args(&["--dot"]), &config(""), out));
    for line in [
        "  \"tcp://127.0.0.1:5568\" -> routes;",
        "  \"route errors\" -> \"slow\";",
        "  routes -> \"archive\" [style=dashed, label=otherwise];",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    assert!(said.starts_with("digraph metlog {\n") && said.ends_with("}\n"), "{said}");
}

#[test]
fn the_configuration_of_mozilla_services_routes_as_the_originals_did() {
    let text = include_str!("../../../examples/ops/mozilla-services.toml");
    let config: Config = parse(text, "mozilla-services.toml", |_| None).unwrap();
    assert_eq!(config.check(), Vec::<String>::new());
    let (said, is_well) = say(|out| test::run(args(&[]), &config, out));
    assert!(is_well && said.ends_with("7 tests, 0 failed\n"), "{said}");
}
