//! What signals ask of a daemon: SIGTERM and Ctrl-C an orderly end, SIGHUP another configuration, SIGUSR1 a report.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use tracing::{error, info};

use super::{Daemon, Source, load, systemd};
use crate::{
    admin::{self, StatsPage},
    audit::Audit,
    stop::Stop,
};

/// The daemon that runs at the moment, as its signals see it.
pub(super) struct Control<D: Daemon>(Arc<Mutex<State<D>>>);

struct State<D: Daemon> {
    /// Ends the run.
    stop: Stop,
    /// The configuration of the run.
    config: D::Config,
    /// That of the next run, once a reload has been asked for.
    next: Option<D::Config>,
    /// Whether there is to be no other run.
    ends: bool,
}

impl<D: Daemon> Clone for Control<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Daemon> Control<D> {
    /// Listens to signals from now on.
    ///
    /// # Errors
    /// When the operating system does not let it.
    pub(super) fn listen(source: Source, config: D::Config) -> io::Result<Self> {
        let state = State { stop: Stop::default(), config, next: None, ends: false };
        let control = Self(Arc::new(Mutex::new(state)));
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        let heard = control.clone();
        let listen = move || {
            for signal in signals.forever() {
                match signal {
                    SIGHUP => heard.reload(&source),
                    SIGUSR1 => heard.report(),
                    _ => heard.end(signal),
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(control)
    }

    /// The configuration of a run that begins now, and what ends it.
    pub(super) fn begin(&self) -> (D::Config, Stop) {
        let mut state = self.lock();
        state.stop = Stop::default();
        if state.ends {
            state.stop.set();
        } else if state.next.is_some() {
            state.stop.pause();
        }
        (state.config.clone(), state.stop.clone())
    }

    /// Goes on with the configuration a reload has asked for; gives back the one before, or nothing when the end was
    /// asked for.
    pub(super) fn next(&self) -> Option<D::Config> {
        let mut state = self.lock();
        let next = state.next.take().filter(|_| !state.ends)?;
        Some(std::mem::replace(&mut state.config, next))
    }

    /// Goes back to the configuration before.
    pub(super) fn go_back(&self, before: D::Config) {
        self.lock().config = before;
    }

    /// A second one ends it at once.
    fn end(&self, signal: i32) {
        let mut state = self.lock();
        if state.ends {
            let _cannot_return = emulate_default_handler(signal);
        }
        info!(signal, "stopping");
        systemd::stopping();
        state.ends = true;
        state.stop.set();
    }

    /// A configuration that is not good changes nothing.
    fn reload(&self, source: &Source) {
        systemd::reloading();
        let loaded = load::<D>(source).map_err(|error| error.to_string()).and_then(|config| {
            let (before, after) = (D::data_dir(&self.lock().config).to_owned(), D::data_dir(&config));
            if before == after { Ok(config) } else { Err(moved(&before, after)) }
        });
        match loaded {
            Ok(config) => {
                info!("reloading the configuration");
                let mut state = self.lock();
                state.next = Some(config);
                state.stop.pause();
            }
            Err(why) => {
                error!("the configuration was not reloaded, the one before stays: {why}");
                systemd::ready();
            }
        }
    }

    /// What `audit` and `/stats` say, into the log.
    fn report(&self) {
        let data_dir = D::data_dir(&self.lock().config).to_owned();
        match (admin::ask::<StatsPage>(&data_dir, "/stats"), admin::ask::<Audit>(&data_dir, "/audit")) {
            (Ok(stats), Ok(audit)) => {
                let stats = serde_json::to_string(&stats).unwrap_or_default();
                info!("report: {stats}\n{audit}");
            }
            (Err(error), _) | (_, Err(error)) => error!(%error, "no report"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moved(before: &Path, after: &Path) -> String {
    format!(
        "data_dir is {} now and was {}: what lies there would be left behind; restart for that",
        after.display(),
        before.display()
    )
}
