//! Tests of dead letters and of sending them again: a back end that refuses as long as it is told to.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use bytesize::ByteSize;
use metlog_core::wire::{
    batch::{Builder, Counts, Header, ProducerId},
    json::from_json,
    record::Identity,
};
use metlog_pipeline::{
    counters::Counters,
    intake::checkpoint_dir,
    spool::{NewRecord, Spool, SpoolOptions},
    stop::Stop,
};
use tempfile::TempDir;

use super::*;
use crate::{
    config::OutputConfig,
    dead_letters::DeadLetters,
    output::{Delivered, FileConfig, Halted, Output, OutputError, OutputKind, OutputState},
    route::Routes,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A back end that refuses everything for good while `refuses`.
#[derive(Clone, Default)]
struct Picky {
    refuses: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Output for Picky {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        if self.refuses.load(Ordering::SeqCst) {
            let refuse = |index| (index, "not my kind".to_owned());
            return Ok(Delivered { dead: (0..items.len()).map(refuse).collect() });
        }
        self.taken.lock().unwrap().extend(items.iter().map(|item| item.message.kind.clone()));
        Ok(Delivered::default())
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

/// A spool with three messages, and one output that has refused them.
struct Bench {
    home: TempDir,
    runner: OutputRunner,
    output: Picky,
    letters: DeadLetters,
}

impl Bench {
    fn new(max_letter_bytes: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(&home.path().join("spool"), SpoolOptions::default()).unwrap();
        append(&spool);
        let kind = OutputKind::File(FileConfig::json(home.path().join("out")));
        let max_dead_letter_bytes = Some(ByteSize::b(max_letter_bytes));
        let config = OutputConfig { name: "a".to_owned(), max_lag_bytes: None, max_dead_letter_bytes, kind };
        let names = ["a".to_owned()];
        let routes = Arc::new(Routes::compile(&[], &names, &names).unwrap());
        let place = (&spool, home.path());
        let mut runner =
            OutputRunner::open(0, &config, 1 << 20, place, (routes, Counters::default())).unwrap();
        let output = Picky::default();
        output.refuses.store(true, Ordering::SeqCst);
        runner.output = Box::new(output.clone());
        let letters = DeadLetters::new(home.path(), "a", max_letter_bytes);
        Self { home, runner, output, letters }
    }

    fn outcomes(&self) -> Counts {
        let mut totals = self.runner.outcomes().lock().totals();
        totals.retain(|_, count| *count > 0);
        totals
    }

    /// Runs the output's thread while `during` goes on.
    fn run(&mut self, during: impl FnOnce(&Path, &DeadLetters, &dyn Fn() -> Counts)) {
        let (stop, outcomes) = (Stop::default(), self.runner.outcomes());
        let totals = move || outcomes.lock().totals();
        let runner = &mut self.runner;
        let (home, letters) = (self.home.path(), &self.letters);
        thread::scope(|scope| {
            scope.spawn(|| runner.run(&stop));
            during(home, letters, &totals);
            stop.set();
        });
    }

    /// Until the three messages are letters.
    fn refuse(&mut self) {
        self.run(|_, letters, _| wait_until(|| letters.read().unwrap().letters.len() == 3));
        assert_eq!(self.outcomes(), Counts::from([(DEAD.to_owned(), 3)]));
    }

    /// Marks the letters, and waits until `done` with them.
    fn replay_until(&mut self, done: impl Fn(&[Letter]) -> bool) {
        self.run(|_, letters, _| {
            mark(letters);
            wait_until(|| done(&letters.read().unwrap().letters));
        });
    }
}

fn append(spool: &Spool) {
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "h" };
    let mut batch = Builder::new(Header::new(ProducerId([7; 16]), identity, "app"));
    for kind in ["a", "b", "c"] {
        let text = format!("{{\"type\":\"{kind}\",\"timestamp\":\"2026-01-01T00:00:00Z\"}}");
        batch.push(&from_json(text.as_bytes()).unwrap().message).unwrap();
    }
    let ordinal = spool.append(&[NewRecord { link: None, frame: &batch.finish() }]).unwrap();
    assert!(spool.wait_synced(ordinal, PATIENCE));
}

fn mark(letters: &DeadLetters) {
    letters.rewrite(|letter| Change::Become(Letter { replay: true, ..letter })).unwrap();
    letters.ask_for_replay().unwrap();
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(condition(), "waited {} s", PATIENCE.as_secs());
}

#[test]
fn a_letter_names_its_message_and_goes_when_it_has_been_delivered() {
    let mut bench = Bench::new(1 << 20);
    bench.refuse();
    let letters = bench.letters.read().unwrap().letters;
    let told = |letter: &Letter| {
        (letter.owner.sequence, letter.attempts, letter.reason.clone(), letter.owner.principal)
    };
    let expected: Vec<_> = (0..3).map(|n| (n, 1, "not my kind".to_owned(), true)).collect();
    assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), expected);

    bench.output.refuses.store(false, Ordering::SeqCst);
    bench.replay_until(<[Letter]>::is_empty);
    assert_eq!(bench.outcomes(), Counts::from([(DELIVERED.to_owned(), 3)]));
    assert_eq!(*bench.output.taken.lock().unwrap(), ["a", "b", "c"]);
}

#[test]
fn one_that_is_refused_again_stays_with_another_attempt() {
    let mut bench = Bench::new(1 << 20);
    bench.refuse();
    bench.replay_until(|letters| letters.iter().all(|letter| letter.attempts == 2 && !letter.replay));
    assert_eq!(bench.outcomes(), Counts::from([(DEAD.to_owned(), 3)]));
    assert_eq!(bench.letters.read().unwrap().letters.len(), 3);
}

#[test]
fn what_was_marked_while_the_output_did_not_run_is_sent_at_its_start() {
    let mut bench = Bench::new(1 << 20);
    bench.refuse();
    bench.runner.requests = Requests::default();
    mark(&bench.letters);
    // A crash between the marks and the request.
    fs::remove_file(bench.home.path().join("dead/a.replay")).unwrap();
    bench.output.refuses.store(false, Ordering::SeqCst);
    bench.run(|_, letters, _| wait_until(|| letters.read().unwrap().letters.is_empty()));
    assert_eq!(bench.outcomes(), Counts::from([(DELIVERED.to_owned(), 3)]));
}

#[test]
fn a_cursor_that_cannot_be_saved_keeps_the_letters_and_the_books() {
    let mut bench = Bench::new(1 << 20);
    bench.refuse();
    bench.output.refuses.store(false, Ordering::SeqCst);
    let taken = Arc::clone(&bench.output.taken);
    let checkpoints = checkpoint_dir(bench.home.path());
    let aside = bench.home.path().join("aside");
    fs::rename(&checkpoints, &aside).unwrap();
    bench.run(|_, letters, totals| {
        mark(letters);
        wait_until(|| !taken.lock().unwrap().is_empty());
        wait_until(|| totals().get(DEAD) == Some(&3));
        assert_eq!(letters.read().unwrap().letters.len(), 3, "not safe yet");
        fs::rename(&aside, &checkpoints).unwrap();
        wait_until(|| letters.read().unwrap().letters.is_empty());
    });
    assert_eq!(bench.outcomes(), Counts::from([(DELIVERED.to_owned(), 3)]));
}

#[test]
fn letters_without_room_are_counted_as_such() {
    let mut bench = Bench::new(500);
    bench.run(|_, _, totals| wait_until(|| totals().values().sum::<u64>() == 3));
    let outcomes = bench.outcomes();
    let kept = outcomes.get(DEAD).copied().unwrap_or(0);
    assert!((1..3).contains(&kept), "{outcomes:?}");
    assert_eq!(outcomes.get("dropped:dead_letters_full"), Some(&(3 - kept)), "{outcomes:?}");
    assert_eq!(bench.letters.read().unwrap().letters.len(), usize::try_from(kept).unwrap());
}
