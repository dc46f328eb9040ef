//! `batch.json`: the generator of its frames and their reader.

use metlog_core::{
    Error, Fields, Message, Severity, Value,
    wire::{
        batch::{self, Batch, Builder, Counts, Header, ProducerId, Role},
        record::{Identity, Record},
    },
};
use serde_json::{Value as Json, json};

use crate::{cases, path, text_of};

const SHARED: Identity<'static> = Identity { env_version: "0.8", pid: 4711, hostname: "web1.example" };

/// Compares the frames of today's encoder with the file, or writes it when `METLOG_BLESS` is set.
#[test]
fn the_encoder_writes_the_frames_of_the_file() {
    let generated = generate();
    if blessing() {
        return bless(&generated);
    }
    let golden = cases("batch.json");
    for (name, frame) in generated {
        let case = golden.iter().find(|case| case["name"] == name);
        let case = case.unwrap_or_else(|| panic!("{name:?} is not in batch.json: METLOG_BLESS=1 adds it"));
        assert_eq!(hex(&frame), text_of(case, "hex"), "{name}");
    }
}

#[test]
fn every_frame_of_the_file_is_read() {
    if blessing() {
        return; // the other test is writing the file
    }
    for case in cases("batch.json") {
        let name = text_of(&case, "name");
        let frame = bytes(text_of(&case, "hex"));
        let described = describe(Batch::parse(&frame));
        for key in ["header", "messages", "error"] {
            assert_eq!(described.get(key), case.get(key), "{name}: {key}");
        }
    }
}

fn blessing() -> bool {
    std::env::var_os("METLOG_BLESS").is_some_and(|value| value == "1")
}

fn bless(generated: &[(&str, Vec<u8>)]) {
    let file = path("batch.json");
    let known = if file.exists() { cases("batch.json") } else { Vec::new() };
    let is_generated = |case: &Json| generated.iter().any(|(name, _)| case["name"] == *name);
    let mut all: Vec<Json> = generated
        .iter()
        .map(|(name, frame)| {
            let mut case = json!({ "name": name, "hex": hex(frame) });
            let described = describe(Batch::parse(frame));
            case.as_object_mut().unwrap().extend(described.as_object().unwrap().clone());
            case
        })
        .collect();
    all.extend(known.into_iter().filter(|case| !is_generated(case)));
    let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
    std::fs::write(file, text).unwrap();
}

fn describe(read: Result<Batch<'_>, Error>) -> Json {
    let batch = match read {
        Ok(batch) => batch,
        Err(error) => return json!({ "error": error.kind().as_str() }),
    };
    let header = &batch.header;
    let messages: Vec<_> =
        batch.messages().map(|(sequence, message)| json!([sequence, message.ok()])).collect();
    json!({
        "header": {
            "producer": header.producer.to_string(),
            "role": header.role,
            "first_sequence": header.first_sequence,
            "span": header.span,
            "present": header.present,
            "removed": header.removed,
            "hostname": header.hostname,
            "pid": header.pid,
            "logger": header.logger,
            "env_version": header.env_version,
            "attempted": header.attempted,
            "refused": header.refused,
            "last": header.last,
        },
        "messages": messages,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2) && hex.is_ascii(), "no hexadecimal: {hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn header() -> Header {
    let producer = ProducerId(*b"0123456789abcdef");
    Header { attempted: 9, ..Header::new(producer, SHARED, "syncstorage") }
}

fn message(kind: &str) -> Message {
    Message {
        kind: kind.to_owned(),
        timestamp: "2012-03-30T20:45:15.123456Z".parse().unwrap(),
        logger: "syncstorage".to_owned(),
        severity: Severity::INFORMATIONAL,
        payload: "".into(),
        fields: Fields::new(),
        env_version: SHARED.env_version.to_owned(),
        pid: SHARED.pid,
        hostname: SHARED.hostname.to_owned(),
    }
}

fn batch_of(header: Header, messages: &[Message]) -> Vec<u8> {
    let mut builder = Builder::new(header);
    messages.iter().for_each(|message| builder.push(message).unwrap());
    builder.finish()
}

fn everything() -> Message {
    let map: Fields =
        [("a", Value::Null), ("b", Value::List(vec![1.into(), "x".into(), Value::List(Vec::new())]))]
            .into_iter()
            .collect();
    let values = [
        ("null", Value::Null),
        ("true", true.into()),
        ("false", false.into()),
        ("small", 7.into()),
        ("negative", (-33).into()),
        ("large", 9_007_199_254_740_991_i64.into()),
        ("least", (-9_007_199_254_740_991_i64).into()),
        ("float", 0.25.into()),
        ("text", "Grüße, 世界 \u{1f600}\n\0".into()),
        ("long", "0123456789".repeat(30).into()),
        ("bytes", b"plain".to_vec().into()),
        ("binary", vec![0xff, 0x00].into()),
        ("map", map.into()),
    ];
    let mut message = Message { severity: Severity::ALERT, payload: 12.5.into(), ..message("wsgi") };
    message.fields = values.into_iter().collect();
    message
}

/// The frames, each under a name.
fn generate() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = good_frames();
    all.extend(bad_frames());
    all
}

fn good_frames() -> Vec<(&'static str, Vec<u8>)> {
    let foreign =
        Message { pid: -1, hostname: "db1".into(), env_version: "0.9".into(), ..message("services") };
    let totals = Header {
        first_sequence: 1_000,
        attempted: 1_003,
        refused: [("full".to_owned(), 2), ("encode".to_owned(), 1)].into(),
        last: true,
        ..header()
    };
    let three = [message("first"), message("second"), message("third")];
    let mut gaps = Builder::new(Header { role: Role::Input, first_sequence: 7, ..header() });
    gaps.remove("dropped:malformed", 2);
    gaps.push(&message("third")).unwrap();
    gaps.push(&message("fourth")).unwrap();
    gaps.remove("filtered:noise", 1);
    gaps.push(&message("sixth")).unwrap();
    let mut emptied = Builder::new(Header { role: Role::Daemon, ..header() });
    emptied.remove("consumed", 300);
    let whole = batch_of(Header { first_sequence: 40, ..header() }, &three);
    let thinned =
        Batch::parse(&whole).unwrap().thin(|sequence, _| (sequence == 41).then(|| "consumed".to_owned()));
    vec![
        ("one message", batch_of(header(), &[message("services")])),
        ("values of every kind", batch_of(header(), &[everything()])),
        ("a message of another process and host", batch_of(header(), &[message("a"), foreign])),
        ("no messages, only the totals of the end", batch_of(totals, &[])),
        ("three messages from 40 on", whole.clone()),
        ("the same with one taken out", thinned.unwrap()),
        ("gaps at every place", gaps.finish()),
        ("everything taken out", emptied.finish()),
        ("unknown header keys are skipped", with_unknown_keys(&whole)),
        ("columns after the ninth are skipped", with_record(&wide_record())),
        ("a record that is no message", with_record(&[0x01])),
        ("an empty record", with_record(&[])),
        ("severity 8 in a record", with_record(&record(8))),
    ]
}

fn bad_frames() -> Vec<(&'static str, Vec<u8>)> {
    let frame = batch_of(header(), &[message("services")]);
    let mut later = frame.clone();
    later[3] = 2;
    let mut other_magic = frame.clone();
    other_magic[0] = b'm';
    let mut long_header = frame.clone();
    long_header[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let present =
        |span, runs: &[(u64, u64)]| batch::encode(&Header { span, present: runs.to_vec(), ..header() }, &[]);
    let removed: Counts = [("consumed".to_owned(), u64::MAX), ("x".to_owned(), 2)].into();
    let huge_record = [&0x0010_0001_u32.to_le_bytes()[..], &[0; 16]].concat();
    let one = Header { span: 1, present: vec![(0, 1)], ..header() };
    vec![
        ("no bytes", Vec::new()),
        ("a major version of later", later),
        ("a body encoding of later", with_header(&[(12, &[0x01])])),
        ("another magic", other_magic),
        ("cut inside the prefix", frame[..7].to_vec()),
        ("cut inside the header", frame[..20].to_vec()),
        ("cut inside the last record", frame[..frame.len() - 1].to_vec()),
        ("bytes after the last record", [&frame[..], &[0]].concat()),
        ("a header longer than the frame", long_header),
        ("a header that is no map", raw(&[0x93, 1, 2, 3], &[])),
        ("a header without a producer", raw(&[0x80], &[])),
        ("a producer of 15 bytes", with_header(&[(0, &[&[0xc4, 15][..], &[7; 15]].concat())])),
        ("a key that is text", raw(&[0x81, 0xa1, b'a', 0x01], &[])),
        ("more messages announced than there are", present(1, &[(0, 1)])),
        ("a span that is not accounted for", present(3, &[])),
        ("runs past the span", present(1, &[(1, 1)])),
        ("runs that overlap", present(4, &[(0, 2), (1, 2)])),
        ("runs out of order", present(2, &[(1, 1), (0, 1)])),
        ("an empty run", present(0, &[(0, 0)])),
        ("runs that overflow", present(u64::MAX, &[(0, u64::MAX), (u64::MAX, 5)])),
        ("removed counts that overflow", batch::encode(&Header { span: 1, removed, ..header() }, &[])),
        (
            "sequences that overflow",
            batch::encode(&Header { first_sequence: u64::MAX, ..one.clone() }, &[0; 4]),
        ),
        ("a record over 1 MiB", batch::encode(&one, &huge_record)),
        ("a record longer than the body", batch::encode(&one, &[5, 0, 0, 0, 1])),
    ]
}

/// A frame whose header is `header` as bytes.
fn raw(header: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    [b"MLB\x01", &length[..], header, body].concat()
}

/// A frame whose header has a producer and then `entries`: keys with MessagePack values.
fn with_header(entries: &[(u8, &[u8])]) -> Vec<u8> {
    let mut header = vec![0x80 | u8::try_from(entries.len() + 1).unwrap(), 0, 0xc4, 16];
    header.extend([7; 16]);
    for (key, value) in entries {
        header.push(*key);
        header.extend_from_slice(value);
    }
    raw(&header, &[])
}

/// The frame with two more entries in its header: a number and a nested map, as a later version may write them.
fn with_unknown_keys(frame: &[u8]) -> Vec<u8> {
    let length = usize::try_from(u32::from_le_bytes(frame[4..8].try_into().unwrap())).unwrap();
    let (header, body) = frame[8..].split_at(length);
    assert_eq!(header[0], 0x8e, "a map of fourteen entries");
    let number = [99, 0xcd, 0x01, 0x00];
    let nested = [0xcd, 0x03, 0xe8, 0x81, 0x92, 0xc0, 0xc3, 0x81, 0xa1, b'a', 0xc4, 0x01, 0xff];
    raw(&[&[0xde, 0, 16][..], &header[1..], &number, &nested].concat(), body)
}

/// A batch of one record, whose array is `array`.
fn with_record(array: &[u8]) -> Vec<u8> {
    let length = u32::try_from(array.len()).unwrap().to_le_bytes();
    let body = [&length[..], array].concat();
    assert!(Record::split(&body).is_ok());
    batch::encode(&Header { span: 1, present: vec![(0, 1)], ..header() }, &body)
}

/// `["a", severity, "", 0, "", {}]`.
fn record(severity: u8) -> Vec<u8> {
    vec![0x96, 0xa1, b'a', severity, 0xa0, 0x00, 0xa0, 0x80]
}

/// `["a", 6, "", 0, "", {}, "0.8", 1, "h", true]`.
fn wide_record() -> Vec<u8> {
    let identity = [0xa3, b'0', b'.', b'8', 0x01, 0xa1, b'h', 0xc3];
    let mut array = [&record(6)[..], &identity].concat();
    array[0] = 0x9a;
    array
}
