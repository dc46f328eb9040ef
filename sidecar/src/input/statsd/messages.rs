//! Events and service checks of dogstatsd as messages. They have no origin: each statsd input gives them one.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use metlog_core::{Fields, Message, Severity, Timestamp, wire::batch::Role};
use metlog_pipeline::{counters::Counters, intake::Intake, producer::OwnProducer, quiet::Quiet};
use tracing::error;

use crate::{
    rollup::StatsdInput,
    statsd::{Check, Event, Meta},
};

/// The type of messages that were events.
const EVENT_TYPE: &str = "event";

/// The type of messages that were service checks.
const CHECK_TYPE: &str = "service_check";

/// Gathers messages of one thread; all threads of an input share its origin.
pub struct Messages {
    input: StatsdInput,
    gathered: Vec<Message>,
    shared: Arc<Mutex<OwnProducer>>,
    intake: Intake,
    counters: Counters,
    quiet: Quiet,
}

impl Messages {
    /// Those of an input.
    #[must_use]
    pub fn new(input: StatsdInput, intake: Intake, counters: Counters) -> Self {
        let name = format!("{}.messages", input.producer());
        let shared = Arc::new(Mutex::new(OwnProducer::new(&intake, &name, Role::Input)));
        Self { input, gathered: Vec::new(), shared, intake, counters, quiet: Quiet::default() }
    }

    /// The input.
    #[must_use]
    pub fn input(&self) -> StatsdInput {
        self.input
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// For another thread of the same input.
    #[must_use]
    pub fn for_thread(&self) -> Self {
        Self {
            input: self.input,
            gathered: Vec::new(),
            shared: Arc::clone(&self.shared),
            intake: self.intake.clone(),
            counters: self.counters.clone(),
            quiet: Quiet::default(),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>) {
        self.gather(EVENT_TYPE, &event.meta, event.severity(), (event.payload(), event.fields()));
    }

    pub(super) fn check(&mut self, check: &Check<'_>) {
        self.gather(CHECK_TYPE, &check.meta, check.severity(), (check.payload(), check.fields()));
    }

    /// Process and host are filled in when it is stored, unless it names its host.
    fn gather(&mut self, kind: &str, meta: &Meta<'_>, severity: Severity, content: (String, Fields)) {
        let (payload, fields) = content;
        self.gathered.push(Message {
            kind: kind.to_owned(),
            timestamp: meta.timestamp(Timestamp::now()),
            logger: "statsd".to_owned(),
            severity,
            payload: payload.into(),
            fields,
            env_version: metlog_core::ENV_VERSION.to_owned(),
            pid: 0,
            hostname: meta.hostname.unwrap_or_default().to_owned(),
        });
    }

    /// Puts what was gathered into the spool.
    pub(super) fn store(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let mut producer = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = producer.batch();
        let hostname = producer.identity().hostname.to_owned();
        let input = self.input.name();
        for mut message in mem::take(&mut self.gathered) {
            if message.hostname.is_empty() {
                hostname.clone_into(&mut message.hostname);
            }
            self.counters.add("received_messages", &[("input", input)], 1);
            // What is too big is counted in the batch itself.
            let _counted = batch.push(&message);
        }
        let frame = producer.finish(batch);
        if let Err(error) = self.intake.take(&frame) {
            self.counters.add("input_refused", &[("input", input)], 1);
            self.quiet.say("refused", || error!(%error, "messages on input.{input} dropped"));
        }
    }
}
