//! Tests of looking at a spool's files from outside.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::inspect::*;
use super::testing::{fill, frames, open};

fn ordinals(view: &View, from: u64) -> Vec<u64> {
    let record = |item| if let Item::Record { record, .. } = item { Some(record.ordinal) } else { None };
    view.walk(from).filter_map(record).collect()
}

fn damage(view: &View) -> Vec<DamagedStretch> {
    view.walk(1)
        .filter_map(|item| if let Item::Damage(damage) = item { Some(damage) } else { None })
        .collect()
}

#[test]
fn a_live_spool_is_read_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 400);
    fill(&spool, &frames(30));
    spool.register("slow", 10);
    let listing = || {
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = listing();
    let view = View::open(dir.path()).unwrap();
    assert!(view.segments().len() > 2, "{view:?}");
    assert_eq!(ordinals(&view, 1), (1..=30).collect::<Vec<_>>());
    assert_eq!(ordinals(&view, 17), (17..=30).collect::<Vec<_>>());
    assert_eq!((view.last(), view.bytes_after(30), damage(&view)), (30, 0, vec![]));
    assert!(view.bytes_after(17) < view.bytes_after(16) && view.bytes_after(0) < view.bytes());
    assert_eq!(listing(), before);
    spool.close();
    assert_eq!(View::open(dir.path()).unwrap().safe_at_close(), 30);
}

#[test]
fn a_flipped_byte_is_found_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 1 << 20);
    fill(&spool, &frames(10));
    spool.close();
    let view = View::open(dir.path()).unwrap();
    let at = |wanted: u64| {
        view.walk(1).find_map(|item| match item {
            Item::Record { offset, record, .. } if record.ordinal == wanted => Some(offset),
            _ => None,
        })
    };
    let (start, end) = (at(4).unwrap(), at(5).unwrap());
    let file = File::options().read(true).write(true).open(&view.segments()[0].path).unwrap();
    let mut byte = [0];
    FileExt::read_exact_at(&file, &mut byte, start + 21).unwrap();
    FileExt::write_all_at(&file, &[byte[0] ^ 1], start + 21).unwrap();
    let expected = DamagedStretch {
        segment: 1,
        offset: start,
        bytes: end - start,
        ordinal: 4,
        records: 1,
        kind: DamageKind::Records,
    };
    assert_eq!(damage(&view), [expected]);
    assert_eq!(ordinals(&view, 1), [1, 2, 3, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_torn_tail_an_unreadable_header_and_a_jump_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = open(dir.path(), 200);
    fill(&spool, &frames(30));
    spool.close();
    let view = View::open(dir.path()).unwrap();
    let (second, last) = (&view.segments()[1], view.segments().last().unwrap());
    fs::write(&second.path, b"no segment").unwrap();
    File::options().write(true).open(&last.path).unwrap().set_len(last.bytes - 1).unwrap();
    fs::remove_file(&view.segments()[2].path).unwrap();
    let damage: Vec<_> =
        damage(&View::open(dir.path()).unwrap()).iter().map(|d| (d.segment, d.kind)).collect();
    assert_eq!(damage, [(second.first, DamageKind::Header), (last.first, DamageKind::TornTail)]);
    let view = View::open(dir.path()).unwrap();
    let third = view.segments()[2].first;
    let jump = Item::Jump { from: second.first, to: third - 1 };
    assert!(view.walk(1).any(|item| item == jump), "{jump:?}");
}

#[test]
fn consumers_are_found_by_their_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let (mut checkpoint, ..) = super::Checkpoint::<Vec<u64>>::load(dir.path(), "forward").unwrap();
    checkpoint.save(7, &vec![1]).unwrap();
    checkpoint.save(8, &vec![1]).unwrap();
    fs::write(dir.path().join("rollup.1"), b"torn").unwrap();
    let consumer = |name: &str, through| Consumer { name: name.to_owned(), through };
    assert_eq!(consumers(dir.path()), [consumer("forward", Some(8)), consumer("rollup", None)]);
}
