//! What a spool promises while nothing goes wrong: order, positions, bounds, release, the lock.

use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::segment::HEADER_BYTES;
use super::testing::*;
use super::*;

/// One step of the property test.
#[derive(Debug, Clone)]
enum Op {
    Append(Vec<(Option<u64>, Vec<u8>)>),
    Reopen,
    Release(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let frame = proptest::collection::vec(any::<u8>(), 0..120);
    let append = proptest::collection::vec((any::<Option<u64>>(), frame), 1..6).prop_map(Op::Append);
    let op = prop_oneof![6 => append, 1 => Just(Op::Reopen), 1 => (0_u64..60).prop_map(Op::Release)];
    proptest::collection::vec(op, 1..25)
}

fn link(sequence: u64) -> LinkTag {
    LinkTag { sender: SenderId { id: [5; 16], incarnation: 2 }, sequence }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_was_appended_is_read_in_order_across_reopening(ops in ops()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, recovery) = open(dir.path(), 400);
        prop_assert!(recovery.created);
        let id = spool.id();
        let mut model: Vec<Record> = Vec::new();
        let mut released = 0;
        spool.register("reader", 0);
        for op in ops {
            match op {
                Op::Append(batch) => {
                    let tagged: Vec<_> = batch.iter().map(|(sequence, frame)| (sequence.map(link), frame)).collect();
                    let new: Vec<_> = tagged.iter().map(|(link, frame)| NewRecord { link: *link, frame }).collect();
                    let last = spool.append(&new).unwrap();
                    for (link, frame) in tagged {
                        let ordinal = u64::try_from(model.len()).unwrap() + 1;
                        model.push(Record { ordinal, link, frame: frame.clone() });
                    }
                    prop_assert_eq!(last, model.last().unwrap().ordinal);
                    prop_assert!(spool.wait_synced(last, PATIENCE));
                }
                Op::Reopen => {
                    spool.close();
                    let (again, recovery) = open(dir.path(), 400);
                    prop_assert_eq!(again.id(), id);
                    prop_assert_eq!((recovery.damaged_records, recovery.torn_bytes), (0, 0));
                    spool = again;
                    spool.register("reader", released);
                }
                Op::Release(through) => {
                    released = through.min(spool.synced()).max(released);
                    spool.release("reader", released);
                }
            }
            let oldest = spool.stats().oldest;
            prop_assert!(oldest <= released + 1, "{} deleted, {} released", oldest - 1, released);
            let expected: Vec<_> = model.iter().filter(|record| record.ordinal >= oldest).cloned().collect();
            prop_assert_eq!(read_all(&spool, 1), expected);
        }
        let bytes: u64 = segments(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
        prop_assert_eq!(spool.stats().bytes, bytes);
        spool.close();
    }
}

#[test]
fn a_reader_starts_anywhere_and_takes_no_more_than_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 200);
    let frames: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 10]).collect();
    fill(&spool, &frames);
    for from in 0..=21 {
        let expected: Vec<u64> = (from.max(1)..=20).collect();
        let ordinals: Vec<u64> = read_all(&spool, from).iter().map(|record| record.ordinal).collect();
        assert_eq!(ordinals, expected, "from {from}");
    }
    spool.close();
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 100_000);
    fill(&spool, &frames);
    let mut reader = spool.reader(4);
    for (max_bytes, expected) in [(25, 2), (20, 2), (9, 1), (0, 1), (30, 3)] {
        assert_eq!(reader.next(max_bytes, Duration::ZERO).len(), expected, "{max_bytes} bytes");
    }
    assert_eq!(reader.position(), 13);
    spool.close();
}

#[test]
fn lag_falls_to_nothing_as_a_reader_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 200);
    fill(&spool, &frames(20));
    let mut reader = spool.reader(1);
    let stats = spool.stats();
    let mut lag = reader.lag_bytes();
    assert_eq!(lag, stats.bytes - stats.segments * HEADER_BYTES);
    while !reader.next(1, Duration::ZERO).is_empty() {
        assert!(reader.lag_bytes() < lag);
        lag = reader.lag_bytes();
    }
    assert_eq!((lag, reader.position()), (0, 21));
    spool.close();
}

#[test]
fn a_waiting_reader_wakes_for_a_record_and_for_the_close() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 1000);
    let (results, received) = mpsc::channel();
    let mut reader = spool.reader(1);
    let thread = thread::spawn(move || {
        for _ in 0..2 {
            results.send(reader.next(1000, PATIENCE * 10).len()).unwrap();
        }
    });
    append(&spool, &frames(1)).unwrap();
    assert_eq!(received.recv_timeout(PATIENCE), Ok(1));
    spool.close();
    assert_eq!(received.recv_timeout(PATIENCE), Ok(0));
    thread.join().unwrap();
}

#[test]
fn a_reader_without_records_returns_after_its_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 1000);
    let start = Instant::now();
    assert!(spool.reader(1).next(1000, Duration::from_millis(30)).is_empty());
    assert!(start.elapsed() >= Duration::from_millis(30));
    spool.close();
}

#[test]
fn segments_go_when_the_slower_of_two_consumers_has_passed_them() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 200);
    spool.register("fast", 0);
    spool.register("slow", 0);
    fill(&spool, &vec![vec![1; 20]; 30]);
    let (mut fast, mut slow) = (spool.reader(1), spool.reader(1));
    let all = segments(dir.path()).len();
    while let Some(last) = fast.next(100, Duration::ZERO).last() {
        spool.release("fast", last.ordinal);
    }
    assert_eq!(segments(dir.path()).len(), all, "slow has released nothing");
    let mut seen = 0;
    while let Some(last) = slow.next(100, Duration::ZERO).last() {
        seen = last.ordinal;
        spool.release("slow", seen);
        assert!(spool.stats().oldest <= seen + 1);
    }
    assert_eq!(seen, 30);
    assert_eq!(segments(dir.path()).len(), 1, "the last one stays");
    assert_eq!(spool.stats().deleted_segments, u64::try_from(all).unwrap() - 1);
    spool.close();
}

/// The ledger registers first at a start, and has read further than a stuck output.
#[test]
fn a_start_deletes_nothing_before_every_consumer_has_registered() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 200);
    let last = fill(&spool, &frames(20));
    spool.close();
    let (spool, _) = open(dir.path(), 200);
    spool.register("fast", last);
    spool.register("slow", 2);
    assert_eq!(read_all(&spool, 3).first().map(|record| record.ordinal), Some(3));
    spool.release("fast", last);
    assert_eq!(read_all(&spool, 3).first().map(|record| record.ordinal), Some(3));
    spool.release("slow", last);
    assert_eq!(segments(dir.path()).len(), 1);
    spool.close();
}

#[test]
fn a_consumer_that_is_unregistered_holds_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 100);
    spool.register("gone", 0);
    spool.register("here", 0);
    fill(&spool, &frames(20));
    spool.release("here", 20);
    assert_eq!(spool.stats().oldest, 1);
    spool.unregister("gone");
    assert!(spool.stats().oldest > 10);
    spool.close();
}

#[test]
fn full_spool_refuses_whole_appends_and_takes_them_after_a_release() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(dir.path(), options(500, 2000)).unwrap();
    spool.register("only", 0);
    let batch = vec![vec![7; 60]; 3];
    let mut last = 0;
    let error = loop {
        match append(&spool, &batch) {
            Ok(ordinal) => last = ordinal,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Full { max_bytes: 2000, .. }) && error.is_full(), "{error}");
    assert!(spool.is_full() && spool.stats().bytes <= 2000);
    assert_eq!((spool.appended(), spool.stats().refused_full), (last, 1));
    assert!(spool.wait_synced(last, PATIENCE));
    spool.release("only", last / 2);
    assert!(!spool.is_full());
    assert_eq!(append(&spool, &batch).unwrap(), last + 3);
    spool.close();
}

#[test]
fn a_last_segment_that_fills_the_spool_makes_room_once_released() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(dir.path(), options(500, 2000)).unwrap();
    spool.register("only", 0);
    let last = fill(&spool, &[vec![7; 1500]]);
    assert!(append(&spool, &[vec![7; 1000]]).is_err());
    assert!(spool.is_full());
    spool.release("only", last);
    assert!(!spool.is_full());
    assert_eq!(fill(&spool, &[vec![7; 1000]]), last + 1);
    assert_eq!(read_all(&spool, 1).len(), 1);
    spool.close();
    let (spool, recovery) = open(dir.path(), 500);
    assert_eq!((recovery.oldest, recovery.last, recovery.damaged_records), (2, 2, 0));
    spool.close();
}

#[test]
fn a_frame_beyond_the_bound_is_refused_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 1000);
    let frame = vec![0; usize::try_from(MAX_FRAME_BYTES).unwrap() + 1];
    assert!(matches!(append(&spool, &[frame]), Err(AppendError::TooBig { .. })));
    spool.close();
}

#[test]
fn a_second_daemon_is_refused_until_the_first_has_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 1000);
    let error = Spool::open(dir.path(), SpoolOptions::default()).unwrap_err();
    assert!(matches!(error, SpoolError::Locked { .. }));
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    spool.close();
    open(dir.path(), 1000).0.close();
    assert!(matches!(append(&spool, &frames(1)), Err(AppendError::Closed)));
}

#[test]
fn files_and_directories_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/spool");
    let (spool, _) = open(&path, 1000);
    fill(&spool, &frames(2));
    spool.close();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in std::fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn four_appenders_keep_their_order_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 4000);
    let appenders: Vec<_> = (0..4_u8)
        .map(|thread| {
            let spool = spool.clone();
            thread::spawn(move || {
                for n in 0..200_u8 {
                    let last = append(&spool, &[vec![thread, n], vec![thread, n, 0]]).unwrap();
                    assert!(n % 16 != 0 || spool.wait_synced(last, PATIENCE));
                }
            })
        })
        .collect();
    let mut reader = spool.reader(1);
    let mut records = Vec::new();
    while records.len() < 1600 {
        let more = reader.next(500, PATIENCE);
        assert!(!more.is_empty(), "only {} records came", records.len());
        records.extend(more);
    }
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    assert!(records.iter().zip(1..).all(|(record, ordinal)| record.ordinal == ordinal));
    for thread in 0..4 {
        let own = records.iter().map(|record| &record.frame).filter(|frame| frame[0] == thread);
        let expected = (0..200).flat_map(|n| [vec![thread, n], vec![thread, n, 0]]);
        assert!(own.eq(&expected.collect::<Vec<_>>()), "order of thread {thread}");
    }
    spool.close();
}

#[test]
fn buffered_records_are_seen_before_the_sync_and_synced_by_the_close() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let buffered = SpoolOptions { durability: Durability::Buffered, ..SpoolOptions::default() };
    let spool = disk.open_spool(dir.path(), buffered);
    append(&spool, &frames(1)).unwrap();
    disk.0.hold_sync.store(true, std::sync::atomic::Ordering::SeqCst);
    let before = spool.stats().syncs;
    let last = append(&spool, &frames(3)).unwrap();
    assert_eq!(spool.outcome(last), Outcome::Synced);
    assert_eq!(read_all(&spool, 1).len(), 4);
    assert!(spool.stats().syncs <= before + 1, "at most the one that was under way");
    disk.0.hold_sync.store(false, std::sync::atomic::Ordering::SeqCst);
    spool.close();
    assert!(spool.stats().syncs > 0);
}
