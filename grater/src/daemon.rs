//! Puts the grater together and runs it.

use std::{error::Error, path::Path};

use metlog_pipeline::{
    admin::{Admin, Listeners},
    counters::Counters,
    daemon::{Daemon, Places, supervise},
    intake::Intake,
    link::receiver::LinkReceiver,
    sockets::{Sockets, tcp},
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

    fn places(config: &Config) -> Places<'_> {
        let link = config.input.link.listens("input.link");
        let admin = ("admin.address".to_owned(), tcp(config.admin.address));
        Places { data_dir: &config.data_dir, spool: &config.spool, listens: link.chain([admin]).collect() }
    }

    fn data_dir(config: &Config) -> &Path {
        &config.data_dir
    }

    fn run(config: Config, sockets: &Sockets, stop: &Stop) -> Result<bool, Box<dyn Error>> {
        let config = config.complete();
        let counters = Counters::default();
        let intake = Intake::open(&config.data_dir, config.spool.options())?;
        let consumers = Consumers::open(&config, &intake, &counters)?;
        let mut link = LinkReceiver::bind(&config.input.link, sockets, intake.clone(), counters.clone())?;
        let listening = vec![("link".to_owned(), link.endpoint()?)];
        let held = sockets.settle()?;
        let listeners = Listeners::bind(&config.admin, &config.data_dir)?;

        // Whatever can fail has been done: a start that fails leaves no thread behind.
        let mut threads = Threads::new(stop.clone());
        let watchdog = Watchdog::new(config.admin.stalled_after, consumers.places());
        let outcomes = consumers.outcomes();
        consumers.spawn(&mut threads)?;
        threads.spawn_input("input-link", move |stop| link.run(stop))?;
        Ok(supervise(
            Admin { intake, counters, outcomes, listening, held, watchdog },
            listeners,
            threads,
            sockets,
            stop,
        )?)
    }
}
