//! Processes that die at the worst moment: what was acknowledged is there, once, and the ledger tells the rest.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use metlog_core::{Client, Options, fields};
use metlog_pipeline::audit::Verdict;
use metlog_tests::{Setup, System, number, wait_until};

/// An application that sends numbered messages until told to stop, from one thread: the number is the sequence number.
struct Application {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Client>,
}

impl Application {
    fn start(client: Client) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (theirs, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    let n = count.fetch_add(1, Ordering::Relaxed);
                    client.metlog("numbered", Options { fields: fields(&[("n", &n)]), ..Options::default() });
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            client
        });
        Self { stop, sent, thread }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn run_until(&self, count: u64) {
        wait_until("the application to send", || self.sent() >= count);
    }

    /// Stops and closes; gives back how many messages were sent and that all of them were accepted.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let client = self.thread.join().unwrap();
        let report = client.close(Duration::from_secs(10));
        assert_eq!((report.waiting, report.dropped, client.stats().refused.total()), (0, 0, 0));
        self.sent.load(Ordering::Relaxed)
    }
}

fn numbers(system: &System) -> Vec<u64> {
    system.delivered_of("numbered").iter().map(|message| number(message, "/fields/n")).collect()
}

#[test]
fn killing_the_grater_in_mid_traffic_loses_nothing_and_repeats_nothing() {
    kill_the_grater_in_mid_traffic(Setup::default());
}

#[test]
fn killing_the_grater_in_mid_traffic_loses_and_repeats_no_batch_that_is_compressed() {
    let setup = Setup { sidecar: "compression = \"zstd\"\n", ..Setup::default() };
    let system = kill_the_grater_in_mid_traffic(setup);
    let (sent, batches) = (
        system.sidecar.counter("metlog_link_sent_bytes_total"),
        system.sidecar.counter("metlog_link_batch_bytes_total"),
    );
    assert!(0 < sent && sent < batches / 2, "{sent} bytes for {batches} bytes of batches");
}

fn kill_the_grater_in_mid_traffic(setup: Setup<'_>) -> System {
    let mut system = System::start(setup);
    let application = Application::start(system.client("app"));
    for round in 1..=4_u64 {
        application.run_until(round * 2_000);
        system.grater.kill();
        system.grater.restart();
    }
    application.run_until(10_000);
    let sent = application.end();

    wait_until("a balance", || system.grater.audit().sent.delivered == sent);
    let numbers = numbers(&system);
    assert_eq!(numbers, (0..sent).collect::<Vec<_>>(), "each once and in order");
    let audit = system.grater.audit();
    assert_eq!(
        (audit.verdict, audit.sent.attempted, audit.sent.unknown),
        (Verdict::Balanced, sent, 0),
        "{audit}"
    );
    assert_eq!(system.sidecar.audit().sent.forwarded, sent);
    system
}

#[test]
fn killing_the_sidecar_loses_nothing_that_was_synced_and_the_ledger_tells_the_rest() {
    let mut system = System::start(Setup::default());
    let application = Application::start(system.client("app"));
    let mut safe = BTreeSet::new();
    let mut next = 0;
    for round in 1..=4_u64 {
        application.run_until(round * 2_000);
        let end = system.sidecar.stats().safe.iter().map(|(_, end)| *end).max().unwrap_or(0);
        assert!(end > next, "nothing was synced since the last round");
        safe.extend(next..end);
        system.sidecar.kill();
        system.sidecar.restart();
        // What was sent to the dead socket may be gone; from here on it is not claimed.
        let resumed = application.sent();
        wait_until("traffic after the restart", || {
            system.sidecar.stats().safe.iter().any(|(_, end)| *end > resumed)
        });
        next = resumed;
    }
    let sent = application.end();
    wait_until("the end of the application to arrive", || {
        let audit = system.grater.audit();
        audit.origins.iter().any(|origin| origin.closed && origin.figures.waiting == 0)
    });

    let numbers = numbers(&system);
    let delivered: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(delivered.len(), numbers.len(), "each once");
    let audit = system.grater.audit();
    let missing: BTreeSet<u64> =
        audit.origins.iter().flat_map(|origin| &origin.missing).flat_map(|&(a, b)| a..b).collect();
    let lost: BTreeSet<u64> = (0..sent).filter(|n| !delivered.contains(n)).collect();
    assert_eq!(missing, lost, "the ledger names exactly what is not there");
    let reported: Vec<_> = safe.intersection(&lost).collect();
    assert!(reported.is_empty(), "reported as safe and lost: {reported:?}");
    let figures = audit.sent;
    assert_eq!(
        (figures.attempted, figures.delivered, figures.unknown),
        (sent, sent - count(&lost), count(&lost))
    );
    assert_eq!(audit.verdict, if lost.is_empty() { Verdict::Balanced } else { Verdict::Broken });
}

fn count(set: &BTreeSet<u64>) -> u64 {
    u64::try_from(set.len()).unwrap()
}

#[test]
fn killing_the_sidecar_loses_nothing_of_a_client_that_wants_acknowledgement() {
    let mut system = System::start(Setup::default());
    let application = Application::start(system.acked_client("app"));
    for round in 1..=4_u64 {
        application.run_until(round * 2_000);
        system.sidecar.kill();
        system.sidecar.restart();
    }
    application.run_until(10_000);
    let sent = application.end();
    wait_until("a balance", || system.grater.audit().sent.delivered == sent);
    assert_eq!(numbers(&system), (0..sent).collect::<Vec<_>>(), "each once and in order");
    let audit = system.grater.audit();
    assert_eq!((audit.verdict, audit.sent.attempted), (Verdict::Balanced, sent), "{audit}");
}

#[test]
fn a_client_that_wants_acknowledgement_counts_what_nobody_took() {
    let mut system = System::start(Setup::default());
    system.sidecar.kill();
    let client = system.acked_client("app");
    (0..100_u64).for_each(|n| {
        client.metlog("numbered", Options { fields: fields(&[("n", &n)]), ..Options::default() });
    });
    assert!(!client.flush(Duration::from_millis(200)), "nothing is safe yet");
    let report = client.close(Duration::from_millis(300));
    assert_eq!((report.sent, report.waiting, report.dropped), (0, 0, 100));
}

#[test]
fn a_sidecar_that_cannot_reach_the_grater_keeps_everything_over_its_own_death() {
    let mut system = System::start(Setup::default());
    system.grater.kill();
    let application = Application::start(system.client("app"));
    application.run_until(3_000);
    let sent = application.end();
    wait_until("the spool to have it", || system.sidecar.stats().safe.iter().any(|(_, end)| *end == sent));
    assert_eq!(system.sidecar.audit().sent.waiting, sent);
    system.sidecar.kill();
    system.sidecar.restart();
    system.grater.restart();
    wait_until("a balance", || system.grater.audit().sent.delivered == sent);
    assert_eq!(numbers(&system), (0..sent).collect::<Vec<_>>());
}

#[test]
fn an_orderly_restart_keeps_the_partial_roll_up() {
    let setup = Setup { sidecar: "[rollup]\nflush_interval = \"1h\"\n", ..Setup::default() };
    let mut system = System::start(setup);
    let client = system.client("app");
    (0..10).for_each(|_| client.incr("clicks"));
    client.close(Duration::from_secs(5));
    send_statsd(&system, b"clicks:5|c\nclicks:x|c");
    wait_until("the spool to have it", || system.sidecar.stats().safe.iter().any(|(_, end)| *end == 10));
    wait_until("statsd to be parsed", || {
        system.sidecar.counter("metlog_input_malformed_total{input=\"statsd_udp\",reason=\"bad_value\"}") == 1
    });
    // What the kernel holds when the signal comes is in the roll-up as well.
    (0..100).for_each(|_| send_statsd(&system, b"clicks:1|c"));
    assert!(system.sidecar.terminate().success());

    let config = system.home().join("metlog-sidecar.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"1h\"", "\"1s\"");
    std::fs::write(&config, text).unwrap();
    system.sidecar.restart();
    let named = |name: &str| {
        let all = system.wait_for("statmetric", 3);
        all.iter()
            .filter(|message| message.pointer("/fields/name").and_then(|n| n.as_str()) == Some(name))
            .filter_map(|message| message.pointer("/fields/values/count").and_then(serde_json::Value::as_f64))
            .sum::<f64>()
    };
    wait_until("both sums", || (named("app.clicks"), named("clicks")) == (10.0, 105.0));
    wait_until("the statsd metrics in the books", || system.grater.audit().sent.consumed == 111);
    let figures = system.grater.audit().sent;
    assert_eq!((figures.attempted, figures.consumed, figures.dropped), (112, 111, 1));
}

fn send_statsd(system: &System, packet: &[u8]) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(packet, system.sidecar.listening("statsd_udp")).unwrap();
}

#[test]
fn sigterm_ends_both_in_good_order_and_leaves_no_socket() {
    let mut system = System::start(Setup::default());
    assert!(system.sidecar.terminate().success());
    assert!(system.grater.terminate().success());
    assert!(!system.sidecar.data_dir().join("admin.sock").exists());
}
