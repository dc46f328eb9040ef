//! The thread of all alerts: reads the spool behind a cursor of its own and tells of changes through the intake.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use metlog_core::{
    Timestamp,
    wire::batch::{Batch, Role},
};
use metlog_pipeline::{
    counters::Counters,
    cursor::Cursor,
    intake::Intake,
    ledger::Outcomes,
    matcher::MessageView,
    outbox::{Outbox, frames},
    producer::OwnProducer,
    quiet::Quiet,
    spool::Record,
    stop::Stop,
    watchdog::Place,
};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::{
    AlertConfig,
    config::Alert,
    message::message,
    watch::{Memory, Missed, Told},
};

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 * 1024;

/// How often the passing of time is looked at.
const TICK: Duration = Duration::from_secs(1);

/// While the messages wait for room in the spool they are tried again so often.
const RETRY: Duration = Duration::from_millis(50);

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) alerts: BTreeMap<String, Memory>,
    #[serde(with = "frames")]
    pub(super) outbox: Vec<Vec<u8>>,
}

/// The consumer `alerts` of a spool.
pub struct AlertConsumer {
    alerts: Vec<Alert>,
    intake: Intake,
    pub(super) cursor: Cursor<State>,
    producer: OwnProducer,
    outbox: Outbox,
    counters: Counters,
    quiet: Quiet,
    /// When this run began, in nanoseconds since the epoch.
    pub(super) began: i64,
}

impl AlertConsumer {
    /// Goes on with the states that were saved; those of alerts that are gone are forgotten. What is wrong with the
    /// configuration has been told by [`super::check`] and is left out.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(
        configs: &[AlertConfig],
        intake: &Intake,
        data_dir: &Path,
        counters: Counters,
    ) -> io::Result<Self> {
        let mut cursor = Cursor::<State>::open(intake.spool(), data_dir, "alerts")?;
        let alerts: Vec<Alert> = configs.iter().filter_map(|config| config.compile().ok()).collect();
        cursor.state.alerts.retain(|name, _| alerts.iter().any(|alert| alert.name == *name));
        let mut consumer = Self {
            alerts,
            intake: intake.clone(),
            cursor,
            producer: OwnProducer::new(intake, "metlog.alert", Role::Daemon),
            outbox: Outbox::default(),
            counters,
            quiet: Quiet::default(),
            began: Timestamp::now().as_nanos(),
        };
        // What a crash interrupted comes first: it holds the next sequence numbers.
        consumer.outbox.empty(&consumer.intake, &mut consumer.cursor.state.outbox);
        Ok(consumer)
    }

    /// How far it has come, for the watchdog.
    #[must_use]
    pub fn place(&self) -> Place {
        self.cursor.place()
    }

    /// Watches until told to stop.
    pub fn run(&mut self, stop: &Stop) {
        self.intake.spool().wake_readers_on(stop);
        let mut reader = self.cursor.reader().until(stop);
        while !stop.is_set() {
            // Nothing more is read while messages wait for room in the spool.
            if !self.is_outbox_empty() {
                stop.wait(RETRY);
                continue;
            }
            let records = reader.next(READ_BYTES, TICK);
            self.step(&records, Timestamp::now().as_nanos());
            if self.cursor.is_due() {
                self.save();
            }
        }
        self.save();
    }

    pub(super) fn is_outbox_empty(&mut self) -> bool {
        if !self.outbox.is_saved() {
            self.save();
        }
        self.outbox.empty(&self.intake, &mut self.cursor.state.outbox);
        self.cursor.state.outbox.is_empty()
    }

    /// Hears records, or sees that there are none; saves what is to be told before it is.
    pub(super) fn step(&mut self, records: &[Record], now: i64) {
        let mut told = Vec::new();
        for record in records {
            self.hear(record, now, &mut told);
        }
        if records.is_empty() {
            told.extend(self.tick(now));
        }
        if told.is_empty() {
            return;
        }
        self.write(&told);
        self.outbox.fill();
        self.save();
        self.outbox.empty(&self.intake, &mut self.cursor.state.outbox);
    }

    fn hear(&mut self, record: &Record, now: i64, told: &mut Vec<(usize, Told)>) {
        self.cursor.advance(record.ordinal, &Outcomes::default());
        let Ok(batch) = Batch::parse(&record.frame) else { return };
        // Its own messages are not watched: an alert about alerts would never end.
        if batch.header.producer == self.producer.id() {
            return;
        }
        for (_, message) in batch.records() {
            let mut view = MessageView::new(message, batch.header.identity());
            for (position, alert) in self.alerts.iter().enumerate() {
                let memory = self.cursor.state.alerts.entry(alert.name.clone()).or_default();
                match memory.hear(alert, &mut view, now) {
                    Ok(one) => told.extend(one.map(|one| (position, one))),
                    Err(missed) => {
                        let reason = if missed == Missed::Late { "late" } else { "keys" };
                        self.counters.add("alert_missed", &[("alert", &alert.name), ("reason", reason)], 1);
                    }
                }
            }
        }
    }

    /// Silence says something only when what was sent had the time to arrive.
    fn tick(&mut self, now: i64) -> Vec<(usize, Told)> {
        let (mut told, mut has_begun) = (Vec::new(), false);
        for (position, alert) in self.alerts.iter().enumerate() {
            if now.saturating_sub(self.began) < alert.lateness {
                continue;
            }
            let memory = self.cursor.state.alerts.entry(alert.name.clone()).or_default();
            has_begun |= memory.begin(alert, now);
            told.extend(memory.tick(alert, now).into_iter().map(|one| (position, one)));
        }
        // Silence is reckoned from here, also after a crash.
        if has_begun && told.is_empty() {
            self.save();
        }
        told
    }

    /// Makes the messages.
    fn write(&mut self, told: &[(usize, Told)]) {
        let mut batch = self.producer.batch();
        for (position, one) in told {
            let Some(alert) = self.alerts.get(*position) else { continue };
            let state = one.turn.state.as_str();
            info!(alert = alert.name, key = one.key, state, value = one.turn.value, "alert changed");
            // What is too big is counted in the batch itself.
            let _counted = batch.push(&message(alert, one, &self.producer.identity()));
        }
        let frame = self.producer.finish(batch);
        self.cursor.state.outbox.push(frame);
    }

    fn save(&mut self) {
        match self.cursor.save() {
            Ok(()) => self.outbox.saved(),
            Err(error) => self.quiet.say("save", || error!(%error, "alerts not saved")),
        }
    }
}
