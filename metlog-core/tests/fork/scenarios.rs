//! What the applications do, each in a process of its own.

use std::{
    cell::RefCell,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metlog_core::{
    Client, Options,
    config::Settings,
    sender::{acked::Acked, memory, zmq::Push},
    stats::Reason,
};

use crate::{
    FOLDER,
    children::{Forked, at_exit, fork},
};

/// Generous: what is waited for comes in milliseconds unless it never comes.
const SOON: Duration = Duration::from_secs(20);

/// A process that has nothing to send ends within this, well under the two seconds the exit hook may take.
const AT_ONCE: Duration = Duration::from_millis(1_500);

/// One application and what must arrive from it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    /// Messages by type, in alphabetical order.
    pub(crate) messages: &'static [(&'static str, u64)],
    pub(crate) producers: usize,
    words: &'static [&'static str],
}

impl Scenario {
    /// The receiver binds only when the application asks for it.
    pub(crate) fn receiver_is_late(&self) -> bool {
        self.words.contains(&"late receiver")
    }

    /// The receiver acknowledges what it takes.
    pub(crate) fn is_acked(&self) -> bool {
        self.words.contains(&"acked batches")
    }
}

macro_rules! scenarios {
    ($($name:ident: $messages:expr, $producers:literal producers $(, $word:ident $noun:ident)*;)+) => {
        pub(crate) const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            run: $name,
            messages: &$messages,
            producers: $producers,
            words: &[$(concat!(stringify!($word), " ", stringify!($noun))),*],
        }),+];
    };
}

scenarios! {
    a_child_sends_as_itself_and_the_parent_goes_on: [("child", 100), ("parent", 200)], 2 producers;
    a_fork_beside_sending_threads_harms_nobody: [("child", 30), ("parent", 4_000)], 31 producers;
    a_fork_with_a_full_queue_sends_nothing_twice: [("child", 10), ("parent", 64)], 2 producers, late receiver;
    an_acked_child_sends_as_itself_and_the_parent_goes_on: [("child", 200), ("parent", 400)], 2 producers, acked batches;
    a_fork_with_unacknowledged_batches_sends_nothing_twice: [("child", 30), ("parent", 100)], 4 producers, acked batches, late receiver;
    a_fork_while_others_start_clients_ends: [("child", 30)], 30 producers;
    twenty_children_at_once_all_arrive: [("child", 1_000), ("parent", 1)], 21 producers;
    a_child_of_a_child_sends_as_itself: [("child", 1), ("grandchild", 1), ("parent", 2)], 3 producers;
    a_child_that_says_nothing_ends_at_once: [("parent", 2)], 1 producers;
    a_client_that_was_never_used_works_in_a_child: [("child", 3)], 1 producers;
    the_return_of_main_sends_the_tail: [("parent", 500)], 1 producers;
    exit_sends_the_tail: [("parent", 500)], 1 producers;
    exit_from_another_thread_sends_the_tail: [("parent", 500)], 1 producers;
    exit_in_a_child_sends_the_tail: [("child", 500)], 1 producers;
    a_child_that_becomes_another_program_leaves_the_parent_alone: [("parent", 200)], 1 producers;
    a_call_from_a_destructor_of_a_thread_is_sent: [("parent", 20)], 1 producers;
    a_call_after_the_end_of_the_process_began_harms_nobody: [("parent", 5)], 1 producers;
    a_fork_during_the_first_look_up_of_a_stack_harms_nobody: [("sentry", 21)], 11 producers;
}

pub(crate) fn endpoint(folder: &Path) -> String {
    format!("ipc://{}/push.sock", folder.display())
}

/// True when the application has asked for its receiver.
pub(crate) fn receiver_is_wanted(folder: &Path) -> bool {
    folder.join("wanted").exists()
}

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("set by the receiver").into()
}

fn client() -> Client {
    client_with(Settings::default())
}

fn client_with(settings: Settings) -> Client {
    let push = Push { endpoints: vec![endpoint(&folder())] };
    Client::builder().logger("fork").sender(push).settings(settings).build()
}

fn acked_client() -> Client {
    Client::builder().logger("fork").sender(Acked { endpoints: vec![endpoint(&folder())] }).build()
}

fn send(client: &Client, kind: &str, count: usize) {
    (0..count).for_each(|_| client.metlog(kind, Options::default()));
}

fn send_and_close(client: &Client, kind: &str, count: usize) {
    send(client, kind, count);
    let report = client.close(SOON);
    assert_eq!(report.waiting + report.dropped, 0, "{report:?}");
}

fn a_child_sends_as_itself_and_the_parent_goes_on() {
    let client = client();
    send(&client, "parent", 100);
    assert!(client.flush(SOON));
    let child = fork(|| {
        assert_eq!(client.stats().attempted, 0, "the books of a child begin at zero");
        send_and_close(&client, "child", 100);
        assert_eq!(client.stats().sent, 100);
    });
    send(&client, "parent", 100);
    child.wait(SOON);
    client.close(SOON);
    assert_eq!(client.stats().sent, 200, "the child has not touched the books of its parent");
}

fn a_fork_beside_sending_threads_harms_nobody() {
    let client = client();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    send(&client, "parent", 10);
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    let forker = client.clone();
    let fork_all =
        move || -> Vec<Forked> { (0..30).map(|_| fork(|| send_and_close(&forker, "child", 1))).collect() };
    let children = std::thread::spawn(fork_all).join().unwrap();
    children.iter().for_each(|child| child.wait(SOON));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.close(SOON);
}

fn a_fork_with_a_full_queue_sends_nothing_twice() {
    let client = client_with(Settings { queue_bytes: 64 * 1024, ..Settings::default() });
    send(&client, "parent", 64);
    // Too large for what is left of the bound.
    let payload = "x".repeat(64 * 1024);
    let large = Options { payload: Some(&payload), ..Options::default() };
    (0..36).for_each(|_| client.metlog("parent", large));
    assert_eq!(client.stats().refused.get(Reason::Full), 36);
    let child = fork(|| {
        std::fs::write(folder().join("wanted"), "").unwrap();
        send_and_close(&client, "child", 10);
    });
    child.wait(SOON);
    let report = client.close(SOON);
    assert_eq!((report.sent, report.waiting, report.dropped), (64, 0, 0));
}

fn an_acked_child_sends_as_itself_and_the_parent_goes_on() {
    let client = acked_client();
    send(&client, "parent", 100);
    assert!(client.flush(SOON));
    // With batches on their way and without.
    send(&client, "parent", 100);
    let child = fork(|| {
        send(&client, "child", 100);
        assert!(client.flush(SOON));
        assert_eq!(client.stats().sent, 100);
        send_and_close(&client, "child", 100);
    });
    send(&client, "parent", 100);
    child.wait(SOON);
    send_and_close(&client, "parent", 100);
    assert_eq!(client.stats().sent, 400, "the child has not touched the books of its parent");
}

fn a_fork_with_unacknowledged_batches_sends_nothing_twice() {
    let client = acked_client();
    send(&client, "parent", 100);
    assert!(!client.flush(Duration::from_millis(50)), "nobody is there");
    let children: Vec<_> = (0..3).map(|_| fork(|| send_and_close(&client, "child", 10))).collect();
    std::fs::write(folder().join("wanted"), "").unwrap();
    children.iter().for_each(|child| child.wait(SOON));
    let report = client.close(SOON);
    assert_eq!((report.sent, report.waiting, report.dropped), (100, 0, 0));
}

fn a_fork_while_others_start_clients_ends() {
    let client = client();
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let other = Client::builder().sender(memory::channel().0).build();
                    send(&other, "elsewhere", 1);
                    other.close(SOON);
                }
            })
        })
        .collect();
    for _ in 0..30 {
        fork(|| send(&client, "child", 1)).wait(SOON);
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn twenty_children_at_once_all_arrive() {
    let client = client();
    send(&client, "parent", 1);
    let children: Vec<_> = (0..20).map(|_| fork(|| send_and_close(&client, "child", 50))).collect();
    children.iter().for_each(|child| child.wait(SOON));
    client.close(SOON);
}

fn a_child_of_a_child_sends_as_itself() {
    let client = client();
    send(&client, "parent", 1);
    let child = fork(|| {
        send(&client, "child", 1);
        fork(|| send_and_close(&client, "grandchild", 1)).wait(SOON);
        client.close(SOON);
    });
    child.wait(SOON);
    send_and_close(&client, "parent", 1);
}

fn a_child_that_says_nothing_ends_at_once() {
    let client = client();
    send(&client, "parent", 1);
    assert!(client.flush(SOON));
    fork(|| {}).wait(AT_ONCE);
    let looks = || {
        assert_eq!(client.stats().attempted, 0);
        assert!(client.flush(SOON));
        assert_eq!(client.close(SOON).sent, 0);
    };
    fork(looks).wait(AT_ONCE);
    let moved = client.clone();
    fork(move || drop(moved)).wait(AT_ONCE);
    send_and_close(&client, "parent", 1);
}

fn a_client_that_was_never_used_works_in_a_child() {
    let client = client();
    fork(|| send_and_close(&client, "child", 3)).wait(SOON);
}

fn the_return_of_main_sends_the_tail() {
    send(&client(), "parent", 500);
}

fn exit_sends_the_tail() {
    send(&client(), "parent", 500);
    std::process::exit(0);
}

fn exit_from_another_thread_sends_the_tail() {
    let client = client();
    let _never_returns = std::thread::spawn(move || {
        send(&client, "parent", 500);
        std::process::exit(0);
    })
    .join();
}

fn exit_in_a_child_sends_the_tail() {
    let client = client();
    fork(|| send(&client, "child", 500)).wait(SOON);
}

fn a_child_that_becomes_another_program_leaves_the_parent_alone() {
    let client = client();
    send(&client, "parent", 100);
    // What `Command` does without a hook of its own: spawn, by vfork or fork, and then exec.
    for _ in 0..10 {
        assert!(std::process::Command::new("true").status().unwrap().success());
    }
    // And by a fork that the application sees, with messages on their way.
    for _ in 0..10 {
        fork(|| {
            let error = std::process::Command::new("true").exec();
            panic!("cannot exec: {error}");
        })
        .wait(SOON);
    }
    send_and_close(&client, "parent", 100);
}

/// Calls when its thread ends, when thread-locals of the client may be gone already.
struct LastWords(Client);

impl Drop for LastWords {
    fn drop(&mut self) {
        send(&self.0, "parent", 1);
    }
}

thread_local! {
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

fn a_call_from_a_destructor_of_a_thread_is_sent() {
    let client = client();
    for touched_first in [true, false].repeat(5) {
        let client = client.clone();
        let thread = std::thread::spawn(move || {
            // Destructors run in the reverse order of first use: both orders are tried.
            if touched_first {
                LAST_WORDS.with_borrow_mut(|kept| *kept = Some(LastWords(client.clone())));
            }
            send(&client, "parent", 1);
            if !touched_first {
                LAST_WORDS.with_borrow_mut(|kept| *kept = Some(LastWords(client)));
            }
        });
        thread.join().unwrap();
    }
    client.close(SOON);
}

static EARLY: OnceLock<Client> = OnceLock::new();

fn a_call_after_the_end_of_the_process_began_harms_nobody() {
    // Registered before the client's own hook, so it runs after it, as destructors of statics do.
    at_exit(|| {
        let client = EARLY.get().unwrap();
        send(client, "late", 5);
        let stats = client.stats();
        assert_eq!((stats.refused.get(Reason::Closed), stats.waiting), (5, 0));
    });
    let client = EARLY.get_or_init(client);
    send(client, "parent", 5);
}

/// The look-up takes about 100 ms, under a lock that a child once inherited.
fn a_fork_during_the_first_look_up_of_a_stack_harms_nobody() {
    let client = client();
    client.exception(&std::fmt::Error);
    let children: Vec<_> = [0, 1, 2, 4, 8, 12, 16, 24, 32, 60]
        .iter()
        .scan(0, |before, after| Some(Duration::from_millis(after - std::mem::replace(before, *after))))
        .map(|pause| {
            std::thread::sleep(pause);
            fork(|| {
                client.exception(&std::fmt::Error);
                let sent = client.close(SOON).sent;
                assert_eq!(sent, 1, "{:?}", client.stats());
            })
        })
        .collect();
    children.iter().for_each(|child| child.wait(SOON));
    (0..10).for_each(|_| client.exception(&std::fmt::Error));
    client.close(SOON);
}
