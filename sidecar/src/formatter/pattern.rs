//! Lines by a regular expression with named groups.

use metlog_core::Timestamp;
use regex::{Regex, RegexBuilder};

use super::{
    Parse,
    parsed::{Field, Parsed},
};

/// A compiled expression is at most so large: one that is larger would take memory and time for each line.
const MAX_COMPILED_BYTES: usize = 10 * 1024 * 1024;

/// The format `regex`.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// Number and name of each named group.
    names: Vec<(usize, String)>,
}

impl Pattern {
    /// Compiles the expression.
    ///
    /// # Errors
    /// When it is none, is too large, or names no group.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build();
        let regex =
            built.map_err(|error| format!("is no regular expression: {}", last_line(&error.to_string())))?;
        let named = regex.capture_names().enumerate();
        let names: Vec<_> = named.filter_map(|(number, name)| Some((number, name?.to_owned()))).collect();
        if names.is_empty() {
            return Err("has no named group, expected for example (?<user>\\w+)".to_owned());
        }
        Ok(Self { regex, names })
    }
}

/// Where the expression is wrong is drawn in several lines; the last one says why.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

impl Parse for Pattern {
    fn parse<'a>(&'a self, line: &'a str, _now: Timestamp) -> Option<Parsed<'a>> {
        let found = self.regex.captures(line)?;
        let mut parsed = Parsed { payload: Some(line.into()), ..Parsed::default() };
        for (number, name) in &self.names {
            if let Some(group) = found.get(*number) {
                parsed.set(name.as_str(), Field::text(group.as_str()));
            }
        }
        Some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_groups_become_fields_and_those_that_matched_nothing_do_not() {
        let pattern = Pattern::compile(r"^(?<user>\w+)(?: as (?<role>\w+))? logged in$").unwrap();
        let parsed = pattern.parse("jane logged in", Timestamp::now()).unwrap();
        assert_eq!((parsed.get("user"), parsed.get("role")), (Some(&Field::text("jane")), None));
        assert!(pattern.parse("nobody", Timestamp::now()).is_none());
    }

    #[test]
    fn expressions_that_cannot_be_used_are_refused() {
        for (pattern, part) in
            [("(", "unclosed group"), ("a+", "no named group"), (r"(?<a>\w{1000}){100}", "size limit")]
        {
            let error = Pattern::compile(pattern).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
