//! Reads the text V8 makes of a stack, innermost call first:
//!
//! ```text
//!     at Store.find [as lookup] (/srv/app/lib/store.js:12:34)
//!     at async /srv/app/app.mjs:5:6
//!     at Array.map (<anonymous>)
//! ```
//!
//! A line that is no call is stepped over: texts of errors have several lines, and applications write stacks themselves.

use metlog_core::exception::Frame;

/// Between a package's folder and what is around it.
pub(crate) const PACKAGES: &str = "/node_modules/";

/// Endings of files whose lines are shown. A text that only looks like a stack shall not make us read anything else.
const SOURCES: [&str; 8] = [".cjs", ".cts", ".js", ".jsx", ".mjs", ".mts", ".ts", ".tsx"];

/// The calls, outermost first; `root` is the folder of the application.
pub(crate) fn frames(stack: &str, root: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = stack.lines().filter_map(|line| frame(line, root)).collect();
    frames.reverse();
    frames
}

/// True for a file whose lines may be shown.
pub(crate) fn is_source(file: &str) -> bool {
    SOURCES.iter().any(|ending| file.ends_with(ending))
}

fn frame(line: &str, root: &str) -> Option<Frame> {
    let call = line.trim().strip_prefix("at ")?;
    let call = call.strip_prefix("async ").unwrap_or(call);
    let (function, location) = match call.strip_suffix(')').and_then(|call| call.split_once(" (")) {
        Some((function, location)) => (Some(function), location),
        None => (None, call),
    };
    let place = place(location);
    if function.is_none() && place.line.is_none() && !matches!(location, "<anonymous>" | "native") {
        return None;
    }
    let file = path(place.file);
    Some(Frame {
        module: module(&file, root),
        function: function.map(ToOwned::to_owned),
        line: place.line,
        column: place.column,
        in_app: Some(is_of_application(&file)),
        file,
        ..Frame::default()
    })
}

/// True for a file that is neither a package's nor Node's own.
pub(crate) fn is_of_application(file: &str) -> bool {
    file.starts_with('/') && !file.contains(PACKAGES)
}

/// Where a call is.
struct Place<'a> {
    file: &'a str,
    line: Option<u32>,
    column: Option<u32>,
}

/// Takes `file:line:column` apart; what has no numbers is a name: `<anonymous>`, `native`, `index 0`.
fn place(location: &str) -> Place<'_> {
    let numbered = || {
        let (rest, column) = location.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some(Place { file, line: Some(line.parse().ok()?), column: Some(column.parse().ok()?) })
    };
    numbered().unwrap_or(Place { file: location, line: None, column: None })
}

/// The path of a file; ECMAScript modules have URLs.
pub(crate) fn path(file: &str) -> String {
    file.strip_prefix("file://").and_then(percent_decoded).unwrap_or_else(|| file.to_owned())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// What is the same on every host: the path from the package's name on, or within the application, without its ending.
pub(crate) fn module(file: &str, root: &str) -> Option<String> {
    let inside = match file.rsplit_once(PACKAGES) {
        Some((_, inside)) => inside,
        None => file.strip_prefix(root)?.strip_prefix('/')?,
    };
    let name = SOURCES.iter().find_map(|ending| inside.strip_suffix(ending)).unwrap_or(inside);
    Some(name.to_owned())
}
