//! Reports panics as `sentry` messages.
//!
//! A panic within a panic hook aborts the process, so the hook does little: it captures the stack and starts a thread,
//! `metlog-panic`, that resolves and sends. Filters of the application and everything else that could fail run there.

use std::{
    cell::Cell,
    panic::{self, PanicHookInfo},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
};

use super::Pending;
use crate::{
    client::{Client, Options},
    config::EXIT_TIMEOUT,
    message::Severity,
    stats::{Reason, complain},
};

/// Reports under way at once; a program that panics faster than that has told enough.
const MAX_AT_ONCE: usize = 8;

/// Reports under way in this process; a forked child may start with some of its parent's, which never end.
static AT_ONCE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Set in threads that report: a panic of theirs is not reported again.
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
    if REPORTING.try_with(|reporting| reporting.replace(true)).unwrap_or(true) {
        return;
    }
    start(client, Pending::from_panic(info));
    let _thread_ends = REPORTING.try_with(|reporting| reporting.set(false));
}

fn start(client: &Client, pending: Pending) {
    if AT_ONCE.fetch_add(1, Ordering::Relaxed) >= MAX_AT_ONCE {
        AT_ONCE.fetch_sub(1, Ordering::Relaxed);
        return client.refuse(Reason::Full);
    }
    let (done, wait) = mpsc::sync_channel(1);
    let sender = client.clone();
    let started =
        thread::Builder::new().name("metlog-panic".to_owned()).spawn(move || send(&sender, pending, &done));
    match started {
        Ok(_detached) if is_last() => {
            let _late = wait.recv_timeout(EXIT_TIMEOUT);
        }
        Ok(_detached) => {}
        Err(error) => {
            AT_ONCE.fetch_sub(1, Ordering::Relaxed);
            client.refuse(Reason::Encode);
            complain("panic", &format!("cannot start the thread that reports a panic: {error}"));
        }
    }
}

/// True when the process will end with this panic, as far as a hook can know.
fn is_last() -> bool {
    cfg!(panic = "abort") || thread::current().name() == Some("main")
}

/// Runs on the thread `metlog-panic`.
fn send(client: &Client, pending: Pending, done: &SyncSender<()>) {
    REPORTING.set(true);
    let sent = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let options = Options { severity: Some(Severity::ALERT), ..Options::default() };
        client.exception_event(pending.resolve(), None, options);
        if cfg!(panic = "abort") {
            // Nothing runs at the end of an aborted process.
            client.flush(EXIT_TIMEOUT);
        }
    }));
    if sent.is_err() {
        complain("panic", "the report of a panic has panicked itself");
    }
    AT_ONCE.fetch_sub(1, Ordering::Relaxed);
    let _nobody_waits = done.send(());
}
