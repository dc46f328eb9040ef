//! An error or a panic captured where it happened, its backtrace still addresses.
//!
//! Capturing walks the stack and keeps addresses: about 20 microseconds for 50 frames. Resolving reads the debug
//! information of the program and source files: below a millisecond, but a fifth of a second the first time. That is for
//! a thread that has the time.

use std::{error::Error as StdError, panic::PanicHookInfo};

use super::{Event, Frame, SourceCache, stack};

/// Calls of the machinery between a fault and us: names that begin with these are left out at the inner end.
const MACHINERY: [&str; 13] = [
    "<alloc::",
    "<core::",
    "<metlog_core::exception::",
    "<std::",
    "_rust_begin_unwind",
    "__rust",
    "alloc::",
    "backtrace::",
    "core::",
    "metlog_core::exception::",
    "rust_begin_unwind",
    "rust_panic",
    "std::",
];

/// Parts of the paths of their source files: built with line tables alone, the name of an inlined call has no module.
const MACHINERY_FILES: [&str; 4] =
    ["/library/std/src/", "/library/core/src/", "/library/alloc/src/", "/backtrace-0."];

/// Marks where std begins to call the program or a thread's function; what lies outside of it tells nothing.
const BEGIN: &str = "__rust_begin_short_backtrace";

/// An event whose frames are not known by name yet. It can be sent to another thread.
#[derive(Debug)]
pub struct Pending {
    event: Event,
    /// Innermost first.
    frames: Vec<backtrace::Frame>,
    /// What a face has left to do.
    rest: Option<fn(&mut Event)>,
}

/// An event that a face has filled already.
impl From<Event> for Pending {
    fn from(event: Event) -> Self {
        Self { event, frames: Vec::new(), rest: None }
    }
}

impl Pending {
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// Captures an error with the stack of the caller.
    #[must_use]
    pub fn from_error(error: &(dyn StdError + 'static)) -> Self {
        Self::capture(Event::from_error(error))
    }

    /// [`Pending::from_error`] for an error whose type the caller still knows.
    #[must_use]
    pub fn from_typed<E: StdError + 'static>(error: &E) -> Self {
        Self::capture(Event::from_typed(error))
    }

    /// Captures a panic, within a panic hook.
    #[must_use]
    pub fn from_panic(info: &PanicHookInfo<'_>) -> Self {
        Self::capture(Event::from_panic(info))
    }

    /// Adds the stack of the caller to an event.
    #[must_use]
    pub fn capture(event: Event) -> Self {
        Self { event, frames: stack::capture(), rest: None }
    }

    /// An event of which `rest` makes more, on the thread that has the time, before source files are read.
    #[must_use]
    pub fn unfinished(event: Event, rest: fn(&mut Event)) -> Self {
        Self { rest: Some(rest), ..Self::from(event) }
    }

    /// The event with files, lines and functions. In a child that was forked during a look-up, and in its own children,
    /// functions are addresses and have no files.
    #[must_use]
    pub fn resolve(self) -> Event {
        self.resolve_with(&mut SourceCache::default())
    }

    /// [`Pending::resolve`] with the source files read lately.
    #[must_use]
    pub fn resolve_with(mut self, sources: &mut SourceCache) -> Event {
        if let Some(rest) = self.rest {
            rest(&mut self.event);
        }
        let mut frames = within(stack::named(&self.frames));
        frames.reverse();
        if let Some(first) = self.event.chain.first_mut() {
            // A program without debug information leaves the place of a panic as the one frame that is known.
            if frames.iter().any(|frame| frame.line.is_some()) || first.frames.is_empty() {
                first.frames = frames;
            }
        }
        self.event
            .chain
            .iter_mut()
            .flat_map(|exception| &mut exception.frames)
            .for_each(|frame| sources.fill(frame));
        self.event
    }
}

/// The calls of the application alone.
fn within(mut named: Vec<(String, Frame)>) -> Vec<Frame> {
    if let Some(begin) = named.iter().position(|(name, _)| name.contains(BEGIN)) {
        named.truncate(begin);
    }
    let inner = named.iter().position(|(name, frame)| !is_machinery(name, &frame.file)).unwrap_or(0);
    named.into_iter().skip(inner).map(|(_, frame)| frame).collect()
}

fn is_machinery(name: &str, file: &str) -> bool {
    // Where this folder lies is known from the path of this file, as the compiler was given it.
    let ours = file!().strip_suffix("pending.rs").unwrap_or("metlog-core/src/exception/");
    MACHINERY.iter().any(|prefix| name.starts_with(prefix))
        || MACHINERY_FILES.iter().any(|part| file.contains(part))
        || file.contains(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exception::Exception;

    fn functions(names: &[&str]) -> Vec<String> {
        let frame = |name: &&str| {
            ((*name).to_owned(), Frame { function: Some((*name).to_owned()), ..Frame::default() })
        };
        within(names.iter().map(frame).collect()).into_iter().filter_map(|frame| frame.function).collect()
    }

    #[test]
    fn what_a_face_left_to_do_is_done_before_source_lines_are_read() {
        let frame = Frame { file: "made.js".to_owned(), line: Some(1), ..Frame::default() };
        let made = Exception { frames: vec![frame], ..Exception::default() };
        let pending = Pending::unfinished(Event::new("node", vec![made]), |event| {
            for frame in event.chain.iter_mut().flat_map(|made| &mut made.frames) {
                frame.file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/exception/pending.rs").to_owned();
            }
        });
        let event = pending.resolve();
        let line = event.chain[0].frames[0].context_line.as_deref();
        assert_eq!(line, include_str!("pending.rs").lines().next());
    }

    #[test]
    fn only_calls_of_the_application_are_kept() {
        let names = [
            "backtrace::backtrace::trace",
            "metlog_core::exception::pending::Pending::capture",
            "<alloc::boxed::Box<F,A> as core::ops::function::Fn<Args>>::call",
            "std::panicking::panic_with_hook",
            "core::option::unwrap_failed",
            "app::check",
            "<core::slice::Iter<T> as core::iter::Iterator>::for_each",
            "app::main",
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "std::rt::lang_start",
            "main",
        ];
        let kept = ["app::check", "<core::slice::Iter<T> as core::iter::Iterator>::for_each", "app::main"];
        assert_eq!(functions(&names), kept);
    }

    #[test]
    fn a_stack_of_machinery_alone_is_kept_whole() {
        assert_eq!(functions(&["std::a", "core::b"]), ["std::a", "core::b"]);
        assert_eq!(functions(&[]), [""; 0]);
    }
}
