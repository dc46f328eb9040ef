//! Heka's message matcher: an expression such as `Type == "counter" && Fields[name] =~ /^sync\./`, compiled once.
//!
//! ```text
//! any        = all { "||" all }                      "&&" binds tighter than "||"
//! all        = one { "&&" one }
//! one        = "(" any ")" | TRUE | FALSE | comparison
//! comparison = text ("==" | "!=" | ">" | ">=" | "<" | "<=") quoted      compared byte by byte
//!            | text ("=~" | "!~") pattern
//!            | number ("==" | "!=" | ">" | ">=" | "<" | "<=") numeral
//!            | field operator (quoted | numeral | pattern)
//!            | field ("==" | "!=") (TRUE | FALSE | NIL)
//! text       = Type | Logger | Payload | EnvVersion | Hostname
//! number     = Timestamp | Severity | Pid            a timestamp is nanoseconds since the epoch
//! field      = Fields "[" name "]" [ "[" i "]" [ "[" j "]" ] ]
//! quoted     = "..." or '...'; a backslash before a quote or a backslash stands for it
//! pattern    = /.../, syntax of the `regex` crate; a slash inside is written \/
//! ```
//!
//! A value that is missing or of another type makes its comparison false, `!=` and `!~` included; only `== NIL` is
//! true of what is missing. A field that holds null is missing.
//!
//! `Fields[a.b]` is the field named `a.b`, or else `b` inside `a`. As in Heka, `i` counts the fields of one name and
//! `j` the values of one field, and both are 0 where they are left out. A message of ours has each name once: a list
//! is one field of several values (`Fields[list][0][1]` is the second), a list of lists several fields.

mod error;
mod explanation;
mod expression;
mod lexer;
mod parser;
mod path;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod view;

pub use error::MatcherError;
pub use explanation::{Explanation, Finding};
pub use view::{MessageView, look};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Matcher(expression::Expression);

impl Matcher {
    /// Compiles `text`.
    ///
    /// # Errors
    /// What is wrong with it, and in which column.
    pub fn compile(text: &str) -> Result<Self, MatcherError> {
        parser::parse(text).map(Self)
    }

    /// Whether the message fits. Decodes no more of it than the expression asks for.
    #[must_use]
    pub fn matches(&self, view: &mut MessageView<'_>) -> bool {
        self.0.holds(view)
    }

    /// As [`Matcher::matches`], with the comparisons that decide it.
    #[must_use]
    pub fn explain(&self, view: &mut MessageView<'_>) -> Explanation {
        explanation::explain(&self.0, view)
    }

    /// The types of which a message that fits has one; nothing when it may have any.
    #[must_use]
    pub fn types(&self) -> Option<Vec<&str>> {
        self.0.types()
    }
}
