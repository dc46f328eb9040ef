//! Puts the grater together and runs it.

use std::{error::Error, path::Path, sync::Arc};

use metlog_pipeline::{
    admin::{Admin, Listeners},
    counters::Counters,
    daemon::{Daemon, supervise},
    intake::Intake,
    link::receiver::LinkReceiver,
    sockets::Sockets,
    stop::Stop,
    threads::Threads,
    watchdog::Watchdog,
};

use crate::{alert::AlertConsumer, config::Config, probe, route::Routes, runner::OutputRunner};

/// The grater.
pub struct Grater;

impl Daemon for Grater {
    type Config = Config;

    fn check(config: &Config) -> Vec<String> {
        config.check()
    }

    fn probe(config: &Config) -> Vec<Result<String, String>> {
        probe::outputs(&config.clone().complete().outputs)
    }

    fn data_dir(config: &Config) -> &Path {
        &config.data_dir
    }

    fn run(config: Config, sockets: &Sockets, stop: &Stop) -> Result<bool, Box<dyn Error>> {
        let config = config.complete();
        let counters = Counters::default();
        let intake = Intake::open(&config.data_dir, config.spool.options())?;
        let routes = Arc::new(Routes::compile(&config.routes, &config.catchall, &config.output_names())?);
        let mut runners = Vec::new();
        for (position, output) in config.outputs.iter().enumerate() {
            let place = (intake.spool(), config.data_dir.as_path());
            let shared = (Arc::clone(&routes), counters.clone());
            let runner = OutputRunner::open(position, output, config.max_lag_bytes(output), place, shared)?;
            runners.push((format!("output-{}", output.name), runner));
        }
        let alerts = (!config.alerts.is_empty())
            .then(|| AlertConsumer::open(&config.alerts, &intake, &config.data_dir, counters.clone()));
        let alerts = alerts.transpose()?;
        let mut link =
            LinkReceiver::bind(&config.input.link.endpoints, sockets, intake.clone(), counters.clone())?;
        let listening = vec![("link".to_owned(), link.endpoint()?)];
        sockets.refuse_left()?;
        let listeners = Listeners::bind(&config.admin, &config.data_dir)?;

        // Whatever can fail has been done: a start that fails leaves no thread behind.
        let mut threads = Threads::new(stop.clone());
        let places = runners.iter().map(|(_, runner)| runner.place());
        let places = places.chain(alerts.iter().map(AlertConsumer::place)).collect();
        let watchdog = Watchdog::new(config.admin.stalled_after, places);
        let outcomes = runners.iter().map(|(_, runner)| runner.outcomes()).collect();
        for (name, mut runner) in runners {
            threads.spawn_consumer(&name, move |stop| runner.run(stop))?;
        }
        if let Some(mut alerts) = alerts {
            threads.spawn_consumer("alerts", move |stop| alerts.run(stop))?;
        }
        threads.spawn_input("input-link", move |stop| link.run(stop))?;
        Ok(supervise(
            Admin { intake, counters, outcomes, listening, watchdog },
            listeners,
            threads,
            sockets,
            stop,
        )?)
    }
}
