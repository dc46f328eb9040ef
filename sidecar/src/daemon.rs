//! Puts the sidecar together and runs it.

use std::{error::Error, path::Path};

use metlog_core::wire::batch::Role;
use metlog_pipeline::{
    admin::{Admin, Listeners},
    counters::Counters,
    daemon::{Daemon, supervise},
    intake::Intake,
    link::{
        receiver::LinkReceiver,
        sender::{LinkSender, Verdict},
    },
    stop::Stop,
    threads::Threads,
};

use crate::{
    config::{Config, RollupConfig},
    input::{json_udp::JsonUdpInput, push::PushInput, statsd_udp::StatsdUdpInput},
    metric::Metric,
    rollup::RollupConsumer,
};

/// The sidecar.
pub struct Sidecar;

impl Daemon for Sidecar {
    type Config = Config;

    fn check(config: &Config) -> Vec<String> {
        config.check()
    }

    fn data_dir(config: &Config) -> &Path {
        &config.data_dir
    }

    fn run(config: Config, stop: &Stop) -> Result<bool, Box<dyn Error>> {
        let counters = Counters::default();
        let intake = Intake::open(&config.data_dir, config.spool.options())?;
        let mut rollup =
            RollupConsumer::open(config.rollup.clone(), &intake, &config.data_dir, counters.clone())?;
        let verdict = consumed_by_rollup(&config.rollup);
        let spool = intake.spool();
        let mut forward =
            LinkSender::open(config.forward.clone(), spool, &config.data_dir, verdict, counters.clone())?;
        let listeners = Listeners::bind(&config.admin, &config.data_dir)?;

        let mut threads = Threads::new(stop.clone());
        let listening = spawn_inputs(&config, &intake, &rollup, &counters, &mut threads)?;
        let outcomes = vec![forward.outcomes()];
        threads.spawn("rollup", move |stop| rollup.run(stop))?;
        threads.spawn("forward", move |stop| forward.run(stop))?;
        let admin = Admin { intake, counters, outcomes, listening };
        Ok(supervise(admin, listeners, threads, stop)?)
    }
}

/// What the roll-up takes does not travel on one by one, unless the configuration says so.
fn consumed_by_rollup(config: &RollupConfig) -> Verdict {
    let (consume, namespace) = (config.consume, config.namespace);
    Box::new(move |batch, record| {
        let taken = consume && batch.header.role != Role::Daemon && Metric::of(record, namespace).is_some();
        taken.then(|| "consumed".to_owned())
    })
}

/// Binds and starts every input that is switched on; gives back where each listens.
fn spawn_inputs(
    config: &Config,
    intake: &Intake,
    rollup: &RollupConsumer,
    counters: &Counters,
    threads: &mut Threads,
) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut listening = Vec::new();
    let inputs = &config.input;
    if !inputs.push.endpoints.is_empty() {
        let mut input = PushInput::bind(&inputs.push.endpoints, intake.clone(), counters.clone())?;
        listening.push(("push".to_owned(), input.endpoint()?));
        threads.spawn("input-push", move |stop| input.run(stop))?;
    }
    if !inputs.link.endpoints.is_empty() {
        let mut input = LinkReceiver::bind(&inputs.link.endpoints, intake.clone(), counters.clone())?;
        listening.push(("link".to_owned(), input.endpoint()?));
        threads.spawn("input-link", move |stop| input.run(stop))?;
    }
    if inputs.json_udp.enabled {
        let mut input = JsonUdpInput::bind(inputs.json_udp.address, intake.clone(), counters.clone())?;
        listening.push(("json_udp".to_owned(), input.address()?.to_string()));
        threads.spawn("input-json-udp", move |stop| input.run(stop))?;
    }
    if inputs.statsd_udp.enabled {
        let mut input = StatsdUdpInput::bind(inputs.statsd_udp.address, rollup.sums(), counters.clone())?;
        listening.push(("statsd_udp".to_owned(), input.address()?.to_string()));
        threads.spawn("input-statsd-udp", move |stop| input.run(stop))?;
    }
    Ok(listening)
}
