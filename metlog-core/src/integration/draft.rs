//! A message while its values become text. That runs code of the application, which may log or panic: nothing is locked
//! or borrowed meanwhile, and each thread keeps one draft for its next message, so that none is allocated as a rule.

use std::{
    cell::Cell,
    error::Error as StdError,
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use crate::{
    client::{Client, FieldSet, Options},
    message::Severity,
    stats::Reason,
    value::{Encode, Encoded},
};

/// Texts are cut here: a value may print megabytes, and a message over a mebibyte would be refused as a whole.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Sources of an error that are told.
const MAX_SOURCES: usize = 32;

/// Messages under way within one another: a value that logs itself while it is written would never end.
const MAX_NESTED: u32 = 4;

/// A draft that grew beyond this in a large message is given back.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    /// The draft of this thread's next message.
    static SPARE: Cell<Draft> = const { Cell::new(Draft::new()) };
    /// How many messages of this thread are being written.
    static NESTED: Cell<u32> = const { Cell::new(0) };
    /// True in the client's own threads.
    static OWN: bool = thread::current().name().is_some_and(|name| name.starts_with("metlog-"));
}

/// Payload and fields of a message.
#[derive(Default)]
pub(super) struct Draft {
    payload: String,
    /// Names and values as MessagePack, one after another.
    pairs: Vec<u8>,
    count: usize,
    /// The text of one value.
    text: String,
    /// The values of one list.
    list: Vec<u8>,
}

/// Runs `work` with an empty draft.
///
/// # Errors
/// Why there is no message: `Filtered` in the client's own threads, `Encode` when `work` panicked or is nested too deep.
pub(super) fn compose<T>(work: impl FnOnce(&mut Draft) -> T) -> Result<T, Reason> {
    if is_own_thread() {
        return Err(Reason::Filtered);
    }
    let nested = NESTED.get();
    if nested >= MAX_NESTED {
        return Err(Reason::Encode);
    }
    NESTED.set(nested + 1);
    let mut draft = SPARE.try_with(Cell::take).unwrap_or_default();
    let done = catch_unwind(AssertUnwindSafe(|| work(&mut draft)));
    draft.clear();
    let _thread_ends = SPARE.try_with(|spare| spare.set(draft));
    NESTED.set(nested);
    done.map_err(|_panic| Reason::Encode)
}

/// True in the client's own threads.
pub(super) fn is_own_thread() -> bool {
    OWN.try_with(|own| *own).unwrap_or(false)
}

impl Draft {
    const fn new() -> Self {
        Self { payload: String::new(), pairs: Vec::new(), count: 0, text: String::new(), list: Vec::new() }
    }

    fn clear(&mut self) {
        let Self { payload, pairs, count, text, list } = self;
        if [payload.capacity(), pairs.capacity(), text.capacity(), list.capacity()].iter().sum::<usize>()
            > KEPT_BYTES
        {
            return *self = Self::new();
        }
        payload.clear();
        pairs.clear();
        *count = 0;
        text.clear();
        list.clear();
    }

    /// Sets the payload.
    pub(super) fn payload(&mut self, text: fmt::Arguments<'_>) {
        write_cut(&mut self.payload, text);
    }

    /// Adds a field. A name given twice keeps its last value.
    pub(super) fn field(&mut self, name: &str, value: &(impl Encode + ?Sized)) {
        name.encode(&mut self.pairs);
        value.encode(&mut self.pairs);
        self.count += 1;
    }

    /// Adds a field of an integer that may be larger than any other type holds: the nearest double then.
    pub(super) fn wide_field(&mut self, name: &str, value: u128) {
        #[expect(clippy::cast_precision_loss, reason = "documented: the nearest double")]
        match i128::try_from(value) {
            Ok(value) => self.field(name, &value),
            Err(_) => self.field(name, &(value as f64)),
        }
    }

    /// Adds a field whose value is a text that is still to be made.
    pub(super) fn text_field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        write_cut(&mut self.text, value);
        self.push_text(name);
    }

    /// Adds an error as text, its sources after it: `cannot load: file not found`.
    pub(super) fn error_field(&mut self, name: &str, error: &(dyn StdError + 'static)) {
        write_cut(&mut self.text, format_args!("{}", Chain(error)));
        self.push_text(name);
    }

    fn push_text(&mut self, name: &str) {
        let text = std::mem::take(&mut self.text);
        self.field(name, text.as_str());
        self.text = text;
    }

    /// Where the next field goes.
    #[cfg(feature = "tracing")]
    pub(super) fn end(&self) -> usize {
        self.pairs.len()
    }

    /// The fields so far as they are encoded.
    #[cfg(feature = "tracing")]
    pub(super) fn encoded(&self) -> &[u8] {
        &self.pairs
    }

    /// Puts `count` encoded fields before those from `start` on.
    #[cfg(feature = "tracing")]
    pub(super) fn insert(&mut self, start: usize, count: usize, pairs: &[u8]) {
        self.pairs.extend_from_slice(pairs);
        rotate_in(&mut self.pairs, start, pairs.len());
        self.count += count;
    }

    /// Puts a value before those that the list has.
    #[cfg(feature = "tracing")]
    pub(super) fn list_first(&mut self, value: &str) {
        let before = self.list.len();
        value.encode(&mut self.list);
        let added = self.list.len() - before;
        rotate_in(&mut self.list, 0, added);
    }

    /// Puts the list, of `length` values, as a field before those from `start` on.
    #[cfg(feature = "tracing")]
    pub(super) fn insert_list(&mut self, start: usize, name: &str, length: usize) {
        let before = self.pairs.len();
        name.encode(&mut self.pairs);
        crate::wire::pack::list(&mut self.pairs, length);
        self.pairs.extend_from_slice(&self.list);
        let added = self.pairs.len() - before;
        rotate_in(&mut self.pairs, start, added);
        self.count += 1;
    }

    /// The fields so far.
    pub(super) fn fields(&self) -> FieldSet<'_> {
        FieldSet::Encoded { count: self.count, pairs: Encoded(&self.pairs) }
    }

    /// Sends the message.
    pub(super) fn send(&self, client: &Client, kind: &str, severity: Severity) {
        let options = Options {
            severity: Some(severity),
            payload: Some(&self.payload),
            fields: self.fields(),
            ..Options::default()
        };
        client.metlog(kind, options);
    }
}

/// Moves the last `length` bytes to `start`.
#[cfg(feature = "tracing")]
fn rotate_in(bytes: &mut [u8], start: usize, length: usize) {
    if let Some(bytes) = bytes.get_mut(start..) {
        bytes.rotate_right(length.min(bytes.len()));
    }
}

/// Writes `text` over what `out` holds, up to [`MAX_TEXT_BYTES`]; the writer is told to stop there.
fn write_cut(out: &mut String, text: fmt::Arguments<'_>) {
    struct Cut<'a>(&'a mut String);
    impl fmt::Write for Cut<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = MAX_TEXT_BYTES.saturating_sub(self.0.len());
            let fits = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
            self.0.push_str(fits);
            if fits.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    out.clear();
    let _full_is_fine = Cut(out).write_fmt(text);
}

/// An error and its sources.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let sources = std::iter::successors(self.0.source(), |error| (*error).source());
        sources.take(MAX_SOURCES).try_for_each(|source| write!(f, ": {source}"))
    }
}
