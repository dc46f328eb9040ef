//! `spool export`: messages as JSON lines.

use std::io::Write;

use metlog_core::{
    Message,
    wire::{batch::Batch, json::to_json},
};

use super::{Failed, Place, Selection, complain};
use crate::{matcher::MessageView, spool::inspect::Item};

pub(super) fn run(place: &Place, selection: &Selection, out: &mut dyn Write) -> Result<bool, Failed> {
    let skipped = each_message(place, selection, |message| Ok(writeln!(out, "{}", to_json(&message))?))?;
    Ok(skipped.tell())
}

/// What could not be read.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    stretches: u64,
    records: u64,
    pub(super) messages: u64,
}

impl Skipped {
    /// Says so on stderr; true when there is nothing to say.
    pub(super) fn tell(&self) -> bool {
        let parts = [
            (self.stretches, "damaged stretches of the spool (`spool verify` names them)"),
            (self.records, "records that are no batches"),
            (self.messages, "messages that cannot be decoded"),
        ];
        for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
            complain(&format!("left out: {count} {what}"));
        }
        parts.iter().all(|(count, _)| *count == 0)
    }
}

/// Hands over the batches of the selected ordinals, with their frames.
pub(super) fn each_batch(
    place: &Place,
    selection: &Selection,
    mut take: impl FnMut(&Batch<'_>, &[u8], &mut Skipped) -> Result<(), Failed>,
) -> Result<Skipped, Failed> {
    let view = place.view()?;
    let mut skipped = Skipped::default();
    for item in view.walk(selection.first_ordinal()) {
        let record = match item {
            Item::Record { record, .. } if record.ordinal > selection.last_ordinal() => break,
            Item::Record { record, .. } => record,
            Item::Damage(_) => {
                skipped.stretches += 1;
                continue;
            }
            Item::Jump { .. } => continue,
        };
        match Batch::parse(&record.frame) {
            Ok(batch) => take(&batch, &record.frame, &mut skipped)?,
            Err(_) => skipped.records += 1,
        }
    }
    Ok(skipped)
}

/// Hands over the selected messages.
pub(super) fn each_message(
    place: &Place,
    selection: &Selection,
    mut take: impl FnMut(Message) -> Result<(), Failed>,
) -> Result<Skipped, Failed> {
    each_batch(place, selection, |batch, _, skipped| {
        for (_, record) in batch.records() {
            let mut view = MessageView::new(record, batch.header.identity());
            if !selection.takes(&mut view) {
                continue;
            }
            match view.into_message() {
                Ok(message) => take(message)?,
                Err(_) => skipped.messages += 1,
            }
        }
        Ok(())
    })
}
