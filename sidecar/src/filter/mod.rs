//! Filters: what is forwarded, and what of it. The sections `[filter.<name>]`.
//!
//! They see each message that is about to be forwarded, as it came, in the order of their names; the first that takes it out
//! decides, and the batch counts it under `filtered:<name>`. What the roll-up has summed and what this daemon made itself does
//! not pass them.

mod config;
mod limit;
mod scrub;
mod stat;
#[cfg(test)]
mod tests;

pub use config::{FilterConfig, Filters as FilterConfigs, check, compile};
pub use stat::Stats;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use metlog_core::{
    ENV_VERSION, Fields, Message, Severity, Timestamp,
    wire::{
        batch::{Batch, Fate, Role},
        record::Record,
    },
};
use metlog_pipeline::{
    intake::Intake,
    matcher::{Matcher, MessageView},
    producer::OwnProducer,
    share::Share,
    stop::Stop,
};
use tracing::error;

use self::{limit::Limiter, scrub::Scrub};

/// The type of the messages that say what a rate limit suppressed.
pub const SUPPRESSED_TYPE: &str = "suppressed";

/// How often ended windows of rate limits are looked for.
const TICK: Duration = Duration::from_secs(1);

/// The filters of a daemon. Cheap to clone.
#[derive(Clone)]
pub struct Filters(Arc<Mutex<Vec<Filter>>>);

/// One filter, compiled.
struct Filter {
    /// Why a message was taken out: `filtered:<name>`.
    reason: String,
    matcher: Matcher,
    action: Action,
}

enum Action {
    Drop,
    Keep,
    Sample(Share),
    Limit(Limiter),
    Scrub(Scrub),
}

impl Filters {
    /// What becomes of a message that is about to be forwarded.
    #[must_use]
    pub fn judge(&self, batch: &Batch<'_>, sequence: u64, record: Record<'_>) -> Fate {
        if batch.header.role == Role::Daemon {
            return Fate::Kept;
        }
        let mut view = MessageView::new(record, batch.header.identity());
        let mut scrubbed = None;
        for filter in self.lock().iter_mut() {
            let matches = filter.matcher.matches(&mut view);
            let passes = match &mut filter.action {
                Action::Drop => !matches,
                Action::Keep => matches,
                Action::Sample(share) => !matches || share.takes(batch.header.producer, sequence),
                Action::Limit(limiter) => !matches || limiter.allows(&mut view, Instant::now()),
                Action::Scrub(scrub) => {
                    let message = scrubbed.take().or_else(|| view.message().ok().cloned());
                    scrubbed = message.map(|message| if matches { scrub.apply(message) } else { message });
                    true
                }
            };
            if !passes {
                return Fate::Removed(filter.reason.clone());
            }
        }
        let is_changed = |message: &Message| view.message().is_ok_and(|before| before != message);
        scrubbed.filter(is_changed).map_or(Fate::Kept, |message| Fate::Replaced(Box::new(message)))
    }

    /// True when messages about what was suppressed are to be made.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.lock().iter().any(|filter| matches!(filter.action, Action::Limit(_)))
    }

    /// Says what rate limits have suppressed, a message for each key and window, until told to stop.
    pub fn run(&self, intake: &Intake, stop: &Stop) {
        let mut producer = OwnProducer::new(intake, "metlog.filter", Role::Daemon);
        while !stop.wait(TICK) {
            self.tell(&mut producer, intake, Instant::now());
        }
        // The windows that are open end with the daemon.
        self.tell(&mut producer, intake, Instant::now() + Duration::from_secs(u64::from(u32::MAX)));
    }

    fn tell(&self, producer: &mut OwnProducer, intake: &Intake, now: Instant) {
        let mut messages = Vec::new();
        for filter in self.lock().iter_mut() {
            if let Action::Limit(limiter) = &mut filter.action {
                let name = filter.reason.split_once(':').map_or("", |(_, name)| name);
                messages.extend(limiter.ended(now).map(|(key, count)| summary(name, &key, count)));
            }
        }
        if messages.is_empty() {
            return;
        }
        let mut batch = producer.batch();
        let identity = producer.identity();
        for mut message in messages {
            (message.pid, message.hostname) = (identity.pid, identity.hostname.to_owned());
            // What is too big is counted in the batch itself.
            let _counted = batch.push(&message);
        }
        if let Err(error) = intake.take(&producer.finish(batch)) {
            error!(%error, "what was suppressed is not told");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Filter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary(filter: &str, key: &str, count: u64) -> Message {
    let mut fields = Fields::new();
    fields.insert("filter", filter);
    fields.insert("key", key);
    fields.insert("count", count);
    Message {
        kind: SUPPRESSED_TYPE.to_owned(),
        timestamp: Timestamp::now(),
        logger: "metlog.filter".to_owned(),
        severity: Severity::NOTICE,
        payload: format!("filter {filter} suppressed {count} messages of {key:?}").into(),
        fields,
        env_version: ENV_VERSION.to_owned(),
        pid: 0,
        hostname: String::new(),
    }
}
