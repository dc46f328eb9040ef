//! Input that was made to hurt: it must cost its reader no more than a small multiple of its own size.
//!
//! The whole file is one test, because it measures the memory of its process.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for tests")]

use metlog_core::{
    ErrorKind, Value,
    link::{Frame, MAX_FRAME_BYTES},
    wire::{
        MAX_MESSAGE_BYTES,
        batch::{self, Batch, Header, MAX_BATCH_BYTES, ProducerId},
        json::from_json,
        record::{Identity, Record},
    },
};

const NOBODY: Identity<'static> = Identity { env_version: "0.8", pid: 0, hostname: "" };

/// A decoded value is at most 48 bytes and a list of them doubles as it grows: 128 a byte leaves room.
const MEMORY_PER_BYTE: usize = 128;

/// The heads of containers and texts that announce 2^32-1 elements or bytes.
const ANNOUNCEMENTS: [[u8; 5]; 4] = [
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xdf, 0xff, 0xff, 0xff, 0xff],
    [0xdb, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0xff, 0xff, 0xff, 0xff],
];

#[test]
fn hostile_input_costs_a_small_multiple_of_its_size() {
    announced_lengths_are_not_believed();
    depth_is_bounded();
    the_largest_input_is_read_in_bounded_memory();
    larger_input_is_refused_unread();
}

fn announced_lengths_are_not_believed() {
    let before = peak_address_space();
    for head in ANNOUNCEMENTS {
        assert!(Frame::decode(&head).is_err());
        assert!(Frame::decode(&[&[0x93, 2, 1][..], &head].concat()).is_err());
        for columns in 0..6 {
            let mut array = vec![0x96, 0xa1, b'a', 6, 0xa0, 0, 0xa0, 0x80];
            array.truncate(1 + columns);
            array.extend(head);
            assert!(decode(&array).is_err());
        }
        for key in [0_u8, 3, 4, 5, 10, 99] {
            let header = [&[0x81, key][..], &head, &[0x01; 8]].concat();
            let length = u32::try_from(header.len()).unwrap().to_le_bytes();
            let frame = [b"MLB\x01", &length[..], &header].concat();
            assert_eq!(Batch::parse(&frame).unwrap_err().kind(), ErrorKind::Malformed);
        }
    }
    let believed = peak_address_space() - before;
    assert!(believed < 64 << 20, "{believed} bytes for input of a few hundred");
}

fn depth_is_bounded() {
    for (open, with_key) in [(&[0x91_u8][..], false), (&[0x81, 0xa0], true)] {
        let nested = [open.repeat(400_000), vec![0xc0]].concat();
        let array = [&[0x96, 0xa1, b'a', 6, 0xa0, 0][..], &nested, &[0x80]].concat();
        let error = decode(&array).unwrap_err();
        assert!(error.to_string().contains("deeper"), "{error}, maps: {with_key}");
        // An unknown key of a header is skipped whatever its depth.
        let mut header = vec![0x82, 0, 0xc4, 16];
        header.extend([7; 16]);
        header.push(99);
        header.extend(&nested);
        let length = u32::try_from(header.len()).unwrap().to_le_bytes();
        assert!(Batch::parse(&[b"MLB\x01", &length[..], &header].concat()).is_ok());
    }
    let json = format!(r#"{{"type":"a","payload":{}"#, "[".repeat(MAX_MESSAGE_BYTES - 30));
    assert_eq!(from_json(json.as_bytes()).unwrap_err().kind(), ErrorKind::Malformed);
}

fn the_largest_input_is_read_in_bounded_memory() {
    let before = peak_address_space();
    let count = MAX_MESSAGE_BYTES - 64;
    let nulls = [&[0xdd][..], &u32::try_from(count).unwrap().to_be_bytes(), &vec![0xc0; count]].concat();
    let array = [&[0x96, 0xa1, b'a', 6, 0xa0, 0, 0xa0][..], &[0x81, 0xa1, b'x'], &nulls].concat();
    let (_, fields) = decode(&array).unwrap();
    assert!(matches!(fields.get("x"), Some(Value::List(list)) if list.len() == count));

    let json = format!(r#"{{"type":"a","payload":[{}0]}}"#, "0,".repeat(MAX_MESSAGE_BYTES / 2 - 20));
    assert!(from_json(json.as_bytes()).is_ok());
    let names: String = (0..70_000).map(|n| format!(r#""{n:x}":0,"#)).collect();
    assert!(from_json(format!(r#"{{"type":"a","fields":{{{names}"z":0}}}}"#).as_bytes()).is_ok());
    let used = peak_address_space() - before;
    assert!(used < 3 * MEMORY_PER_BYTE * MAX_MESSAGE_BYTES, "{} MiB", used >> 20);
}

fn larger_input_is_refused_unread() {
    assert_eq!(from_json(&vec![b' '; MAX_MESSAGE_BYTES + 1]).unwrap_err().kind(), ErrorKind::TooBig);
    let header = Header::new(ProducerId([7; 16]), NOBODY, "");
    let frame = batch::encode(&header, &vec![0; MAX_BATCH_BYTES]);
    assert_eq!(Batch::parse(&frame).unwrap_err().kind(), ErrorKind::TooBig);
    assert_eq!(Frame::decode(&vec![0; MAX_FRAME_BYTES + 1]).unwrap_err().kind(), ErrorKind::TooBig);
    let record = [&u32::MAX.to_le_bytes()[..], &[0; 16]].concat();
    assert_eq!(Record::split(&record).unwrap_err().kind(), ErrorKind::TooBig);
}

fn decode(array: &[u8]) -> Result<(Value, metlog_core::Fields), metlog_core::Error> {
    let length = u32::try_from(array.len()).unwrap().to_le_bytes();
    let body = [&length[..], array].concat();
    let (record, _) = Record::split(&body)?;
    record.decode(NOBODY).map(|message| (message.payload, message.fields))
}

/// The most address space this process has had so far: what is allocated counts even if it is never touched.
fn peak_address_space() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
