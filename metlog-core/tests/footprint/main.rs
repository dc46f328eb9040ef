//! What a client takes of the process it lives in: no thread or socket before its first message, no system call on the
//! calling thread, memory within its bound.
//!
//! Each scenario is a process of its own, which this program starts by its name: what is looked at is the whole process's.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test whose runner is its own, and helpers of tests, which clippy does not know for tests"
)]

use std::{env, os::unix::process::ExitStatusExt, process::Command};

mod scenarios;
mod seal;

/// Names the scenario.
const SCENARIO: &str = "METLOG_TEST_SCENARIO";

fn main() {
    if let Ok(name) = env::var(SCENARIO) {
        return (scenarios::ALL.iter().find(|scenario| scenario.name == name).unwrap().run)();
    }
    for scenario in &scenarios::ALL {
        let name = scenario.name;
        let ended = Command::new(env::current_exe().unwrap()).env(SCENARIO, name).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        let killed = ended.status.signal() == Some(libc::SIGSYS);
        assert_eq!(killed, scenario.is_killed, "{name}: {}\n{said}", ended.status);
        assert!(killed || ended.status.success(), "{name}: {}\n{said}", ended.status);
        println!("test {name} ... ok");
    }
}
