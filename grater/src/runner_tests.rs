//! Tests of the output thread: a back end that fails at each of its steps, and what the bound on its lag makes of it.

use std::{fs, sync::Mutex, thread};

use metlog_core::{
    wire::batch::{Builder, Header, ProducerId},
    wire::json::from_json,
    wire::record::Identity,
};
use metlog_pipeline::{
    intake::checkpoint_dir,
    spool::{NewRecord, SpoolOptions},
};
use tempfile::TempDir;

use super::*;
use crate::output::{Delivered, FileConfig, Halted, Item, OutputError, OutputKind};

const PRODUCER: ProducerId = ProducerId([7; 16]);
const PATIENCE: Duration = Duration::from_secs(20);
const MESSAGES: u64 = 20;
const PAYLOAD_BYTES: usize = 100 * 1024;
const MAX_LAG_BYTES: u64 = 300 * 1024;

/// A back end whose one step fails from some call on.
struct Faulty {
    fails: &'static str,
    works_for: usize,
}

impl Faulty {
    fn step(&mut self, step: &str) -> Result<(), OutputError> {
        if self.fails != step {
            return Ok(());
        }
        let works = self.works_for > 0;
        self.works_for = self.works_for.saturating_sub(1);
        works.then_some(()).ok_or(broken())
    }
}

impl Output for Faulty {
    fn deliver(&mut self, _items: &[Item]) -> Result<Delivered, Halted> {
        if self.fails == "speed" {
            thread::sleep(Duration::from_secs(1));
        }
        self.step("deliver")?;
        Ok(Delivered::default())
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        self.step("checkpoint").map(|()| OutputState::Nothing)
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        self.step("restore")
    }

    fn probe(&self) -> Result<String, OutputError> {
        Ok("there".to_owned())
    }
}

/// A back end that takes one message a call and then fails, and never wants the fourth.
#[derive(Clone, Default)]
struct Halting {
    taken: Arc<Mutex<Vec<u64>>>,
    calls: u64,
}

impl Output for Halting {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        self.calls += 1;
        let Some(first) = items.first().filter(|_| self.calls.is_multiple_of(2)) else {
            return Err(broken().into());
        };
        let sequence = first.owner.sequence;
        if sequence == 3 {
            return Err(Halted::after(1, vec![(0, "not this".to_owned())], broken()));
        }
        self.taken.lock().unwrap().push(sequence);
        Err(Halted::after(1, Vec::new(), broken()))
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        Ok(OutputState::Nothing)
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        Ok(())
    }

    fn probe(&self) -> Result<String, OutputError> {
        Ok("there".to_owned())
    }
}

fn broken() -> OutputError {
    OutputError::NoFile { path: "nowhere".into(), found: "broken" }
}

/// A spool with one output that takes everything.
struct Bench {
    home: TempDir,
    spool: Spool,
    runner: OutputRunner,
    counters: Counters,
}

impl Bench {
    fn new(fails: &'static str, works_for: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let options = SpoolOptions { segment_bytes: 128 * 1024, ..SpoolOptions::default() };
        let (spool, _) = Spool::open(&home.path().join("spool"), options).unwrap();
        let kind = OutputKind::File(FileConfig::json(home.path().join("out")));
        let config =
            OutputConfig { name: "a".to_owned(), max_lag_bytes: None, max_dead_letter_bytes: None, kind };
        let names = ["a".to_owned()];
        let routes = Arc::new(Routes::compile(&[], &names, &names).unwrap());
        let counters = Counters::default();
        let place = (&spool, home.path());
        let mut runner =
            OutputRunner::open(0, &config, MAX_LAG_BYTES, place, (routes, counters.clone())).unwrap();
        runner.output = Box::new(Faulty { fails, works_for });
        Self { home, spool, runner, counters }
    }

    /// Appends one message, a record of its own.
    fn append(spool: &Spool, sequence: u64) {
        Self::append_sized(spool, sequence, PAYLOAD_BYTES);
    }

    fn append_sized(spool: &Spool, sequence: u64, payload_bytes: usize) {
        let identity = Identity { env_version: "0.8", pid: 1, hostname: "h" };
        let header = Header { first_sequence: sequence, ..Header::new(PRODUCER, identity, "app") };
        let mut batch = Builder::new(header);
        let text = format!("{{\"type\":\"t\",\"payload\":\"{}\"}}", "x".repeat(payload_bytes));
        batch.push(&from_json(text.as_bytes()).unwrap().message).unwrap();
        let frame = batch.finish();
        let ordinal = spool.append(&[NewRecord { link: None, frame: &frame }]).unwrap();
        assert!(spool.wait_synced(ordinal, PATIENCE));
    }

    /// Runs the output until its outcomes and the bytes the spool holds are as wanted; gives back the outcomes.
    fn run_until(mut self, during: impl FnOnce(&Path, &Spool, &Counters), wanted: impl Fn(u64, u64) -> bool) {
        let (stop, outcomes) = (Stop::default(), self.runner.outcomes());
        let figures = || {
            let totals = outcomes.lock().totals();
            let of = |outcome| totals.get(outcome).copied().unwrap_or(0);
            (of("delivered"), of("dropped:lag"), self.spool.stats().bytes)
        };
        thread::scope(|scope| {
            scope.spawn(|| self.runner.run(&stop));
            during(self.home.path(), &self.spool, &self.counters);
            let deadline = Instant::now() + PATIENCE;
            let is_good = |(delivered, dropped, held): (u64, u64, u64)| {
                wanted(delivered, dropped) && held <= 2 * MAX_LAG_BYTES
            };
            while !is_good(figures()) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            let last = figures();
            stop.set();
            assert!(is_good(last), "delivered, dropped, bytes held: {last:?}");
        });
    }
}

#[test]
fn an_output_that_lags_too_far_drops_whichever_step_fails_and_lets_go_of_the_spool() {
    // The bound keeps at most 3 messages waiting, and what is read at once another 2.
    for (fails, works_for, delivered) in [
        ("speed", 0, 1..=10),
        ("restore", 0, 0..=0),
        ("checkpoint", 0, 0..=0),
        ("deliver", 0, 0..=0),
        ("checkpoint", 1, 0..=0),
    ] {
        println!("{fails} fails after {works_for}");
        let bench = Bench::new(fails, works_for);
        (0..MESSAGES).for_each(|sequence| Bench::append(&bench.spool, sequence));
        bench.run_until(
            |_, _, _| {},
            |came, dropped| delivered.contains(&came) && dropped >= MESSAGES - 5 - delivered.end(),
        );
    }
}

#[test]
fn a_first_save_that_fails_is_tried_again() {
    let bench = Bench::new("nothing", 0);
    let checkpoints = checkpoint_dir(bench.home.path());
    fs::remove_dir_all(&checkpoints).unwrap();
    let mend = |_: &Path, spool: &Spool, counters: &Counters| {
        Bench::append(spool, 0);
        let deadline = Instant::now() + PATIENCE;
        while !counters.render().contains("output_retries") && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        fs::create_dir_all(&checkpoints).unwrap();
    };
    bench.run_until(mend, |delivered, dropped| (delivered, dropped) == (1, 0));
}

#[test]
fn a_burst_beyond_the_bound_costs_a_working_output_nothing() {
    let bench = Bench::new("nothing", 0);
    (0..MESSAGES).for_each(|sequence| Bench::append(&bench.spool, sequence));
    bench.run_until(|_, _, _| {}, |came, dropped| (came, dropped) == (MESSAGES, 0));
}

/// Without what is said to be settled, the first message would be sent again by each try.
#[test]
fn a_delivery_that_stops_half_way_repeats_nothing() {
    let mut bench = Bench::new("nothing", 0);
    let output = Halting::default();
    let taken = Arc::clone(&output.taken);
    bench.runner.output = Box::new(output);
    // Read from the spool at once: less than `READ_BYTES`, and below the bound on its lag.
    (0..2).for_each(|sequence| Bench::append(&bench.spool, sequence));
    (2..6).for_each(|sequence| Bench::append_sized(&bench.spool, sequence, 100));
    bench.run_until(|_, _, _| {}, |delivered, dropped| (delivered, dropped) == (5, 0));
    assert_eq!(*taken.lock().unwrap(), [0, 1, 2, 4, 5]);
}
