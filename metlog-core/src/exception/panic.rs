//! Reports panics as `sentry` messages.
//!
//! A panic within a panic hook aborts the process, so the hook does little: it captures the stack and defers the rest.
//! Filters of the application and everything else that could fail run on the thread that does deferred work.

use std::{
    cell::Cell,
    panic::{self, PanicHookInfo},
    thread,
};

use super::Pending;
use crate::{
    client::{Client, Options},
    config::EXIT_TIMEOUT,
    deferred,
    message::Severity,
};

thread_local! {
    /// Set while a thread reports: a panic of the hook itself is not reported again.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic of any thread is sent as a `sentry` message of severity 1 (alert, as `exception` has it), and
/// then handled as before.
///
/// The thread that panics goes on at once, except where the process would end with it: on the main thread, and in
/// programs built to abort, the hook waits up to two seconds for the report.
pub fn install_panic_hook(client: Client) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(&client, info);
        previous(info);
    }));
}

fn report(client: &Client, info: &PanicHookInfo<'_>) {
    if deferred::is_working() || REPORTING.try_with(|reporting| reporting.replace(true)).unwrap_or(true) {
        return;
    }
    let options = Options { severity: Some(Severity::ALERT), ..Options::default() };
    client.exception_event(Pending::from_panic(info), None, options);
    if cfg!(panic = "abort") {
        // Nothing runs at the end of an aborted process.
        client.flush(EXIT_TIMEOUT);
    } else if thread::current().name() == Some("main") {
        client.finish_deferred(EXIT_TIMEOUT);
    }
    let _thread_ends = REPORTING.try_with(|reporting| reporting.set(false));
}
