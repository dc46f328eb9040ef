//! What every formatter must do with any line: take it or not, and what it takes travels.

use std::sync::OnceLock;

use metlog_core::{
    Timestamp,
    wire::{
        batch::{Batch, Builder, Header, ProducerId},
        record::Identity,
    },
};
use metlog_sidecar::{
    formatter::{Format, Formatter, FormatterConfig, Origin},
    input::files::entry,
};

const IDENTITY: Identity<'static> = Identity { env_version: "0.8", pid: 1, hostname: "h" };
const ORIGIN: Origin<'static> = Origin { path: "/var/log/a.log", hostname: "h", labels: None };

/// Formats the bytes, and reads what was written of them.
pub fn format(format: Format, bytes: &[u8]) {
    static FORMATTER: OnceLock<[Formatter; 1]> = OnceLock::new();
    let formatters = FORMATTER.get_or_init(|| [FormatterConfig::new(format).compile("fuzz").unwrap()]);
    let line = String::from_utf8_lossy(bytes);
    let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let (parsed, is_unformatted) = entry::parse(&line, formatters, now, &ORIGIN);
    assert!(!is_unformatted || parsed.payload.as_deref() == Some(&*line), "what is not taken is kept whole");

    let mut batch = Builder::new(Header::new(ProducerId([1; 16]), IDENTITY, "fuzz"));
    entry::push(&mut batch, &parsed, "logger", now).unwrap();
    let frame = batch.finish();
    let (_, message) = Batch::parse(&frame).unwrap().messages().next().unwrap();
    let message = message.unwrap();
    assert_eq!(message.fields.len(), parsed.fields.len(), "each name once");
    assert_eq!(message.payload.as_text(), Some(parsed.payload.as_deref().unwrap_or_default()));
}
