//! Frames of a batch: what is read balances, can be thinned at any message, and is read by the next hop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metlog_core::wire::batch::{self, Batch, Builder, Header};

fuzz_target!(|frame: &[u8]| {
    let Ok(batch) = Batch::parse(frame) else { return };
    assert_balanced(&batch);
    let body_at = frame.len() - batch.records().map(|(_, record)| 4 + record.as_bytes().len()).sum::<usize>();

    // The header as this build writes it means the same.
    let again = batch::encode(&batch.header, &frame[body_at..]);
    assert_eq!(Batch::parse(&again).unwrap().header, batch.header);

    // Any part of it may be taken out, here by a choice that the frame itself makes.
    for divisor in [1, 2, 3] {
        let taken = |sequence: u64| sequence % divisor == 0;
        let thinned = batch.thin(|sequence, _| taken(sequence).then(|| "filtered:fuzz".to_owned()));
        let kept = batch.records().filter(|(sequence, _)| !taken(*sequence)).count();
        match thinned {
            None => assert_eq!(kept, batch.records().count()),
            Some(thinned) => {
                let thinned = Batch::parse(&thinned).unwrap();
                assert_balanced(&thinned);
                assert_eq!(thinned.records().count(), kept);
                assert_eq!(thinned.header.end(), batch.header.end());
            }
        }
    }
    rebuild(&batch);
});

fn assert_balanced(batch: &Batch<'_>) {
    let Header { span, removed, .. } = &batch.header;
    let present = u64::try_from(batch.records().count()).unwrap();
    assert_eq!(present, batch.header.count());
    assert_eq!(present + removed.values().sum::<u64>(), *span);
}

/// A batch of the messages that can be decoded, as a daemon makes one of what it was given.
fn rebuild(batch: &Batch<'_>) {
    let mut builder = Builder::new(batch.header.clone());
    let mut messages = 0;
    for (_, message) in batch.messages() {
        match message {
            Ok(message) if builder.push(&message).is_ok() => messages += 1,
            _ => builder.remove("dropped:malformed", 1),
        }
    }
    let frame = builder.finish();
    let rebuilt = Batch::parse(&frame).unwrap();
    assert_eq!(rebuilt.header.count(), messages);
    assert!(rebuilt.messages().all(|(_, message)| message.is_ok()));
}
