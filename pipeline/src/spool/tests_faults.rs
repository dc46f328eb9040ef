//! What a spool does when the disk refuses to write or to sync.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use super::damage::Damaged;
use super::files::Files;
use super::numbers::Meta;
use super::scan::Damage;
use super::testing::*;
use super::*;

fn faulty(segment_bytes: u64) -> (tempfile::TempDir, FaultyDisk, Spool) {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let spool = disk.open_spool(dir.path(), options(segment_bytes, 1 << 20));
    (dir, disk, spool)
}

fn ordinals(spool: &Spool) -> Vec<u64> {
    read_all(spool, 1).iter().map(|record| record.ordinal).collect()
}

#[test]
fn appends_go_on_during_a_sync_and_are_not_read_before_theirs() {
    let (_dir, disk, spool) = faulty(1000);
    disk.0.hold_sync.store(true, SeqCst);
    append(&spool, &frames(1)).unwrap();
    wait_until("a sync begins", || disk.0.holding.load(SeqCst));
    let last = append(&spool, &frames(100)).unwrap();
    assert_eq!((last, spool.appended(), spool.synced()), (101, 101, 0));
    assert!(!spool.wait_synced(1, Duration::from_millis(20)), "its sync has not ended");
    assert!(ordinals(&spool).is_empty());
    disk.0.hold_sync.store(false, SeqCst);
    assert!(spool.wait_synced(last, PATIENCE));
    assert_eq!(ordinals(&spool).len(), 101);
    assert!(spool.stats().syncs <= 3, "one sync for all that gathered, not {}", spool.stats().syncs);
    spool.close();
}

#[test]
fn a_failed_sync_gives_its_records_up_and_tells_who_waits() {
    for segment_bytes in [100, 100_000] {
        let (dir, disk, spool) = faulty(segment_bytes);
        fill(&spool, &frames(3));
        disk.0.hold_sync.store(true, SeqCst);
        disk.0.fail_sync.store(true, SeqCst);
        let lost = append(&spool, &frames(4)).unwrap();
        let waiter = thread::spawn({
            let spool = spool.clone();
            move || spool.wait_synced(lost, PATIENCE * 100)
        });
        disk.0.hold_sync.store(false, SeqCst);
        assert!(!waiter.join().unwrap());
        disk.0.fail_sync.store(false, SeqCst);
        assert_eq!((4..=8).map(|n| spool.outcome(n)).filter(|o| *o == Outcome::GivenUp).count(), 4);
        let last = fill(&spool, &frames(2));
        assert_eq!(last, 9, "ordinals are not used again");
        assert_eq!(ordinals(&spool), [1, 2, 3, 8, 9]);
        let stats = spool.stats();
        assert_eq!((stats.failed_syncs, stats.given_up_records), (1, 4));
        assert!(stats.last_error.unwrap().contains("sync refused"));
        assert!(!spool.wait_synced(lost, PATIENCE), "synced() is past it, yet it is lost");
        spool.close();
        let (spool, recovery) = open(dir.path(), segment_bytes);
        assert_eq!((ordinals(&spool), recovery.damaged_records), (vec![1, 2, 3, 8, 9], 0));
        assert_eq!(spool.id().incarnation, 1);
        spool.close();
    }
}

#[test]
fn a_disk_that_syncs_nothing_takes_nothing_until_what_failed_is_cut_off() {
    let (dir, disk, spool) = faulty(1000);
    disk.0.fail_sync.store(true, SeqCst);
    disk.0.fail_dir_sync.store(true, SeqCst);
    let first = append(&spool, &frames(1)).unwrap();
    assert!(!spool.wait_synced(first, PATIENCE));
    assert_eq!(spool.outcome(first), Outcome::GivenUp);
    wait_until("the cut fails", || append(&spool, &frames(1)).is_err());
    disk.0.fail_sync.store(false, SeqCst);
    assert!(append(&spool, &frames(1)).is_err(), "the removal of the segment is not synced");
    disk.0.fail_dir_sync.store(false, SeqCst);
    assert_eq!((fill(&spool, &frames(1)), ordinals(&spool)), (2, vec![2]));
    spool.close();
    let (spool, recovery) = open(dir.path(), 1000);
    assert_eq!(ordinals(&spool), [2]);
    assert!(
        spool.id().incarnation == 1 && recovery.damaged_records == 0,
        "nothing safe was lost: {recovery}"
    );
    spool.close();
}

#[test]
fn a_full_disk_refuses_cuts_back_and_goes_on_once_there_is_room() {
    for room in [0, 1, 30, 47, 48, 60, 100] {
        let (dir, disk, spool) = faulty(150);
        fill(&spool, &frames(3));
        disk.0.room.store(room, SeqCst);
        let error = append(&spool, &vec![vec![9; 60]; 4]).unwrap_err();
        assert!(matches!(error, AppendError::DiskFull(_)) && error.is_full(), "{error}");
        assert!(spool.is_full());
        assert_eq!((spool.appended(), spool.stats().refused_full), (3, 1));
        disk.0.room.store(u64::MAX, SeqCst);
        assert_eq!(fill(&spool, &frames(2)), 5);
        assert!(!spool.is_full());
        assert_eq!(ordinals(&spool), [1, 2, 3, 4, 5], "room for {room} bytes");
        spool.close();
        let (spool, recovery) = open(dir.path(), 150);
        assert_eq!(ordinals(&spool), [1, 2, 3, 4, 5], "room for {room} bytes, reopened");
        assert_eq!((recovery.torn_bytes, recovery.damaged_bytes), (0, 0));
        spool.close();
    }
}

#[test]
fn a_refused_append_that_cannot_be_cut_back_never_mixes_with_later_ones() {
    let (dir, disk, spool) = faulty(10_000);
    fill(&spool, &frames(3));
    disk.0.room.store(100, SeqCst);
    disk.0.fail_truncate.store(true, SeqCst);
    append(&spool, &vec![vec![9; 30]; 4]).unwrap_err();
    disk.0.room.store(u64::MAX, SeqCst);
    assert!(append(&spool, &frames(2)).is_err(), "what was refused could come back beside it");
    disk.0.fail_truncate.store(false, SeqCst);
    assert_eq!(fill(&spool, &frames(2)), 9);
    assert_eq!(ordinals(&spool), [1, 2, 3, 8, 9]);
    spool.close();
    let (spool, _) = open(dir.path(), 10_000);
    assert_eq!(ordinals(&spool), [1, 2, 3, 8, 9]);
    spool.close();
}

/// The cut had its own sync: it failed, took the records before the refused ones with it, and the next sync worked.
#[test]
fn a_failed_sync_of_a_cut_gives_up_what_was_not_synced_before_it() {
    for planned_before in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (disk, spool) = by_hand(dir.path(), 10_000);
        append(&spool, &frames(3)).unwrap();
        let group = planned_before.then(|| sync::plan(&spool.shared));
        disk.0.room.store(10, SeqCst);
        disk.0.fail_truncate.store(true, SeqCst);
        append(&spool, &frames(1)).unwrap_err();
        disk.0.room.store(u64::MAX, SeqCst);
        disk.0.fail_truncate.store(false, SeqCst);
        disk.0.fail_sync.store(true, SeqCst);
        append(&spool, &frames(1)).unwrap_err();
        disk.0.fail_sync.store(false, SeqCst);
        let again = append(&spool, &frames(1)).unwrap();
        for group in group.into_iter().chain([sync::plan(&spool.shared)]) {
            let result = sync::sync(&spool.shared, &group);
            sync::settle(&spool.shared, &group, &result, Duration::ZERO);
        }
        let outcomes = [1, 2, 3, again].map(|ordinal| spool.outcome(ordinal));
        assert_eq!(outcomes, [Outcome::GivenUp, Outcome::GivenUp, Outcome::GivenUp, Outcome::Synced]);
        assert_eq!((ordinals(&spool), spool.stats().given_up_records), (vec![again], 3));
        spool.close();
        let (spool, recovery) = open(dir.path(), 10_000);
        assert_eq!((ordinals(&spool), recovery.damaged_records), (vec![again], 0));
        spool.close();
    }
}

#[test]
fn the_directory_is_synced_for_a_new_segment_and_for_a_deleted_one() {
    let (_dir, disk, spool) = faulty(100);
    spool.register("only", 0);
    let syncs = || disk.0.dir_syncs.load(SeqCst);
    let before = syncs();
    fill(&spool, &[vec![1; 90]]);
    assert!(syncs() > before, "a segment was made");
    fill(&spool, &[vec![1; 90]]);
    let before = syncs();
    spool.release("only", 2);
    wait_until("the deletion is synced", || syncs() > before);
    spool.close();
}

/// A spool without a thread, which syncs when told to.
fn by_hand(dir: &Path, segment_bytes: u64) -> (FaultyDisk, Spool) {
    let disk = FaultyDisk::new();
    let files = Arc::new(disk.clone());
    let (spool, _) = Spool::open_unsynced(files, dir, options(segment_bytes, 1 << 20)).unwrap();
    (disk, spool)
}

/// Syncs a group, or fails to; runs `before` before anybody is told.
fn settle(disk: &FaultyDisk, spool: &Spool, works: bool, before: impl FnOnce()) {
    let group = sync::plan(&spool.shared);
    disk.0.fail_sync.store(!works, SeqCst);
    let result = sync::sync(&spool.shared, &group);
    disk.0.fail_sync.store(false, SeqCst);
    before();
    sync::settle(&spool.shared, &group, &result, Duration::ZERO);
}

/// The older one was cut first: that failed, a start found the newer ones and trusted the length of the older.
#[test]
fn what_was_given_up_is_cut_off_from_the_end_on() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = by_hand(dir.path(), 200);
    append(&spool, &[vec![1; 50]]).unwrap();
    settle(&disk, &spool, true, || {});
    (0..3).for_each(|_| _ = append(&spool, &[vec![1; 50]]).unwrap());
    assert_eq!(segments(dir.path()).len(), 2);
    disk.0.fail_truncate.store(true, SeqCst);
    settle(&disk, &spool, false, || {});
    assert_eq!(segments(dir.path()).len(), 1, "the newer one is gone, the older one not cut");
    assert!(append(&spool, &frames(1)).is_err());
    disk.0.fail_truncate.store(false, SeqCst);
    assert_eq!(append(&spool, &frames(1)).unwrap(), 5);
    settle(&disk, &spool, true, || {});
    assert_eq!(ordinals(&spool), [1, 5]);
    spool.close();
}

/// A later sync, of the directory alone, counted for them: the next start trusted what had not been synced.
#[test]
fn what_is_not_cut_off_at_the_end_is_not_called_safe() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = by_hand(dir.path(), 200);
    append(&spool, &[vec![1; 50]]).unwrap();
    settle(&disk, &spool, true, || {});
    append(&spool, &[vec![1; 50]]).unwrap();
    disk.0.fail_truncate.store(true, SeqCst);
    settle(&disk, &spool, false, || _ = append(&spool, &[vec![1; 50]]).unwrap());
    settle(&disk, &spool, true, || {});
    assert_eq!([2, 3].map(|lost| spool.outcome(lost)), [Outcome::GivenUp; 2]);
    spool.close();
    disk.0.fail_truncate.store(false, SeqCst);
    let (_, safe, _) = Checkpoint::<Meta>::load(dir.path(), "meta").unwrap();
    assert!(safe < 2, "safe through {safe}");
}

/// Both were gone after a power cut that took the new one's name: ordinals began again below what consumers had read.
#[test]
fn the_last_segment_is_deleted_only_once_the_next_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let spool = disk.open_spool(dir.path(), options(300, 400));
    spool.register("only", 0);
    let last = fill(&spool, &[vec![1; 250]]);
    spool.release("only", last);
    for fault in [&disk.0.fail_dir_sync, &disk.0.fail_sync] {
        fault.store(true, SeqCst);
        append(&spool, &[vec![2; 250]]).unwrap_err();
        assert_eq!(segments(dir.path())[0].file_stem().unwrap(), "00000000000000000001");
        fault.store(false, SeqCst);
    }
    assert!(fill(&spool, &[vec![2; 250]]) > last);
    assert_eq!(segments(dir.path()).len(), 1);
    spool.close();
}

#[test]
fn a_failed_sync_of_a_buffered_spool_is_counted_and_loses_nothing_here() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let buffered = SpoolOptions { durability: Durability::Buffered, ..SpoolOptions::default() };
    let spool = disk.open_spool(dir.path(), buffered);
    append(&spool, &frames(1)).unwrap();
    disk.0.fail_sync.store(true, SeqCst);
    append(&spool, &frames(2)).unwrap();
    wait_until("the sync fails", || spool.stats().failed_syncs > 0);
    disk.0.fail_sync.store(false, SeqCst);
    append(&spool, &frames(3)).unwrap();
    assert_eq!(ordinals(&spool), [1, 2, 3, 4, 5, 6]);
    spool.close();
    assert_eq!(spool.stats().given_up_records, 0);
    let (spool, _) = open(dir.path(), 1000);
    assert_eq!(ordinals(&spool), [1, 2, 3, 4, 5, 6]);
    spool.close();
}

#[test]
fn a_sector_that_cannot_be_read_costs_the_records_around_it() {
    let (_dir, disk, spool) = faulty(1 << 18);
    fill(&spool, &vec![vec![7; 1000]; 40]);
    disk.0.bad_offset.store(20_000, SeqCst);
    let found = ordinals(&spool);
    assert!((34..=36).contains(&found.len()), "4096 bytes of records of 1024: {found:?}");
    assert_eq!(found.last(), Some(&40));
    assert_eq!(spool.stats().damaged_records, 40 - u64::try_from(found.len()).unwrap());
    spool.close();
}

/// Runs `act` with a disk that syncs no file, then with one that syncs no directory.
fn each_sync_fails(act: impl Fn(&FaultyDisk, bool) -> bool) {
    for directory in [false, true] {
        let disk = FaultyDisk::new();
        let fault = if directory { &disk.0.fail_dir_sync } else { &disk.0.fail_sync };
        fault.store(true, SeqCst);
        assert!(!act(&disk, directory), "succeeded without a sync, of the directory: {directory}");
        fault.store(false, SeqCst);
        assert!(act(&disk, directory), "fails for another reason, of the directory: {directory}");
    }
}

#[test]
fn what_opening_finds_is_synced_before_anybody_sees_it() {
    let (dir, _, spool) = faulty(1000);
    fill(&spool, &frames(3));
    spool.close();
    each_sync_fails(|disk, _| {
        let opened = Spool::open_with(Arc::new(disk.clone()), dir.path(), SpoolOptions::default());
        opened.map(|(spool, _)| spool.close()).is_ok()
    });
}

/// A cut had been lost with its failed sync, and after the next start and a power cut what was cut off was there again.
#[test]
fn a_start_says_the_length_of_the_last_segment_again() {
    let (dir, disk, spool) = faulty(1000);
    fill(&spool, &frames(3));
    spool.close();
    disk.0.fail_truncate.store(true, SeqCst);
    let open = || Spool::open_with(Arc::new(disk.clone()), dir.path(), SpoolOptions::default());
    assert!(open().is_err());
    disk.0.fail_truncate.store(false, SeqCst);
    open().unwrap().0.close();
}

#[test]
fn a_checkpoint_is_saved_only_once_it_is_synced() {
    each_sync_fails(|disk, directory| {
        let dir = tempfile::tempdir().unwrap();
        let fails = disk.0.fail_dir_sync.swap(false, SeqCst);
        let (mut checkpoint, ..) =
            Checkpoint::<u64>::load_with(Arc::new(disk.clone()), dir.path(), "output").unwrap();
        disk.0.fail_dir_sync.store(directory && fails, SeqCst);
        checkpoint.save(1, &1).is_ok()
    });
}

#[test]
fn a_save_that_fails_leaves_the_checkpoint_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let load = || Checkpoint::<u64>::load_with(Arc::new(disk.clone()), dir.path(), "output").unwrap();
    let (mut checkpoint, ..) = load();
    checkpoint.save(1, &10).unwrap();
    for room in 0..29 {
        disk.0.room.store(room, SeqCst);
        checkpoint.save(2, &20).unwrap_err();
        disk.0.room.store(u64::MAX, SeqCst);
        assert_eq!((load().1, load().2), (1, 10), "room for {room} bytes");
    }
    disk.0.room.store(u64::MAX, SeqCst);
    checkpoint.save(3, &30).unwrap();
    assert_eq!((load().1, load().2), (3, 30));
}

#[test]
fn damaged_bytes_count_as_kept_only_once_they_are_synced() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("damaged")).unwrap();
    each_sync_fails(|disk, directory| {
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let segment = files.create(&dir.path().join("segment")).unwrap();
        let damaged = Damaged::new(files, dir.path());
        let damage = Damage { start: if directory { 50 } else { 60 }, end: 70, records: 1 };
        let before = disk.0.dir_syncs.load(SeqCst);
        let kept = damaged.keep(1, &damage, &*segment);
        // The spool's directory for `damaged/`, and that one for the copy.
        matches!(kept, Ok(Some(_))) && disk.0.dir_syncs.load(SeqCst) == before + 2
    });
}
