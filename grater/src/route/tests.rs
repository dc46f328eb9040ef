//! Tests of routes: what they take, change and let pass, and what is refused.

use metlog_core::{
    Message, wire,
    wire::{
        batch::ProducerId,
        json::to_json,
        record::{self, Identity, Record},
    },
};
use proptest::prelude::*;

use super::*;

const OUTPUTS: [&str; 4] = ["hdfs", "statsd", "sentry", "archive"];
const SHARED: Identity<'_> = Identity { env_version: "0.8", pid: 0, hostname: "" };

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn route(name: &str, matcher: &str, outputs: &[&str], is_final: bool) -> RouteConfig {
    let matcher = Some(matcher.to_owned());
    RouteConfig {
        name: name.to_owned(),
        matcher,
        outputs: names(outputs),
        is_final,
        ..RouteConfig::default()
    }
}

#[derive(serde::Deserialize)]
struct File {
    route: Vec<RouteConfig>,
}

fn compile(text: &str, catchall: &[&str]) -> Result<Routes, RouteError> {
    let file: File = toml::from_str(text).unwrap();
    Routes::compile(&file.route, &names(catchall), &names(&OUTPUTS))
}

fn message(text: &str) -> Message {
    wire::json::from_json(text.as_bytes()).unwrap().message
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::write_message(&mut bytes, message, SHARED).unwrap();
    bytes
}

fn view(bytes: &[u8]) -> MessageView<'_> {
    MessageView::new(Record::split(bytes).unwrap().0, SHARED)
}

fn decide(routes: &Routes, kind: &str) -> Vec<usize> {
    routed(routes, &format!("{{\"type\":\"{kind}\",\"severity\":3}}"))
}

fn routed(routes: &Routes, text: &str) -> Vec<usize> {
    let bytes = bytes(&message(text));
    let decision = routes.decide(&mut view(&bytes), None);
    assert_eq!(routes.trace(&mut view(&bytes), None).decision, decision, "{text}");
    decision.outputs().collect()
}

/// The message as the output at `position` gets it.
fn changed(routes: &Routes, position: usize, text: &str) -> String {
    let mut message = message(text);
    let bytes = bytes(&message);
    let decision = routes.decide(&mut view(&bytes), None);
    assert!(decision.contains(position), "{decision:?}");
    routes.change(decision, position, &mut message);
    to_json(&message)
}

#[test]
fn every_route_that_fits_fires_until_a_final_one() {
    let routes = [
        route("archive", "Severity < 4", &["archive"], false),
        route("numbers", "Type == 'counter' || Type == 'timer'", &["statsd"], true),
        route("errors", "Type != 'metlog.stats'", &["sentry", "archive"], false),
    ];
    let routes = Routes::compile(&routes, &names(&["hdfs"]), &names(&OUTPUTS)).unwrap();
    assert_eq!(decide(&routes, "counter"), [1, 3]);
    assert_eq!(decide(&routes, "oldstyle"), [2, 3]);
}

#[test]
fn catchall_takes_what_no_route_took() {
    let routes = [route("numbers", "Type == 'counter'", &["statsd"], false)];
    let caught = Routes::compile(&routes, &names(&["hdfs", "archive"]), &names(&OUTPUTS)).unwrap();
    assert_eq!(decide(&caught, "counter"), [1]);
    assert_eq!(decide(&caught, "oldstyle"), [0, 3]);
    let nowhere = Routes::compile(&routes, &[], &names(&OUTPUTS)).unwrap();
    assert!(decide(&nowhere, "oldstyle").is_empty());
}

#[test]
fn the_principal_is_the_first_output_of_the_configuration() {
    let decision = Decision::to(&[3, 1, 127]);
    assert_eq!((decision.principal(), decision.is_empty()), (Some(1), false));
    assert_eq!(decision.outputs().collect::<Vec<_>>(), [1, 3, 127]);
    assert!(decision.contains(127) && !decision.contains(0) && !decision.contains(128));
    assert_eq!(Decision::default().principal(), None);
}

/// The routing of the original: two taggers, an output for each tag, and a catch-all filter for the rest.
#[test]
fn taggers_and_catchall_filters_translate_to_routes() {
    let text = r#"
        [[route]]
        name = "numbers"
        pattern = { type = "counter", "fields/rate" = "0.5", "fields/in/status" = "404" }
        tags = ["output_statsd"]
        [[route]]
        name = "anything with a user"
        matcher = "Type == 'services'"
        pattern = { "fields/user" = "*" }
        tags = ["output_text", "seen"]
        [[route]]
        name = "statsd"
        tagged = ["output_statsd"]
        outputs = ["statsd"]
        [[route]]
        name = "text"
        tagged = ["output_text"]
        outputs = ["archive"]
        [[route]]
        name = "rest"
        untagged = ["output_statsd", "output_text"]
        outputs = ["hdfs"]
    "#;
    let routes = compile(text, &[]).unwrap();
    for (message, outputs) in [
        (r#"{"type":"counter"}"#, vec![1]),
        (r#"{"type":"x","fields":{"rate":0.5}}"#, vec![1]),
        (r#"{"type":"x","fields":{"rate":"0.5"}}"#, vec![1]),
        (r#"{"type":"x","fields":{"in":{"status":404}}}"#, vec![1]),
        (r#"{"type":"x","fields":{"in":7}}"#, vec![0]),
        // A missing value fits `*`, as it did.
        (r#"{"type":"services"}"#, vec![3]),
        (r#"{"type":"services","fields":{"rate":0.5}}"#, vec![1, 3]),
        (r#"{"type":"x","fields":{"rate":0.25}}"#, vec![0]),
    ] {
        assert_eq!(routed(&routes, message), outputs, "{message}");
    }
}

#[test]
fn a_message_is_changed_for_the_outputs_of_the_route() {
    let text = r#"
        [[route]]
        name = "people"
        matcher = "Type == 'services'"
        outputs = ["archive", "sentry"]
        drop = ["fields.password", "hostname"]
        [route.set]
        type = "people.%in.kind%"
        payload = "%Logger%: %user% (%gone%)"
        severity = 4
        "fields.team" = "ops"
        "fields.copy" = "%count%"
        "fields.new.deep" = [1]
        [route.rename]
        logger = "fields.from"
        "fields.a" = "fields.b"
        "fields.b" = "fields.a"
        "fields.missing" = "payload"
        [[route]]
        name = "again"
        matcher = "Type == 'services' && Fields[user] == 'jane'"
        outputs = ["archive"]
        set = { payload = "%team%", severity = "%count%" }
    "#;
    let routes = compile(text, &[]).unwrap();
    let sent = r#"{"type":"services","logger":"shop","severity":6,"payload":"p","timestamp":"2026-01-01T00:00:00Z",
        "fields":{"user":"jane","password":"x","in":{"kind":"vip"},"a":1,"b":2,"count":1},
        "env_version":"0.8","metlog_pid":1,"metlog_hostname":"web1"}"#;
    let fields = r#""fields":{"user":"jane","in":{"kind":"vip"},"count":1,"b":1,"a":2,"from":"shop","copy":1,"new":{"deep":[1]},"team":"ops"}"#;
    let sentry = changed(&routes, 2, sent);
    assert!(sentry.contains(fields), "{sentry}");
    for part in [
        r#""type":"people.vip""#,
        r#""severity":4"#,
        r#""payload":"p""#,
        r#""logger":"""#,
        r#""metlog_hostname":"""#,
    ] {
        assert!(sentry.contains(part), "{part}: {sentry}");
    }
    // The second route saw the type as it came, and its changes come after those of the first.
    let archive = changed(&routes, 3, sent);
    for part in [r#""type":"people.vip""#, r#""payload":"ops""#, r#""severity":1"#] {
        assert!(archive.contains(part), "{part}: {archive}");
    }
}

#[test]
fn a_share_is_counted_under_its_route_and_is_the_same_when_asked_again() {
    let text = r#"
        [[route]]
        name = "tenth"
        matcher = "Type == 'x'"
        sample = 0.1
        outputs = ["hdfs"]
        [[route]]
        name = "errors"
        matcher = "Type == 'x' && Severity < 4"
        outputs = ["archive"]
    "#;
    let routes = compile(text, &["statsd"]).unwrap();
    let (info, error) = (bytes(&message(r#"{"type":"x"}"#)), bytes(&message(r#"{"type":"x","severity":3}"#)));
    let mut passed = 0;
    for number in 0..2_000 {
        let origin = Some((ProducerId([5; 16]), number));
        let decision = routes.decide(&mut view(&info), origin);
        assert_eq!(decision, routes.decide(&mut view(&info), origin));
        if decision.is_empty() {
            assert_eq!(routes.reason(decision), "filtered:tenth");
            // Another route takes it all the same, and catchall does not take it instead.
            assert_eq!(routes.decide(&mut view(&error), origin).outputs().collect::<Vec<_>>(), [3]);
        } else {
            passed += 1;
            assert_eq!(decision.outputs().collect::<Vec<_>>(), [0]);
        }
    }
    assert!((150..250).contains(&passed), "{passed}");
    let other = bytes(&message(r#"{"type":"y"}"#));
    let lost = compile(text, &[]).unwrap();
    assert_eq!(lost.reason(lost.decide(&mut view(&other), None)), "filtered:no_route");
}

#[test]
fn routes_that_ask_for_type_and_severity_never_look_at_the_body() {
    let route = |number: usize| route(&number.to_string(), "Type == 't' && Severity < 4", &["hdfs"], false);
    let routes: Vec<_> = (0..50).map(route).collect();
    let routes = Routes::compile(&routes, &names(&["archive"]), &names(&OUTPUTS)).unwrap();
    for (text, output) in
        [(r#"{"type":"t","severity":3}"#, 0), (r#"{"type":"t"}"#, 3), (r#"{"type":"other"}"#, 3)]
    {
        let bytes = bytes(&message(text));
        let mut view = view(&bytes);
        assert!(routes.decide(&mut view, None).contains(output), "{text}");
        assert!(!view.has_read_body(), "{text}");
    }
}

#[test]
fn a_trace_says_what_each_route_found() {
    let text = r#"
        [[route]]
        name = "tagger"
        pattern = { type = "services", "fields/user" = "jane" }
        tags = ["seen"]
        [[route]]
        name = "errors"
        matcher = "Type == 'services' && Severity < 4"
        tagged = ["seen"]
        outputs = ["sentry"]
        [[route]]
        name = "rest"
        untagged = ["seen"]
        outputs = ["hdfs"]
        [[route]]
        name = "last"
        matcher = "Fields[user] == 'joe'"
        outputs = ["archive"]
        set = { payload = "x" }
        final = true
        [[route]]
        name = "never"
        matcher = "TRUE"
        outputs = ["archive"]
    "#;
    let bytes = bytes(&message(r#"{"type":"services","fields":{"user":"joe"}}"#));
    let trace = compile(text, &["statsd"]).unwrap().trace(&mut view(&bytes), None);
    let told: Vec<_> = trace.steps.iter().map(|step| (step.takes, step.why.join("; "))).collect();
    let pattern = r#"pattern fields/user = "jane", found "joe"; pattern type = "services", found "services""#;
    assert_eq!(
        told,
        [
            (true, pattern.to_owned()),
            (false, "column 23: Severity < 4, found 6".to_owned()),
            (false, "untagged seen, found seen".to_owned()),
            (true, "column 1: Fields[user] == 'joe', found \"joe\"".to_owned()),
        ]
    );
    assert_eq!((trace.is_caught, trace.decision.principal()), (false, Some(3)));
    assert_eq!(trace.steps[3].changes, ["set payload to \"x\""]);
}

#[test]
fn all_errors_come_at_once_and_name_route_and_key() {
    let routes = [
        route("errors", "Type = 'x'", &["sentri"], false),
        route("errors", "TRUE", &[], true),
        route("far", "TRUE", &["xyz"], true),
    ];
    let error = Routes::compile(&routes, &names(&["Archive"]), &names(&OUTPUTS)).unwrap_err();
    assert_eq!(
        error.problems,
        [
            "route \"errors\": outputs names \"sentri\", which is no output; did you mean \"sentry\"?",
            "route \"errors\": matcher, column 6: found \"=\", expected == or =~",
            "route \"errors\": name is taken by an earlier route",
            "route \"errors\": outputs is empty, expected the name of an output",
            "route \"far\": outputs names \"xyz\", which is no output; the outputs are hdfs, statsd, sentry, archive",
            "catchall names \"Archive\", which is no output; did you mean \"archive\"?",
        ]
    );
    assert_eq!(error.to_string().lines().count(), 6);
}

#[test]
fn what_a_route_cannot_do_is_named_with_the_way_out() {
    for (keys, said) in [
        (
            "outputs = ['hdfs']",
            "it says nothing of its messages, expected matcher, pattern, tagged or untagged",
        ),
        (
            "matcher = 'TRUE'\noutputs = ['hdfs']\nsample = 0.0",
            "sample is 0, expected a number above 0 and at",
        ),
        ("tagged = ['x']\noutputs = ['hdfs']", "tagged names \"x\", a tag that no earlier route gives"),
        (
            "pattern = { typ = 'x' }\ntags = ['a']",
            "pattern: \"typ\" leads nowhere, expected fields/<name> or one of type, logger,",
        ),
        (
            "matcher = 'TRUE'\ntags = ['a']\ndrop = ['payload']",
            "changes what goes to no output, expected outputs",
        ),
        (
            "matcher = 'TRUE'\noutputs = ['hdfs']\ndrop = ['type']",
            "drop: \"type\" cannot be named here, expected fields.<name> or one of logger, payload, hostname",
        ),
        ("matcher = 'TRUE'\noutputs = ['hdfs']\nset = { loggers = 'x' }", "did you mean \"logger\"?"),
        (
            "matcher = 'TRUE'\noutputs = ['hdfs']\nset = { severity = 9 }",
            "severity is set to what it cannot be",
        ),
        ("matcher = 'TRUE'\noutputs = ['hdfs']\nset = { payload = '5%' }", "has a single %"),
        (
            "matcher = 'TRUE'\noutputs = ['hdfs']\nrename = { 'fields.' = 'payload' }",
            "rename: \"fields.\" cannot",
        ),
    ] {
        let error = compile(&format!("[[route]]\nname = 'r'\n{keys}"), &[]).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{:?}", error.problems);
        assert!(error.problems[0].starts_with("route \"r\": "), "{error}");
        assert!(error.problems[0].contains(said), "{said}: {error}");
    }
}

#[test]
fn outputs_are_named_once_and_fit_into_the_bits() {
    let many: Vec<String> = (0..=MAX_OUTPUTS).map(|number| format!("o{number}")).collect();
    let error = Routes::compile(&[], &[], &many).unwrap_err();
    assert_eq!(error.problems, ["129 outputs, expected at most 128"]);
    let error = Routes::compile(&[], &names(&["a"]), &names(&["a", "b", "a"])).unwrap_err();
    assert_eq!(error.problems, ["output \"a\": name is taken by an earlier output"]);
}

#[test]
fn routes_are_read_from_toml() {
    let text = "name = 'a'\nmatcher = 'TRUE'\noutputs = ['x']\n";
    assert_eq!(toml::from_str::<RouteConfig>(text).unwrap(), route("a", "TRUE", &["x"], false));
    let last: RouteConfig = toml::from_str(&format!("{text}final = true")).unwrap();
    assert!(last.is_final);
    let error = toml::from_str::<RouteConfig>(&format!("{text}fnal = true")).unwrap_err().to_string();
    assert!(error.contains("unknown field `fnal`"), "{error}");
}

/// Expressions that ask for types in every way, and for other things.
const ASKED: [&str; 8] = [
    "Type == 'a'",
    "Type == 'b' || Type == 'a'",
    "Type != 'a'",
    "Type == 'c' && Severity < 4",
    "(Type == 'a' || Severity == 3) && TRUE",
    "Type =~ /^[ab]$/",
    "FALSE && Type == 'a'",
    "TRUE",
];

proptest! {
    /// The table of types rules no route out that would have taken the message.
    #[test]
    fn the_table_of_types_changes_no_decision(
        picked in prop::collection::vec((0..ASKED.len(), 0..4_usize, any::<bool>()), 0..12),
        kind in "[a-d]",
        severity in 0..8_u8,
    ) {
        let routes: Vec<_> = picked
            .iter()
            .enumerate()
            .map(|(number, (asked, output, last))| {
                route(&number.to_string(), ASKED[*asked], &[OUTPUTS[*output]], *last)
            })
            .collect();
        let compiled = Routes::compile(&routes, &names(&["archive"]), &names(&OUTPUTS)).unwrap();
        let bytes = bytes(&message(&format!("{{\"type\":\"{kind}\",\"severity\":{severity}}}")));
        prop_assert_eq!(
            compiled.decide(&mut view(&bytes), None),
            compiled.trace(&mut view(&bytes), None).decision
        );
    }
}
