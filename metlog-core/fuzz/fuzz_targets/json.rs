//! Messages as the original clients wrote them: what is read becomes one line that reads the same, and travels in a batch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_core::wire::{
    json::{from_json, to_json},
    record::{self, Identity, Record},
};

const NOBODY: Identity<'static> = Identity { env_version: "", pid: 0, hostname: "" };

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = from_json(bytes) else { return };
    let json = to_json(&read.message);
    assert!(!json.contains('\n'));
    let again = from_json(json.as_bytes()).unwrap();
    assert_eq!(again.misfits, 0, "what did not fit is kept where it does");
    assert_eq!(to_json(&again.message), json);

    let mut body = Vec::new();
    if record::write_message(&mut body, &read.message, NOBODY).is_ok() {
        let (record, _) = Record::split(&body).unwrap();
        assert_eq!(record.decode(NOBODY).unwrap(), read.message);
    }
});
