//! Waiting for messages to leave, and the end.

use std::{collections::HashMap, thread, time::Duration};

use metlog_core::{
    Client, client,
    stats::{ByReason, complain},
};
use napi::{
    Env, Task,
    bindgen_prelude::{AsyncTask, External},
};
use napi_derive::napi;

use crate::sender::Sender;

/// The books of a sender, as JavaScript numbers.
#[napi(object)]
pub struct Stats {
    /// Calls that wanted to send a message.
    pub attempted: i64,
    /// Messages taken over.
    pub accepted: i64,
    /// Messages refused by the call, by reason.
    pub refused: HashMap<String, i64>,
    /// Messages the sender has taken.
    pub sent: i64,
    /// Messages given up later, by reason.
    pub dropped: HashMap<String, i64>,
    /// Messages on their way.
    pub waiting: i64,
}

/// What a close has left behind.
#[napi(object)]
pub struct Report {
    /// Messages the sender has taken.
    pub sent: i64,
    /// Messages still on their way.
    pub waiting: i64,
    /// Messages given up.
    pub dropped: i64,
}

/// The books at this moment.
#[napi(catch_unwind)]
pub fn stats(sender: &External<Sender>) -> Stats {
    let stats = sender.client().stats();
    Stats {
        attempted: number(stats.attempted),
        accepted: number(stats.accepted),
        refused: by_reason(&stats.refused),
        sent: number(stats.sent),
        dropped: by_reason(&stats.dropped),
        waiting: number(stats.waiting),
    }
}

fn by_reason(counts: &ByReason) -> HashMap<String, i64> {
    counts.counts().into_iter().map(|(reason, count)| (reason, number(count))).collect()
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Waits on the calling thread; true when everything has left.
#[napi(catch_unwind)]
pub fn flush(sender: &External<Sender>, timeout_ms: u32) -> bool {
    Flush::new(sender, timeout_ms).run()
}

/// Waits on a thread of Node's pool.
#[napi(catch_unwind)]
pub fn flush_async(sender: &External<Sender>, timeout_ms: u32) -> AsyncTask<Flush> {
    AsyncTask::new(Flush::new(sender, timeout_ms))
}

/// Sends what is left and ends the sender, waiting on the calling thread.
#[napi(catch_unwind)]
pub fn close(sender: &External<Sender>, timeout_ms: u32) -> Report {
    Close::new(sender, timeout_ms).run()
}

/// Sends what is left and ends the sender, waiting on a thread of Node's pool.
#[napi(catch_unwind)]
pub fn close_async(sender: &External<Sender>, timeout_ms: u32) -> AsyncTask<Close> {
    AsyncTask::new(Close::new(sender, timeout_ms))
}

/// Sends what is left and ends the sender, on a thread of its own: neither the event loop nor Node's pool is held up.
/// It ends by itself, within the timeout; without it the sender ends when its handle is let go.
#[napi(catch_unwind)]
pub fn close_apart(sender: &External<Sender>, timeout_ms: u32) {
    let close = Close::new(sender, timeout_ms);
    let started = thread::Builder::new().name("metlog-close".to_owned()).spawn(move || close.run());
    if let Err(error) = started {
        complain("close", &format!("a sender that is replaced ends later: {error}"));
    }
}

/// Ends every sender of the process.
#[napi(catch_unwind)]
pub fn close_all(timeout_ms: u32) {
    client::close_all(Duration::from_millis(timeout_ms.into()));
}

/// A way to wait for a client: its name, what it gives back, how it does it.
macro_rules! waits {
    ($($name:ident -> $output:ty: |$client:ident, $timeout:ident| $run:expr;)+) => {$(
        /// A wait that may run on any thread.
        pub struct $name {
            client: Client,
            timeout: Duration,
        }

        impl $name {
            fn new(sender: &Sender, timeout_ms: u32) -> Self {
                let timeout = Duration::from_millis(timeout_ms.into());
                Self { client: sender.client().clone(), timeout }
            }

            fn run(&self) -> $output {
                let ($client, $timeout) = (&self.client, self.timeout);
                $run
            }
        }

        impl Task for $name {
            type Output = $output;
            type JsValue = $output;

            fn compute(&mut self) -> napi::Result<$output> {
                Ok(self.run())
            }

            fn resolve(&mut self, _: Env, output: $output) -> napi::Result<$output> {
                Ok(output)
            }
        }
    )+};
}

waits! {
    Flush -> bool: |client, timeout| client.flush(timeout);
    Close -> Report: |client, timeout| {
        let report = client.close(timeout);
        Report {
            sent: number(report.sent),
            waiting: number(report.waiting),
            dropped: number(report.dropped),
        }
    };
}
