//! Whatever is given, the event is small, readable and free of secrets.

use proptest::prelude::*;

use super::*;
use crate::exception::raven;

const ABOUT: raven::About<'_> = raven::About { logger: None, severity: 3, hostname: "host", project: None };

fn event(locals: Fields) -> Event {
    let frames = vec![Frame { file: "/a.py".to_owned(), locals, ..Frame::default() }];
    Event::new("python", vec![Exception { kind: "E".to_owned(), frames, ..Exception::default() }])
}

/// The locals after the bounds.
fn tidied(locals: Fields) -> Fields {
    let mut event = event(locals);
    tidy(&mut event, MAX_BYTES);
    event.chain[0].frames[0].locals.clone()
}

fn local(value: impl Into<Value>) -> Value {
    tidied([("x", value.into())].into_iter().collect()).get("x").unwrap().clone()
}

fn json(event: &Event) -> String {
    serde_json::to_string(&raven::decode(&raven::payload(event, &ABOUT).unwrap()).unwrap()).unwrap()
}

#[test]
fn huge_values_are_cut_and_show_it() {
    let list = local(vec![Value::Int(7); 100_000]);
    let Value::List(items) = &list else { panic!("{list:?}") };
    assert_eq!((items.len(), items[49].as_text()), (MAX_ITEMS, Some("... 99951 more")));

    let map: Fields = (0..1_000).map(|number| (format!("k{number}"), number)).collect();
    let Value::Map(fields) = local(map.clone()) else { panic!() };
    assert_eq!((fields.len(), fields.get("...")), (MAX_ITEMS, Some(&"... 951 more".into())));
    assert_eq!(tidied(map).len(), MAX_ITEMS);

    for huge in [Value::from("\u{e9}".repeat(5_000_000)), Value::from(vec![0xe9_u8; 10_000_000])] {
        let Value::Text(text) = local(huge) else { panic!() };
        assert_eq!(text.chars().count(), MAX_TEXT);
        assert!(text.ends_with("..."));
    }
    assert_eq!(local("x".repeat(MAX_TEXT)), "x".repeat(MAX_TEXT).into());
}

#[test]
fn nesting_ends_at_its_depth() {
    let mut deep = Value::Int(1);
    for _ in 0..1_000 {
        deep = Value::List(vec![deep]);
    }
    // The locals are the first of the five.
    let text = serde_json::to_string(&local(deep)).unwrap();
    assert_eq!(text, r#"[[[["<list of 1>"]]]]"#);
}

#[test]
fn secrets_are_masked_wherever_they_are() {
    let headers = Value::List(vec![
        Value::List(vec!["Authorization".into(), "Basic abc".into()]),
        Value::List(vec!["Host".into(), "h".into()]),
    ]);
    let nested: Fields =
        [("password", Value::from(vec![Value::Int(1)])), ("user", "jane".into())].into_iter().collect();
    let locals = tidied(
        [
            ("headers", headers),
            ("form", nested.into()),
            ("card", Value::Int(4_111_111_111_111_111)),
            ("secret", Value::Null),
            ("text", "card 4111111111111111".into()),
        ]
        .into_iter()
        .collect(),
    );
    assert_eq!(
        serde_json::to_string(&locals).unwrap(),
        r#"{"headers":[["Authorization","********"],["Host","h"]],"form":{"password":"********","user":"jane"},"card":"********","secret":"********","text":"card ********"}"#
    );
}

#[test]
fn a_secret_at_the_cut_is_seen_whole() {
    let text = format!("{} 4111111111111111 {}", "x".repeat(MAX_TEXT - 15), "y".repeat(100));
    let Value::Text(text) = local(text) else { panic!() };
    assert!(!text.contains("4111"), "{text}");
}

/// They left in clear, being pairs of bytes: the scope of an ASGI application is a local of all its frames.
#[test]
fn headers_of_a_scope_are_masked() {
    let pair =
        |name: &str, value: &str| Value::List(vec![Value::Bytes(name.into()), Value::Bytes(value.into())]);
    let headers = Value::List(vec![pair("authorization", "Bearer abc"), pair("host", "b")]);
    let scope: Fields = [("headers", headers)].into_iter().collect();
    let locals = tidied([("scope", Value::Map(scope))].into_iter().collect());
    let text = format!("{locals:?}");
    assert!(text.contains("authorization") && text.contains("host") && text.contains(MASK), "{text}");
    assert!(!text.contains("abc"), "{text}");
}

#[test]
fn arguments_after_a_secret_name_are_masked() {
    let mut event = event(Fields::new());
    event.arguments =
        ["app", "--password", "x", "--token=y", "--verbose", "z"].map(ToOwned::to_owned).to_vec();
    tidy(&mut event, MAX_BYTES);
    assert_eq!(event.arguments, ["app", "--password", MASK, "--token=********", "--verbose", "z"]);
}

const MASK: &str = scrub::MASK;

#[test]
fn the_innermost_frames_and_first_exceptions_are_kept_within_a_megabyte() {
    let long = || "\u{1}\"x".repeat(500);
    let frame = |number: u32| Frame {
        file: long(),
        module: Some(long()),
        function: Some(long()),
        line: Some(number),
        context_line: Some(long()),
        pre_context: vec![long(); 5],
        post_context: vec![long(); 5],
        locals: (0..4).map(|number| (format!("{number}{}", long()), vec![Value::from(long()); 4])).collect(),
        ..Frame::default()
    };
    let exception = Exception {
        kind: long(),
        module: Some(long()),
        value: long(),
        frames: (0..300).map(frame).collect(),
        ..Exception::default()
    };
    let mut event = Event::new("python", vec![exception; 3]);
    event.message = long();
    event.extra = (0..100).map(|number| (number.to_string(), long())).collect();
    tidy(&mut event, MAX_BYTES);

    let first = &event.chain[0];
    assert_eq!(first.frames.last().unwrap().line, Some(299));
    assert_eq!(first.frames.len() + first.frames_left_out, 300);
    assert!(first.frames.len() < MAX_FRAMES && event.chain[2].frames.is_empty());
    let length = json(&event).len();
    assert!((500_000..MAX_BYTES + 50_000).contains(&length), "{length}");

    // Once more, tighter: what a payload that compresses badly gets.
    tidy(&mut event, 100_000);
    assert!(json(&event).len() < 150_000);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        ".{0,600}".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..600).prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(8, 200, 60, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..60).prop_map(Value::from),
            proptest::collection::vec((".{0,8}|password|token", inner), 0..60)
                .prop_map(|pairs| Value::Map(pairs.into_iter().collect())),
        ]
    })
}

/// True when the value is within every bound that concerns it.
fn is_bounded(value: &Value, depth: usize) -> bool {
    match value {
        Value::Text(text) => text.chars().count() <= MAX_TEXT,
        Value::List(items) => {
            depth > 0 && items.len() <= MAX_ITEMS && items.iter().all(|item| is_bounded(item, depth - 1))
        }
        Value::Map(fields) => {
            depth > 0
                && fields.len() <= MAX_ITEMS
                && fields.iter().all(|(name, value)| {
                    let hidden = !scrub::is_secret_name(name) || *value == Value::from(MASK);
                    hidden && is_bounded(value, depth - 1)
                })
        }
        Value::Bytes(_) => false,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_locals_end_within_the_bounds(value in any_value()) {
        let locals = tidied([("x", value)].into_iter().collect());
        prop_assert!(is_bounded(&Value::Map(locals.clone()), MAX_DEPTH));
        // What was tidied stays as it is; not `assert_eq`, which would print it.
        prop_assert!(tidied(locals.clone()) == locals);
    }
}
