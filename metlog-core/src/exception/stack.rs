//! The stack of a thread: captured as addresses without a lock, looked up by name under that of the backtrace library.
//!
//! The library has one lock for the process, and holds it while it reads the debug information of the program: 100 ms at
//! the first frame. A call of the application must not wait for that, and a child forked meanwhile would wait for ever:
//! the thread that holds the lock does not exist there, and what it was writing under it is half written. So a capture
//! takes no lock, and such a child never looks up a name.
#![expect(unsafe_code, reason = "the library's form of a capture that takes its lock is the only safe one")]

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::{Frame, rust::split_path};
use crate::process;

/// Frames captured, the innermost ones.
const MAX_CAPTURED: usize = 256;

/// Bits of [`LOOKING_UP`] that count threads.
const THREADS_BITS: u32 = 32;

/// The process that looked up names last, as its generation, and how many of its threads do.
static LOOKING_UP: AtomicU64 = AtomicU64::new(0);

/// The stack of the caller, innermost first.
pub(super) fn capture() -> Vec<backtrace::Frame> {
    let mut frames = Vec::with_capacity(64);
    let keep = |frame: &backtrace::Frame| {
        frames.push(frame.clone());
        frames.len() < MAX_CAPTURED
    };
    // SAFETY: the lock this leaves out guards dbghelp on Windows and the cache of symbols. On Unix a trace uses neither:
    // it is `_Unwind_Backtrace`, which any thread may call at any time (std does so for each panic), and a clone of a
    // frame copies what the unwinder knows of it.
    unsafe { backtrace::trace_unsynchronized(keep) };
    frames
}

/// Calls by name, innermost first; one address stands for several where functions were inlined. Addresses where names
/// cannot be looked up any more.
pub(super) fn named(frames: &[backtrace::Frame]) -> Vec<(String, Frame)> {
    let Some(_looking) = LookUp::begin(&LOOKING_UP, process::generation()) else {
        return frames.iter().map(by_address).collect();
    };
    let mut named = Vec::new();
    for frame in frames {
        backtrace::resolve_frame(frame, |symbol| named.extend(by_name(symbol)));
    }
    named
}

fn by_name(symbol: &backtrace::Symbol) -> Option<(String, Frame)> {
    // The alternate form leaves out the hash, which changes with each build.
    let name = format!("{:#}", symbol.name()?);
    let (module, function) = split_path(&name);
    let frame = Frame {
        file: symbol.filename().map(|file| file.display().to_string()).unwrap_or_default(),
        module: module.map(ToOwned::to_owned),
        function: Some(function.to_owned()),
        line: symbol.lineno(),
        ..Frame::default()
    };
    Some((name, frame))
}

fn by_address(frame: &backtrace::Frame) -> (String, Frame) {
    let name = format!("{:p}", frame.ip());
    (name.clone(), Frame { function: Some(name), ..Frame::default() })
}

/// Says, in memory that a forked child inherits, that a thread of this process looks up names.
struct LookUp<'a>(&'a AtomicU64);

impl<'a> LookUp<'a> {
    /// Nothing in a child that was forked during a look-up, and in its own children.
    fn begin(looking_up: &'a AtomicU64, generation: u64) -> Option<Self> {
        let begun = looking_up.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
            let threads = before & ((1 << THREADS_BITS) - 1);
            let is_own = before >> THREADS_BITS == generation;
            (is_own || threads == 0).then_some((generation << THREADS_BITS) + threads + 1)
        });
        // A child that finds the lock taken finds this written.
        fence(Ordering::SeqCst);
        begun.is_ok().then(|| Self(looking_up))
    }
}

impl Drop for LookUp<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// It once waited for the first look-up of the process, 100 ms.
    #[test]
    fn a_capture_waits_for_no_look_up() {
        let (looking, looks) = mpsc::channel();
        let (gate, wait) = mpsc::channel::<()>();
        let (captured, captures) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                backtrace::resolve_frame(&capture()[0], |_| {
                    let _only_the_first = looking.send(());
                    let _opened_or_gone = wait.recv();
                });
            });
            looks.recv_timeout(SOON).unwrap();
            scope.spawn(move || captured.send(capture().len()).unwrap());
            let frames = captures.recv_timeout(SOON);
            drop(gate);
            assert!(frames.unwrap() > 0);
        });
    }

    #[test]
    fn a_child_forked_during_a_look_up_never_begins_one() {
        let looking_up = AtomicU64::new(0);
        let threads = [LookUp::begin(&looking_up, 0).unwrap(), LookUp::begin(&looking_up, 0).unwrap()];
        // As a child inherits it, and its child.
        let inherited = AtomicU64::new(looking_up.load(Ordering::Relaxed));
        assert!(LookUp::begin(&inherited, 1).is_none());
        assert!(LookUp::begin(&inherited, 2).is_none());
        drop(threads);
        let own = LookUp::begin(&looking_up, 1).unwrap();
        assert!(LookUp::begin(&looking_up, 2).is_none());
        drop(own);
        assert!(LookUp::begin(&looking_up, 2).is_some());
    }

    #[test]
    fn a_frame_that_is_not_looked_up_is_its_address() {
        let frames = capture();
        let (name, frame) = by_address(&frames[0]);
        assert!(name.starts_with("0x"), "{name}");
        assert_eq!(frame.function, Some(name));
    }
}
