//! The threads of a daemon: each has a name and one owner, who joins it; one that ends early ends the daemon.
//!
//! They end in order: inputs first, with what lies in their sockets, then the consumers of what the inputs took.

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

use crate::stop::{Pulse, Stop};

/// The running threads of a daemon.
#[derive(Debug)]
pub struct Threads {
    /// Stops the daemon; the inputs watch it themselves.
    stop: Stop,
    /// Set once the inputs have ended.
    stop_consumers: Stop,
    failed: Arc<AtomicBool>,
    inputs: Vec<JoinHandle<()>>,
    consumers: Vec<JoinHandle<()>>,
    pulses: Vec<(String, Pulse)>,
}

impl Threads {
    /// No threads yet; `stop` stops the daemon.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self {
            stop,
            stop_consumers: Stop::default(),
            failed: Arc::default(),
            inputs: Vec::new(),
            consumers: Vec::new(),
            pulses: Vec::new(),
        }
    }

    /// Starts a thread that runs until the daemon is told to stop.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn spawn_input(&mut self, name: &str, body: impl FnOnce(&Stop) + Send + 'static) -> io::Result<()> {
        let thread = self.spawn(name, self.stop.for_thread(), body)?;
        self.inputs.push(thread);
        Ok(())
    }

    /// Starts a thread that runs until every input has ended.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn spawn_consumer(
        &mut self,
        name: &str,
        body: impl FnOnce(&Stop) + Send + 'static,
    ) -> io::Result<()> {
        let thread = self.spawn(name, self.stop_consumers.for_thread(), body)?;
        self.consumers.push(thread);
        Ok(())
    }

    /// The pulse of every thread so far, by name.
    #[must_use]
    pub fn pulses(&self) -> Vec<(String, Pulse)> {
        self.pulses.clone()
    }

    fn spawn(
        &mut self,
        name: &str,
        told: Stop,
        body: impl FnOnce(&Stop) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (stop, failed) = (self.stop.clone(), Arc::clone(&self.failed));
        let thread = name.to_owned();
        self.pulses.push((thread.clone(), told.pulse()));
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| body(&told)));
            if ended.is_err() || !told.is_set() {
                error!(thread, "thread ended early: the daemon stops");
                failed.store(true, Ordering::Relaxed);
                stop.set();
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)
    }

    /// Waits until every thread has ended, the inputs before the consumers; true when each ended because it was told
    /// to.
    #[must_use]
    pub fn join(self) -> bool {
        join_all(self.inputs);
        self.stop_consumers.set();
        join_all(self.consumers);
        !self.failed.load(Ordering::Relaxed)
    }
}

fn join_all(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // A panic was caught and noted inside.
        let _ended = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn consumers_are_told_to_stop_only_when_the_inputs_have_ended() {
        let stop = Stop::default();
        let input_ended = Arc::new(AtomicBool::new(false));
        let mut threads = Threads::new(stop.clone());
        let (ends, seen) = (Arc::clone(&input_ended), Arc::new(AtomicBool::new(false)));
        let sees = Arc::clone(&seen);
        threads
            .spawn_consumer("consumer", move |stop| {
                while !stop.wait(Duration::from_secs(10)) {}
                sees.store(input_ended.load(Ordering::SeqCst), Ordering::SeqCst);
            })
            .unwrap();
        threads
            .spawn_input("input", move |stop| {
                while !stop.wait(Duration::from_secs(10)) {}
                // What it still has to do; the consumer has this long to end too early.
                std::thread::sleep(Duration::from_millis(50));
                ends.store(true, Ordering::SeqCst);
            })
            .unwrap();
        stop.set();
        assert!(threads.join(), "each ended because it was told to");
        assert!(seen.load(Ordering::SeqCst), "the consumer outlived the input");
    }

    #[test]
    fn a_thread_of_either_kind_that_ends_early_stops_the_daemon() {
        for consumer in [false, true] {
            let stop = Stop::default();
            let mut threads = Threads::new(stop.clone());
            let body = |_: &Stop| ();
            if consumer { threads.spawn_consumer("t", body) } else { threads.spawn_input("t", body) }
                .unwrap();
            assert!(stop.wait(Duration::from_secs(10)), "consumer: {consumer}");
            assert!(!threads.join(), "consumer: {consumer}");
        }
    }
}
