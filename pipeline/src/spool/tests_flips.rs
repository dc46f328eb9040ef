//! Every bit of a small spool of several segments turned over, and every file of it cut at every byte: it opens, tells it,
//! and loses what was hit. The disk is the simulated one, which makes 6,000 spools a matter of seconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use super::record::encoded_length;
use super::segment::HEADER_BYTES;
use super::simulated::Simulated;
use super::testing::*;
use super::*;

const DIR: &str = "/spool";

/// Where each record lies: its segment, and its first byte and the one behind it.
type Map = BTreeMap<u64, (PathBuf, std::ops::Range<usize>)>;

fn open_in(system: &Simulated) -> (Spool, Recovery) {
    Spool::open_unsynced(Arc::new(system.clone()), Path::new(DIR), options(150, 1 << 20)).unwrap()
}

/// A closed spool of more than two segments.
fn closed_spool() -> (Simulated, Map) {
    let system = Simulated::new(1, 0, None);
    let (spool, _) = open_in(&system);
    let mut map = Map::new();
    for frame in frames(8) {
        let ordinal = append(&spool, std::slice::from_ref(&frame)).unwrap();
        let (_, path) = system.segments().pop().unwrap();
        let end = system.content(&path).unwrap().len();
        let length = encoded_length(&NewRecord { link: None, frame: &frame });
        map.insert(ordinal, (path, end - usize::try_from(length).unwrap()..end));
    }
    let group = sync::plan(&spool.shared);
    sync::settle(&spool.shared, &group, &sync::sync(&spool.shared, &group), PATIENCE);
    spool.close();
    assert!(system.segments().len() > 2);
    (system, map)
}

/// The files of the spool and their lengths.
fn files(system: &Simulated) -> Vec<(PathBuf, usize)> {
    let meta = ["meta.0", "meta.1"].map(|name| Path::new(DIR).join(name));
    let paths = system.segments().into_iter().map(|(_, path)| path).chain(meta);
    paths.map(|path| (path.clone(), system.content(&path).unwrap().len())).collect()
}

/// Opens and reads the damaged spool: it must hold all but these, and go on past all ordinals. Whether it told of it.
fn check(system: &Simulated, lost: &[u64], what: &str) -> bool {
    let (spool, recovery) = open_in(system);
    let found: Vec<u64> = read_all(&spool, 1).iter().map(|record| record.ordinal).collect();
    let expected: Vec<u64> = (1..=8).filter(|ordinal| !lost.contains(ordinal)).collect();
    assert_eq!(found, expected, "{what}");
    assert!(append(&spool, &frames(1)).unwrap() > 8, "{what}");
    spool.close();
    let stats = spool.stats();
    let bytes = recovery.torn_bytes + recovery.damaged_bytes + stats.damaged_bytes;
    recovery.damaged_records + stats.damaged_records + bytes > 0 || !recovery.warnings.is_empty()
}

#[test]
fn a_bit_turned_over_anywhere_costs_what_it_hit() {
    let (source, map) = closed_spool();
    for (path, length) in files(&source) {
        for (at, bit) in (0..length).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let system = source.copy();
            system.flip(&path, at, bit);
            let in_header = u64::try_from(at).unwrap() < HEADER_BYTES;
            let hit =
                map.iter().filter(|(_, (file, range))| *file == path && (in_header || range.contains(&at)));
            let lost: Vec<u64> = hit.map(|(ordinal, _)| *ordinal).collect();
            let what = format!("bit {bit} of byte {at} of {}", path.display());
            assert!(check(&system, &lost, &what), "{what}: nothing is told");
        }
    }
}

#[test]
fn a_file_cut_anywhere_costs_what_was_behind_the_cut() {
    let (source, map) = closed_spool();
    for (path, length) in files(&source) {
        for cut in 0..length {
            let system = source.copy();
            system.open(&path).unwrap().truncate(u64::try_from(cut).unwrap()).unwrap();
            let hit = map.iter().filter(|(_, (file, range))| *file == path && range.end > cut);
            let lost: Vec<u64> = hit.map(|(ordinal, _)| *ordinal).collect();
            let what = format!("{} cut at {cut}", path.display());
            // Between records of an older segment a cut looks like ordinals that were given up.
            let between = map.values().any(|(file, range)| *file == path && range.start == cut);
            assert!(check(&system, &lost, &what) || between, "{what}: nothing is told");
        }
    }
}
