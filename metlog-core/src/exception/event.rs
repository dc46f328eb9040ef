//! What is known about an exception, in any language.

use std::borrow::Cow;

use crate::{timestamp::Timestamp, value::Fields};

/// The level of an error in Python's `logging`, which Sentry's protocol took over.
pub const LEVEL_ERROR: u16 = 40;

/// An exception with what caused it, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The exception that was reported, then its cause, the cause of that and so on; then the members of a group, each
    /// with its own causes.
    pub chain: Vec<Exception>,
    /// What the application says about it; may be empty.
    pub message: String,
    /// [`LEVEL_ERROR`] by default.
    pub level: u16,
    /// Where to look first; made of the innermost frame when `None`.
    pub culprit: Option<String>,
    /// What groups events of the same fault; see [`super::fingerprint`] when `None`.
    pub fingerprint: Option<String>,
    /// The language: `python`, `node`, `rust`.
    pub platform: Cow<'static, str>,
    /// The command line of the process.
    pub arguments: Vec<String>,
    /// Whatever else the face knows.
    pub extra: Fields,
    /// When it was reported.
    pub timestamp: Timestamp,
}

/// One exception of a chain.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exception {
    /// Its type, without the module.
    pub kind: String,
    /// The module of its type.
    pub module: Option<String>,
    /// Its text.
    pub value: String,
    /// How it came about, outermost call first.
    pub frames: Vec<Frame>,
    /// Outermost frames that were left out to stay within bounds.
    pub frames_left_out: usize,
    /// What it is to its parent; says nothing for the first of a chain.
    pub relation: Relation,
    /// The place of its parent in the chain; the one before it when `None`.
    pub parent: Option<usize>,
}

/// What an exception of a chain is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Relation {
    /// The parent was raised because of it.
    #[default]
    Cause,
    /// The parent was raised while it was handled.
    Context,
    /// The parent is a group that holds it.
    Member,
}

impl Relation {
    /// As one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Context => "context",
            Self::Member => "member",
        }
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    /// The absolute path of the source file.
    pub file: String,
    /// The module.
    pub module: Option<String>,
    /// The function.
    pub function: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1, where the language knows it.
    pub column: Option<u32>,
    /// False for code of a library or the language's own, where the face can tell.
    pub in_app: Option<bool>,
    /// The text of that line.
    pub context_line: Option<String>,
    /// The lines before it.
    pub pre_context: Vec<String>,
    /// The lines after it.
    pub post_context: Vec<String>,
    /// Local variables by name.
    pub locals: Fields,
}

impl Event {
    /// An event of now with nothing but its exceptions.
    #[must_use]
    pub fn new(platform: impl Into<Cow<'static, str>>, chain: Vec<Exception>) -> Self {
        Self {
            chain,
            message: String::new(),
            level: LEVEL_ERROR,
            culprit: None,
            fingerprint: None,
            platform: platform.into(),
            arguments: Vec::new(),
            extra: Fields::new(),
            timestamp: Timestamp::now(),
        }
    }

    /// The event in one line: `Type: text` of the exception that was reported.
    #[must_use]
    pub fn title(&self) -> String {
        match self.chain.first() {
            Some(Exception { kind, value, .. }) if value.is_empty() => kind.clone(),
            Some(Exception { kind, value, .. }) => format!("{kind}: {value}"),
            None => self.message.clone(),
        }
    }

    /// When it was reported, in seconds, as the field `epoch_timestamp` has it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds as a double are exact to a microsecond")]
    pub fn epoch_timestamp(&self) -> f64 {
        (self.timestamp.as_nanos() / 1_000) as f64 / 1e6
    }

    /// Where to look first: `module in function`.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.culprit.clone().or_else(|| {
            let frame = self.chain.first()?.frames.last()?;
            let module = frame.module.as_deref().unwrap_or(&frame.file);
            Some(format!("{module} in {}", frame.function.as_deref().unwrap_or("<unknown>")))
        })
    }
}

impl Frame {
    /// The file from the module's outermost package on: what is the same on every host.
    #[must_use]
    pub fn short_file(&self) -> &str {
        let package = self.module.as_deref().and_then(|module| module.split(['.', ':']).next());
        let Some(package) = package.filter(|package| !package.is_empty()) else { return &self.file };
        self.file
            .rmatch_indices(package)
            .filter(|(at, _)| self.file.get(..*at).is_some_and(|before| before.ends_with('/')))
            .filter_map(|(at, _)| self.file.get(at..))
            .find(|rest| rest.get(package.len()..).is_some_and(|rest| rest.starts_with(['/', '.'])))
            .unwrap_or(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_file_begins_at_the_package() {
        let cases = [
            ("/srv/lib/sync/storage/sql.py", Some("sync.storage.sql"), "sync/storage/sql.py"),
            ("/srv/sync/lib/sync/__init__.py", Some("sync"), "sync/__init__.py"),
            ("/srv/app.py", Some("app"), "app.py"),
            ("/srv/main.py", Some("__main__"), "/srv/main.py"),
            ("/srv/resync/sql.py", Some("sync"), "/srv/resync/sql.py"),
            ("/srv/main.js", None, "/srv/main.js"),
        ];
        for (file, module, expected) in cases {
            let module = module.map(ToOwned::to_owned);
            let frame = Frame { file: file.to_owned(), module, ..Frame::default() };
            assert_eq!(frame.short_file(), expected, "{file}");
        }
    }

    #[test]
    fn culprit_is_the_innermost_call_unless_given() {
        let frame = |function: &str| Frame {
            file: "/a.py".to_owned(),
            module: Some("a".to_owned()),
            function: Some(function.to_owned()),
            ..Frame::default()
        };
        let frames = vec![frame("outer"), frame("inner")];
        let mut event =
            Event::new("python", vec![Exception { kind: "E".to_owned(), frames, ..Exception::default() }]);
        assert_eq!(event.place().as_deref(), Some("a in inner"));
        assert_eq!(event.title(), "E");
        event.culprit = Some("b".to_owned());
        assert_eq!(event.place().as_deref(), Some("b"));
    }
}
