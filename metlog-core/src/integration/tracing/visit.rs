//! Values of `tracing` as fields.

use std::{error::Error, fmt};

use tracing_core::field::{Field, Visit};

use super::super::draft::Draft;

/// Fields of an event go to its message.
pub(super) struct EventFields<'a>(pub(super) &'a mut Draft);

/// Fields of a span are kept: where each ends is noted.
pub(super) struct SpanFields<'a> {
    pub(super) draft: &'a mut Draft,
    /// Names and lengths of the encoded fields.
    pub(super) lengths: &'a mut Vec<(&'static str, usize)>,
}

/// Where a value goes.
trait Take {
    /// Has `write` add it to the draft under its name.
    fn take(&mut self, field: &Field, write: impl FnOnce(&mut Draft, &str));

    /// A value that has to be made into text.
    fn take_text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        self.take(field, |draft, name| draft.text_field(name, text));
    }
}

impl Take for EventFields<'_> {
    fn take(&mut self, field: &Field, write: impl FnOnce(&mut Draft, &str)) {
        write(self.0, plain_name(field));
    }

    fn take_text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.0.payload(text),
            _ => self.0.text_field(plain_name(field), text),
        }
    }
}

impl Take for SpanFields<'_> {
    fn take(&mut self, field: &Field, write: impl FnOnce(&mut Draft, &str)) {
        let name = plain_name(field);
        let before = self.draft.end();
        write(self.draft, name);
        self.lengths.push((name, self.draft.end() - before));
    }
}

/// Of what `tracing-log` has made of a record, the names that the feature `log` uses.
fn plain_name(field: &Field) -> &'static str {
    match field.name() {
        "log.target" => "target",
        "log.module_path" => "module",
        "log.file" => "file",
        "log.line" => "line",
        name => name,
    }
}

/// Methods that take a value for what it is.
macro_rules! typed {
    ($($method:ident $type:ty),+ $(,)?) => {$(
        fn $method(&mut self, field: &Field, value: $type) {
            self.take(field, |draft, name| draft.field(name, &value));
        }
    )+};
}

macro_rules! visit {
    ($($visitor:ty),+ $(,)?) => {$(
        impl Visit for $visitor {
            typed! {
                record_i64 i64,
                record_u64 u64,
                record_i128 i128,
                record_f64 f64,
                record_bool bool,
                record_bytes &[u8],
            }

            fn record_u128(&mut self, field: &Field, value: u128) {
                self.take(field, |draft, name| draft.wide_field(name, value));
            }

            fn record_str(&mut self, field: &Field, value: &str) {
                self.take_text(field, format_args!("{value}"));
            }

            fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
                self.take(field, |draft, name| draft.error_field(name, value));
            }

            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.take_text(field, format_args!("{value:?}"));
            }
        }
    )+};
}

visit!(EventFields<'_>, SpanFields<'_>);
