//! The thread `metlog-worker`: takes what callers left in the hand-off, frames batches, gives them to the sender.
//!
//! Sequence numbers are given here, in the order of the frames, so that a gap at a receiver is a loss and nothing else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

mod own;
mod shared;

use own::Own;
pub(crate) use shared::Shared;

use crate::{
    aggregate::Aggregates,
    config::Settings,
    error::Error,
    queue::{Books, Queue, Room},
    sender::{Delivery, Outgoing, Sender, Target},
    stats::{ByReason, Reason, complain},
    wire::{
        batch::{Draft, Header},
        record::Record,
    },
};

/// How long a busy sender is waited for before the worker looks at its own orders again.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// After the last message, how long until the totals go out if they have changed since.
const TOTALS_DELAY: Duration = Duration::from_secs(1);

/// No close takes longer, whatever is asked for.
pub(crate) const LONGEST_CLOSE: Duration = Duration::from_secs(3_600);

/// With more than this share of `queue_bytes` unacknowledged the worker waits for the ack, not for its next round: a call
/// that finds much waiting would wake it, and so would each call after it, for a batch of one message.
/// Well below the share at which a call wakes a worker that naps.
const PENDING_SHARE: usize = 32;

/// A shorter `batch_age` means no gathering at all: each call then wakes a worker that has nothing to do.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

/// After so long without a message the worker stops looking every `batch_age` and waits to be woken. Until then a call
/// makes no system call, however few there are.
const REST_AFTER: Duration = Duration::from_secs(1);

/// How often a producer that has nothing to say says so: a receiver tells a quiet producer from a dead one by it.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What the worker of one channel in one process is given.
pub(crate) struct Job {
    pub(crate) queue: Arc<Queue>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) aggregates: Aggregates,
    pub(crate) settings: Settings,
    /// Of the first batch.
    pub(crate) header: Header,
}

/// Starts the worker.
///
/// # Errors
/// `Io` when the operating system gives no thread.
pub(crate) fn start(job: Job) -> Result<(), Error> {
    let run = move || {
        let (queue, shared) = (Arc::clone(&job.queue), Arc::clone(&job.shared));
        queue.attach_worker();
        if catch_unwind(AssertUnwindSafe(|| work(job))).is_err() {
            complain("worker", "a sender has panicked: its client is closed, what was waiting is dropped");
            queue.close();
            queue.drain(|_, _| ());
            shared.abandon(queue.books().accepted);
        }
        shared.finish();
    };
    std::thread::Builder::new().name("metlog-worker".to_owned()).spawn(run).map(drop).map_err(|source| {
        Error::new(crate::ErrorKind::Io, "cannot start the thread metlog-worker").with_source(source)
    })
}

fn work(job: Job) {
    let sender = job.target.connect().unwrap_or_else(|error| {
        complain("connect", &format!("messages are dropped: {error}"));
        Box::new(Nowhere)
    });
    Worker::new(job, sender).run();
}

/// Stands in for a target that could not be opened: everything is dropped and counted.
struct Nowhere;

impl Sender for Nowhere {
    fn send(&mut self, _: &Outgoing) -> Result<Delivery, Error> {
        Ok(Delivery::Taken { dropped: u64::MAX, reason: Reason::Send })
    }
}

struct Worker {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    sender: Box<dyn Sender>,
    settings: Settings,
    /// The next batch's header; its totals are set when it is framed.
    header: Header,
    draft: Draft,
    /// Attempts told to the receiver so far, to see whether the totals have changed.
    told: u64,
    /// What was refused when it was last told of on stderr.
    complained: ByReason,
    last_frame: Instant,
    own: Own,
}

impl Worker {
    fn new(job: Job, sender: Box<dyn Sender>) -> Self {
        Self {
            sender,
            own: Own::new(&job),
            header: job.header,
            draft: Draft::with_capacity(job.settings.batch_bytes),
            told: 0,
            complained: ByReason::default(),
            last_frame: Instant::now(),
            settings: job.settings,
            queue: job.queue,
            shared: job.shared,
        }
    }

    fn run(mut self) {
        loop {
            let closing = self.queue.is_closed();
            let flush_wanted = self.shared.lock().flush_wanted;
            self.own.write_due(&self.queue, &self.shared, closing);
            let moved = self.round();
            let settled = !self.sender.tend();
            self.shared.end_round(flush_wanted, self.pending());
            if closing {
                break;
            }
            if moved >= self.settings.batch_bytes {
                continue;
            }
            let crowded = self.sender.pending().bytes > self.settings.queue_bytes / PENDING_SHARE;
            if !settled && (self.shared.is_awaited() || crowded) {
                self.sender.wait(self.settings.batch_age.clamp(SHORTEST_NAP, BUSY_WAIT));
            } else if self.gathers() && (moved > 0 || self.last_frame.elapsed() < REST_AFTER) {
                self.queue.nap(self.settings.batch_age);
            } else {
                self.rest(settled);
            }
        }
        self.header.last = true;
        self.frame();
        let time_left = self.time_left();
        let given_up = self.sender.close(time_left);
        self.shared.give_up(given_up);
    }

    /// Nothing came for a while: brings the totals up to date, then waits for the next message, and looks now and then
    /// for what is not acknowledged yet.
    fn rest(&mut self, settled: bool) {
        let changed = to_tell(&self.queue.books()) != self.told;
        let due = if changed { TOTALS_DELAY } else { KEEP_ALIVE };
        let quiet = self.last_frame.elapsed();
        if quiet >= due {
            self.frame();
        } else {
            // A producer that never sent anything owes nobody a sign of life.
            let ever = changed || self.told > 0;
            let sign = if ever { due - quiet } else { Duration::MAX };
            let ack = if settled { Duration::MAX } else { BUSY_WAIT };
            let wait = sign.min(self.own.until_due()).min(ack);
            self.queue.idle((wait < Duration::MAX).then_some(wait));
            // The first message after a rest gathers company before it leaves, unless someone waits for it.
            if self.gathers() && !self.queue.is_closed() && !self.shared.is_awaited() {
                self.queue.nap(self.settings.batch_age);
            }
        }
    }

    fn gathers(&self) -> bool {
        self.settings.batch_age >= SHORTEST_NAP
    }

    /// Empties the hand-off once; gives back how many bytes moved.
    fn round(&mut self) -> usize {
        let mut moved = 0;
        let queue = Arc::clone(&self.queue);
        queue.drain(|records, count| {
            moved += records.len();
            self.gather(records, count);
        });
        if self.header.span > 0 {
            self.frame();
        }
        moved
    }

    /// Puts a thread's records into batches: a stretch of them goes into one where it fits, uncut and unread, for which
    /// the worker would have to fetch a line of memory for each record.
    fn gather(&mut self, records: &[u8], count: u64) {
        if self.header.span > 0 && !self.fits(records.len(), count) {
            self.frame();
        }
        if self.fits(records.len(), count) {
            self.draft.extend(records);
            self.header.span += count;
        } else {
            self.cut(records);
        }
    }

    fn fits(&self, bytes: usize, count: u64) -> bool {
        self.draft.body_bytes() + bytes <= self.settings.batch_bytes
            && self.header.span + count <= self.settings.batch_messages
    }

    /// As many batches as a stretch that is larger than one needs; the last is still open.
    fn cut(&mut self, records: &[u8]) {
        let (mut taken, mut rest) = (0, records);
        while let Ok((_, after)) = Record::split(rest) {
            let before = records.len() - rest.len();
            let end = records.len() - after.len();
            if self.header.span > 0 && !self.fits(end - taken, 1) {
                self.draft.extend(records.get(taken..before).unwrap_or_default());
                self.frame();
                taken = before;
            }
            self.header.span += 1;
            rest = after;
        }
        self.draft.extend(records.get(taken..).unwrap_or_default());
    }

    /// Sends what has been gathered as one batch, with the totals of this moment.
    fn frame(&mut self) {
        let books = self.queue.books();
        self.header.attempted = books.attempted();
        self.header.refused = books.refused.counts();
        self.header.dropped = self.shared.dropped().counts();
        self.complain_of(&books);
        self.header.present = if self.header.span > 0 { vec![(0, self.header.span)] } else { Vec::new() };
        let records = self.draft.body_bytes();
        let frame = self.draft.finish(&self.header);
        let room = Room::of_frame(&self.queue, frame.len(), records);
        self.deliver(&Outgoing::new(frame, self.header.span, room));
        self.told = to_tell(&books);
        self.last_frame = Instant::now();
        self.header.first_sequence += self.header.span;
        self.header.span = 0;
    }

    /// Says on stderr, now and then, what the application loses.
    fn complain_of(&mut self, books: &Books) {
        let grown = |reason| books.refused.get(reason) > self.complained.get(reason);
        if grown(Reason::TooBig) {
            complain("too_big", "messages over 1 MiB were refused");
        }
        if grown(Reason::Full) {
            let count = books.refused.get(Reason::Full);
            complain(
                "full",
                &format!("{count} messages refused so far: nobody takes them; is the sidecar running?"),
            );
        }
        self.complained = books.refused;
    }

    fn deliver(&mut self, batch: &Outgoing) {
        let count = self.header.span;
        loop {
            match self.sender.send(batch) {
                Ok(Delivery::Taken { dropped, reason }) => {
                    let dropped = dropped.min(count);
                    return self.shared.take(count - dropped, self.pending(), (reason, dropped));
                }
                Ok(Delivery::Busy) if self.time_left().is_zero() => {
                    complain("gave_up", "closed with messages that no receiver took");
                    return self.shared.take(0, self.pending(), (Reason::Send, count));
                }
                Ok(Delivery::Busy) => {
                    self.complain_of(&self.queue.books());
                    self.sender.wait(self.time_left().min(BUSY_WAIT));
                }
                Err(error) => {
                    complain("send", &format!("{count} messages dropped: {error}"));
                    return self.shared.take(0, self.pending(), (Reason::Send, count));
                }
            }
        }
    }

    /// Messages the sender has taken that are not safe yet.
    fn pending(&self) -> u64 {
        self.sender.pending().messages
    }

    /// Until the deadline of a close; without one, as long as it takes.
    fn time_left(&self) -> Duration {
        let deadline = self.shared.lock().deadline;
        deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }
}

/// What the receiver ought to hear of soon: what a filter refuses is no loss and can wait for the next batch.
fn to_tell(books: &Books) -> u64 {
    books.attempted() - books.refused.get(Reason::Filtered)
}
