//! The hand-off of a client with its worker: started at the first message, rebuilt after a fork, closed at the end.

use std::{
    borrow::Cow,
    cell::RefCell,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use once_cell::sync::OnceCell;

use crate::{
    aggregate::Aggregates,
    config::Settings,
    deferred::Deferred,
    message::ENV_VERSION,
    process,
    queue::{Queue, Writer},
    sender::Target,
    stats::complain,
    wire::{
        batch::{Header, ProducerId},
        record::Identity,
    },
    worker::{self, Job, Shared},
};

/// A hand-off with its worker, rebuilt in a forked child at its first call.
pub(crate) struct Channel {
    /// Names the channel in the threads' seats; never used again.
    id: u64,
    target: Arc<dyn Target>,
    logger: String,
    settings: Settings,
    live: ArcSwap<Live>,
    /// The generation of `live`, readable without it.
    generation: AtomicU64,
    /// Messages refused by their severity alone: one addition for the call that is made most often.
    filtered: Arc<AtomicU64>,
    /// What is summed in the process and leaves once per interval.
    pub(crate) aggregates: Aggregates,
}

/// The part of a channel that belongs to one process.
pub(crate) struct Live {
    generation: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) deferred: Arc<Deferred>,
    producer: ProducerId,
    hostname: Cow<'static, str>,
    pid: i64,
    pub(crate) worker: OnceCell<()>,
}

/// How long the worker of a client that nobody holds any more tries to send what is left.
const DROPPED_TIMEOUT: Duration = Duration::from_secs(60);

/// One thread's place at a channel: what a call needs, without looking anything up that other threads share.
pub(crate) struct Seat {
    channel: u64,
    pub(crate) live: Arc<Live>,
    pub(crate) writer: Writer,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's seats, one for each channel it has used.
    static SEATS: RefCell<Vec<Seat>> = const { RefCell::new(Vec::new()) };
}

/// Every channel whose worker may hold messages when the process ends, its client in use or not. Without a lock, which
/// a forked child could inherit locked for good.
static CHANNELS: ArcSwapOption<Vec<Arc<Live>>> = ArcSwapOption::const_empty();

impl Channel {
    pub(crate) fn new(target: Arc<dyn Target>, logger: String, settings: Settings) -> Arc<Self> {
        let filtered = Arc::default();
        let live = Live::new(settings, &filtered);
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            aggregates: aggregates(this.clone(), settings.max_names),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            target,
            logger,
            settings,
            generation: AtomicU64::new(live.generation),
            live: ArcSwap::from_pointee(live),
            filtered,
        })
    }

    /// Counts a message that the bound of severity refused.
    pub(crate) fn filter(&self) {
        if self.generation.load(Ordering::Relaxed) != process::generation() {
            self.live();
        }
        self.filtered.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs `work`, once, in this thread's seat, which is taken at the thread's first call and again after a fork.
    pub(crate) fn seated<T>(&self, work: impl Fn(&Seat) -> T) -> T {
        let generation = process::generation();
        let mine = |seat: &&Seat| seat.channel == self.id && seat.live.generation == generation;
        let seated = SEATS.try_with(|seats| seats.try_borrow().ok()?.iter().find(mine).map(&work));
        seated.ok().flatten().unwrap_or_else(|| self.take_seat(work))
    }

    /// A new seat. A thread that is past its own destructors, or inside another call, takes one for this call alone.
    #[cold]
    fn take_seat<T>(&self, work: impl Fn(&Seat) -> T) -> T {
        let live = self.live();
        let writer = live.queue.register();
        let seat = Seat { channel: self.id, live, writer };
        let done = work(&seat);
        let _only_for_this_call = SEATS.try_with(|seats| {
            let Ok(mut seats) = seats.try_borrow_mut() else { return };
            // Seats at a closed channel, and those inherited by a fork, go when a new one is taken.
            let generation = process::generation();
            seats.retain(|old| {
                old.channel != self.id && old.live.generation == generation && !old.live.queue.is_closed()
            });
            seats.push(seat);
        });
        done
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        let live = self.live.load();
        if live.generation == process::generation() {
            return Arc::clone(&live);
        }
        self.renew(&live)
    }

    /// In a forked child: a new hand-off under a new identity. The parent's is leaked: its worker does not exist here,
    /// and its ZeroMQ context must neither be used nor closed.
    #[cold]
    fn renew(&self, inherited: &Arc<Live>) -> Arc<Live> {
        std::mem::forget(Arc::clone(inherited));
        // Of several threads that come here at once, one wins.
        let fresh = Arc::new(Live::new(self.settings, &self.filtered));
        let before = self.live.compare_and_swap(inherited, Arc::clone(&fresh));
        if Arc::ptr_eq(&before, inherited) {
            self.filtered.store(0, Ordering::Relaxed);
            self.generation.store(fresh.generation, Ordering::Relaxed);
        }
        self.live.load_full()
    }
}

/// Sums whose first use starts the channel's worker: adding never touches the hand-off, so nothing else would.
fn aggregates(channel: Weak<Channel>, max_names: usize) -> Aggregates {
    Aggregates::new(max_names, move || {
        let Some(channel) = channel.upgrade() else { return };
        let live = channel.live();
        if !live.queue.is_closed() {
            live.start_worker(&channel);
        }
    })
}

/// With the last handle gone nobody can call any more: the worker sends what is left, in its own time, and ends.
impl Drop for Channel {
    fn drop(&mut self) {
        let live = self.live.load();
        if live.generation == process::generation() {
            live.shared.begin_close(&live.queue, DROPPED_TIMEOUT);
        }
    }
}

impl Live {
    fn new(settings: Settings, filtered: &Arc<AtomicU64>) -> Self {
        let producer = ProducerId::random().unwrap_or_else(|error| {
            complain("random", &error.to_string());
            ProducerId([0; 16])
        });
        Self {
            generation: process::generation(),
            queue: Arc::new(Queue::new(settings.queue_bytes, Arc::clone(filtered))),
            shared: Arc::default(),
            deferred: Arc::default(),
            producer,
            hostname: process::hostname().into(),
            pid: i64::from(std::process::id()),
            worker: OnceCell::new(),
        }
    }

    pub(crate) fn identity(&self) -> Identity<'_> {
        Identity { env_version: ENV_VERSION, pid: self.pid, hostname: &self.hostname }
    }

    /// Starts the worker at the first message.
    pub(crate) fn start_worker(self: &Arc<Self>, channel: &Channel) {
        if self.worker.get().is_some() {
            return;
        }
        self.worker.get_or_init(|| {
            CHANNELS.rcu(|channels| {
                let known = channels.iter().flat_map(|channels| channels.iter());
                let mut open: Vec<_> = known.filter(|live| live.is_open()).cloned().collect();
                open.push(Arc::clone(self));
                Some(Arc::new(open))
            });
            let header = Header::new(self.producer, self.identity(), &channel.logger);
            let job = Job {
                queue: Arc::clone(&self.queue),
                shared: Arc::clone(&self.shared),
                target: Arc::clone(&channel.target),
                aggregates: channel.aggregates.clone(),
                settings: channel.settings,
                header,
            };
            if let Err(error) = worker::start(job) {
                complain("worker", &error.to_string());
                self.queue.close();
            }
        });
    }

    /// True for a worker of this process that has not ended. In a forked child the parent's state is not looked at: its
    /// locks may be held by threads that are not here.
    fn is_open(&self) -> bool {
        self.generation == process::generation() && !self.shared.is_finished()
    }

    /// Waits until what was sent before this call has left, at most `timeout`; true when it has.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        if self.worker.get().is_none() {
            return true;
        }
        let deadline = Instant::now() + timeout.min(worker::LONGEST_CLOSE);
        self.deferred.finish(timeout)
            && self.shared.flush(&self.queue, deadline.saturating_duration_since(Instant::now()))
    }

    /// What is deferred becomes messages within `timeout`, or is refused.
    fn finish_deferred(&self, timeout: Duration) {
        if !self.deferred.finish(timeout) {
            self.deferred.abandon();
        }
    }

    pub(crate) fn close(&self, timeout: Duration) {
        if self.worker.get().is_none() {
            // A first message that comes at this very moment starts a worker, which has to end as well.
            return self.shared.begin_close(&self.queue, timeout);
        }
        let timeout = timeout.min(worker::LONGEST_CLOSE);
        let deadline = Instant::now() + timeout;
        // What is deferred becomes messages first; half of the time is kept to send them.
        self.finish_deferred(timeout / 2);
        self.shared.close(&self.queue, deadline.saturating_duration_since(Instant::now()));
    }
}

/// Closes every client of this process, all within `timeout`. The hooks at the end of a process call it; a language's
/// face calls it where its own runtime ends first.
pub fn close_all(timeout: Duration) {
    let timeout = timeout.min(worker::LONGEST_CLOSE);
    let deadline = Instant::now() + timeout;
    let all = CHANNELS.swap(None);
    let open: Vec<_> = all.iter().flat_map(|all| all.iter()).filter(|live| live.is_open()).collect();
    for live in &open {
        live.finish_deferred((deadline - timeout / 2).saturating_duration_since(Instant::now()));
    }
    // All are told before any is waited for, so that one without a receiver does not use up the time of the others.
    open.iter().for_each(|live| {
        live.shared.begin_close(&live.queue, deadline.saturating_duration_since(Instant::now()));
    });
    for live in open {
        live.close(deadline.saturating_duration_since(Instant::now()));
    }
}
