//! The threads of a daemon: each has a name and one owner, who joins it; one that ends early ends the daemon.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use tracing::error;

use crate::stop::Stop;

/// The running threads of a daemon.
#[derive(Debug)]
pub struct Threads {
    stop: Stop,
    failed: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// No threads yet; they are told to end by `stop`.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self { stop, failed: Arc::default(), running: Vec::new() }
    }

    /// Starts a thread that runs until the daemon stops.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn spawn(&mut self, name: &str, body: impl FnOnce(&Stop) + Send + 'static) -> io::Result<()> {
        let (stop, failed) = (self.stop.clone(), Arc::clone(&self.failed));
        let thread = name.to_owned();
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| body(&stop)));
            if ended.is_err() || !stop.is_set() {
                error!(thread, "thread ended early: the daemon stops");
                failed.store(true, Ordering::Relaxed);
                stop.set();
            }
        };
        self.running.push(std::thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    /// Waits until every thread has ended; true when each ended because it was told to.
    #[must_use]
    pub fn join(self) -> bool {
        for thread in self.running {
            // A panic was caught and noted inside.
            let _ended = thread.join();
        }
        !self.failed.load(Ordering::Relaxed)
    }
}
