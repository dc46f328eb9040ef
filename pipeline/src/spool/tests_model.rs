//! The model of the spool (model.rs) over many seeds; and that it finds each sync, rename and checksum taken out.
//!
//! `METLOG_TORTURE_SECONDS` makes it run so long, `METLOG_SEED` begins elsewhere: a failure names its seed.

use std::time::{Duration, Instant};

use super::check::{Sum, blind};
use super::model::{Model, Plan, Tally};
use super::simulated::{Call, Entry, Phase, Skip};

/// Crashes of one run.
const LIVES: usize = 12;

/// Seeds of the short form, and the different disks with pending changes that it crashes at least.
const SHORT: u64 = 100;
const DISKS: usize = 10_000;

/// Within so many seeds a call or a checksum taken out must be noticed.
const SEEDS: u64 = 300;

fn run(seed: u64, skip: Option<Skip>) -> Result<Tally, String> {
    Model::run(Plan { seed, lives: LIVES, skip })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn no_crash_loses_or_repeats_what_was_acknowledged() {
    let torture = number("METLOG_TORTURE_SECONDS").map(Duration::from_secs);
    let first = number("METLOG_SEED").unwrap_or(0);
    let (start, mut total, mut seeds) = (Instant::now(), Tally::default(), 0);
    while torture.map_or(seeds < SHORT, |long| start.elapsed() < long) {
        let tally = run(first + seeds, None).unwrap_or_else(|error| panic!("{error}"));
        total.add(tally);
        seeds += 1;
    }
    eprintln!(
        "{seeds} seeds from {first}: {} crashes, {} different disks with {} pending changes; {} calls, {} faults, \
         {} flipped bits; {} records appended, {} acknowledged; none lost, none repeated",
        total.crashes,
        total.pending.len(),
        total.changes,
        total.calls,
        total.faults,
        total.flips,
        total.appended,
        total.acknowledged,
    );
    assert!(torture.is_some() || total.pending.len() >= DISKS, "{} different disks", total.pending.len());
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}

/// The seed that notices, and what it says.
fn found(skip: Option<Skip>) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| run(seed, skip).err().map(|error| (seed, error)))
}

/// Each place at which the spool asks for one. `during` tells places apart that ask for the same: a group's sync of a
/// segment, that of a cut, that of a start. Too rare for it are the syncs of a segment begun to make room: tests_faults.rs.
#[test]
fn each_sync_rename_and_removal_taken_out_is_noticed() {
    for (call, during) in [
        (Call::SyncOfSegment, Some(Phase::Sync)),
        (Call::SyncOfSegment, Some(Phase::Append)),
        (Call::SyncOfSegment, Some(Phase::Open)),
        (Call::SyncOfLostSegment, None),
        (Call::SyncOfCheckpoint, Some(Phase::Save)),
        (Call::SyncOfCheckpoint, Some(Phase::Load)),
        (Call::SyncOfMeta, Some(Phase::Open)),
        (Call::SyncOfMeta, Some(Phase::Append)),
        (Call::SyncOfDamage, None),
        (Call::Rename, None),
        (Call::Removal, Some(Phase::Append)),
        (Call::DirAfter(Entry::Segment), Some(Phase::Sync)),
        (Call::DirAfter(Entry::Segment), Some(Phase::Open)),
        (Call::DirAfter(Entry::Checkpoint), Some(Phase::Save)),
        (Call::DirAfter(Entry::Checkpoint), Some(Phase::Load)),
        (Call::DirAfter(Entry::Checkpoint), Some(Phase::Open)),
        (Call::DirAfter(Entry::Damage), None),
        (Call::DirAfter(Entry::Directory), None),
        (Call::DirAfter(Entry::Renamed), None),
        (Call::DirAfter(Entry::Removed), Some(Phase::Sync)),
        (Call::DirAfter(Entry::Removed), Some(Phase::Append)),
    ] {
        let skip = Skip { call, during };
        let (seed, error) =
            found(Some(skip)).unwrap_or_else(|| panic!("{skip:?} does nothing, and nobody notices"));
        eprintln!("{skip:?}: {error:.120} (after {seed} seeds)");
    }
}

/// The check of a record's head only saves time: the record's own check covers the same bytes.
#[test]
fn each_checksum_taken_out_is_noticed() {
    for sum in [Sum::Record, Sum::Segment, Sum::Checkpoint] {
        blind(Some(sum));
        let noticed = found(None);
        blind(None);
        let (seed, error) = noticed.unwrap_or_else(|| panic!("{sum:?} is not checked, and nobody notices"));
        eprintln!("{sum:?}: {error:.120} (after {seed} seeds)");
    }
}
