//! `spool verify`: reads every byte and says what is wrong and where.

use std::io::Write;

use metlog_core::wire::batch::Batch;
use serde::Serialize;

use super::{Failed, Format, Place, size};
use crate::spool::{
    Record,
    inspect::{DamageKind, DamagedStretch, Item},
};

/// Findings told; more are only counted.
const MAX_FINDINGS: usize = 10_000;

/// All of the answer.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    spool: String,
    good: bool,
    segments: u64,
    bytes: u64,
    records: u64,
    messages: u64,
    findings: Vec<Finding>,
    /// Findings beyond those told.
    more_findings: u64,
    /// Stretches of ordinals that the spool has left out, as it does after a crash: no damage.
    jumps: Vec<(u64, u64)>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// `damaged`, `torn`, `no_header`, `no_batch`, `undecodable`, `missing`, `checkpoint`.
    what: &'static str,
    segment: Option<String>,
    offset: Option<u64>,
    bytes: Option<u64>,
    ordinal: Option<u64>,
    records: Option<u64>,
    /// In words.
    text: String,
}

pub(super) fn run(place: &Place, format: Format, out: &mut dyn Write) -> Result<bool, Failed> {
    let verdict = Verdict::new(place)?;
    if format.json {
        writeln!(out, "{}", serde_json::to_string(&verdict).unwrap_or_default())?;
    } else {
        verdict.print(out)?;
    }
    Ok(verdict.good)
}

impl Verdict {
    fn new(place: &Place) -> Result<Self, Failed> {
        let view = place.view()?;
        let segments = u64::try_from(view.segments().len()).unwrap_or(u64::MAX);
        let spool = place.spool().display().to_string();
        let mut verdict = Self { spool, segments, bytes: view.bytes(), ..Self::default() };
        let mut last = 0;
        for item in view.walk(1) {
            match item {
                Item::Record { segment, offset, record } => {
                    last = record.ordinal;
                    verdict.read(segment, offset, &record);
                }
                Item::Damage(damage) => verdict.find(damaged(&damage)),
                Item::Jump { from, to } => verdict.jumps.push((from, to)),
            }
        }
        let safe = view.safe_at_close();
        if safe > last {
            let (ordinal, records) = (Some(last + 1), Some(safe - last));
            let text = format!("ordinals {}..{safe} were safe and are missing at the end", last + 1);
            verdict.find(Finding {
                what: "missing",
                segment: None,
                offset: None,
                bytes: None,
                ordinal,
                records,
                text,
            });
        }
        for consumer in place.consumers().iter().filter(|consumer| consumer.through.is_none()) {
            let name = &consumer.name;
            let text = format!("neither checkpoint of the consumer {name} can be read: it would begin anew");
            let finding = Finding::at(0, 0, "checkpoint", text);
            verdict.find(Finding { segment: None, offset: None, ..finding });
        }
        verdict.good = verdict.findings.is_empty();
        Ok(verdict)
    }

    /// Looks into a record whose checks are good.
    fn read(&mut self, segment: u64, offset: u64, record: &Record) {
        self.records += 1;
        let ordinal = Some(record.ordinal);
        let batch = match Batch::parse(&record.frame) {
            Ok(batch) => batch,
            Err(error) => {
                let finding =
                    Finding::at(segment, offset, "no_batch", format!("record is no batch: {error}"));
                return self.find(Finding { ordinal, ..finding });
            }
        };
        self.messages += batch.header.count();
        for (sequence, message) in batch.messages() {
            if let Err(error) = message {
                let producer = batch.header.producer;
                let text = format!("message {sequence} of producer {producer} cannot be decoded: {error}");
                self.find(Finding { ordinal, ..Finding::at(segment, offset, "undecodable", text) });
            }
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }

    fn print(&self, out: &mut dyn Write) -> Result<(), Failed> {
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }
        if self.more_findings > 0 {
            writeln!(out, "and {} more", self.more_findings)?;
        }
        for (from, to) in &self.jumps {
            writeln!(out, "note: ordinals {from}..{to} were left out, as after a crash or a failed sync")?;
        }
        let word = if self.good { "good" } else { "damaged" };
        let (records, messages, bytes) = (self.records, self.messages, size(self.bytes));
        let segments = self.segments;
        writeln!(out, "{word}: {records} records with {messages} messages, {bytes} in {segments} segments")?;
        Ok(())
    }
}

impl Finding {
    fn at(segment: u64, offset: u64, what: &'static str, text: String) -> Self {
        let (segment, offset) = (Some(format!("{segment:020}.seg")), Some(offset));
        Self { what, segment, offset, bytes: None, ordinal: None, records: None, text }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.what)?;
        if let (Some(segment), Some(offset)) = (&self.segment, self.offset) {
            write!(f, "{segment} at {offset}")?;
            if let Some(ordinal) = self.ordinal {
                write!(f, ", ordinal {ordinal}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.text)
    }
}

fn damaged(damage: &DamagedStretch) -> Finding {
    let DamagedStretch { bytes, records, .. } = *damage;
    let (what, text) = match damage.kind {
        DamageKind::Header => {
            ("no_header", format!("header of the segment cannot be read, {bytes} bytes are out of reach"))
        }
        DamageKind::Records => ("damaged", format!("{bytes} bytes that held {records} records")),
        DamageKind::TornTail => (
            "torn",
            format!("{bytes} bytes at the end of a write that was cut short; the next start cuts them off"),
        ),
    };
    let finding = Finding::at(damage.segment, damage.offset, what, text);
    Finding { bytes: Some(bytes), ordinal: Some(damage.ordinal), records: Some(records), ..finding }
}
