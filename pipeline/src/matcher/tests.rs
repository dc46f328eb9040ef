//! What expressions mean and what is refused, as tables.

use metlog_core::{
    Fields, Message, Severity, Timestamp, Value,
    wire::record::{self, Identity, Record},
};

use super::{Matcher, MessageView};

const SHARED: Identity<'static> = Identity { env_version: "0.8", pid: 42, hostname: "web1" };

fn list(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| Value::from(*value)).collect())
}

fn sample() -> Message {
    let inner: Fields = [("name", Value::from("inner")), ("deep", Fields::from_iter([("er", 5)]).into())]
        .into_iter()
        .collect();
    let fields = [
        ("name", Value::from("sync.auth")),
        ("path", Value::from("a/b")),
        ("rate", Value::Float(0.5)),
        ("count", Value::Int(7)),
        ("huge", Value::Int(u64::MAX.into())),
        ("nan", Value::Float(f64::NAN)),
        ("on", Value::Bool(true)),
        ("null", Value::Null),
        ("raw", Value::Bytes(vec![0xff, b'k'])),
        ("empty", Value::List(Vec::new())),
        ("list", list(&["a", "b"])),
        ("lists", Value::List(vec![list(&["a"]), list(&["c", "d"])])),
        ("map", inner.into()),
        ("map.name", Value::from("literal")),
    ];
    Message {
        kind: "counter".to_owned(),
        timestamp: Timestamp::from_nanos(1_333_140_315_123_456_789),
        logger: "syncstorage".to_owned(),
        severity: Severity::NOTICE,
        payload: Value::from("1"),
        fields: fields.into_iter().collect(),
        env_version: "0.8".to_owned(),
        pid: 42,
        hostname: "web1".to_owned(),
    }
}

fn record_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::write_message(&mut bytes, message, SHARED).unwrap();
    bytes
}

fn view(bytes: &[u8]) -> MessageView<'_> {
    MessageView::new(Record::split(bytes).unwrap().0, SHARED)
}

fn assert_table(message: &Message, table: &[(&str, bool)]) {
    let bytes = record_of(message);
    for (expression, wanted) in table {
        let matcher = Matcher::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(matcher.matches(&mut view(&bytes)), *wanted, "{expression}");
    }
}

#[test]
fn columns_compare_by_their_type() {
    assert_table(
        &sample(),
        &[
            ("Type == \"counter\"", true),
            ("Type == 'counter'", true),
            ("Type != 'counter'", false),
            ("Type > 'count'", true),
            ("Type >= 'counter'", true),
            ("Type < 'd'", true),
            ("Type < 'Zebra'", false), // bytewise: capitals come first
            ("Type=~/^count/", true),
            ("Type !~ /^count/", false),
            ("Logger =~ /STORAGE/", false),
            ("Logger =~ /(?i)STORAGE/", true),
            ("Payload == '1'", true),
            ("EnvVersion == '0.8'", true),
            ("Hostname != 'web2'", true),
            ("Severity == 5", true),
            ("Severity <= 4", false),
            ("Severity > 4.5", true),
            ("Pid == 42", true),
            ("Pid < -1", false),
            ("Timestamp == 1333140315123456789", true),
            ("Timestamp > 1333140315123456788", true), // one nanosecond: below what a double can tell
            ("Timestamp < 1.4e18", true),
        ],
    );
}

#[test]
fn fields_compare_when_they_are_there_and_of_the_type() {
    assert_table(
        &sample(),
        &[
            ("Fields[name] == 'sync.auth'", true),
            ("Fields[name] =~ /^sync\\./", true),
            ("Fields[path] =~ /^a\\/b$/", true),
            ("Fields[rate] == 0.5", true),
            ("Fields[rate] < 1", true),
            ("Fields[count] >= 7", true),
            ("Fields[count] == 7.0", true),
            ("Fields[huge] == 18446744073709551615", true),
            ("Fields[huge] == 18446744073709551614", false),
            ("Fields[on] == TRUE", true),
            ("Fields[on] != FALSE", true),
            ("Fields[on] == FALSE", false),
            ("Fields[raw] =~ /k$/", true),
            ("Fields[raw] > 'z'", true),
            // Of another type: false for every operator.
            ("Fields[count] == '7'", false),
            ("Fields[count] != '7'", false),
            ("Fields[count] =~ /7/", false),
            ("Fields[count] !~ /7/", false),
            ("Fields[name] != 5", false),
            ("Fields[name] != TRUE", false),
            ("Fields[on] != 'true'", false),
            ("Fields[map] != 'x'", false),
            ("Fields[nan] != 5", false),
            // Missing: false for every operator but == NIL.
            ("Fields[none] == 'x'", false),
            ("Fields[none] != 'x'", false),
            ("Fields[none] !~ /x/", false),
            ("Fields[none] < 5", false),
            ("Fields[none] != TRUE", false),
            ("Fields[none] == NIL", true),
            ("Fields[none] != NIL", false),
            ("Fields[null] == NIL", true),
            ("Fields[name] == NIL", false),
            ("Fields[name] != NIL", true),
            ("Fields[map] != NIL", true),
        ],
    );
}

#[test]
fn fields_are_found_by_name_then_by_path_and_by_index() {
    assert_table(
        &sample(),
        &[
            ("Fields[map.name] == 'literal'", true),
            ("Fields[map.deep.er] == 5", true),
            ("Fields[map.none] == NIL", true),
            ("Fields[name.none] == NIL", true),
            ("Fields[name][0] == 'sync.auth'", true),
            ("Fields[name][0][0] == 'sync.auth'", true),
            ("Fields[name][1] == NIL", true),
            ("Fields[name][0][1] == NIL", true),
            ("Fields[list] == 'a'", true),
            ("Fields[list][0][1] == 'b'", true),
            ("Fields[list][0][2] == NIL", true),
            ("Fields[list][1] == NIL", true),
            ("Fields[lists][0] == 'a'", true),
            ("Fields[lists][1] == 'c'", true),
            ("Fields[lists][1][1] == 'd'", true),
            ("Fields[lists][2] == NIL", true),
            ("Fields[empty] == NIL", true),
        ],
    );
}

#[test]
fn and_binds_tighter_than_or() {
    assert_table(
        &sample(),
        &[
            ("TRUE", true),
            ("FALSE", false),
            ("TRUE || TRUE && FALSE", true),
            ("FALSE && TRUE || TRUE", true),
            ("(TRUE || TRUE) && FALSE", false),
            ("FALSE && (TRUE || TRUE)", false),
            ("((TRUE))&&(TRUE)", true),
            ("Type == 'counter' && (Severity == 7 || Payload == '1')", true),
        ],
    );
}

#[test]
fn quotes_inside_text_are_escaped_or_of_the_other_kind() {
    let message = Message { payload: Value::from(r#"it's a "\d""#), ..sample() };
    assert_table(
        &message,
        &[
            (r#"Payload == 'it\'s a "\d"'"#, true),
            (r#"Payload == "it's a \"\\d\"""#, true),
            (r"Payload =~ /'s .*\\d/", true),
        ],
    );
}

#[test]
fn a_payload_that_is_no_text_fits_nothing() {
    let message = Message { payload: Value::Int(1), ..sample() };
    assert_table(
        &message,
        &[("Payload == '1'", false), ("Payload != '1'", false), ("Payload !~ /x/", false)],
    );
}

#[test]
fn identity_of_the_record_wins_over_the_header() {
    let message = Message { hostname: "web9".to_owned(), pid: 1, ..sample() };
    assert_table(&message, &[("Hostname == 'web9' && Pid == 1", true)]);
}

/// A record whose payload is announced and not there.
fn broken_body() -> Vec<u8> {
    let mut bytes = record_of(&sample());
    let text = b"syncstorage";
    let logger = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes.truncate(logger + text.len() + 9); // what follows the logger is the timestamp: a marker and 8 bytes
    let length = u32::try_from(bytes.len() - record::LENGTH_BYTES).unwrap();
    bytes[..record::LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    bytes
}

#[test]
fn head_columns_do_not_decode_the_body() {
    let bytes = broken_body();
    for expression in [
        "Type == 'counter' && Severity == 5 && Logger =~ /sync/ && Timestamp > 0",
        "Payload == 'x' || Type == 'counter'",
        "(Fields[a] == NIL || Pid == 1) && Type == 'x' || Severity < 6",
    ] {
        let mut view = view(&bytes);
        assert!(Matcher::compile(expression).unwrap().matches(&mut view), "{expression}");
        assert!(!view.has_read_body(), "{expression}");
    }
    assert!(view(&bytes).message().is_err());
}

#[test]
fn what_is_broken_fits_nothing() {
    let bytes = broken_body();
    for expression in
        ["Fields[a] == NIL", "Fields[a] != NIL", "Payload != 'x'", "Pid == 42", "Hostname !~ /x/"]
    {
        assert!(!Matcher::compile(expression).unwrap().matches(&mut view(&bytes)), "{expression}");
    }
    let no_head = [1, 0, 0, 0, 0x90];
    assert!(!Matcher::compile("Type != 'x'").unwrap().matches(&mut view(&no_head)));
}

#[test]
fn the_message_is_decoded_once_and_given_away() {
    let bytes = record_of(&Message { fields: Fields::new(), ..sample() });
    let mut view = view(&bytes);
    assert_eq!(view.head().unwrap().kind, "counter");
    assert!(Matcher::compile("Pid == 42").unwrap().matches(&mut view));
    assert!(view.has_read_body());
    assert_eq!(view.into_message().unwrap(), Message { fields: Fields::new(), ..sample() });
}

#[test]
fn errors_point_at_the_column() {
    for (expression, said) in [
        ("", "column 1: expected a variable, TRUE, FALSE or \"(\", found the end"),
        ("Type foo", "column 6: expected an operator after Type, found \"foo\""),
        ("Type", "column 5: expected an operator after Type, found the end"),
        ("Type = 'x'", "column 6: found \"=\", expected == or =~"),
        ("Type ! 'x'", "column 6: found \"!\", expected != or !~"),
        ("TRUE & TRUE", "column 6: found \"&\", expected &&"),
        ("TRUE | TRUE", "column 6: found \"|\", expected ||"),
        ("Type == 5", "column 9: expected text in quotes to compare Type with, found \"5\""),
        ("Type == NIL", "column 9: Type is never missing, NIL compares with Fields[...] only"),
        ("Type == /x/", "column 9: expected text in quotes to compare Type with, found \"/x/\""),
        ("Type =~ 'x'", "column 9: expected a regular expression /.../ after =~, found 'x'"),
        ("Type =~ /x", "column 9: regular expression begins with / and has no closing /"),
        ("Type =~ /(/", "column 9: regular expression /(/: unclosed group"),
        ("Severity =~ /6/", "column 10: Severity is a number, =~ compares text"),
        ("Severity == '6'", "column 13: expected a number to compare Severity with, found '6'"),
        ("Severity == 6x", "column 13: expected a number, found \"6x\""),
        ("Severity == 1e999", "column 13: expected a number, found \"1e999\""),
        ("typ == 'x'", "column 1: unknown variable typ, did you mean Type?"),
        ("name == 'x'", "column 1: unknown variable name, a field of that name is Fields[name]"),
        ("Uuid == 'x'", "column 1: there is no Uuid"),
        ("'x' == Type", "column 1: expected a variable, TRUE, FALSE or \"(\", found 'x'"),
        ("Type == 'ä", "column 9: text begins with ' and has no closing '"),
        ("'ä' ä", "column 1: expected a variable"),
        ("Type == 'ä' ä", "column 13: found \"ä\", which begins no variable, operator or value"),
        ("Fields == 'x'", "column 8: expected [name] after Fields, found \"==\""),
        ("Fields[] == 'x'", "column 7: Fields[] names no field"),
        ("Fields[a == 'x'", "column 7: [ has no closing ]"),
        ("Fields[a][x] == 1", "column 10: expected a number from 0 in brackets, found \"[x]\""),
        ("Fields[a][0][0][0] == 1", "column 16: expected an operator after Fields, found \"[0]\""),
        ("Fields[a] > NIL", "column 11: NIL compares with == and != only, found >"),
        ("Fields[a] <= TRUE", "column 11: TRUE compares with == and != only, found <="),
        (
            "Fields[a] == b",
            "column 14: expected text in quotes, a number, TRUE, FALSE or NIL after ==, found \"b\"",
        ),
        ("(TRUE", "column 6: expected &&, || or the \")\" for the \"(\" of column 1, found the end"),
        ("TRUE)", "column 5: found \")\" without its \"(\""),
        ("TRUE TRUE", "column 6: expected &&, || or the end, found \"TRUE\""),
        ("TRUE &&", "column 8: expected a variable"),
    ] {
        let error = Matcher::compile(expression).unwrap_err().to_string();
        assert!(error.starts_with(&format!("matcher, {said}")), "{expression}: {error}");
    }
}

#[test]
fn deep_parentheses_are_an_error_and_not_a_crash() {
    let nested = |depth: usize| format!("{}TRUE{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Matcher::compile(&nested(64)).is_ok());
    let error = Matcher::compile(&nested(100_000)).unwrap_err();
    assert_eq!((error.column, error.message.as_str()), (65, "more than 64 parentheses inside each other"));
}

#[test]
fn an_explanation_names_the_comparisons_that_decide() {
    let bytes = record_of(&sample());
    for (expression, matches, findings) in [
        ("TRUE", true, vec![]),
        (
            "Type == 'counter' && Fields[count] > 5",
            true,
            vec!["column 1: Type == 'counter', found \"counter\"", "column 22: Fields[count] > 5, found 7"],
        ),
        // The first that fails is enough; heads are asked before bodies.
        ("Fields[count] > 9 && Severity == 1", false, vec!["column 22: Severity == 1, found 5"]),
        ("Fields[none] != 'x'", false, vec!["column 1: Fields[none] != 'x', found nothing"]),
        (
            "Fields[map] == 'ä' || (Type == 'x' || Fields[on] == FALSE)",
            false,
            vec![
                "column 1: Fields[map] == 'ä', found a list or map",
                "column 24: Type == 'x', found \"counter\"",
                "column 39: Fields[on] == FALSE, found TRUE",
            ],
        ),
        ("Type =~ /nt/ || Payload == '1'", true, vec!["column 1: Type =~ /nt/, found \"counter\""]),
    ] {
        let explained = Matcher::compile(expression).unwrap().explain(&mut view(&bytes));
        let said: Vec<String> = explained.findings.iter().map(ToString::to_string).collect();
        assert_eq!((explained.matches, said.iter().map(String::as_str).collect()), (matches, findings));
    }
}

#[test]
fn the_types_a_message_must_have_are_known() {
    for (expression, types) in [
        ("Type == 'a'", Some(vec!["a"])),
        ("Type == 'a' || Type == 'b'", Some(vec!["a", "b"])),
        ("(Type == 'a' || Type == 'b') && Severity < 3 && Type == 'b'", Some(vec!["b"])),
        ("Type == 'a' || Severity < 3", None),
        ("Type != 'a'", None),
        ("FALSE && Type == 'a'", Some(vec![])),
        ("TRUE", None),
    ] {
        assert_eq!(Matcher::compile(expression).unwrap().types(), types, "{expression}");
    }
}
