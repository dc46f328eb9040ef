//! The books of a client over all the cores it has had: setting it up anew loses no count.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use metlog_core::{Client as Core, stats::Stats};

/// What earlier cores have counted. Locked only while attached to the interpreter and never across a call into it, so
/// that no fork finds it taken.
#[derive(Default)]
pub(crate) struct Books(Mutex<Earlier>);

#[derive(Default)]
struct Earlier {
    /// The process that counted: a forked child begins its own books.
    process: u32,
    past: Stats,
    /// Cores that are closing, and the last that has closed: a call that had begun may still be refused there.
    retired: VecDeque<Retired>,
    tickets: u64,
}

struct Retired {
    ticket: u64,
    core: Core,
    is_closed: bool,
}

impl Books {
    /// Keeps the counts of a core that another takes the place of; [`Books::settle`] wants what this gives back.
    pub(crate) fn retire(&self, core: Core) -> u64 {
        let mut earlier = self.lock();
        earlier.tickets += 1;
        let ticket = earlier.tickets;
        earlier.retired.push_back(Retired { ticket, core, is_closed: false });
        ticket
    }

    /// Lets go of cores that have closed, this one among them, but for the last.
    pub(crate) fn settle(&self, ticket: u64) {
        let mut earlier = self.lock();
        let mine = earlier.retired.iter_mut().find(|retired| retired.ticket == ticket);
        mine.into_iter().for_each(|retired| retired.is_closed = true);
        while earlier.retired.len() > 1
            && let Some(first) = earlier.retired.pop_front_if(|first| first.is_closed)
        {
            earlier.past.merge(&first.core.stats());
        }
    }

    /// All that was counted, with what `core` counts now.
    pub(crate) fn of(&self, core: &Core) -> Stats {
        let earlier = self.lock();
        let mut all = earlier.past;
        earlier.retired.iter().for_each(|retired| all.merge(&retired.core.stats()));
        all.merge(&core.stats());
        all
    }

    fn lock(&self) -> MutexGuard<'_, Earlier> {
        let mut earlier = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if earlier.process != process {
            (earlier.process, earlier.past) = (process, Stats::default());
            // The core begins anew by itself. The thread that was closing one is not here.
            earlier.retired.iter_mut().for_each(|retired| retired.is_closed = true);
        }
        earlier
    }
}
