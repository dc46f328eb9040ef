//! Rate limits: so many messages of each key in each window.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    time::{Duration, Instant},
};

use metlog_pipeline::{matcher::MessageView, template::Template};

/// Keys counted at a time. Messages of further ones pass together under one key, [`OTHERS`].
const MAX_KEYS: usize = 10_000;

/// The key of all that came too late for one of their own.
const OTHERS: &str = "others";

/// Counts by key.
pub(super) struct Limiter {
    key: Template,
    count: u64,
    per: Duration,
    windows: HashMap<String, Window>,
    scratch: String,
}

struct Window {
    began: Instant,
    seen: u64,
}

impl Limiter {
    pub(super) fn new(key: Template, count: NonZeroU64, per: Duration) -> Self {
        Self { key, count: count.get(), per, windows: HashMap::new(), scratch: String::new() }
    }

    /// Counts a message; true when it is one of those that pass. A window that has ended is told by [`Limiter::ended`]
    /// before its key gets another.
    pub(super) fn allows(&mut self, view: &mut MessageView<'_>, now: Instant) -> bool {
        // A message without a part of the key is counted with those that lack it too.
        self.key.fill(view, &mut self.scratch);
        let key = self.scratch.as_str();
        if let Some(window) = self.windows.get_mut(key) {
            return window.allows(self.count, self.per, now);
        }
        let key = if self.windows.len() < MAX_KEYS { key } else { OTHERS };
        let window = self.windows.entry(key.to_owned()).or_insert(Window { began: now, seen: 0 });
        window.allows(self.count, self.per, now)
    }

    /// Takes out the windows that have ended: keys of which messages were suppressed, and how many.
    pub(super) fn ended(&mut self, now: Instant) -> impl Iterator<Item = (String, u64)> {
        let (count, per) = (self.count, self.per);
        let ended = self.windows.extract_if(move |_, window| now.duration_since(window.began) >= per);
        ended.filter_map(move |(key, window)| {
            let suppressed = window.seen.checked_sub(count)?;
            (suppressed > 0).then_some((key, suppressed))
        })
    }
}

impl Window {
    /// A window that ended without a message suppressed begins anew at once.
    fn allows(&mut self, count: u64, per: Duration, now: Instant) -> bool {
        if self.seen <= count && now.duration_since(self.began) >= per {
            *self = Self { began: now, seen: 0 };
        }
        self.seen += 1;
        self.seen <= count
    }
}
