//! All that reads the grater's spool: outputs or the next hop, the aggregator, the alerts.

use std::{error::Error, io, sync::Arc};

use metlog_core::wire::batch::Fate;
use metlog_pipeline::{
    counters::Counters,
    cursor::SharedOutcomes,
    intake::Intake,
    link::sender::{LinkSender, Verdict},
    matcher::MessageView,
    threads::Threads,
    watchdog::Place,
};

use crate::{
    aggregate::{Aggregator, Shares},
    alert::AlertConsumer,
    config::Config,
    route::{CONSUMED, Routes},
    runner::OutputRunner,
};

/// Consumers that are opened and not started.
pub(crate) struct Consumers {
    runners: Vec<(String, OutputRunner)>,
    forward: Option<LinkSender>,
    aggregator: Option<Aggregator>,
    alerts: Option<AlertConsumer>,
}

impl Consumers {
    /// Opens what a complete configuration asks for.
    ///
    /// # Errors
    /// When a checkpoint cannot be read or an output's configuration cannot work.
    pub(crate) fn open(
        config: &Config,
        intake: &Intake,
        counters: &Counters,
    ) -> Result<Self, Box<dyn Error>> {
        let (spool, data_dir) = (intake.spool(), config.data_dir.as_path());
        let aggregator = config
            .aggregate
            .clone()
            .map(|aggregate| Aggregator::open(aggregate, intake, data_dir, counters.clone()))
            .transpose()?;
        let alerts = (!config.alerts.is_empty())
            .then(|| AlertConsumer::open(&config.alerts, intake, data_dir, counters.clone()))
            .transpose()?;
        let shares = aggregator.as_ref().map(Aggregator::shares);
        let forward = config
            .forward()
            .zip(shares)
            .map(|(forward, shares)| {
                LinkSender::open(forward.clone(), spool, data_dir, verdict(shares), counters.clone())
            })
            .transpose()?;
        let routes = Routes::compile(&config.routes, &config.catchall, &config.output_names())?;
        let routes = Arc::new(match shares {
            Some(shares) => routes.without(shares),
            None => routes,
        });
        let mut runners = Vec::new();
        for (position, output) in config.outputs.iter().enumerate() {
            let shared = (Arc::clone(&routes), counters.clone());
            let max_lag_bytes = config.max_lag_bytes(output);
            let runner = OutputRunner::open(position, output, max_lag_bytes, (spool, data_dir), shared)?;
            runners.push((format!("output-{}", output.name), runner));
        }
        Ok(Self { runners, forward, aggregator, alerts })
    }

    /// How far each has come, for the watchdog.
    pub(crate) fn places(&self) -> Vec<Place> {
        let runners = self.runners.iter().map(|(_, runner)| runner.place());
        runners
            .chain(self.forward.iter().map(LinkSender::place))
            .chain(self.aggregator.iter().map(Aggregator::place))
            .chain(self.alerts.iter().map(AlertConsumer::place))
            .collect()
    }

    /// What has become of messages, of those that account for them.
    pub(crate) fn outcomes(&self) -> Vec<SharedOutcomes> {
        let runners = self.runners.iter().map(|(_, runner)| runner.outcomes());
        runners.chain(self.forward.iter().map(LinkSender::outcomes)).collect()
    }

    /// Starts a thread for each.
    ///
    /// # Errors
    /// When a thread cannot be had.
    pub(crate) fn spawn(self, threads: &mut Threads) -> io::Result<()> {
        for (name, mut runner) in self.runners {
            threads.spawn_consumer(&name, move |stop| runner.run(stop))?;
        }
        if let Some(mut forward) = self.forward {
            threads.spawn_consumer("forward", move |stop| forward.run(stop))?;
        }
        if let Some(mut aggregator) = self.aggregator {
            threads.spawn_consumer("aggregate", move |stop| aggregator.run(stop))?;
        }
        if let Some(mut alerts) = self.alerts {
            threads.spawn_consumer("alerts", move |stop| alerts.run(stop))?;
        }
        Ok(())
    }
}

/// What is merged does not travel on one by one.
fn verdict(shares: Shares) -> Verdict {
    Box::new(move |batch, _, record| {
        let mut view = MessageView::new(record, batch.header.identity());
        match shares.of(&batch.header, &mut view) {
            Some(_) => Fate::Removed(CONSUMED.to_owned()),
            None => Fate::Kept,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use metlog_core::{
        Message, Timestamp,
        wire::{
            batch::{Batch, Builder, Header, ProducerId, Role},
            json::from_json,
            record::Identity,
        },
    };
    use metlog_pipeline::{
        audit::{Audit, Verdict},
        config::{LinkSockets, parse},
        ledger::Outcomes,
        link::receiver::LinkReceiver,
        sockets::Sockets,
        spool::SpoolOptions,
        stop::Stop,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn batch(producer: u8, role: Role, message: &Message) -> Vec<u8> {
        let identity = Identity { env_version: "0.8", pid: 1, hostname: "web1" };
        let header = Header::new(ProducerId([producer; 16]), identity, "app");
        let mut batch = Builder::new(Header { role, last: true, attempted: 1, ..header });
        batch.push(message).unwrap();
        batch.finish()
    }

    fn counter(count: u8) -> Message {
        let text = format!(
            r#"{{"type":"statmetric","fields":{{"name":"hits","kind":"counter","interval":1,"values":{{"count":{count}}}}}}}"#
        );
        let message = from_json(text.as_bytes()).unwrap().message;
        Message { timestamp: Timestamp::now(), ..message }
    }

    /// What has arrived, without its times.
    fn arrived(intake: &Intake) -> Vec<(String, String)> {
        let mut arrived = Vec::new();
        for record in intake.spool().reader(1).next(1 << 20, Duration::ZERO) {
            let batch = Batch::parse(&record.frame).unwrap();
            let told = batch.messages().map(|(_, message)| message.unwrap());
            arrived.extend(
                told.map(|message| (message.logger, serde_json::to_string(&message.fields).unwrap())),
            );
        }
        arrived
    }

    fn audit(intake: &Intake, outcomes: &[SharedOutcomes]) -> Audit {
        let mut all = Outcomes::default();
        outcomes.iter().for_each(|one| all.merge(&one.lock()));
        Audit::new(&intake.ledger(), &all, Timestamp::now().as_seconds())
    }

    #[test]
    fn an_aggregator_that_forwards_sends_on_what_is_merged_once_and_all_else_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let endpoint = format!("ipc://{}", home.path().join("next.sock").display());
        let [here, next] = ["here", "next"].map(|name| home.path().join(name));
        let [intake, upstream] =
            [&here, &next].map(|dir| Intake::open(dir, SpoolOptions::default()).unwrap());
        let text = format!(
            "data_dir = {here:?}\n[aggregate]\ninterval = '2s'\nlateness = '1s'\nforward.endpoints = ['{endpoint}']\n"
        );
        let config: Config = parse(&text, "grater.toml", |_| None).unwrap();
        assert_eq!(config.check(), Vec::<String>::new());
        let consumers = Consumers::open(&config.complete(), &intake, &Counters::default()).unwrap();
        assert!(consumers.runners.is_empty());
        let outcomes = consumers.outcomes();
        let mut receiver = LinkReceiver::bind(
            &LinkSockets::plain(vec![endpoint]),
            &Sockets::default(),
            upstream.clone(),
            Counters::default(),
        )
        .unwrap();
        let other = from_json(br#"{"type":"x","logger":"shop","fields":{"a":1}}"#).unwrap().message;
        // Both fall into one interval, however slow this host is.
        let (first, second) = (counter(3), counter(4));
        let second = Message { timestamp: first.timestamp, ..second };
        for (producer, role, message) in
            [(1, Role::Daemon, &first), (2, Role::Daemon, &second), (3, Role::Application, &other)]
        {
            intake.take(&batch(producer, role, message)).unwrap();
        }
        let stop = Stop::default();
        let (mut forward, mut aggregator) = (consumers.forward.unwrap(), consumers.aggregator.unwrap());
        thread::scope(|scope| {
            scope.spawn(|| receiver.run(&stop));
            scope.spawn(|| forward.run(&stop));
            scope.spawn(|| aggregator.run(&stop));
            let deadline = Instant::now() + PATIENCE;
            let is_done = || arrived(&upstream).len() >= 2 && audit(&intake, &outcomes).sent.waiting == 0;
            while !is_done() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
            stop.set();
        });
        let mut found = arrived(&upstream);
        found.sort_unstable();
        let hits = r#"{"name":"hits","kind":"counter","interval":2.0,"values":{"rate":3.5,"count":7.0}}"#;
        let wanted = [("metlog.aggregate", hits), ("shop", r#"{"a":1}"#)];
        assert_eq!(found, wanted.map(|(logger, fields)| (logger.to_owned(), fields.to_owned())));
        let here = audit(&intake, &outcomes);
        assert_eq!((here.created.consumed, here.sent.forwarded), (2, 1), "{here}");
        assert_ne!(here.verdict, Verdict::Broken, "{here}");
    }

    #[test]
    fn an_aggregator_that_forwards_has_no_outputs() {
        let text = "catchall = ['file']\n[aggregate]\nforward.endpoints = ['tcp://a']\n";
        let wrong = parse::<Config>(text, "grater.toml", |_| None).unwrap().check().join("\n");
        for said in
            ["aggregate.forward sends everything on", "aggregate.forward.endpoints: \"tcp://a\" is neither"]
        {
            assert!(wrong.contains(said), "{said}: {wrong}");
        }
    }
}
