//! Uses a spool as daemons do, over the simulated file system, and knows at any time what has to be there.
//!
//! Producers append and append again what was refused, given up or lost before it was acknowledged, as a link's sender
//! does. Consumers read, save checkpoints that hold all they have read, and release. Syncs are planned, done and
//! settled with other steps in between. The system stops at any call; what is then found must be what was promised.

mod consumers;
mod flips;
mod forks;
mod producers;
mod records;
mod starts;
mod syncs;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::simulated::{Random, Simulated, Skip};
use super::{Durability, Spool, SpoolOptions};
use consumers::Consumer;
use syncs::Stage;
pub(super) use tally::Tally;

/// Of a segment.
const HEADER_LENGTH: usize = 48;

/// What went wrong, as a sentence.
type Check = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}
use ensure;

/// What a model does and how the disk behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) lives: usize,
    pub(super) skip: Option<Skip>,
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
    /// Segments whose header was hit, as they are since then: each is to be kept in `damaged/`.
    beheaded: BTreeMap<PathBuf, Vec<u8>>,
    /// Segments below this were deleted, and the deletion was synced.
    deleted_below: u64,
    /// So many had failed when the spool was opened.
    failed_removals: u64,
    /// Copies of damaged bytes that a start has reported.
    set_aside: BTreeMap<PathBuf, Vec<u8>>,
    flips: bool,
    pub(super) tally: Tally,
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
        let consumers = ["forward", "rollup"].map(Consumer::new);
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
            beheaded: BTreeMap::new(),
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
            // One in three stops while the spool is opened, or soon after.
            let most = if model.random.one_in(3) { 12 } else { 120 };
            let calls = 1 + model.random.below(most);
            model.system.restart(u64::try_from(calls).unwrap());
            model.live().map_err(|error| format!("seed {}, life {life}: {error}", plan.seed))?;
            model.crash();
        }
        model.system.restart(u64::MAX / 2);
        model.live().map_err(|error| format!("seed {}, last life: {error}", plan.seed))?;
        model.drain().map_err(|error| format!("seed {}, at the end: {error}", plan.seed))?;
        model.tally.calls += model.system.calls();
        model.tally.faults += model.system.faults();
        Ok(model.tally)
    }

    /// Opens, checks, and works until the system stops, or long enough.
    fn live(&mut self) -> Check {
        self.with_forks(Model::open)?;
        for _ in 0..150 {
            if self.system.stopped() {
                return Ok(());
            }
            self.with_forks(Model::step)?;
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
        if self.sync_has_failed() {
            self.lose_unsafe();
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
        let system = &self.system;
        self.beheaded.retain(|path, content| system.content(path).as_ref() == Some(content));
    }

    /// Nobody uses the spool any more.
    fn end(&mut self) {
        self.spool = None;
        self.stage = Stage::Idle;
        self.consumers.iter_mut().for_each(|consumer| consumer.running = None);
    }
}
