//! Uses a spool as daemons do, over the simulated file system, and knows at any time what has to be there.
//!
//! Producers append and append again what was refused, given up or lost before it was acknowledged, as a link's sender
//! does. Consumers read, save checkpoints that hold all they have read, and release. Syncs are planned, done and
//! settled with other steps in between. The system stops at any call; what is then found must be what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::simulated::{Random, Simulated, Skip};
use super::sync::{self, Group};
use super::*;

const DIR: &str = "/data/spool";
const CHECKPOINTS: &str = "/data/checkpoints";
/// Of a segment.
const HEADER_LENGTH: usize = 48;

/// Every record that a consumer has read: ordinal and identity.
type State = Vec<(u64, u32)>;

/// What went wrong, as a sentence.
type Check = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}

/// What a model does and how the disk behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) lives: usize,
    pub(super) skip: Option<Skip>,
}

/// What happened while a model ran.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) crashes: u64,
    /// Crashes with changes that were not durable; their disks, told apart by content.
    pub(super) pending: BTreeSet<u64>,
    pub(super) changes: u64,
    pub(super) calls: u64,
    pub(super) faults: u64,
    pub(super) flips: u64,
    pub(super) appended: u64,
    pub(super) acknowledged: u64,
}

impl Tally {
    pub(super) fn add(&mut self, mut other: Tally) {
        self.crashes += other.crashes;
        self.pending.append(&mut other.pending);
        self.changes += other.changes;
        self.calls += other.calls;
        self.faults += other.faults;
        self.flips += other.flips;
        self.appended += other.appended;
        self.acknowledged += other.acknowledged;
    }
}

struct Consumer {
    name: &'static str,
    place: u64,
    state: State,
    /// What the checkpoint can hold: the last save that worked, then those that failed since.
    saves: Vec<(u64, State)>,
    running: Option<(Checkpoint<State>, Reader)>,
}

/// A sync under way.
enum Stage {
    Idle,
    Planned(Planned),
    Done(Planned, io::Result<()>),
}

/// A planned group, and what it promises once it has worked.
struct Planned {
    group: Group,
    /// Buffered records that it makes safe.
    safe: Vec<u64>,
    /// Segments below this were deleted before.
    oldest: u64,
}

/// A spool, its users, and what they were told.
pub(super) struct Model {
    random: Random,
    system: Simulated,
    options: SpoolOptions,
    spool: Option<Spool>,
    consumers: Vec<Consumer>,
    stage: Stage,
    next_id: u32,
    /// Not acknowledged and not known to be in the spool: to be appended (again).
    retry: Vec<u32>,
    /// Appended and not settled.
    waiting: BTreeMap<u64, u32>,
    /// Acknowledged or read: there for ever, under this ordinal.
    acknowledged: BTreeMap<u64, u32>,
    by_id: BTreeMap<u32, u64>,
    /// Ordinals that anybody has read or was acknowledged, whatever came of them.
    used: BTreeMap<u64, u32>,
    /// Buffered: acknowledged, but a power cut may take it.
    unsafe_yet: BTreeSet<u64>,
    /// The same for good: a sync has failed.
    never_safe: BTreeSet<u64>,
    /// Hit by a flipped bit.
    forgiven: BTreeSet<u64>,
    flipped: BTreeSet<(PathBuf, usize)>,
    /// Segments below this were deleted, and the deletion was synced.
    deleted_below: u64,
    /// So many had failed when the spool was opened.
    failed_removals: u64,
    /// Copies of damaged bytes that a start has reported.
    set_aside: BTreeMap<PathBuf, Vec<u8>>,
    flips: bool,
    pub(super) tally: Tally,
}

fn frame(id: u32) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((0..id % 37).map(|n| u8::try_from((id + n) % 251).unwrap()));
    bytes
}

fn tag(id: u32) -> Option<LinkTag> {
    let sender = SenderId { id: [3; 16], incarnation: 1 };
    id.is_multiple_of(3).then(|| LinkTag { sender, sequence: u64::from(id) })
}

fn identity(record: &Record) -> Result<u32, String> {
    let id = record.frame.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let known = id.filter(|id| record.frame == frame(*id) && record.link == tag(*id));
    known.ok_or_else(|| format!("record {} was never written: {:?}", record.ordinal, record.frame))
}

impl Model {
    pub(super) fn new(plan: Plan) -> Model {
        let mut random = Random(plan.seed);
        let buffered = random.one_in(4);
        let options = SpoolOptions {
            segment_bytes: u64::try_from(120 + random.below(400)).unwrap(),
            max_bytes: u64::try_from(1200 + random.below(4000)).unwrap(),
            durability: if buffered { Durability::Buffered } else { Durability::Sync },
        };
        let fault_odds = if random.one_in(3) { 0 } else { 8 + random.below(60) };
        let flips = random.one_in(4);
        let system = Simulated::new(random.next(), fault_odds, plan.skip);
        let consumers = ["forward", "rollup"].map(|name| Consumer {
            name,
            place: 0,
            state: State::new(),
            saves: vec![(0, State::new())],
            running: None,
        });
        Model {
            random,
            system,
            options,
            spool: None,
            consumers: consumers.into(),
            stage: Stage::Idle,
            next_id: 0,
            retry: Vec::new(),
            waiting: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            by_id: BTreeMap::new(),
            used: BTreeMap::new(),
            unsafe_yet: BTreeSet::new(),
            never_safe: BTreeSet::new(),
            forgiven: BTreeSet::new(),
            flipped: BTreeSet::new(),
            deleted_below: 0,
            failed_removals: 0,
            set_aside: BTreeMap::new(),
            flips,
            tally: Tally::default(),
        }
    }

    /// Runs a plan to its end: so many lives, each ended by a crash, and one that ends in order.
    pub(super) fn run(plan: Plan) -> Result<Tally, String> {
        let mut model = Model::new(plan);
        for life in 0..plan.lives {
            // Some stop while the spool is opened.
            let most = if model.random.one_in(3) { 12 } else { 120 };
            let calls = 1 + model.random.below(most);
            model.system.restart(u64::try_from(calls).unwrap());
            model.live().map_err(|error| format!("seed {}, life {life}: {error}", plan.seed))?;
            model.crash();
        }
        model.system.restart(u64::MAX / 2);
        model.live().map_err(|error| format!("seed {}, last life: {error}", plan.seed))?;
        model.drain().map_err(|error| format!("seed {}, at the end: {error}", plan.seed))?;
        model.tally.calls = model.system.calls();
        model.tally.faults = model.system.faults();
        Ok(model.tally)
    }

    /// Opens, checks, and works until the system stops, or long enough.
    fn live(&mut self) -> Check {
        self.open()?;
        for _ in 0..150 {
            if self.system.stopped() {
                return Ok(());
            }
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Check {
        match self.random.below(12) {
            0..4 => self.append(),
            4..8 => self.sync_on(),
            8 => self.consume(0),
            9 => self.consume(1),
            10 => self.save(),
            _ if self.random.one_in(8) => self.reopen(),
            _ => self.append(),
        }
    }

    /// A process that ends, or a power cut.
    fn crash(&mut self) {
        let (pending, disk) = self.system.pending();
        self.tally.crashes += 1;
        if pending > 0 {
            self.tally.pending.insert(disk);
            self.tally.changes += u64::try_from(pending).unwrap();
        }
        self.end();
        self.system.kill();
        if self.flips && self.random.one_in(4) {
            self.flip_a_bit();
        }
        if self.random.one_in(3) {
            return;
        }
        self.system.power_cut();
        self.unsafe_yet.append(&mut self.never_safe);
        for ordinal in std::mem::take(&mut self.unsafe_yet) {
            if let Some(id) = self.acknowledged.remove(&ordinal) {
                self.by_id.remove(&id);
                // The producer was told, and will not send it again. It may be there or not.
                self.waiting.insert(ordinal, id);
            }
        }
    }

    fn end(&mut self) {
        self.spool = None;
        self.stage = Stage::Idle;
        self.consumers.iter_mut().for_each(|consumer| consumer.running = None);
    }

    fn open(&mut self) -> Check {
        while !self.system.stopped() {
            self.failed_removals = self.system.failed_removals();
            let files = Arc::new(self.system.clone());
            match Spool::open_unsynced(files, Path::new(DIR), self.options) {
                Err(SpoolError::Locked { .. }) => return Err("the lock is held".to_owned()),
                // Refused by the disk: the next start tries again.
                Err(_) => {
                    // Buffered: a sync that fails here can cost what none had made safe.
                    self.forgiven.extend(self.unsafe_yet.iter().chain(&self.never_safe));
                    continue;
                }
                Ok((spool, recovery)) => {
                    self.spool = Some(spool);
                    self.check_copies()?;
                    for path in recovery.set_aside {
                        let content = self.system.content(&path);
                        ensure!(content.is_some(), "{} is reported and not there", path.display());
                        self.set_aside.extend(content.map(|content| (path, content)));
                    }
                }
            }
            if self.load()? && !self.system.stopped() {
                self.check_content()?;
                return Ok(());
            }
            self.end();
        }
        Ok(())
    }

    /// Loads the checkpoints; `false` when the disk refuses.
    fn load(&mut self) -> Result<bool, String> {
        for index in 0..self.consumers.len() {
            let consumer = &mut self.consumers[index];
            let files = Arc::new(self.system.clone());
            let loaded = Checkpoint::<State>::load_with(files, Path::new(CHECKPOINTS), consumer.name);
            let Ok((checkpoint, place, state)) = loaded else { return Ok(false) };
            let known = consumer.saves.iter().any(|save| *save == (place, state.clone()));
            let least = consumer.saves[0].0;
            ensure!(known, "{} stands at {place} {state:?}, saved was {:?}", consumer.name, consumer.saves);
            ensure!(place >= least, "{} went back to {place}, saved was {least}", consumer.name);
            consumer.saves = vec![(place, state.clone())];
            (consumer.place, consumer.state) = (place, state);
            let Some(spool) = &self.spool else { return Ok(false) };
            spool.register(consumer.name, place);
            consumer.running = Some((checkpoint, spool.reader(place + 1)));
        }
        Ok(true)
    }

    /// After a start: what was acknowledged is there once, and what is there has been written.
    fn check_content(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let needed = self.consumers.iter().map(|consumer| consumer.place).min().unwrap_or(0) + 1;
        let found = testing::read_all(&spool, 1);
        if self.system.stopped() {
            return Ok(());
        }
        let mut there = BTreeMap::new();
        for record in &found {
            let (ordinal, id) = (record.ordinal, identity(record)?);
            ensure!(ordinal >= self.deleted_below, "record {ordinal} came back, its segment was deleted");
            ensure!(there.insert(ordinal, id).is_none(), "record {ordinal} is read twice");
            self.settle(ordinal, id)?;
        }
        ensure!(
            there.len() == found.len() && found.is_sorted_by_key(|record| record.ordinal),
            "out of order"
        );
        for (ordinal, id) in self.acknowledged.range(needed..) {
            let kept = there.get(ordinal) == Some(id) || self.forgiven.contains(ordinal);
            ensure!(kept, "record {ordinal} ({id}) was acknowledged and is gone");
        }
        // What is there has been synced by now, buffered or not.
        self.unsafe_yet.clear();
        self.never_safe.clear();
        // What is not there was never acknowledged, or never synced: its producer sends it again, if it was not told.
        for (ordinal, id) in std::mem::take(&mut self.waiting) {
            if !self.by_id.contains_key(&id) && !self.used.contains_key(&ordinal) {
                self.retry.push(id);
            }
        }
        Ok(())
    }

    /// Takes note that a record is there for good.
    fn settle(&mut self, ordinal: u64, id: u32) -> Check {
        if let Some(before) = self.used.insert(ordinal, id) {
            ensure!(before == id, "ordinal {ordinal} was of {before} and is of {id} now");
        }
        if let Some(before) = self.by_id.insert(id, ordinal) {
            ensure!(before == ordinal, "{id} is there twice, as {before} and {ordinal}");
        }
        self.waiting.remove(&ordinal);
        self.retry.retain(|other| *other != id);
        self.acknowledged.insert(ordinal, id);
        Ok(())
    }

    fn check_copies(&self) -> Check {
        for (path, content) in &self.set_aside {
            let kept = self.system.content(path).as_ref() == Some(content);
            ensure!(kept || self.system.stopped(), "{} was set aside and is not as it was", path.display());
        }
        Ok(())
    }

    fn append(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let ids: Vec<u32> = (0..=self.random.below(4)).map(|_| self.take_id()).collect();
        let frames: Vec<_> = ids.iter().map(|id| (tag(*id), frame(*id))).collect();
        let records: Vec<_> = frames.iter().map(|(link, frame)| NewRecord { link: *link, frame }).collect();
        let Ok(last) = spool.append(&records) else {
            self.retry.extend(ids);
            return Ok(());
        };
        let first = last + 1 - u64::try_from(ids.len()).unwrap();
        let last_of = |map: &BTreeMap<u64, u32>| map.last_key_value().map_or(0, |(ordinal, _)| *ordinal);
        let highest = last_of(&self.used).max(last_of(&self.waiting));
        ensure!(first > highest, "ordinal {first} is given, {highest} was before");
        self.tally.appended += u64::try_from(ids.len()).unwrap();
        self.waiting.extend((first..).zip(ids));
        if self.options.durability == Durability::Buffered {
            self.unsafe_yet.extend(first..=last);
        }
        self.hear()
    }

    fn take_id(&mut self) -> u32 {
        if self.retry.is_empty() {
            self.next_id += 1;
            return self.next_id;
        }
        self.retry.swap_remove(self.random.below(self.retry.len()))
    }

    /// Asks what became of the records that wait.
    fn hear(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        for (ordinal, id) in self.waiting.clone() {
            match spool.outcome(ordinal) {
                Outcome::Waiting => {}
                Outcome::Synced => {
                    self.tally.acknowledged += 1;
                    self.settle(ordinal, id)?;
                }
                Outcome::GivenUp => {
                    self.waiting.remove(&ordinal);
                    self.retry.push(id);
                }
            }
        }
        Ok(())
    }

    /// Takes the sync one step on.
    fn sync_on(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let shared = &*spool.shared;
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        self.stage = match stage {
            Stage::Idle if sync::has_work(shared, &handle::lock(&shared.index)) => {
                let safe = self.unsafe_yet.iter().copied().collect();
                Stage::Planned(Planned { group: sync::plan(shared), safe, oldest: spool.stats().oldest })
            }
            Stage::Idle => Stage::Idle,
            Stage::Planned(planned) => {
                let result = sync::sync(shared, &planned.group);
                if result.is_err() {
                    // Buffered: even a reader of this life can miss what the kernel has dropped. Else none had been told.
                    self.forgiven.extend(&self.unsafe_yet);
                }
                Stage::Done(planned, result)
            }
            Stage::Done(planned, result) => {
                sync::settle(shared, &planned.group, &result, Duration::ZERO);
                self.note(&planned, result.is_ok());
                Stage::Idle
            }
        };
        self.hear()
    }

    /// Takes note of what a settled group means for the crashes to come.
    fn note(&mut self, planned: &Planned, worked: bool) {
        if !worked {
            // Buffered records that were written by now are told as safe no more, whatever a later sync says.
            self.never_safe.append(&mut self.unsafe_yet);
            return;
        }
        planned.safe.iter().for_each(|ordinal| _ = self.unsafe_yet.remove(ordinal));
        if planned.group.directory && self.system.failed_removals() == self.failed_removals {
            self.deleted_below = self.deleted_below.max(planned.oldest);
        }
    }

    fn consume(&mut self, index: usize) -> Check {
        let Some((_, reader)) = self.consumers[index].running.as_mut() else { return Ok(()) };
        for record in reader.next(150, Duration::ZERO) {
            let (ordinal, id) = (record.ordinal, identity(&record)?);
            self.settle(ordinal, id)?;
            let consumer = &mut self.consumers[index];
            let skipped: Vec<u64> =
                self.acknowledged.range(consumer.place + 1..ordinal).map(|(o, _)| *o).collect();
            let lost = skipped.iter().find(|ordinal| !self.forgiven.contains(ordinal));
            ensure!(
                lost.is_none(),
                "{} goes from {} to {ordinal}, skips {lost:?}",
                consumer.name,
                consumer.place
            );
            ensure!(ordinal > consumer.place, "{} reads {ordinal} again", consumer.name);
            ensure!(
                consumer.state.iter().all(|(_, other)| *other != id),
                "{} reads {id} twice",
                consumer.name
            );
            consumer.place = ordinal;
            consumer.state.push((ordinal, id));
        }
        Ok(())
    }

    fn save(&mut self) -> Check {
        let index = self.random.below(self.consumers.len());
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        let Consumer { name, place, state, saves, running } = &mut self.consumers[index];
        let Some((checkpoint, _)) = running.as_mut() else { return Ok(()) };
        saves.push((*place, state.clone()));
        if checkpoint.save(*place, state).is_ok() {
            saves.drain(..saves.len() - 1);
            spool.release(name, *place);
        }
        Ok(())
    }

    /// An orderly end and a new start.
    fn reopen(&mut self) -> Check {
        let Some(spool) = self.spool.clone() else { return Ok(()) };
        for _ in 0..100 {
            let busy = sync::has_work(&spool.shared, &handle::lock(&spool.shared.index));
            if matches!(self.stage, Stage::Idle) && !busy {
                break;
            }
            self.sync_on()?;
        }
        spool.close();
        drop(spool);
        self.end();
        self.open()
    }

    /// Damages a segment that is at rest, and forgives what that hits.
    fn flip_a_bit(&mut self) {
        let segments = self.system.segments();
        if segments.is_empty() {
            return;
        }
        let index = self.random.below(segments.len());
        let (first, path) = &segments[index];
        let next = segments.get(index + 1).map_or(u64::MAX, |(next, _)| *next);
        let content = self.system.content(path).unwrap_or_default();
        let at = self.random.below(content.len());
        if content.is_empty() || !self.system.at_rest(path) || !self.flipped.insert((path.clone(), at)) {
            return;
        }
        self.system.flip(path, at);
        self.tally.flips += 1;
        if at < HEADER_LENGTH {
            self.forgiven.extend(self.acknowledged.range(first..&next).map(|(ordinal, _)| *ordinal));
        } else {
            self.forgiven.extend(record_at(&content, at));
        }
    }

    /// An orderly end, a last start, and all read by all.
    fn drain(&mut self) -> Check {
        self.reopen()?;
        for index in 0..self.consumers.len() {
            let mut place = None;
            while place != Some(self.consumers[index].place) {
                place = Some(self.consumers[index].place);
                self.consume(index)?;
            }
            let Consumer { name, state, .. } = &self.consumers[index];
            let read: BTreeMap<u64, u32> = state.iter().copied().collect();
            for (ordinal, id) in &self.acknowledged {
                let there = read.get(ordinal) == Some(id) || self.forgiven.contains(ordinal);
                ensure!(there, "{name} has never read {ordinal} ({id})");
            }
        }
        Ok(())
    }
}

/// Ordinal of the record that covers an offset of a segment, going by the lengths.
fn record_at(content: &[u8], at: usize) -> Option<u64> {
    let mut rest = content.get(HEADER_LENGTH..)?;
    let mut start = HEADER_LENGTH;
    loop {
        let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?;
        let ordinal = u64::from_le_bytes(*rest.get(4..)?.first_chunk()?);
        if length == 0 || at < start + length {
            return Some(ordinal);
        }
        start += length;
        rest = rest.get(length..)?;
    }
}
