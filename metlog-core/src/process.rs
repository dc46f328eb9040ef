//! The two things only the process knows: that it has forked, and that it is about to end.
//!
//! The fork handler only bumps a number: it runs in the child before anything is known to be safe. Everything else
//! happens at the child's next call ([`crate::client`]).
#![expect(
    unsafe_code,
    reason = "pthread_atfork and atexit take C functions, std's stderr takes a lock; there is no safe form of these"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::sync::{Lazy, OnceCell};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// What is done at the end of the process.
static END: OnceCell<fn()> = OnceCell::new();

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn at_exit() {
    // A panic must not cross into C.
    let _ended = std::panic::catch_unwind(|| END.get().map(|end| end()));
}

static HOOKS: Lazy<()> = Lazy::new(|| {
    // SAFETY: `in_child` is a plain function that lives as long as the process and does one atomic addition,
    // which is async-signal-safe; the two other handlers are absent.
    let forked = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    // SAFETY: `at_exit` lives as long as the process and lets no panic out.
    let exits = unsafe { libc::atexit(at_exit) };
    if forked != 0 || exits != 0 {
        crate::stats::complain("hooks", "cannot hook fork and exit: a forked child may stay silent");
    }
});

/// Installs the hooks once; `end` is called when the process ends by `exit` or by returning from `main`.
pub(crate) fn install_hooks(end: fn()) {
    let _the_first_one_stays = END.set(end);
    Lazy::force(&HOOKS);
}

/// How many forks lie between the process that installed the hooks and this one.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// The name of this host, or an empty text when it has none that is UTF-8.
#[must_use]
pub fn hostname() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the pointer and the length describe `name`, which outlives the call.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) } != 0;
    let text = name.split(|byte| *byte == 0).next().unwrap_or_default();
    if failed { String::new() } else { std::str::from_utf8(text).unwrap_or_default().to_owned() }
}

/// Writes `line`, which ends in a line break, in one piece, past the lock of `std::io::stderr`: a child forked while
/// another thread held it would wait for ever.
pub(crate) fn write_to_stderr(line: &str) {
    // SAFETY: the pointer and the length describe `line`, which outlives the call; the kernel takes any number for a
    // file and refuses one that is not open.
    let _nobody_left_to_tell = unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}
