//! What Rust tells about an error: its chain of sources, and the names of types and functions.

use std::{
    error::Error as StdError,
    fmt::{self, Write as _},
    panic::PanicHookInfo,
};

use super::{Event, Exception, Frame, bound::MAX_ITEMS};

/// The type of what a panic is reported as.
const PANIC: &str = "panic";

/// Texts of errors are cut here while they are made: an error may print megabytes.
const MAX_DISPLAY_BYTES: usize = 4 * 1024;

impl Event {
    /// An error and its sources, without frames. The type of a source is known for errors of std and of this crate, and
    /// otherwise what its `Debug` begins with.
    #[must_use]
    pub fn from_error(error: &(dyn StdError + 'static)) -> Self {
        let mut chain = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next.filter(|_| chain.len() < MAX_ITEMS) {
            chain.push(describe(error));
            next = error.source();
        }
        Self { arguments: arguments(), ..Self::new("rust", chain) }
    }

    /// [`Event::from_error`] for an error whose type the caller still knows.
    #[must_use]
    pub fn from_typed<E: StdError + 'static>(error: &E) -> Self {
        let mut event = Self::from_error(error);
        if let Some(first) = event.chain.first_mut() {
            let (module, kind) = split_path(std::any::type_name::<E>());
            first.module = module.map(ToOwned::to_owned);
            kind.clone_into(&mut first.kind);
        }
        event
    }

    /// A panic, with the place it was raised at as its only frame.
    #[must_use]
    pub fn from_panic(info: &PanicHookInfo<'_>) -> Self {
        let place = info.location().map(|location| Frame {
            file: location.file().to_owned(),
            line: Some(location.line()),
            ..Frame::default()
        });
        let panic = Exception {
            kind: PANIC.to_owned(),
            value: info.payload_as_str().unwrap_or("Box<dyn Any>").to_owned(),
            frames: place.into_iter().collect(),
            ..Exception::default()
        };
        let mut event = Self { arguments: arguments(), ..Self::new("rust", vec![panic]) };
        if let Some(thread) = std::thread::current().name() {
            event.extra.insert("thread", thread);
        }
        event
    }
}

fn arguments() -> Vec<String> {
    std::env::args_os().take(MAX_ITEMS).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

fn describe(error: &(dyn StdError + 'static)) -> Exception {
    let value = written(format_args!("{error}"), MAX_DISPLAY_BYTES);
    let (module, kind) = match known_type(error) {
        Some(path) => split_path(path),
        None => (None, ""),
    };
    let kind = if kind.is_empty() { debug_name(error) } else { kind.to_owned() };
    Exception { kind, module: module.map(ToOwned::to_owned), value, ..Exception::default() }
}

macro_rules! known_types {
    ($error:expr, $($type:ty),+ $(,)?) => {
        match $error {
            $(error if error.is::<$type>() => Some(std::any::type_name::<$type>()),)+
            _ => None,
        }
    };
}

/// The path of the types that sources often have.
fn known_type(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    known_types!(
        error,
        crate::Error,
        serde_json::Error,
        std::io::Error,
        fmt::Error,
        std::env::VarError,
        std::net::AddrParseError,
        std::num::ParseIntError,
        std::num::ParseFloatError,
        std::num::TryFromIntError,
        std::str::ParseBoolError,
        std::str::Utf8Error,
        std::string::FromUtf8Error,
        std::sync::mpsc::RecvError,
        std::sync::mpsc::RecvTimeoutError,
        std::time::SystemTimeError,
    )
}

/// The name that a derived `Debug` begins with: `NotFound` of `NotFound { path: .. }`.
fn debug_name(error: &dyn StdError) -> String {
    let text = written(format_args!("{error:?}"), MAX_DISPLAY_BYTES);
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let name = text.split(|character| !is_name(character)).next().unwrap_or_default();
    if name.is_empty() { "Error".to_owned() } else { name.to_owned() }
}

/// At most `limit` bytes of what is written; the writer is told to stop there.
fn written(text: fmt::Arguments<'_>, limit: usize) -> String {
    struct Limited(String, usize);
    impl fmt::Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = self.1.saturating_sub(self.0.len());
            let fits = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
            self.0.push_str(fits);
            if fits.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut limited = Limited(String::new(), limit);
    let _full_is_fine = limited.write_fmt(text);
    limited.0
}

/// A path as module and name: `a::b` and `c` of `a::b::c`; a closure keeps the function it is in.
pub(super) fn split_path(path: &str) -> (Option<&str>, &str) {
    let mut separators = separators(path);
    let mut at = separators.pop();
    while let Some(before) = at
        && path.get(before..).is_some_and(|rest| rest.starts_with("::{"))
    {
        at = separators.pop();
    }
    match at.and_then(|at| path.split_at_checked(at)) {
        Some((module, name)) => (Some(module), name.trim_start_matches("::")),
        None => (None, path),
    }
}

/// Where `::` stands outside of angle brackets.
fn separators(path: &str) -> Vec<usize> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    let mut before = '\0';
    for (at, character) in path.char_indices() {
        match character {
            '<' | '(' => depth += 1,
            // The arrow of `fn() -> T` closes nothing.
            '>' | ')' if before != '-' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && before == ':' => found.push(at - 1),
            _ => {}
        }
        before = character;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_before_the_function() {
        let cases = [
            ("app::login::check", Some("app::login"), "check"),
            ("app::login::check::{{closure}}", Some("app::login"), "check::{{closure}}"),
            (
                "app::login::check::{{closure}}::{{closure}}",
                Some("app::login"),
                "check::{{closure}}::{{closure}}",
            ),
            ("<app::A as core::fmt::Debug>::fmt", Some("<app::A as core::fmt::Debug>"), "fmt"),
            ("app::run<core::option::Option<u8>>", Some("app"), "run<core::option::Option<u8>>"),
            ("<fn() -> a::B as c::D>::call", Some("<fn() -> a::B as c::D>"), "call"),
            ("main", None, "main"),
            ("", None, ""),
        ];
        for (path, module, name) in cases {
            assert_eq!(split_path(path), (module, name), "{path}");
        }
    }
}
