//! What the spool knows in memory: its segments, which ordinals are safe, who still needs what.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::files::FileRef;
use super::scan::Limit;
use super::segment::HEADER_BYTES;
use super::stats::{Outcome, SpoolStats};

/// Failed syncs remembered one by one; beyond it the two oldest are told as one stretch.
const MAX_GIVEN_UP: usize = 1024;

/// After a refusal for want of disk space the spool calls itself full for so long, then lets callers try again.
const DISK_FULL_PAUSE: Duration = Duration::from_secs(1);

/// One segment file. `synced <= readable <= length`, all at ends of records.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) salt: u64,
    pub(super) length: u64,
    /// Readers may go so far.
    pub(super) readable: u64,
    /// Known to be on disk; 0 when not even the header is.
    pub(super) synced: u64,
    /// Kept open as long as it is written or waits for a sync.
    pub(super) file: Option<FileRef>,
}

/// What a reader does next.
#[derive(Debug)]
pub(super) enum Step {
    Read(Limit),
    Enter { first: u64, segment: Segment },
    Wait,
}

/// The state under the lock `index`.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) segments: BTreeMap<u64, Segment>,
    pub(super) bytes: u64,
    /// The last ordinal when the spool was opened.
    pub(super) opened: u64,
    pub(super) appended: u64,
    pub(super) synced: u64,
    given_up: Vec<RangeInclusive<u64>>,
    consumers: BTreeMap<String, u64>,
    /// Of `counts.appended_records`, those that were synced or given up.
    pub(super) settled_records: u64,
    /// Buffered: the lowest ordinal that a failed sync left in the spool, perhaps not on the disk.
    pub(super) doubtful: Option<u64>,
    pub(super) directory_dirty: bool,
    /// Appends are refused.
    pub(super) closed: bool,
    /// None is under way any more: the sync thread ends once all is settled.
    pub(super) ending: bool,
    refused: bool,
    disk_full: Option<Instant>,
    pub(super) counts: SpoolStats,
}

impl Index {
    pub(super) fn add_segment(&mut self, first: u64, segment: Segment) {
        if let Some(mut last) =
            self.segments.last_entry().filter(|last| last.get().synced == last.get().length)
        {
            last.get_mut().file = None;
        }
        self.remove_segment(first);
        self.bytes = self.bytes.saturating_add(segment.length);
        self.segments.insert(first, segment);
    }

    pub(super) fn remove_segment(&mut self, first: u64) {
        if let Some(segment) = self.segments.remove(&first) {
            self.bytes = self.bytes.saturating_sub(segment.length);
        }
    }

    /// Takes note of records written to the last segment.
    pub(super) fn grow(&mut self, bytes: u64, records: u64, last: u64) {
        if let Some(mut segment) = self.segments.last_entry() {
            let segment = segment.get_mut();
            segment.length = segment.length.saturating_add(bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.appended = last;
        self.refused = false;
        self.disk_full = None;
        self.counts.appended_records = self.counts.appended_records.saturating_add(records);
        self.counts.appended_bytes = self.counts.appended_bytes.saturating_add(bytes);
    }

    /// Lets readers see everything that is written.
    pub(super) fn publish_all(&mut self) {
        for segment in self.segments.values_mut().rev() {
            if segment.readable == segment.length {
                break;
            }
            segment.readable = segment.length;
        }
        self.synced = self.appended;
    }

    /// Takes note that a segment is on disk up to `length`.
    pub(super) fn mark_synced(&mut self, first: u64, length: u64) {
        let last = self.segments.last_key_value().map(|(first, _)| *first);
        let Some(segment) = self.segments.get_mut(&first) else { return };
        segment.synced = segment.synced.max(length);
        segment.readable = segment.readable.max(length);
        if last != Some(first) && segment.synced == segment.length {
            segment.file = None;
        }
    }

    /// Segments with bytes that are not known to be on disk.
    pub(super) fn unsynced(&self) -> Vec<(u64, Segment)> {
        let dirty = self.segments.iter().filter(|(_, segment)| segment.synced < segment.length);
        dirty.map(|(first, segment)| (*first, segment.clone())).collect()
    }

    /// Ordinal up to which everything is on the disk, as far as it was not given up.
    pub(super) fn safe(&self) -> u64 {
        let dirty = self.segments.iter().find(|(_, segment)| segment.synced < segment.length);
        let first = dirty.map(|(first, _)| *first).into_iter().chain(self.doubtful).min();
        first.map_or(self.synced, |first| self.synced.min(first.saturating_sub(1)))
    }

    /// Forgets everything that was not synced, which is in the segments `failed`.
    pub(super) fn give_up(&mut self, failed: &[(u64, Segment)]) {
        if let Some(from) = self.first_unsettled() {
            self.remember_given_up(from..=self.appended);
        }
        let lost = self.counts.appended_records.saturating_sub(self.settled_records);
        self.settled_records = self.counts.appended_records;
        self.counts.given_up_records = self.counts.given_up_records.saturating_add(lost);
        for (first, segment) in failed {
            self.remove_segment(*first);
            if segment.synced > 0 {
                let kept = Segment { length: segment.synced, file: None, ..segment.clone() };
                self.add_segment(*first, kept);
            }
        }
    }

    /// Buffered: readers may have passed on what was not synced. It stays, and a power cut can take it; a segment
    /// without a record goes, since its header may not be on the disk either.
    pub(super) fn keep_unsynced(&mut self, failed: &[(u64, Segment)]) {
        for (first, segment) in failed {
            if segment.length <= HEADER_BYTES {
                self.remove_segment(*first);
                continue;
            }
            self.mark_synced(*first, segment.length);
            self.doubtful = Some(self.doubtful.map_or(*first, |before| before.min(*first)));
        }
        self.directory_dirty = true;
    }

    fn remember_given_up(&mut self, lost: RangeInclusive<u64>) {
        match self.given_up.last_mut() {
            Some(last) if last.end().saturating_add(1) == *lost.start() => {
                *last = *last.start()..=*lost.end();
            }
            _ => self.given_up.push(lost),
        }
        if self.given_up.len() > MAX_GIVEN_UP {
            // Too much is then told as lost, never too little: an appender resends, and repeats are dropped.
            let oldest = self.given_up.remove(0);
            if let Some(next) = self.given_up.first_mut() {
                *next = *oldest.start()..=*next.end();
            }
        }
    }

    /// First ordinal that is neither synced nor given up.
    pub(super) fn first_unsettled(&self) -> Option<u64> {
        let given_up = self.given_up.last().map_or(0, |range| *range.end());
        let settled = self.synced.max(given_up);
        (settled < self.appended).then(|| settled.saturating_add(1))
    }

    pub(super) fn outcome(&self, ordinal: u64) -> Outcome {
        if self.given_up.iter().any(|range| range.contains(&ordinal)) {
            Outcome::GivenUp
        } else if ordinal <= self.synced {
            Outcome::Synced
        } else {
            Outcome::Waiting
        }
    }

    /// A consumer's saved place as it counts here. One past the last record speaks of records that were lost before the
    /// spool was opened, or of another spool: what came since then must not be taken for done.
    pub(super) fn place(&self, through: u64) -> u64 {
        if through > self.appended { self.opened } else { through }
    }

    pub(super) fn register(&mut self, consumer: &str, through: u64) {
        self.consumers.insert(consumer.to_owned(), self.place(through));
    }

    pub(super) fn unregister(&mut self, consumer: &str) {
        self.consumers.remove(consumer);
    }

    pub(super) fn release(&mut self, consumer: &str, through: u64) {
        let through = self.place(through);
        let held = self.consumers.entry(consumer.to_owned()).or_default();
        *held = through.max(*held);
        if self.all_released() {
            // Even if the last segment is all there is: the next append begins a new one and deletes it.
            self.refused = false;
        }
    }

    /// Takes out the segments that no consumer needs, each only once the next is on the disk: where a crash takes the
    /// last one away, what is left must still tell which ordinals were given. Their files are the caller's to delete.
    pub(super) fn take_released(&mut self) -> Vec<u64> {
        let Some(through) = self.consumers.values().min().copied() else { return Vec::new() };
        let next = self.segments.iter().skip(1);
        let done =
            |(next, segment): (&u64, &Segment)| *next <= through.saturating_add(1) && segment.synced > 0;
        let count = next.take_while(|next| done(*next)).count();
        let released: Vec<u64> = self.segments.keys().take(count).copied().collect();
        for first in &released {
            self.remove_segment(*first);
        }
        if !released.is_empty() {
            self.refused = false;
            let deleted = u64::try_from(released.len()).unwrap_or(u64::MAX);
            self.counts.deleted_segments = self.counts.deleted_segments.saturating_add(deleted);
        }
        released
    }

    /// Whether all consumers are done with all records, the last segment's included.
    pub(super) fn all_released(&self) -> bool {
        self.consumers.values().min().is_some_and(|through| *through >= self.appended)
    }

    pub(super) fn note_full(&mut self) {
        self.refused = true;
        self.counts.refused_full = self.counts.refused_full.saturating_add(1);
    }

    pub(super) fn note_disk_full(&mut self, error: String) {
        self.disk_full = Some(Instant::now());
        self.counts.refused_full = self.counts.refused_full.saturating_add(1);
        self.counts.last_error = Some(error);
    }

    pub(super) fn note_io_error(&mut self, error: String) {
        self.counts.refused_io = self.counts.refused_io.saturating_add(1);
        self.counts.last_error = Some(error);
    }

    pub(super) fn is_full(&self) -> bool {
        self.refused || self.disk_full.is_some_and(|since| since.elapsed() < DISK_FULL_PAUSE)
    }

    /// What a reader does that stands at `offset` of the segment `current`, or before its first one.
    pub(super) fn step(&self, position: u64, current: Option<(u64, u64)>) -> Step {
        let Some((first, offset)) = current else {
            let at = self.segments.range(..=position).next_back();
            return enter(at.or_else(|| self.segments.first_key_value()));
        };
        let next = self.segments.range(first.saturating_add(1)..).next();
        match self.segments.get(&first) {
            Some(segment) if offset < segment.readable => {
                let last = next.map_or(self.synced, |(next, _)| next.saturating_sub(1));
                Step::Read(Limit { bytes: segment.readable, last: last.min(self.synced) })
            }
            Some(segment) if segment.readable < segment.length => Step::Wait,
            _ => enter(next),
        }
    }

    /// Readable bytes at and after `offset` of the segment `first`.
    pub(super) fn bytes_after(&self, first: u64, offset: u64) -> u64 {
        let rest = |(at, segment): (&u64, &Segment)| {
            let from = if *at == first { offset } else { HEADER_BYTES };
            segment.readable.saturating_sub(from)
        };
        self.segments.range(first..).map(rest).fold(0, u64::saturating_add)
    }

    pub(super) fn stats(&self) -> SpoolStats {
        SpoolStats {
            bytes: self.bytes,
            segments: u64::try_from(self.segments.len()).unwrap_or(u64::MAX),
            oldest: self.oldest(),
            appended: self.appended,
            synced: self.synced,
            ..self.counts.clone()
        }
    }

    /// First ordinal that is kept; the next one to come when nothing is.
    pub(super) fn oldest(&self) -> u64 {
        self.segments.keys().next().copied().unwrap_or(self.appended.saturating_add(1))
    }
}

fn enter(segment: Option<(&u64, &Segment)>) -> Step {
    segment.map_or(Step::Wait, |(first, segment)| Step::Enter { first: *first, segment: segment.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(segments: &[u64], appended: u64) -> Index {
        let mut index = Index { appended, synced: appended, ..Index::default() };
        for first in segments {
            index.add_segment(
                *first,
                Segment { salt: 0, length: 100, readable: 100, synced: 100, file: None },
            );
        }
        index
    }

    #[test]
    fn a_segment_goes_when_the_slowest_consumer_has_passed_its_last_record() {
        for (slowest, expected) in
            [(9, vec![]), (10, vec![1]), (19, vec![1]), (20, vec![1, 11]), (30, vec![1, 11]), (99, vec![])]
        {
            let mut index = index(&[1, 11, 21], 30);
            index.register("fast", 30);
            index.register("slow", 0);
            index.release("slow", slowest);
            assert_eq!(index.take_released(), expected, "released through {slowest}");
        }
    }

    #[test]
    fn a_segment_stays_until_the_next_is_on_the_disk() {
        let mut index = index(&[1, 11, 21], 30);
        index.segments.get_mut(&21).unwrap().synced = 0;
        index.register("only", 30);
        assert_eq!(index.take_released(), [1]);
        index.mark_synced(21, 48);
        assert_eq!(index.take_released(), [11]);
    }

    #[test]
    fn nothing_goes_without_a_consumer_and_a_release_never_goes_back() {
        let mut index = index(&[1, 11, 21], 30);
        assert!(index.take_released().is_empty());
        index.register("only", 20);
        index.release("only", 5);
        assert_eq!(index.take_released(), [1, 11]);
    }

    #[test]
    fn given_up_stretches_join_and_more_than_the_bound_errs_to_the_safe_side() {
        let mut index = index(&[1], 0);
        index.appended = 3;
        index.give_up(&[]);
        index.appended = 5;
        index.give_up(&[]);
        assert_eq!(index.given_up, [1..=5]);
        for _ in 0..2 * MAX_GIVEN_UP {
            index.synced = index.appended + 1;
            index.appended += 2;
            index.give_up(&[]);
        }
        assert_eq!(index.given_up.len(), MAX_GIVEN_UP);
        for lost in (7..=index.appended).step_by(2) {
            assert_eq!(index.outcome(lost), Outcome::GivenUp, "{lost}");
        }
        assert_eq!(index.outcome(index.synced), Outcome::Synced);
    }
}
