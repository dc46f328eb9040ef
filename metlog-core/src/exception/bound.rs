//! Keeps an event within bounds, and secrets out of it, before anything else is done with it.
//!
//! What is cut shows that it was: a text ends in `...`, a list in `... 99951 more`, a map has a key `...`, a container
//! too deep is `<list of 3>`, an exception counts the frames left out. What matters most is kept longest: the exceptions
//! in the order of the chain, in each the innermost frames, in each frame the line before the locals.

use std::borrow::Cow;

use super::{Event, Exception, Frame, scrub};
use crate::value::{Fields, Value};

/// Lists and maps within a variable, one in the other.
pub const MAX_DEPTH: usize = 5;

/// Items of a list or a map, the mark of the cut counted; and exceptions of a chain.
pub const MAX_ITEMS: usize = 50;

/// Characters of a text, the mark of the cut counted.
pub const MAX_TEXT: usize = 400;

/// Frames of an exception, the innermost ones: an endless recursion has thousands that say the same.
pub const MAX_FRAMES: usize = 100;

/// The event as JSON, in bytes; leaves room for the rest of a message of 1 MiB.
pub const MAX_BYTES: usize = 1_000_000;

/// Stands at the end of what was cut.
const CUT: &str = "...";

/// What a frame or an exception takes as JSON beside its texts: the names of its keys.
const KEYS: usize = 200;

/// Characters looked at beyond the cut, so that a secret that the cut would halve is seen whole. More of a text no face
/// needs to hand over.
pub const LOOK_AHEAD: usize = 64;

/// Masks secrets and cuts what is over the bounds; `bytes` bounds the whole, [`MAX_BYTES`] usually. Take the checksum
/// before: it is that of whole lines.
pub fn tidy(event: &mut Event, bytes: usize) {
    let mut budget = Budget(bytes.saturating_sub(KEYS));
    event.message = budget.text(&event.message);
    event.platform = budget.text(&event.platform).into();
    event.culprit = event.culprit.as_deref().map(|culprit| budget.text(culprit));
    event.fingerprint = event.fingerprint.as_deref().map(|fingerprint| budget.clipped(fingerprint));
    event.arguments = arguments(&event.arguments, &mut budget);
    event.chain.truncate(MAX_ITEMS);
    event.chain.iter_mut().for_each(|link| exception(link, &mut budget));
    event.extra = map(&event.extra, MAX_DEPTH, &mut budget);
}

/// The bytes that are left.
struct Budget(usize);

impl Budget {
    /// Takes `bytes`, or nothing when there are not as many.
    fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// The text scrubbed and cut; only the mark of the cut when there is no room.
    fn text(&mut self, text: &str) -> String {
        let head = text.char_indices().nth(MAX_TEXT + LOOK_AHEAD).and_then(|(end, _)| text.get(..end));
        self.clipped(&scrub::text(head.unwrap_or(text)))
    }

    fn clipped(&mut self, text: &str) -> String {
        let text = clip(text);
        if self.take(json_length(&text)) { text } else { CUT.to_owned() }
    }
}

fn clip(text: &str) -> String {
    if text.char_indices().nth(MAX_TEXT).is_none() {
        return text.to_owned();
    }
    let end = text.char_indices().nth(MAX_TEXT - CUT.len()).map_or(0, |(end, _)| end);
    format!("{}{CUT}", text.get(..end).unwrap_or_default())
}

/// What the text takes as JSON, with its quotes and a comma.
fn json_length(text: &str) -> usize {
    let length = |character: char| match character {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '\0'..='\x1f' => 6,
        _ => character.len_utf8(),
    };
    text.chars().map(length).sum::<usize>() + 4
}

/// The value of an argument whose name is one before it (`--password x`) is masked like `--password=x`.
fn arguments(given: &[String], budget: &mut Budget) -> Vec<String> {
    let mut after_secret = false;
    let mut kept = Vec::new();
    for argument in given.iter().take(room_for(given.len())) {
        let masked = after_secret && !argument.starts_with('-');
        after_secret =
            argument.starts_with('-') && !argument.contains('=') && scrub::is_secret_name(argument);
        kept.push(if masked { scrub::MASK.to_owned() } else { budget.text(argument) });
    }
    if given.len() > MAX_ITEMS {
        kept.push(more(given.len()));
    }
    kept
}

/// How many of so many items are kept: all, or one less than the bound, for the mark.
#[must_use]
pub fn room_for(items: usize) -> usize {
    if items > MAX_ITEMS { MAX_ITEMS - 1 } else { items }
}

/// The mark of a list or map of so many items, when they are over the bound. For faces, which cut what they would have
/// to convert for nothing.
#[must_use]
pub fn more(items: usize) -> String {
    format!("{CUT} {} more", items - room_for(items))
}

fn exception(exception: &mut Exception, budget: &mut Budget) {
    budget.take(KEYS);
    exception.kind = budget.text(&exception.kind);
    exception.module = exception.module.as_deref().map(|module| budget.text(module));
    exception.value = budget.text(&exception.value);
    let given = std::mem::take(&mut exception.frames);
    let all = given.len();
    let innermost = given.into_iter().rev().take(MAX_FRAMES);
    let mut kept: Vec<Frame> = innermost.map_while(|given| frame(given, budget)).collect();
    kept.reverse();
    exception.frames_left_out += all - kept.len();
    exception.frames = kept;
}

/// The frame within bounds, or nothing when there is no room for its line.
fn frame(frame: Frame, budget: &mut Budget) -> Option<Frame> {
    let file = clip(&frame.file);
    // The file is written twice, as it is and from its package on.
    if !budget.take(KEYS + 2 * json_length(&file)) {
        return None;
    }
    // Source lines are no data: they are cut, not scrubbed.
    let mut lines = |lines: Vec<String>| {
        lines.iter().take(MAX_ITEMS).map(|line| budget.clipped(line)).collect::<Vec<String>>()
    };
    let context_line = frame.context_line.map(|line| lines(vec![line]).concat());
    let (pre_context, post_context) = (lines(frame.pre_context), lines(frame.post_context));
    Some(Frame {
        file,
        module: frame.module.map(|module| budget.clipped(&module)),
        function: frame.function.map(|function| budget.clipped(&function)),
        line: frame.line,
        column: frame.column,
        in_app: frame.in_app,
        context_line,
        pre_context,
        post_context,
        locals: map(&frame.locals, MAX_DEPTH, budget),
    })
}

fn value(given: &Value, depth: usize, budget: &mut Budget) -> Value {
    match given {
        Value::Null | Value::Bool(_) | Value::Float(_) => scalar(given.clone(), 26, budget),
        Value::Int(number) if scrub::is_card_number(*number) => scalar(scrub::MASK.into(), 11, budget),
        Value::Int(_) => scalar(given.clone(), 42, budget),
        Value::Text(text) => budget.text(text).into(),
        Value::Bytes(bytes) => budget.text(&head_of(bytes)).into(),
        Value::List(items) if depth == 0 => scalar(format!("<list of {}>", items.len()).into(), 32, budget),
        Value::Map(fields) if depth == 0 => scalar(format!("<map of {}>", fields.len()).into(), 32, budget),
        Value::List(items) => Value::List(list(items, depth, budget)),
        Value::Map(fields) => Value::Map(map(fields, depth, budget)),
    }
}

fn scalar(value: Value, bytes: usize, budget: &mut Budget) -> Value {
    if budget.take(bytes) { value } else { CUT.into() }
}

/// Bytes as text, what is none as U+FFFD; no more of them than a text can keep.
fn head_of(bytes: &[u8]) -> String {
    let most = bytes.len().min(4 * (MAX_TEXT + LOOK_AHEAD));
    String::from_utf8_lossy(bytes.get(..most).unwrap_or_default()).into_owned()
}

/// The name in a name and its value, as headers often are: as bytes in ASGI, as texts elsewhere.
fn name_of_pair(items: &[Value]) -> Option<Cow<'_, str>> {
    match items {
        [Value::Text(name), _] => Some(Cow::Borrowed(name)),
        [Value::Bytes(name), _] => Some(Cow::Owned(head_of(name))),
        _ => None,
    }
}

fn list(items: &[Value], depth: usize, budget: &mut Budget) -> Vec<Value> {
    if let Some(name) = name_of_pair(items)
        && scrub::is_secret_name(&name)
    {
        return vec![budget.text(&name).into(), scrub::MASK.into()];
    }
    let mut kept = Vec::new();
    for item in items.iter().take(room_for(items.len())) {
        if !budget.take(4) {
            kept.push(CUT.into());
            return kept;
        }
        kept.push(value(item, depth - 1, budget));
    }
    if items.len() > MAX_ITEMS {
        kept.push(more(items.len()).into());
    }
    kept
}

fn map(fields: &Fields, depth: usize, budget: &mut Budget) -> Fields {
    let mut kept = Fields::new();
    for (name, given) in fields.iter().take(room_for(fields.len())) {
        let name = clip(name);
        if !budget.take(json_length(&name) + scrub::MASK.len()) {
            kept.insert(CUT, "no room");
            return kept;
        }
        let masked = scrub::is_secret_name(&name);
        let bounded = if masked { scrub::MASK.into() } else { value(given, depth - 1, budget) };
        kept.insert(name, bounded);
    }
    if fields.len() > MAX_ITEMS {
        kept.insert(CUT, more(fields.len()));
    }
    kept
}

#[cfg(test)]
#[path = "bound_tests.rs"]
mod tests;
