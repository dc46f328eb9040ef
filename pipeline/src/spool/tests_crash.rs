//! What a spool makes of files that a crash, a bad disk or a person has left.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use super::segment::HEADER_BYTES;
use super::testing::*;
use super::*;

/// A closed spool of one segment with `count` records, and the offset at which each record ends.
fn closed_spool(count: u8) -> (tempfile::TempDir, Vec<Vec<u8>>, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let frames = frames(count);
    let (spool, _) = open(dir.path(), 100_000);
    let mut ends = Vec::new();
    for frame in &frames {
        fill(&spool, std::slice::from_ref(frame));
        ends.push(spool.stats().bytes);
    }
    spool.close();
    (dir, frames, ends)
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

fn found(spool: &Spool) -> Vec<(u64, Vec<u8>)> {
    read_all(spool, 1).into_iter().map(|record| (record.ordinal, record.frame)).collect()
}

fn numbered(frames: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    (1..).zip(frames.iter().cloned()).collect()
}

#[test]
fn a_spool_cut_anywhere_opens_with_every_whole_record_before_the_cut() {
    let (source, frames, ends) = closed_spool(12);
    let length = *ends.last().unwrap();
    for cut in 0..=length {
        let dir = copy(source.path());
        let path = segments(dir.path()).remove(0);
        fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let (spool, recovery) = open(dir.path(), 100_000);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(found(&spool), numbered(&frames[..whole]), "cut at {cut}");
        let end = ends[..whole].last().copied().unwrap_or(HEADER_BYTES.min(cut));
        assert_eq!(recovery.torn_bytes, cut - if cut < HEADER_BYTES { 0 } else { end }, "cut at {cut}");
        assert!(cut < HEADER_BYTES || path.metadata().unwrap().len() == end, "cut at {cut}");
        let missing = u64::try_from(12 - whole).unwrap();
        assert_eq!(recovery.damaged_records, missing, "the close had told of 12");
        assert_eq!(spool.id().incarnation, if missing > 0 { 2 } else { 1 }, "cut at {cut}");
        let next = fill(&spool, &[b"after".to_vec()]);
        assert!(next > 12, "ordinal {next} was used before");
        assert_eq!(found(&spool).last().unwrap(), &(next, b"after".to_vec()));
        spool.close();
    }
}

#[test]
fn a_flipped_byte_costs_at_most_the_record_it_hit_and_is_reported() {
    let (source, frames, ends) = closed_spool(9);
    for at in HEADER_BYTES..*ends.last().unwrap() {
        let dir = copy(source.path());
        flip(&segments(dir.path()).remove(0), at);
        let (spool, recovery) = open(dir.path(), 100_000);
        let hit = ends.iter().filter(|end| **end <= at).count();
        let mut expected = numbered(&frames);
        expected.remove(hit);
        assert_eq!(found(&spool), expected, "byte {at}");
        assert_eq!(recovery.damaged_records, 1, "byte {at}");
        assert_eq!(
            (recovery.torn_bytes > 0, recovery.set_aside.len()),
            if hit == 8 { (true, 0) } else { (false, 1) }
        );
        assert_eq!(spool.id().incarnation, 2);
        assert!(fill(&spool, &[b"after".to_vec()]) > 9);
        spool.close();
        let (spool, again) = open(dir.path(), 100_000);
        assert_eq!((again.damaged_records, spool.id().incarnation), (0, 2), "damage counts once");
        assert_eq!(found(&spool).len(), 9);
        spool.close();
    }
}

#[test]
fn a_flipped_header_sets_the_segment_aside_and_the_spool_goes_on() {
    let (source, ..) = closed_spool(5);
    for at in 0..HEADER_BYTES {
        let dir = copy(source.path());
        let path = segments(dir.path()).remove(0);
        flip(&path, at);
        let bytes = fs::read(&path).unwrap();
        let (spool, recovery) = open(dir.path(), 100_000);
        assert!(found(&spool).is_empty());
        assert_eq!(recovery.damaged_records, 5);
        assert_eq!(fs::read(&recovery.set_aside[0]).unwrap(), bytes, "kept as it was");
        assert!(fill(&spool, &[b"after".to_vec()]) > 5);
        assert_eq!(spool.id().incarnation, 2);
        spool.close();
    }
}

#[test]
fn readers_skip_damage_in_older_segments_and_count_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 300);
    fill(&spool, &vec![vec![3; 20]; 30]);
    spool.close();
    let paths = segments(dir.path());
    // Five records of 44 bytes a segment: the second of the first one, and the last of the second one.
    flip(&paths[0], HEADER_BYTES + 44 + 30);
    flip(&paths[1], HEADER_BYTES + 4 * 44 + 30);
    let (spool, recovery) = open(dir.path(), 300);
    assert_eq!(
        (recovery.damaged_records, spool.id().incarnation),
        (0, 1),
        "opening reads the last segment only"
    );
    for _ in 0..2 {
        let ordinals: Vec<u64> = found(&spool).into_iter().map(|(ordinal, _)| ordinal).collect();
        assert_eq!(ordinals, (1..=30).filter(|n| ![2, 10].contains(n)).collect::<Vec<_>>());
        let stats = spool.stats();
        assert_eq!((stats.damaged_records, stats.damaged_bytes), (2, 88));
    }
    let mut kept: Vec<_> =
        fs::read_dir(dir.path().join("damaged")).unwrap().map(|e| e.unwrap().path()).collect();
    kept.sort();
    assert_eq!(kept.len(), 2);
    assert_eq!(fs::read(&kept[0]).unwrap(), fs::read(&paths[0]).unwrap()[92..136]);
    spool.close();
}

#[test]
fn a_long_stretch_of_zeros_in_the_middle_costs_only_what_was_there() {
    let (dir, frames, ends) = closed_spool(40);
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let (start, end) = (usize::try_from(ends[9]).unwrap() + 3, usize::try_from(ends[29]).unwrap() - 3);
    bytes[start..end].fill(0);
    fs::write(&path, bytes).unwrap();
    let (spool, recovery) = open(dir.path(), 100_000);
    let expected: Vec<_> = numbered(&frames).into_iter().filter(|(n, _)| *n <= 10 || *n > 30).collect();
    assert_eq!(found(&spool), expected);
    assert_eq!(recovery.damaged_records, 20);
    spool.close();
}

#[test]
fn a_payload_that_holds_records_never_passes_for_them() {
    let (inner, ..) = closed_spool(4);
    let payload = fs::read(segments(inner.path()).remove(0)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 100_000);
    fill(&spool, &[b"first".to_vec(), payload, b"third".to_vec()]);
    spool.close();
    flip(&segments(dir.path()).remove(0), HEADER_BYTES + 29 + 1);
    let (spool, _) = open(dir.path(), 100_000);
    assert_eq!(found(&spool), [(1, b"first".to_vec()), (3, b"third".to_vec())]);
    spool.close();
}

#[test]
fn a_daemon_killed_before_the_sync_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let spool = disk.open_spool(dir.path(), options(200, 1 << 20));
    let frames = frames(20);
    fill(&spool, &frames[..10]);
    disk.0.hold_sync.store(true, SeqCst);
    append(&spool, &frames[10..]).unwrap();
    assert_eq!(spool.synced(), 10);
    let killed = copy(dir.path());
    let torn = copy(dir.path());
    disk.0.hold_sync.store(false, SeqCst);
    spool.close();
    let (spool, recovery) = open(killed.path(), 200);
    assert_eq!(found(&spool), numbered(&frames), "written before the kill, synced by the opening");
    assert_eq!((recovery.last, spool.synced(), spool.id().incarnation), (20, 20, 1));
    spool.close();
    // A power cut takes the end of what was not synced, here within the last record.
    let path = segments(torn.path()).pop().unwrap();
    let length = path.metadata().unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let (spool, recovery) = open(torn.path(), 200);
    assert_eq!(found(&spool), numbered(&frames[..19]));
    assert!(recovery.torn_bytes > 0);
    assert_eq!(spool.id().incarnation, 1, "a torn tail that was not synced is no loss");
    spool.close();
}

#[test]
fn ordinals_of_a_torn_tail_stay_used_up_over_a_second_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 100_000);
    fill(&spool, &frames(5));
    let crashed = copy(dir.path());
    spool.close();
    flip(&segments(crashed.path()).remove(0), HEADER_BYTES + 100);
    let path = segments(crashed.path()).remove(0);
    let length = path.metadata().unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let (first, recovery) = open(crashed.path(), 100_000);
    assert!(recovery.torn_bytes > 0);
    let second = copy(crashed.path());
    first.close();
    let (spool, _) = open(second.path(), 100_000);
    assert!(fill(&spool, &frames(1)) > 5);
    spool.close();
}

#[test]
fn a_damaged_meta_file_costs_the_identity_and_no_record() {
    let (source, frames, _) = closed_spool(5);
    let id = {
        let (spool, _) = open(source.path(), 100_000);
        spool.close();
        spool.id()
    };
    for (bad, same_id) in [(vec!["meta.0"], true), (vec!["meta.1"], true), (vec!["meta.0", "meta.1"], false)]
    {
        let dir = copy(source.path());
        bad.iter().for_each(|name| flip(&dir.path().join(name), 30));
        let (spool, recovery) = open(dir.path(), 100_000);
        assert_eq!(found(&spool), numbered(&frames));
        assert!(recovery.new_identity && recovery.warnings.len() == 1, "{recovery}");
        assert_eq!(spool.id().id == id.id, same_id);
        assert_ne!(spool.id(), id);
        spool.close();
    }
}

#[test]
fn an_incarnation_is_given_once_even_if_the_newest_meta_file_is_damaged() {
    let (dir, ..) = closed_spool(5);
    flip(&segments(dir.path()).remove(0), HEADER_BYTES + 1);
    let (spool, _) = open(dir.path(), 100_000);
    assert_eq!(spool.id().incarnation, 2);
    let killed = copy(dir.path());
    spool.close();
    for name in ["meta.0", "meta.1"] {
        let dir = copy(killed.path());
        flip(&dir.path().join(name), 30);
        let (spool, _) = open(dir.path(), 100_000);
        assert!(spool.id().incarnation > 2, "{name} damaged: {}", spool.id());
        spool.close();
    }
}

#[test]
fn a_checkpoint_ahead_of_the_spool_skips_nothing_that_comes_now() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 100);
    append(&spool, &frames(3)).unwrap();
    spool.register("of a spool that was wiped", 1000);
    spool.release("of a spool that was wiped", 1000);
    let last = fill(&spool, &frames(20));
    let mut reader = spool.reader(1001);
    assert_eq!(reader.next(1, PATIENCE)[0].ordinal, 1);
    assert_eq!((last, spool.stats().oldest), (23, 1));
    spool.close();
}

#[test]
fn files_that_are_no_segments_are_left_alone() {
    let (dir, frames, _) = closed_spool(5);
    for name in ["notes.txt", "1.seg", "00000000000000000001.seg.bak"] {
        fs::write(dir.path().join(name), b"mine").unwrap();
    }
    let (spool, _) = open(dir.path(), 100_000);
    assert_eq!(found(&spool), numbered(&frames));
    spool.close();
    assert_eq!(fs::read(dir.path().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_report_is_one_line_for_the_log() {
    let (dir, _, ends) = closed_spool(6);
    flip(&segments(dir.path()).remove(0), ends[2] + 1);
    let (spool, recovery) = open(dir.path(), 100_000);
    let text = recovery.to_string();
    assert!(text.starts_with("6 records (1..6), ") && text.contains("1 records missing, "), "{text}");
    assert!(text.contains("set aside: ") && !text.contains('\n'), "{text}");
    spool.close();
}
