//! JSON messages of the original clients, however they came. They have no origin: each input gives them one.

use std::time::{Duration, Instant};

use metlog_core::{
    Message,
    wire::{
        batch::{Builder, Role},
        json,
    },
};
use metlog_pipeline::{counters::Counters, intake::Intake, producer::OwnProducer, quiet::Quiet};
use tracing::{error, warn};

/// A batch goes into the spool when it is so large or so old.
const BATCH_BYTES: usize = 64 * 1024;

/// See [`BATCH_BYTES`].
const BATCH_AGE: Duration = Duration::from_millis(20);

/// Makes batches of single messages, and stores them.
pub(super) struct Messages {
    /// The input's name.
    input: &'static str,
    intake: Intake,
    producer: OwnProducer,
    counters: Counters,
    quiet: Quiet,
}

impl Messages {
    pub(super) fn new(input: &'static str, intake: Intake, counters: Counters) -> Self {
        let producer = OwnProducer::new(&intake, &format!("metlog.input.{input}"), Role::Input);
        Self { input, intake, producer, counters, quiet: Quiet::default() }
    }

    /// Stores what comes now; false when nothing has come. `receive` gives its argument what is there, and says whether
    /// anything was. What comes after the first is waited for as long as a batch may grow old.
    pub(super) fn gather(&mut self, mut receive: impl FnMut(&mut dyn FnMut(&[u8])) -> bool) -> bool {
        let mut batch = self.producer.batch();
        if !receive(&mut |message| self.add(&mut batch, message)) {
            return false;
        }
        let deadline = Instant::now() + BATCH_AGE;
        while batch.body_bytes() < BATCH_BYTES && Instant::now() < deadline {
            if !receive(&mut |message| self.add(&mut batch, message)) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.store(batch);
        true
    }

    fn add(&mut self, batch: &mut Builder, text: &[u8]) {
        let input = self.input;
        match json::from_json(text) {
            Ok(read) => {
                self.counters.add("received_messages", &[("input", input)], 1);
                self.counters.add("input_misfits", &[("input", input)], read.misfits.into());
                // What is too big is counted in the batch itself.
                let _counted = batch.push(&self.with_sender(read.message));
            }
            Err(error) => {
                batch.remove("dropped:malformed", 1);
                let reason = error.kind().as_str();
                self.counters.add("input_malformed", &[("input", input), ("reason", reason)], 1);
                self.quiet.say("malformed", || warn!(%error, "message on input.{input} dropped"));
            }
        }
    }

    /// A message that does not say where it comes from came from this host.
    fn with_sender(&self, mut message: Message) -> Message {
        if message.hostname.is_empty() {
            self.producer.identity().hostname.clone_into(&mut message.hostname);
        }
        message
    }

    fn store(&mut self, batch: Builder) {
        let frame = self.producer.finish(batch);
        if let Err(error) = self.intake.take(&frame) {
            let input = self.input;
            self.counters.add("input_refused", &[("input", input)], 1);
            self.quiet.say("refused", || error!(%error, "messages on input.{input} dropped"));
        }
    }
}
