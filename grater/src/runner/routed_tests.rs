//! Outputs behind routes that sample and change: what each gets, and that every message is accounted for once.

use std::{fs, thread};

use metlog_core::wire::{
    batch::{Builder, Header, ProducerId},
    json::from_json,
    record::Identity,
};
use metlog_pipeline::{
    config::parse,
    spool::{NewRecord, SpoolOptions},
};

use super::*;
use crate::config::Config;

const MESSAGES: u64 = 500;
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
    [[route]]
    name = "half"
    matcher = "Type == 'x'"
    sample = 0.5
    outputs = ["first", "second"]
    set = { payload = "changed" }
    [[route]]
    name = "late"
    matcher = "Fields[n] >= 400"
    outputs = ["second"]
    [[output]]
    name = "first"
    type = "file"
    path = "DIR/first"
    [[output]]
    name = "second"
    type = "file"
    path = "DIR/second"
"#;

fn append(spool: &Spool) {
    let identity = Identity { env_version: "0.8", pid: 1, hostname: "h" };
    let mut batch = Builder::new(Header::new(ProducerId([7; 16]), identity, "app"));
    for number in 0..MESSAGES {
        let kind = if number % 5 == 4 { "y" } else { "x" };
        let text = format!("{{\"type\":\"{kind}\",\"payload\":\"{number}\",\"fields\":{{\"n\":{number}}}}}");
        batch.push(&from_json(text.as_bytes()).unwrap().message).unwrap();
    }
    let ordinal = spool.append(&[NewRecord { link: None, frame: &batch.finish() }]).unwrap();
    assert!(spool.wait_synced(ordinal, PATIENCE));
}

/// Runs all outputs until they are done; gives back the outcomes of all together, and the lines of each file.
fn run(dir: &Path, spool: &Spool) -> (metlog_core::wire::batch::Counts, [Vec<String>; 2]) {
    let config: Config =
        parse(&CONFIG.replace("DIR", &dir.display().to_string()), "grater.toml", |_| None).unwrap();
    assert_eq!(config.check(), Vec::<String>::new());
    let routes = Routes::compile(&config.routes, &config.catchall, &config.output_names()).unwrap();
    let (routes, stop, mut all) = (Arc::new(routes), Stop::default(), Outcomes::default());
    let runners = config.outputs.iter().enumerate().map(|(position, output)| {
        let shared = (Arc::clone(&routes), Counters::default());
        OutputRunner::open(position, output, u64::MAX, (spool, dir), shared).unwrap()
    });
    let places: Vec<_> = runners.collect();
    thread::scope(|scope| {
        let outcomes: Vec<_> = places.iter().map(OutputRunner::outcomes).collect();
        let running = places.into_iter().map(|mut runner| {
            let stop = &stop;
            scope.spawn(move || {
                runner.run(stop);
                runner
            })
        });
        let running: Vec<_> = running.collect();
        let deadline = Instant::now() + PATIENCE;
        let settled = || -> u64 {
            outcomes.iter().map(|outcomes| outcomes.lock().totals().values().sum::<u64>()).sum()
        };
        while settled() < MESSAGES && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        stop.set();
        for thread in running {
            all.merge(&thread.join().unwrap().outcomes().lock());
        }
    });
    let lines = ["first", "second"].map(|name| {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    });
    (all.totals(), lines)
}

#[test]
fn what_is_sampled_is_accounted_for_once_and_the_rest_is_changed_for_its_output() {
    let home = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(&home.path().join("spool"), SpoolOptions::default()).unwrap();
    append(&spool);
    let (totals, [first, second]) = run(home.path(), &spool);
    let of = |outcome: &str| totals.get(outcome).copied().unwrap_or(0);
    assert_eq!(of("delivered") + of("filtered:half") + of("filtered:no_route"), MESSAGES, "{totals:?}");
    assert_eq!(totals.values().sum::<u64>(), MESSAGES, "{totals:?}");
    // 80 of the first 400 are of a type that no route takes.
    assert_eq!(of("filtered:no_route"), 80);
    assert!((100..220).contains(&of("filtered:half")), "{totals:?}");
    // 400 are of the type `x`: what is not sampled is in both files, and of the last hundred the rest in the second alone.
    assert!((150..250).contains(&first.len()), "{}", first.len());
    assert!(first.iter().all(|line| line.contains(r#""payload":"changed""#)));
    let unchanged = second.iter().filter(|line| !line.contains(r#""payload":"changed""#)).count();
    assert_eq!(second.len(), first.len() + unchanged);
    let delivered = u64::try_from(second.len()).unwrap();
    assert_eq!(of("delivered"), delivered, "a message in both files counts once");
}
