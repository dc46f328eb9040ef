//! Several next hops: when one is gone the sidecar goes on with the other, and nothing is lost on the way.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use metlog_core::{Options, fields};
use metlog_tests::{Daemon, Setup, System, number, reload, wait_until};

/// A second grater, in a folder of its own.
fn standby(home: &Path, socket: &str) -> Daemon {
    fs::create_dir(home).unwrap();
    let at = home.display();
    let config = format!("data_dir = \"{at}/metlog-grater\"\n[input.link]\nendpoints = [\"{socket}\"]\n");
    fs::write(home.join("metlog-grater.toml"), config).unwrap();
    Daemon::start("metlog-grater", home)
}

/// How often each number was delivered.
fn counts(daemon: &Daemon) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for message in daemon.delivered().iter().filter(|message| message["type"] == "numbered") {
        *counts.entry(number(message, "/fields/n")).or_default() += 1;
    }
    counts
}

#[test]
fn the_next_endpoint_takes_over_and_what_comes_twice_is_what_the_first_had_accepted_unheard() {
    let mut system = System::start(Setup::default());
    let home = system.home().to_owned();
    let [first, second] = ["grater", "standby"].map(|name| format!("ipc://{}/{name}.sock", home.display()));
    let other = standby(&home.join("standby"), &second);
    let path = system.sidecar.config_path();
    let config = fs::read_to_string(&path).unwrap();
    let both = config.replace(&format!("[\"{first}\"]"), &format!("[\"{first}\", \"{second}\"]"));
    assert_ne!(both, config);
    fs::write(&path, both).unwrap();
    reload(&system.sidecar);

    let client = system.acked_client("app");
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..10 {
                    client.metlog(
                        "numbered",
                        Options { fields: fields(&[("n", &sent)]), ..Options::default() },
                    );
                    sent += 1;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            sent
        });
        wait_until("the first grater", || counts(&system.grater).len() > 1_000);
        system.grater.kill();
        wait_until("the second grater", || counts(&other).len() > 1_000);
        stop.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    let report = client.close(Duration::from_secs(20));
    assert_eq!((report.waiting, report.dropped, client.stats().refused.total()), (0, 0, 0));

    // What the first had in its spool and not in its file comes when it is back.
    system.grater.restart();
    let all = || {
        let [first, second] = [counts(&system.grater), counts(&other)];
        (0..sent).all(|n| first.contains_key(&n) || second.contains_key(&n))
    };
    wait_until("every message", all);
    for (name, counts) in [("first", counts(&system.grater)), ("second", counts(&other))] {
        assert!(counts.values().all(|times| *times == 1), "{name}: one came twice");
        assert!(counts.keys().all(|n| *n < sent), "{name}");
    }
    // In order: what both have lies between what the first alone and what the second alone has.
    let (first, second) = (counts(&system.grater), counts(&other));
    let last = *first.keys().next_back().unwrap();
    assert!(
        second.keys().all(|n| *n > last || first.contains_key(n)),
        "numbers before {last} went to the second alone"
    );
}
