//! The input `files.<name>`: a thread that follows the files of its patterns.
//!
//! A round gives each file that has changed a turn, the files of one stream in their order, and puts what they gave into
//! the spool. When there is nothing more to read it waits for the system to tell of changes.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use metlog_pipeline::{counters::Counters, intake::Intake, quiet::Quiet, stop::Stop, waiter::Waiter};
use tracing::{error, warn};

use super::{
    candidates,
    config::{Compiled, FilesConfig},
    follower::{CHUNK, Reading, Turn},
    positions::Positions,
    registry::Registry,
    sink::{Sink, Stored},
    watch::Watcher,
};

/// How often files are looked at of which lines are held back.
const HELD: Duration = Duration::from_millis(250);

/// How often all files are looked at where the system does not tell of changes.
const BLIND_INTERVAL: Duration = Duration::from_secs(1);

/// A scan after a change of the listing waits so long for further changes, and at least ten times as long as it takes.
const SCAN_PAUSE: Duration = Duration::from_millis(20);

/// How often files are closed and positions saved.
const TIDY: Duration = Duration::from_secs(1);

/// How long a full spool is waited for before the next try.
const RETRY: Duration = Duration::from_millis(100);

/// Turns that a file has in one round while others wait.
const TURNS: usize = 4;

/// The input.
pub struct FilesInput {
    reading: Reading,
    positions: Positions,
    registry: Registry,
    sink: Sink,
    watcher: Watcher,
    quiet: Quiet,
    scanned_at: Option<Instant>,
    /// How long the last scan took.
    scan_took: Duration,
    /// True when files may have come or gone.
    listing: bool,
    tidied_at: Instant,
    /// Files that may be kept open.
    most_open: usize,
}

impl FilesInput {
    /// Goes on where the input `name` stopped. Nothing is read yet.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(
        name: &str,
        (config, compiled): (FilesConfig, Compiled),
        intake: &Intake,
        data_dir: &Path,
        counters: Counters,
    ) -> io::Result<Self> {
        let sink = Sink::new(intake, name, counters);
        let positions = Positions::open(intake, data_dir, name, sink.producer())?;
        let mut registry = Registry::default();
        registry.reset(&positions);
        let watcher = Watcher::new(config.notify);
        let hostname = sink.hostname().to_owned();
        Ok(Self {
            reading: Reading { config, compiled, hostname, buffer: vec![0; CHUNK] },
            positions,
            registry,
            sink,
            watcher,
            quiet: Quiet::default(),
            scanned_at: None,
            scan_took: Duration::ZERO,
            listing: true,
            tidied_at: Instant::now(),
            most_open: open_limit() / 2,
        })
    }

    /// Its patterns, for people.
    pub fn patterns(&self) -> String {
        self.reading.config.paths.join(" ")
    }

    /// Follows the files until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        let waiter = Waiter::new(stop);
        while !stop.is_set() {
            self.scan_if_due();
            let is_busy = self.round(stop);
            self.tidy();
            if !is_busy {
                self.wait(&waiter, stop);
            }
            let changes = self.watcher.changes();
            self.listing |= changes.listing;
            for path in &changes.touched {
                self.listing |= !self.registry.touch(path);
            }
        }
        let saved = self.positions.save();
        self.tell(saved);
    }

    /// Until something has changed, or there is something to do without.
    fn wait(&self, waiter: &Waiter, stop: &Stop) {
        let mut patience = self.scan_due_in();
        if !self.registry.dirty.is_empty() {
            patience = patience.min(HELD);
        }
        if self.registry.has_open() {
            patience = patience.min(TIDY);
        }
        match self.watcher.descriptor() {
            // While a scan is waited for, whatever changes is found by it.
            Some(watcher) if !self.listing => {
                waiter.descriptor(watcher, Some(patience));
            }
            _ => {
                stop.wait(patience);
            }
        }
    }

    fn scan_due_in(&self) -> Duration {
        let interval = self.reading.config.scan_interval;
        let pause = match (self.listing, self.watcher.descriptor()) {
            (true, _) => SCAN_PAUSE.max(self.scan_took * 10).min(interval),
            (false, Some(_)) => interval,
            (false, None) => interval.min(BLIND_INTERVAL),
        };
        self.scanned_at.map_or(Duration::ZERO, |at| pause.saturating_sub(at.elapsed()))
    }

    fn scan_if_due(&mut self) {
        if !self.scan_due_in().is_zero() {
            return;
        }
        let started = Instant::now();
        self.listing = false;
        let candidates = candidates::find(&self.reading.compiled);
        let mut folders = candidates::folders(&self.reading.config.paths);
        let links = candidates.iter().filter(|it| it.path.is_symlink());
        folders
            .extend(links.filter_map(|it| Some(std::fs::canonicalize(&it.path).ok()?.parent()?.to_owned())));
        // Watched before they are read: what comes in between is told.
        self.watcher.watch(&folders);
        self.registry.scan(candidates, &mut self.positions, &self.reading);
        self.scan_took = started.elapsed();
        self.scanned_at = Some(Instant::now());
    }

    /// Gives every file that may have something a turn; true when there is more to read.
    fn round(&mut self, stop: &Stop) -> bool {
        let mut ids: Vec<u64> = self.registry.dirty.iter().copied().collect();
        let followers = &self.registry.followers;
        ids.sort_by_cached_key(|id| {
            followers.get(id).map(|it| {
                (it.path.parent().map(PathBuf::from), it.place.stream.clone(), it.place.rank.clone())
            })
        });
        let mut unfinished: Option<(Option<PathBuf>, String)> = None;
        let mut is_busy = false;
        for id in ids {
            let Some(follower) = self.registry.followers.get(&id) else { continue };
            let stream = Some((follower.path.parent().map(PathBuf::from), follower.place.stream.clone()));
            // Newer files of a stream wait until the older ones have been read.
            if unfinished.is_some() && unfinished == stream {
                continue;
            }
            if self.turns(id) == Some(Turn::More) {
                unfinished = stream;
                is_busy = true;
            }
            if self.sink.is_full() && !self.store(stop) || stop.is_set() {
                return false;
            }
        }
        self.store(stop) && is_busy
    }

    /// Some turns of one file.
    fn turns(&mut self, id: u64) -> Option<Turn> {
        let mut last = None;
        for _ in 0..TURNS {
            let follower = self.registry.followers.get_mut(&id)?;
            let turn = follower.turn(&mut self.reading, &mut self.sink);
            let turn = turn.unwrap_or_else(|error| {
                let path = follower.path.display();
                self.quiet.say("read", || warn!(%path, %error, "log file cannot be read"));
                self.sink.count("unreadable");
                Turn::AtEnd
            });
            last = Some(turn);
            if turn != Turn::More || self.sink.is_full() {
                break;
            }
        }
        if let Some(turn) = last {
            self.after(id, turn);
        }
        last
    }

    fn after(&mut self, id: u64, turn: Turn) {
        match turn {
            // Whatever comes now makes it dirty again.
            Turn::AtEnd => {
                self.registry.dirty.remove(&id);
            }
            Turn::More | Turn::Holds => {}
            Turn::Replaced => {
                self.registry.replaced(id);
                self.listing = true;
            }
            Turn::Lost => {
                self.registry.dirty.remove(&id);
                self.listing = true;
            }
            Turn::Finished => {
                self.registry.finish(id);
                self.listing = true;
            }
        }
    }

    /// Puts what was gathered into the spool; false when the daemon is to stop before there is room for it.
    fn store(&mut self, stop: &Stop) -> bool {
        loop {
            match self.sink.store() {
                Stored::Done(places) => {
                    self.positions.apply(places);
                    return true;
                }
                Stored::OutOfOrder => {
                    self.positions.recover();
                    self.registry.reset(&self.positions);
                    self.scanned_at = None;
                    return true;
                }
                Stored::Waits => {
                    // What the positions hold back must not be what the spool has no room for.
                    let saved = self.positions.save_if_behind();
                    self.tell(saved);
                    if stop.wait(RETRY) {
                        return false;
                    }
                }
            }
        }
    }

    fn tidy(&mut self) {
        if self.tidied_at.elapsed() < TIDY {
            return;
        }
        self.tidied_at = Instant::now();
        let open = self.registry.open();
        let too_many = open > self.most_open;
        for (id, follower) in &mut self.registry.followers {
            follower.close_if_idle(too_many && !self.registry.dirty.contains(id));
        }
        let saved = self.positions.save_if_due();
        self.tell(saved);
    }

    fn tell(&mut self, saved: io::Result<()>) {
        if let Err(error) = saved {
            self.quiet.say(
                "save",
                || error!(%error, "positions of log files not saved; they are found in the spool"),
            );
        }
    }
}

/// How many files the process may open. The bound that others have set is raised to what the administrator allows.
fn open_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.and_then(|most| usize::try_from(most).ok()).unwrap_or(65_536)
}
