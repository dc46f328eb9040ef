//! Binds the statsd inputs of a configuration.

use std::{io, net::UdpSocket, ops::Deref, os::fd::AsRawFd, thread};

use metlog_pipeline::{
    counters::Counters,
    intake::Intake,
    sockets::{Lent, Sockets},
    stop::Stop,
};

use super::{Datagrams, Messages, Streams};
use crate::{
    config::Inputs,
    rollup::{SharedRollup, StatsdInput},
};

/// An input that is bound and not started: its name, where it listens, and the body of its thread.
pub type Bound = (&'static str, String, Box<dyn FnOnce(&Stop) + Send>);

/// What the inputs are made with.
pub struct Parts<'a> {
    /// Sockets that outlive a reload.
    pub sockets: &'a Sockets,
    /// Where events and service checks go.
    pub intake: &'a Intake,
    /// Where metrics go.
    pub rollup: SharedRollup,
    /// What is counted.
    pub counters: &'a Counters,
}

impl Parts<'_> {
    /// Binds the statsd inputs that are switched on.
    ///
    /// # Errors
    /// When an address is in use; the message names the setting.
    pub fn bind(&self, inputs: &Inputs) -> io::Result<Vec<Bound>> {
        let mut bound: Vec<Bound> = Vec::new();
        if inputs.statsd_udp.enabled {
            bound.push(self.udp(inputs.statsd_udp.bind(self.sockets)?)?);
        }
        if let Some(config) = &inputs.statsd_tcp {
            let listener = config.bind(self.sockets)?;
            let listening = listener.local_addr()?.to_string();
            let mut input =
                Streams::new(listener, self.rollup.clone(), &self.messages(StatsdInput::StatsdTcp));
            bound.push(("statsd_tcp", listening, Box::new(move |stop| input.run(stop))));
        }
        if let Some(config) = &inputs.statsd_unix {
            let socket = config.bind_datagrams(self.sockets)?;
            let mut input = self.datagrams(StatsdInput::StatsdUnix, socket, false);
            bound.push((
                "statsd_unix",
                config.path.display().to_string(),
                Box::new(move |stop| input.run(stop)),
            ));
        }
        if let Some(config) = &inputs.statsd_stream {
            let listener = config.bind_stream(self.sockets)?;
            let messages = self.messages(StatsdInput::StatsdStream);
            let mut input = Streams::new(listener, self.rollup.clone(), &messages);
            bound.push((
                "statsd_stream",
                config.path.display().to_string(),
                Box::new(move |stop| input.run(stop)),
            ));
        }
        Ok(bound)
    }

    fn messages(&self, input: StatsdInput) -> Messages {
        Messages::new(input, self.intake.clone(), self.counters.clone())
    }

    fn datagrams<S: Deref<Target: AsRawFd>>(
        &self,
        input: StatsdInput,
        socket: S,
        by_sender: bool,
    ) -> Datagrams<S> {
        Datagrams::new(socket, by_sender, self.rollup.clone(), &self.messages(input))
    }

    fn udp(&self, sockets: Vec<Lent<UdpSocket>>) -> io::Result<Bound> {
        let address = match sockets.first() {
            Some(first) => first.local_addr()?,
            None => return Err(io::Error::other("input.statsd_udp has no socket")),
        };
        let messages = self.messages(StatsdInput::StatsdUdp);
        let by_sender = !address.ip().is_loopback();
        let threads = sockets
            .into_iter()
            .map(|socket| Datagrams::new(socket, by_sender, self.rollup.clone(), &messages))
            .collect();
        Ok(("statsd_udp", address.to_string(), Box::new(move |stop| run_all(threads, stop))))
    }
}

/// Runs the first on this thread and each other on one of its own.
fn run_all(threads: Vec<Datagrams<Lent<UdpSocket>>>, stop: &Stop) {
    thread::scope(|scope| {
        let mut threads = threads.into_iter();
        let first = threads.next();
        for (number, mut other) in threads.enumerate() {
            let name = format!("input-statsd-{}", number + 2);
            // Its senders wait in vain without it: the daemon ends, and says so.
            let spawned = thread::Builder::new().name(name).spawn_scoped(scope, move || other.run(stop));
            if let Err(error) = spawned {
                tracing::error!(%error, "no thread for input.statsd_udp");
                return;
            }
        }
        if let Some(mut first) = first {
            first.run(stop);
        }
    });
}
