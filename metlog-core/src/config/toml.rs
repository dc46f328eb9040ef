//! Configurations in TOML, with `${VAR}` and `${VAR:-default}` as in the daemons' files.
//!
//! ```toml
//! logger = "bookmarks"
//! delivery = "acked"
//! queue_bytes = "16MiB"
//!
//! [filters]
//! severity_max = 6
//! ```

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{found::Found, raw::Raw, text::expand};

/// Tables whose keys stand for themselves with this name before them.
const TABLES: [&str; 2] = ["sender", "filters"];

/// Reads a text; `name` is how errors call it, empty for a text without a name.
pub(super) fn read(text: &str, name: &str, variable: impl Fn(&str) -> Option<String>) -> Found {
    let name = if name.is_empty() { String::new() } else { format!("{name}, ") };
    let place = |line: usize| format!("{name}line {line}");
    let expanded = match expand(text, variable) {
        Ok(expanded) => expanded,
        Err((line, why)) => return Found::unreadable(format!("{}: {why}", place(line))),
    };
    let line_of = |at: usize| {
        let before = expanded.bytes().take(at);
        1 + before.filter(|byte| *byte == b'\n').count()
    };
    let table = match DeTable::parse(&expanded) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = line_of(error.span().map_or(0, |span| span.start));
            let message = error.message().trim().replace('\n', " ");
            return Found::unreadable(format!("{}: {message}", place(line)));
        }
    };
    let mut found = Found::default();
    for (key, value) in in_order(&table) {
        let nested = TABLES.into_iter().find(|table| *table == key.get_ref());
        match (nested, value.get_ref()) {
            (Some(outer), DeValue::Table(inner)) => {
                let show = |name: &str| shown_in(outer, name);
                for (key, value) in in_order(inner) {
                    let place = place(line_of(key.span().start));
                    found.add(&place, &format!("{outer}_{}", key.get_ref()), raw(value), show);
                }
            }
            _ => found.add(&place(line_of(key.span().start)), key.get_ref(), raw(value), str::to_owned),
        }
    }
    found
}

/// A key of a table as the table has it, and another one as the file would.
fn shown_in(table: &str, name: &str) -> String {
    match name.strip_prefix(table).and_then(|rest| rest.strip_prefix('_')) {
        Some(inner) => format!("{table}.{inner}"),
        None => name.to_owned(),
    }
}

type Pair<'a> = (&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>);

/// As they stand in the file.
fn in_order<'a>(table: &'a DeTable<'a>) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Integer(number) => int(number).map_or_else(|| Raw::Other(number.to_string()), Raw::Int),
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| Raw::Other(number.to_string()), Raw::Float)
        }
        DeValue::Boolean(flag) => Raw::Bool(*flag),
        DeValue::Datetime(time) => Raw::Other(time.to_string()),
        DeValue::Array(values) => Raw::List(values.iter().map(raw).collect()),
        DeValue::Table(table) => Raw::Map(
            table.iter().map(|(key, value)| (key.get_ref().clone().into_owned(), raw(value))).collect(),
        ),
    }
}

fn int(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
