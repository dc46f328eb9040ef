//! Puts the grater together and runs it.

use std::{error::Error, path::Path};

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

use crate::{config::Config, consumers::Consumers, probe};

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
        let consumers = Consumers::open(&config, &intake, &counters)?;
        let mut link =
            LinkReceiver::bind(&config.input.link.endpoints, sockets, intake.clone(), counters.clone())?;
        let listening = vec![("link".to_owned(), link.endpoint()?)];
        sockets.refuse_left()?;
        let listeners = Listeners::bind(&config.admin, &config.data_dir)?;

        // Whatever can fail has been done: a start that fails leaves no thread behind.
        let mut threads = Threads::new(stop.clone());
        let watchdog = Watchdog::new(config.admin.stalled_after, consumers.places());
        let outcomes = consumers.outcomes();
        consumers.spawn(&mut threads)?;
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
