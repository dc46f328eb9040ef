//! Puts the sidecar together and runs it.

use std::{error::Error, path::Path};

use metlog_core::wire::batch::{Fate, Role};
use metlog_pipeline::{
    admin::{Admin, Listeners},
    counters::Counters,
    daemon::{Daemon, Findings, Places, supervise},
    intake::Intake,
    link::{
        receiver::LinkReceiver,
        sender::{LinkSender, Verdict},
    },
    sockets::{Sockets, tcp},
    stop::Stop,
    threads::Threads,
    watchdog::Watchdog,
};

use crate::{
    config::{Config, RollupConfig},
    filter::{self, Filters},
    input::{
        files::{self, FilesInput},
        json_udp::JsonUdpInput,
        push::PushInput,
        statsd,
        sub::{Handshake, SubInput},
    },
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

    fn places(config: &Config) -> Places<'_> {
        let admin = ("admin.address".to_owned(), tcp(config.admin.address));
        let listens = config.input.listens().into_iter().chain([admin]).collect();
        Places { data_dir: &config.data_dir, spool: &config.spool, listens }
    }

    fn look_around(config: &Config, findings: &mut Findings) {
        for (name, (_, compiled)) in config.log_files() {
            files::look_around(&format!("input.files.{name}"), &compiled, findings);
        }
    }

    fn data_dir(config: &Config) -> &Path {
        &config.data_dir
    }

    fn run(config: Config, sockets: &Sockets, stop: &Stop) -> Result<bool, Box<dyn Error>> {
        let counters = Counters::default();
        let intake = Intake::open(&config.data_dir, config.spool.options())?;
        let mut rollup =
            RollupConsumer::open(config.rollup.clone(), &intake, &config.data_dir, counters.clone())?;
        let (filters, stats) = filter::compile(&config.filter);
        rollup = rollup.with_stats(stats);
        let verdict = consumed_or_filtered(&config.rollup, filters.clone());
        let spool = intake.spool();
        let mut forward =
            LinkSender::open(config.forward.clone(), spool, &config.data_dir, verdict, counters.clone())?;
        let inputs = bind_inputs(&config, sockets, &intake, &rollup, &counters)?;
        let held = sockets.settle()?;
        let listeners = Listeners::bind(&config.admin, &config.data_dir)?;

        // Whatever can fail has been done: a start that fails leaves no thread behind.
        let mut threads = Threads::new(stop.clone());
        let watchdog = Watchdog::new(config.admin.stalled_after, vec![rollup.place(), forward.place()]);
        let outcomes = vec![forward.outcomes()];
        threads.spawn_consumer("rollup", move |stop| rollup.run(stop))?;
        threads.spawn_consumer("forward", move |stop| forward.run(stop))?;
        if filters.has_limits() {
            let intake = intake.clone();
            threads.spawn_consumer("filters", move |stop| filters.run(&intake, stop))?;
        }
        let mut listening = Vec::new();
        for input in inputs {
            listening.push((input.name.clone(), input.listening));
            threads.spawn_input(&format!("input-{}", input.name.replace('_', "-")), input.run)?;
        }
        let admin = Admin { intake, counters, outcomes, listening, held, watchdog };
        Ok(supervise(admin, listeners, threads, sockets, stop)?)
    }
}

/// An input that is bound and not started.
struct BoundInput {
    name: String,
    /// Where it listens.
    listening: String,
    /// The body of its thread.
    run: Box<dyn FnOnce(&Stop) + Send>,
}

impl BoundInput {
    fn new(name: &str, listening: String, run: impl FnOnce(&Stop) + Send + 'static) -> Self {
        Self { name: name.to_owned(), listening, run: Box::new(run) }
    }
}

/// What the roll-up takes does not travel on one by one, unless the configuration says so. The filters see the rest.
fn consumed_or_filtered(config: &RollupConfig, filters: Filters) -> Verdict {
    let (consume, namespace) = (config.consume, config.namespace);
    Box::new(move |batch, sequence, record| {
        if consume && batch.header.role != Role::Daemon && Metric::of(&record, namespace).is_some() {
            return Fate::Removed("consumed".to_owned());
        }
        filters.judge(batch, sequence, record)
    })
}

/// Binds every input that is switched on.
fn bind_inputs(
    config: &Config,
    sockets: &Sockets,
    intake: &Intake,
    rollup: &RollupConsumer,
    counters: &Counters,
) -> Result<Vec<BoundInput>, Box<dyn Error>> {
    let mut bound = Vec::new();
    let inputs = &config.input;
    if !inputs.push.endpoints.is_empty() {
        let mut input = PushInput::bind(&inputs.push.endpoints, sockets, intake.clone(), counters.clone())?;
        bound.push(BoundInput::new("push", input.endpoint()?, move |stop| input.run(stop)));
    }
    if !inputs.link.endpoints.is_empty() {
        let mut input = LinkReceiver::bind(&inputs.link, sockets, intake.clone(), counters.clone())?;
        bound.push(BoundInput::new("link", input.endpoint()?, move |stop| input.run(stop)));
    }
    if inputs.json_udp.enabled {
        let mut input =
            JsonUdpInput::bind(inputs.json_udp.address, sockets, intake.clone(), counters.clone())?;
        bound.push(BoundInput::new("json_udp", input.address()?.to_string(), move |stop| input.run(stop)));
    }
    if let Some(config) = &inputs.sub {
        let mut input = SubInput::open(config, sockets, intake.clone(), counters.clone())?;
        bound.push(BoundInput::new("sub", input.endpoint()?, move |stop| input.run(stop)));
        if let Some(endpoint) = &config.handshake {
            let handshake = Handshake::bind(endpoint, sockets)?;
            let listening = handshake.endpoint()?;
            bound.push(BoundInput::new("sub_handshake", listening, move |stop| handshake.run(stop)));
        }
    }
    let statsd = statsd::Parts { sockets, intake, rollup: rollup.sums(), counters };
    for (name, listening, run) in statsd.bind(inputs)? {
        bound.push(BoundInput { name: name.to_owned(), listening, run });
    }
    for (name, parts) in config.log_files() {
        let mut input = FilesInput::open(name, parts, intake, &config.data_dir, counters.clone())?;
        bound.push(BoundInput::new(&format!("files.{name}"), input.patterns(), move |stop| input.run(stop)));
    }
    Ok(bound)
}
