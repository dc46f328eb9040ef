//! One message in a batch: what is read is written, and read again as the same, in both dialects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_core::wire::{
    json::{from_json, to_json},
    record::{self, Identity, Record},
};

const SHARED: Identity<'static> = Identity { env_version: "0.8", pid: 7, hostname: "host" };

fuzz_target!(|array: &[u8]| {
    let Ok(length) = u32::try_from(array.len()) else { return };
    let body = [&length.to_le_bytes()[..], array].concat();
    let Ok((record, rest)) = Record::split(&body) else { return };
    assert!(rest.is_empty());
    let (head, content) = (record.head(), record.content());
    let Ok(message) = record.decode(SHARED) else { return };
    let head = head.unwrap();
    assert_eq!((head.kind, head.severity), (message.kind.as_str(), message.severity));
    assert!(content.is_ok());

    // Numbers that are not finite become null, so the second reading is the one that must last.
    let Some(once) = written(&message) else { return };
    let (again, _) = Record::split(&once).unwrap();
    let again = again.decode(SHARED).unwrap();
    assert_eq!(written(&again), Some(once));

    let json = to_json(&again);
    assert!(!json.contains('\n'));
    assert_eq!(to_json(&from_json(json.as_bytes()).unwrap().message), json);
});

fn written(message: &metlog_core::Message) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    record::write_message(&mut body, message, SHARED).ok().map(|()| body)
}
