//! Tests of the roll-up's order of saving and sending, and of its clock.

use metlog_pipeline::{
    rollup::{Sample, SampleRate, SourceId},
    spool::SpoolOptions,
};

use super::*;

/// A roll-up over a spool of its own, that was flushed last at second 1,000.
struct Bench {
    dir: tempfile::TempDir,
    intake: Intake,
    rollup: RollupConsumer,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let intake = Intake::open(dir.path(), SpoolOptions::default()).unwrap();
        let rollup = open(dir.path(), &intake);
        rollup.sums.lock().state.flushed_at = 1_000;
        Self { dir, intake, rollup }
    }

    /// Flushes a counter at `now`; true when a flush was due.
    fn flush(&mut self, now: i64) -> bool {
        let one = Sample::Counter { value: 1.0, rate: SampleRate::ONE };
        let via = Via { input: StatsdInput::StatsdUdp, source: SourceId::default() };
        let mut sums = self.rollup.sums.lock();
        assert_eq!(sums.add_statsd(via, "a", one), None);
        sums.count_statsd(via.input, 1, &[]);
        drop(sums);
        self.rollup.flush_if_due(now);
        self.rollup.sums.lock().state.statsd.is_empty()
    }

    fn outbox(&self) -> usize {
        self.rollup.sums.lock().state.outbox.len()
    }

    /// Lets what was flushed become safe, so that the next flush may be made.
    fn settle(&mut self) {
        let appended = self.intake.spool().appended();
        assert!(appended == 0 || self.intake.spool().wait_synced(appended, Duration::from_secs(10)));
        self.rollup.empty_outbox();
    }
}

fn open(dir: &Path, intake: &Intake) -> RollupConsumer {
    RollupConsumer::open(RollupConfig::default(), intake, dir, Counters::default()).unwrap()
}

#[test]
fn a_flush_is_sent_only_once_it_is_saved() {
    let mut bench = Bench::new();
    let (kept, away) = (bench.dir.path().join("checkpoints"), bench.dir.path().join("away"));
    std::fs::rename(&kept, &away).unwrap();
    assert!(bench.flush(1_010));
    bench.rollup.empty_outbox();
    assert_eq!((bench.intake.spool().appended(), bench.outbox()), (0, 2));
    assert!(bench.rollup.sums.lock().changed, "the save is tried again");

    std::fs::rename(&away, &kept).unwrap();
    bench.rollup.save();
    bench.rollup.empty_outbox();
    assert_eq!(bench.intake.spool().appended(), 2);
}

#[test]
fn a_batch_leaves_the_outbox_when_it_is_safe_and_is_appended_once() {
    let mut bench = Bench::new();
    assert!(bench.flush(1_010));
    bench.settle();
    assert_eq!((bench.intake.spool().appended(), bench.outbox()), (2, 0));

    // What was saved with the flush still has both: a crash finds them in the ledger.
    let again = open(bench.dir.path(), &bench.intake);
    assert_eq!(again.sums.lock().state.outbox.len(), 0);
    assert_eq!(bench.intake.spool().appended(), 2);
}

#[test]
fn a_clock_that_steps_back_goes_on_flushing() {
    let mut bench = Bench::new();
    for (now, flushed) in [(1_009, false), (100, false), (109, false), (110, true), (105, false), (120, true)]
    {
        bench.settle();
        assert_eq!(bench.flush(now), flushed, "{now}");
    }
}
