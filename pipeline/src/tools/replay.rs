//! `spool replay`: messages of a spool, or of a file that `spool export` wrote, sent again.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use metlog_core::{
    ENV_VERSION, Message, process,
    wire::{
        batch::{Builder, Header, ProducerId},
        json::from_json,
        record::Identity,
    },
};

use super::{Failed, Place, Selection, complain, export};
use crate::link::courier::Courier;

/// A batch is sent when it holds so much.
const BATCH_BYTES: usize = 64 * 1024;

/// A line of an exported file, the newline included, is at most so long.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// The producer of what is sent again, as reports call it.
const LOGGER: &str = "metlog-replay";

/// What to send again, and to whom.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The link endpoint that shall have the messages, such as tcp://127.0.0.1:5567 (a sidecar) or :5568 (a grater).
    #[arg(long)]
    pub endpoint: String,
    /// A file of exported messages instead of the spool; `-` for stdin.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Whole batches under their own origin, so that a receiver that has had them drops them.
    #[arg(long, conflicts_with_all = ["file", "matching"])]
    pub keep_origin: bool,
    /// Which of them.
    #[command(flatten)]
    pub selection: Selection,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(place: &Place, args: &ReplayArgs, out: &mut dyn Write) -> Result<bool, Failed> {
    check(args)?;
    let mut replay = Replay::connect(&args.endpoint)?;
    let sent = match (&args.file, args.keep_origin) {
        (Some(file), _) => replay.send_file(file, &args.selection),
        (None, false) => replay.send_spool(place, &args.selection),
        (None, true) => replay.send_batches(place, &args.selection),
    };
    // What was sent before a failure has arrived, or not: either is said.
    let sent = sent.and_then(|is_whole| replay.finish().map(|()| is_whole));
    let (messages, batches) = (replay.messages, replay.courier.acknowledged());
    if args.json {
        let answer = serde_json::json!({
            "endpoint": args.endpoint, "messages": messages, "acknowledged_batches": batches, "whole": sent.is_ok(),
        });
        writeln!(out, "{answer}")?;
    } else if sent.is_ok() {
        writeln!(out, "{messages} messages are on the disk of {}", args.endpoint)?;
    } else {
        writeln!(out, "{messages} messages were sent to {}, {batches} batches acknowledged", args.endpoint)?;
    }
    sent
}

/// What clap cannot say.
fn check(args: &ReplayArgs) -> Result<(), Failed> {
    if args.keep_origin && !args.selection.is_whole_batches() {
        return Err(Failed::because("--keep-origin sends whole batches: give ordinals with --from and --to"));
    }
    if args.file.is_some() && args.selection.has_ordinals() {
        return Err(Failed::because("a file has no ordinals: give times with --from and --to"));
    }
    Ok(())
}

/// A replay under way.
struct Replay {
    courier: Courier,
    header: Header,
    batch: Builder,
    messages: u64,
}

impl Replay {
    fn connect(endpoint: &str) -> Result<Self, Failed> {
        let courier = Courier::connect(endpoint)?;
        let hostname = process::hostname();
        let identity =
            Identity { env_version: ENV_VERSION, pid: i64::from(std::process::id()), hostname: &hostname };
        let header = Header::new(ProducerId::random()?, identity, LOGGER);
        Ok(Self { courier, batch: Builder::new(header.clone()), header, messages: 0 })
    }

    fn send_spool(&mut self, place: &Place, selection: &Selection) -> Result<bool, Failed> {
        let skipped = export::each_message(place, selection, |message| self.push(&message))?;
        Ok(skipped.tell())
    }

    fn send_batches(&mut self, place: &Place, selection: &Selection) -> Result<bool, Failed> {
        let skipped = export::each_batch(place, selection, |batch, frame, _| {
            self.messages += batch.header.count();
            Ok(self.courier.send(frame)?)
        })?;
        Ok(skipped.tell())
    }

    fn send_file(&mut self, file: &Path, selection: &Selection) -> Result<bool, Failed> {
        let name = file.display();
        let cannot = |source: io::Error| Failed::because(format!("cannot read {name}: {source}"));
        let mut lines: Box<dyn BufRead> = if file == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(file).map_err(cannot)?))
        };
        let (mut bytes, mut number, mut is_whole) = (Vec::new(), 0_u64, true);
        loop {
            bytes.clear();
            let count =
                io::Read::take(&mut lines, MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(cannot)?;
            if count == 0 {
                return Ok(is_whole);
            }
            number += 1;
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match from_json(&bytes) {
                Ok(read) if selection.takes_message(&read.message)? => self.push(&read.message)?,
                Ok(_) => {}
                Err(error) => {
                    is_whole = false;
                    complain(&format!("left out: {name}, line {number}: {error}"));
                }
            }
        }
    }

    fn push(&mut self, message: &Message) -> Result<(), Failed> {
        self.batch.push(message)?;
        self.messages += 1;
        if self.batch.body_bytes() >= BATCH_BYTES { self.send_batch(false) } else { Ok(()) }
    }

    fn send_batch(&mut self, is_last: bool) -> Result<(), Failed> {
        let first_sequence = self.header.first_sequence + self.batch.span();
        let next = Builder::new(Header { first_sequence, ..self.header.clone() });
        let mut batch = std::mem::replace(&mut self.batch, next);
        self.header.first_sequence = first_sequence;
        batch.header_mut().attempted = first_sequence;
        batch.header_mut().last = is_last;
        Ok(self.courier.send(&batch.finish())?)
    }

    /// Sends what is left, and waits until everything is safe with the receiver.
    fn finish(&mut self) -> Result<(), Failed> {
        if self.header.first_sequence + self.batch.span() > 0 {
            self.send_batch(true)?;
        }
        Ok(self.courier.finish()?)
    }
}
