//! What is wrong with an expression, and where.

/// An expression that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("matcher, column {column}: {message}")]
pub struct MatcherError {
    /// The character of the expression at which it goes wrong, counted from 1.
    pub column: usize,
    /// What was found there and what was expected.
    pub message: String,
}

impl MatcherError {
    pub(super) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }
}
