//! `spool ls`: segments and consumers.

use std::{io::Write, time::UNIX_EPOCH};

use serde::Serialize;

use super::{Failed, Format, Place, Table, age, size};
use crate::spool::inspect::{Consumer, View};

/// All of the answer.
#[derive(Debug, Serialize)]
struct Listing {
    spool: String,
    /// Whether a daemon answers for it.
    live: bool,
    bytes: u64,
    first: u64,
    last: u64,
    segments: Vec<SegmentRow>,
    consumers: Vec<ConsumerRow>,
    set_aside_files: u64,
    set_aside_bytes: u64,
}

#[derive(Debug, Serialize)]
struct SegmentRow {
    file: String,
    first: u64,
    last: u64,
    bytes: u64,
    /// Seconds since the epoch.
    written: u64,
    #[serde(skip)]
    age: String,
}

#[derive(Debug, Serialize)]
struct ConsumerRow {
    name: String,
    /// `None` when its checkpoint cannot be read.
    cursor: Option<u64>,
    behind_records: u64,
    behind_bytes: u64,
}

pub(super) fn run(place: &Place, format: Format, out: &mut dyn Write) -> Result<bool, Failed> {
    let listing = Listing::new(place)?;
    if format.json {
        writeln!(out, "{}", serde_json::to_string(&listing).unwrap_or_default())?;
    } else {
        listing.print(out)?;
    }
    Ok(true)
}

impl Listing {
    fn new(place: &Place) -> Result<Self, Failed> {
        // The cursors first: what is read of the spool afterwards is never behind them.
        let consumers = place.consumers();
        let view = place.view()?;
        let last = view.last();
        let (set_aside_files, set_aside_bytes) = view.set_aside();
        Ok(Self {
            spool: place.spool().display().to_string(),
            live: place.is_live(),
            bytes: view.bytes(),
            first: view.segments().first().map_or(0, |segment| segment.first),
            last,
            segments: segments(&view, last),
            consumers: consumers
                .into_iter()
                .map(|consumer| ConsumerRow::new(consumer, &view, last))
                .collect(),
            set_aside_files,
            set_aside_bytes,
        })
    }

    fn print(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let (count, bytes) = (self.segments.len(), size(self.bytes));
        let user = if self.live { "a daemon is running on it" } else { "no daemon answers for it" };
        writeln!(
            out,
            "{}: {count} segments, {bytes}, ordinals {}..{}; {user}",
            self.spool, self.first, self.last
        )?;
        let mut table = Table::new(&["SEGMENT", "FIRST", "LAST", "BYTES", "WRITTEN"]);
        for row in &self.segments {
            let numbers = [row.first.to_string(), row.last.to_string(), size(row.bytes)];
            let age = format!("{} ago", row.age);
            table.row([row.file.clone()].into_iter().chain(numbers).chain([age]));
        }
        writeln!(out, "\n{table}")?;
        let mut table = Table::new(&["CONSUMER", "CURSOR", "BEHIND", "BYTES BEHIND"]);
        for row in &self.consumers {
            let cursor = row.cursor.map_or_else(|| "unreadable".to_owned(), |cursor| cursor.to_string());
            table.row([row.name.clone(), cursor, row.behind_records.to_string(), size(row.behind_bytes)]);
        }
        write!(out, "{table}")?;
        if self.set_aside_files > 0 {
            let (files, bytes) = (self.set_aside_files, size(self.set_aside_bytes));
            writeln!(
                out,
                "\n{files} files with {bytes} of damaged bytes were set aside in {}/damaged",
                self.spool
            )?;
        }
        Ok(())
    }
}

/// A segment ends where the next begins.
fn segments(view: &View, last: u64) -> Vec<SegmentRow> {
    let nexts = view.segments().iter().skip(1).map(|next| next.first.saturating_sub(1)).chain([last]);
    let row = |(segment, last): (&crate::spool::inspect::SegmentFile, u64)| SegmentRow {
        file: segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        first: segment.first,
        last,
        bytes: segment.bytes,
        written: segment.written.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        age: age(segment.written),
    };
    view.segments().iter().zip(nexts).map(row).collect()
}

impl ConsumerRow {
    fn new(consumer: Consumer, view: &View, last: u64) -> Self {
        // Without a place it begins at the oldest record.
        let through = consumer.through.unwrap_or(0);
        let oldest = view.segments().first().map_or(0, |segment| segment.first.saturating_sub(1));
        Self {
            name: consumer.name,
            cursor: consumer.through,
            behind_records: last.saturating_sub(through.max(oldest)),
            behind_bytes: view.bytes_after(through),
        }
    }
}
