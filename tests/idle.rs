//! A quiet sidecar costs next to nothing: measured from /proc.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of a test fail as it does")]

use std::{fs, thread, time::Duration};

use metlog_tests::{Setup, System};

/// How long the threads are watched.
const WATCHED: Duration = Duration::from_secs(20);

/// Wake-ups that all threads together may have in a second.
const WAKE_UPS: f64 = 4.0;

/// Resident memory, in MiB.
const RESIDENT: u64 = 15;

#[test]
fn a_quiet_sidecar_sleeps_and_is_small() {
    let system = System::start(Setup::default());
    let pid = system.sidecar.pid();
    // Connecting to the grater is no quiet time.
    thread::sleep(Duration::from_secs(8));
    let before = wake_ups(pid);
    thread::sleep(WATCHED);
    let rate = (wake_ups(pid) - before) as f64 / WATCHED.as_secs_f64();
    assert!(rate <= WAKE_UPS, "{rate} wake-ups a second: {:#?}", threads(pid));
    // A build for tests is larger than one that is shipped.
    assert!(resident(pid) <= RESIDENT * 2, "{} MiB", resident(pid));
}

/// The name of each thread and how often it has gone to sleep.
fn threads(pid: u32) -> Vec<(String, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let read = |task: std::io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let value =
            |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
        (value("Name:"), value("voluntary_ctxt_switches:").parse().unwrap())
    };
    tasks.map(read).collect()
}

fn wake_ups(pid: u32) -> u64 {
    threads(pid).iter().map(|(_, count)| count).sum()
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024
}
