//! Forking, waiting for what was forked, and the end of a process.
#![expect(unsafe_code, reason = "fork, waitpid and atexit are C functions; there is no safe form of them")]

use std::time::{Duration, Instant};

/// A forked process.
pub(crate) struct Forked(libc::pid_t);

/// Forks; the child does `work` and ends through the exit hooks, as an application does.
pub(crate) fn fork(work: impl FnOnce()) -> Forked {
    // SAFETY: this is the very thing under test: the child goes on in code that allocates and starts threads, which
    // glibc supports after a fork of a process with threads.
    match unsafe { libc::fork() } {
        -1 => panic!("cannot fork: {}", std::io::Error::last_os_error()),
        0 => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            std::process::exit(if ended.is_ok() { 0 } else { 1 });
        }
        pid => Forked(pid),
    }
}

impl Forked {
    /// Waits until it has ended well, at most `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        let start = Instant::now();
        let mut status = 0;
        loop {
            // SAFETY: `status` outlives the call, and the process is a child of this one that was not waited for yet.
            let ended = unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) };
            assert!(ended >= 0, "waitpid: {}", std::io::Error::last_os_error());
            if ended == self.0 {
                return assert_eq!(status, 0, "child {} failed", self.0);
            }
            if start.elapsed() > timeout {
                self.kill();
                panic!("child {} hangs", self.0);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn kill(&self) {
        // SAFETY: the process is a child of this one that was not waited for yet, so the number is still its own.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// What runs at the end of the process.
static AT_EXIT: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

extern "C" fn run_at_exit() {
    let done = std::panic::catch_unwind(|| AT_EXIT.get().map(|work| work()));
    if done.is_err() {
        // SAFETY: ends the process at once, with a status that tells.
        unsafe { libc::_exit(1) };
    }
}

/// Has `work` run at the end of the process, after what is registered later.
pub(crate) fn at_exit(work: fn()) {
    AT_EXIT.set(work).expect("once");
    // SAFETY: the function lives as long as the process and lets no panic out.
    let refused = unsafe { libc::atexit(run_at_exit) };
    assert_eq!(refused, 0);
}
