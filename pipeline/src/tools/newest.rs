//! The newest message of a spool that fits an expression.

use std::path::Path;

use metlog_core::{
    Message,
    wire::batch::{Batch, ProducerId},
};

use super::{Failed, Place};
use crate::{
    matcher::{Matcher, MessageView},
    spool::inspect::Item,
};

/// A message, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    /// The message.
    pub message: Message,
    /// Who sent it.
    pub producer: ProducerId,
    /// Its number.
    pub sequence: u64,
    /// The record of the spool it lies in.
    pub ordinal: u64,
}

/// The newest message in the spool under `data_dir` that fits; `None` when none does.
///
/// # Errors
/// When there is no spool, or it cannot be read.
pub fn newest(data_dir: &Path, matcher: &Matcher) -> Result<Option<Newest>, Failed> {
    let view = Place { data_dir: data_dir.to_owned() }.view()?;
    // From the last segment on: each is read from its front, and the newest of its messages counts.
    for file in view.segments().iter().rev() {
        let of_file = |item: &Item| matches!(item, Item::Record { segment, .. } if *segment == file.first);
        let items = view.walk(file.first).skip_while(|item| !of_file(item)).take_while(of_file);
        if let Some(found) = items.filter_map(|item| in_record(&item, matcher)).last() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn in_record(item: &Item, matcher: &Matcher) -> Option<Newest> {
    let Item::Record { record, .. } = item else { return None };
    let batch = Batch::parse(&record.frame).ok()?;
    let fits = batch.records().filter_map(|(sequence, message)| {
        let mut view = MessageView::new(message, batch.header.identity());
        let message = matcher.matches(&mut view).then(|| view.into_message().ok())??;
        Some(Newest { message, producer: batch.header.producer, sequence, ordinal: record.ordinal })
    });
    fits.last()
}
