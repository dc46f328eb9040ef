//! Properties of the wire: what is written is read back, whatever it holds; what is broken is refused, whatever it is.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for tests")]

use metlog_core::{
    ErrorKind, Fields, Message, Severity, Timestamp, Value,
    link::Frame,
    wire::{
        batch::{self, Batch, Builder, Counts, Header, ProducerId, Role},
        json::{from_json, to_json},
        record::{self, Identity, Record},
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Values of every kind, nested up to four deep. Bytes only where the wire has them.
fn values(with_bytes: bool) -> impl Strategy<Value = Value> {
    let bytes = vec(any::<u8>(), 0..20).prop_map(Value::Bytes);
    let text = ".{0,12}".prop_map(Value::Text);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Value::Int),
        (-200_i32..200).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::Float),
        text.clone(),
        if with_bytes { bytes.boxed() } else { text.boxed() },
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::List),
            vec((".{0,6}", inner), 0..8).prop_map(|pairs| Value::Map(pairs.into_iter().collect())),
        ]
    })
}

fn fields(with_bytes: bool) -> impl Strategy<Value = Fields> {
    // Up to 20 names: beyond 16 the reader finds doubles another way.
    vec((".{0,6}", values(with_bytes)), 0..20).prop_map(|pairs| pairs.into_iter().collect())
}

fn messages(with_bytes: bool) -> impl Strategy<Value = Message> {
    let identity =
        prop_oneof![Just(("0.8".to_owned(), 7, "host".to_owned())), (".{0,4}", any::<i64>(), ".{0,9}")];
    let columns = (".{0,9}", any::<i64>(), ".{0,9}", 0_i64..8);
    (columns, values(with_bytes), fields(with_bytes), identity).prop_map(
        |((kind, nanos, logger, level), payload, fields, (env_version, pid, hostname))| Message {
            kind,
            timestamp: Timestamp::from_nanos(nanos),
            logger,
            severity: Severity::try_from(level).unwrap(),
            payload,
            fields,
            env_version,
            pid,
            hostname,
        },
    )
}

const SHARED: Identity<'static> = Identity { env_version: "0.8", pid: 7, hostname: "host" };

/// What a batch is built of: a message, or sequence numbers without one.
#[derive(Debug, Clone)]
enum Item {
    Message(Box<Message>),
    Removed(String, u64),
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let reason = prop_oneof![Just("consumed"), Just("filtered:noise"), Just("dropped:malformed")];
    let item = prop_oneof![
        3 => messages(true).prop_map(|message| Item::Message(Box::new(message))),
        1 => (reason, 0_u64..1_000).prop_map(|(reason, count)| Item::Removed(reason.to_owned(), count)),
    ];
    vec(item, 0..12)
}

fn counts() -> impl Strategy<Value = Counts> {
    proptest::collection::btree_map("[a-z_:]{0,8}", 0..1_u64 << 50, 0..4)
}

/// The parts of a header that are not the books of its own batch.
fn headers() -> impl Strategy<Value = Header> {
    let roles = prop_oneof![Just(Role::Application), Just(Role::Input), Just(Role::Daemon)];
    let place = proptest::collection::vec(any::<u8>(), 0..40);
    let totals = (0..1_u64 << 59, counts(), counts(), any::<bool>(), place);
    (any::<[u8; 16]>(), roles, 0..1_u64 << 59, ".{0,9}", totals).prop_map(
        |(producer, role, first_sequence, logger, (attempted, refused, dropped, last, place))| Header {
            role,
            first_sequence,
            attempted,
            refused,
            dropped,
            last,
            place,
            ..Header::new(ProducerId(producer), SHARED, &logger)
        },
    )
}

fn build(header: &Header, items: &[Item]) -> Vec<u8> {
    let mut builder = Builder::new(header.clone());
    for item in items {
        match item {
            Item::Message(message) => builder.push(message).unwrap(),
            Item::Removed(reason, count) => builder.remove(reason, *count),
        }
    }
    builder.finish()
}

/// The messages of the items with the sequence numbers they must have.
fn expected(header: &Header, items: &[Item]) -> Vec<(u64, Message)> {
    let mut next = header.first_sequence;
    let mut messages = Vec::new();
    for item in items {
        match item {
            Item::Message(message) => {
                messages.push((next, message.as_ref().clone()));
                next += 1;
            }
            Item::Removed(_, count) => next += count,
        }
    }
    messages
}

fn read(frame: &[u8]) -> Vec<(u64, Message)> {
    let batch = Batch::parse(frame).unwrap();
    batch.messages().map(|(sequence, message)| (sequence, message.unwrap())).collect()
}

fn assert_books_balance(header: &Header) {
    assert_eq!(header.count() + header.removed.values().sum::<u64>(), header.span);
}

/// The first six digits of the fraction, which is all that text has.
fn in_micros(timestamp: Timestamp) -> Timestamp {
    Timestamp::from_nanos(timestamp.as_nanos().div_euclid(1_000).saturating_mul(1_000))
}

proptest! {
    #[test]
    fn json_holds_every_message_without_bytes(message in messages(false)) {
        let read = from_json(to_json(&message).as_bytes()).unwrap();
        prop_assert_eq!(read.misfits, 0);
        let timestamp = in_micros(message.timestamp);
        prop_assert_eq!(read.message, Message { timestamp, ..message });
    }

    #[test]
    fn json_of_any_message_is_one_line_and_reads_the_same_again(message in messages(true)) {
        let once = to_json(&message);
        prop_assert!(!once.contains('\n'));
        prop_assert_eq!(to_json(&from_json(once.as_bytes()).unwrap().message), once);
    }

    #[test]
    fn cut_json_is_malformed(message in messages(true), cut in any::<Index>()) {
        let text = to_json(&message);
        let error = from_json(&text.as_bytes()[..cut.index(text.len())]).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Malformed);
    }

    #[test]
    fn a_batch_holds_every_message(header in headers(), items in items()) {
        let frame = build(&header, &items);
        prop_assert_eq!(read(&frame), expected(&header, &items));
        let found = Batch::parse(&frame).unwrap().header;
        assert_books_balance(&found);
        let books = Header { span: found.span, present: found.present.clone(), removed: found.removed.clone(), ..header };
        prop_assert_eq!(found, books);
    }

    #[test]
    fn the_front_of_a_record_and_its_content_are_read_apart(message in messages(true)) {
        let mut body = Vec::new();
        record::write_message(&mut body, &message, SHARED).unwrap();
        let (record, rest) = Record::split(&body).unwrap();
        prop_assert!(rest.is_empty());
        let head = record.head().unwrap();
        prop_assert_eq!((head.kind, head.severity), (message.kind.as_str(), message.severity));
        prop_assert_eq!((head.logger, head.timestamp), (message.logger.as_str(), message.timestamp));
        prop_assert_eq!(record.content().unwrap(), (message.payload, message.fields));
    }

    #[test]
    fn thinning_keeps_the_rest_and_accounts_for_what_it_took(
        header in headers(), items in items(), taken in vec(any::<bool>(), 12),
    ) {
        let frame = build(&header, &items);
        let before = Batch::parse(&frame).unwrap();
        let is_taken = |sequence: u64| taken[usize::try_from(sequence % 12).unwrap()];
        let thinned = before.thin(|sequence, _| is_taken(sequence).then(|| "filtered:test".to_owned()));
        let (gone, kept): (Vec<_>, Vec<_>) =
            expected(&header, &items).into_iter().partition(|(sequence, _)| is_taken(*sequence));
        prop_assert_eq!(thinned.is_none(), gone.is_empty());
        let Some(thinned) = thinned else { return Ok(()) };

        prop_assert_eq!(read(&thinned), kept);
        let after = Batch::parse(&thinned).unwrap().header;
        assert_books_balance(&after);
        prop_assert_eq!(after.removed["filtered:test"], u64::try_from(gone.len()).unwrap());
        let same_but_books = Header { present: after.present.clone(), removed: after.removed.clone(), ..before.header };
        prop_assert_eq!(after, same_but_books, "span, totals and origin stay");
    }

    #[test]
    fn thinning_twice_is_thinning_once_with_both(header in headers(), items in items(), pick in any::<[u64; 2]>()) {
        let frame = build(&header, &items);
        let first = |sequence: u64| (sequence % 3 == pick[0] % 3).then(|| "consumed".to_owned());
        let second = |sequence: u64| (sequence % 2 == pick[1] % 2).then(|| "filtered:b".to_owned());
        let thin = |frame: Vec<u8>, verdict: &dyn Fn(u64) -> Option<String>| {
            Batch::parse(&frame).unwrap().thin(|sequence, _| verdict(sequence)).unwrap_or(frame)
        };
        let twice = thin(thin(frame.clone(), &first), &second);
        prop_assert_eq!(twice, thin(frame, &|sequence| first(sequence).or_else(|| second(sequence))));
    }

    #[test]
    fn broken_batches_are_refused_or_read_but_never_panic(
        header in headers(), items in items(), flips in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = build(&header, &items);
        for (place, byte) in flips {
            let place = place.index(frame.len());
            frame[place] = byte;
        }
        if let Ok(batch) = Batch::parse(&frame) {
            assert_books_balance(&batch.header);
            let all = u64::try_from(batch.messages().count()).unwrap();
            prop_assert_eq!(all, batch.header.count());
            let emptied = batch.thin(|_, _| Some("consumed".to_owned())).unwrap_or_default();
            prop_assert_eq!(emptied.is_empty(), all == 0);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_but_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _refused = from_json(&bytes).map(|read| to_json(&read.message));
        let _refused = Frame::decode(&bytes).map(|frame| frame.encode());
        for prefix in [&b""[..], b"MLB\x01", b"MLB\x01\x16\0\0\0\x82\0\xc4\x100123456789abcdef"] {
            let frame = [prefix, &bytes].concat();
            let _refused = Batch::parse(&frame).map(|batch| batch.messages().count());
        }
        if let Ok((record, _)) = Record::split(&[&100_u32.to_le_bytes()[..], &bytes].concat()) {
            let _refused = (record.head().is_ok(), record.content().is_ok(), record.decode(SHARED).is_ok());
        }
    }

    #[test]
    fn link_frames_of_any_numbers_read_back(sequence in any::<u64>(), text in ".{0,30}") {
        for frame in [
            Frame::Ack { sequence },
            Frame::Credit { bytes: sequence },
            Frame::Welcome { version: 1, accepted: sequence, credit: sequence },
            Frame::Refusal { kind: "malformed", message: &text },
        ] {
            let bytes = frame.encode();
            prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
            prop_assert!((0..bytes.len()).all(|cut| Frame::decode(&bytes[..cut]).is_err()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_batch_cut_at_any_byte_is_malformed(header in headers(), items in items()) {
        let frame = build(&header, &items);
        for cut in 0..frame.len() {
            let error = Batch::parse(&frame[..cut]).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Malformed, "cut at {}", cut);
        }
    }

    #[test]
    fn a_record_cut_at_any_byte_is_malformed(message in messages(true)) {
        let mut body = Vec::new();
        record::write_message(&mut body, &message, SHARED).unwrap();
        for cut in 0..body.len() {
            prop_assert!(Record::split(&body[..cut]).is_err(), "cut at {}", cut);
        }
        // The same inside: an array that ends early behind a length that fits.
        for cut in 4..body.len() {
            let array = &body[4..cut];
            let whole = [&u32::try_from(array.len()).unwrap().to_le_bytes()[..], array].concat();
            let (record, _) = Record::split(&whole).unwrap();
            prop_assert!(record.decode(SHARED).is_err(), "cut at {}", cut);
        }
    }
}

#[test]
fn bytes_become_text_or_base64_in_json() {
    let mut message = from_json(br#"{"type":"a"}"#).unwrap().message;
    message.payload = b"text".to_vec().into();
    message.fields.insert("binary", vec![0xff, 0x00]);
    let json = to_json(&message);
    assert!(json.contains(r#""payload":"text""#) && json.contains(r#""binary":"/wA=""#), "{json}");
}

#[test]
fn a_name_given_twice_keeps_its_place_and_its_last_value() {
    for others in [2, 40] {
        let names: String = (0..others).map(|n| format!(r#""name{n}":{n},"#)).collect();
        let json = format!(r#"{{"type":"a","fields":{{"twice":1,{names}"twice":2}}}}"#);
        let fields = from_json(json.as_bytes()).unwrap().message.fields;
        assert_eq!((fields.len(), fields.iter().next()), (others + 1, Some(("twice", &Value::Int(2)))));
    }
}

/// Header numbers that no producer reaches: sums over many of them must stay sums.
#[test]
fn a_header_whose_numbers_cannot_be_added_up_is_refused() {
    let identity = record::Identity { env_version: "0.8", pid: 7, hostname: "h" };
    let plain = || Header::new(ProducerId([1; 16]), identity, "app");
    let huge = [("consumed".to_owned(), u64::MAX)];
    let many: Counts = (0..65).map(|n| (format!("reason-{n}"), 1)).collect();
    for header in [
        Header { span: u64::MAX, removed: huge.clone().into(), ..plain() },
        Header { attempted: u64::MAX, ..plain() },
        Header { refused: huge.into(), ..plain() },
        Header { first_sequence: u64::MAX, ..plain() },
        Header { refused: many, ..plain() },
        Header { refused: [("x".repeat(257), 1)].into(), ..plain() },
    ] {
        assert_eq!(
            Batch::parse(&batch::encode(&header, &[])).unwrap_err().kind(),
            ErrorKind::Malformed,
            "{header:?}"
        );
    }
    assert!(Batch::parse(&batch::encode(&plain(), &[])).is_ok());
}

/// Each hop may take messages out for reasons of its own; the next hop has to read what is left.
#[test]
fn a_batch_stays_readable_however_many_reasons_it_gathers() {
    let message = from_json(br#"{"type":"a"}"#).unwrap().message;
    let mut builder = Builder::new(Header::new(ProducerId([1; 16]), SHARED, "app"));
    for number in 0..100 {
        builder.remove(&format!("filtered:{number}"), 2);
        builder.push(&message).unwrap();
    }
    let mut frame = builder.finish();
    for hop in 0..100 {
        let batch = Batch::parse(&frame).unwrap();
        assert_books_balance(&batch.header);
        assert_eq!((batch.header.span, batch.header.count()), (300, 100 - hop));
        let first = batch.records().next().unwrap().0;
        let reason = format!("filtered:{}{hop}", "long".repeat(100));
        frame = batch.thin(|sequence, _| (sequence == first).then(|| reason.clone())).unwrap();
    }
}

/// A stranger's header may have as many reasons as a reader takes, none of them ours to share.
#[test]
fn a_batch_full_of_a_strangers_reasons_can_be_thinned() {
    let removed: Counts = (0..64).map(|number| (format!("reason-{number}"), 1)).collect();
    let header = Header {
        span: 65,
        present: vec![(64, 1)],
        removed,
        ..Header::new(ProducerId([1; 16]), SHARED, "app")
    };
    let mut body = Vec::new();
    record::write_message(&mut body, &from_json(br#"{"type":"a"}"#).unwrap().message, SHARED).unwrap();
    let frame = batch::encode(&header, &body);
    let thinned = Batch::parse(&frame).unwrap().thin(|_, _| Some("filtered:noise".to_owned())).unwrap();
    let header = Batch::parse(&thinned).unwrap().header;
    assert_books_balance(&header);
    assert_eq!((header.span, header.count()), (65, 0));
}

/// A message nested as deep as JSON may be is kept a level or two deeper when a value does not fit its column.
#[test]
fn what_json_brings_can_be_written_in_both_dialects_and_read_again() {
    for depth in 100..140 {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for json in [
            format!(r#"{{"type":"a","payload":{nested}}}"#),
            format!(r#"{{"type":"a","fields":{{"x":{nested}}}}}"#),
            format!(r#"{{"type":"a","severity":{nested}}}"#),
            format!(r#"{{"type":"a","severity":{nested},"fields":{{"original":{nested}}}}}"#),
        ] {
            let Ok(read) = from_json(json.as_bytes()) else { continue };
            let again = from_json(to_json(&read.message).as_bytes());
            assert!(again.is_ok(), "JSON, {depth} deep: {again:?}");
            let mut body = Vec::new();
            record::write_message(&mut body, &read.message, SHARED).unwrap();
            let (record, _) = Record::split(&body).unwrap();
            assert_eq!(record.decode(SHARED).unwrap(), read.message, "record, {depth} deep");
        }
    }
}
