//! Splits an expression into tokens, each with the column it begins in.

use super::{
    error::MatcherError,
    expression::{Comparison, Number},
};

/// A piece of an expression.
#[derive(Debug, Clone)]
pub(super) struct Token<'a> {
    /// The first character, counted from 1.
    pub(super) column: usize,
    /// The same in bytes, from 0.
    pub(super) start: usize,
    /// As it stands in the expression.
    pub(super) text: &'a str,
    pub(super) kind: TokenKind<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind<'a> {
    Open,
    Close,
    And,
    Or,
    Operator(Operator),
    /// A variable, `TRUE`, `FALSE` or `NIL`.
    Word(&'a str),
    /// What stands between `[` and `]`.
    Index(&'a str),
    /// Without its quotes.
    Quoted(String),
    /// Without its slashes.
    Pattern(&'a str),
    Number(Number),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Compare(Comparison),
    /// `=~`, or `!~` when `wanted` is false.
    Match {
        wanted: bool,
    },
}

/// Longer ones first: `>=` is not `>`.
const SYMBOLS: [(&str, TokenKind<'static>); 12] = [
    ("&&", TokenKind::And),
    ("||", TokenKind::Or),
    ("==", TokenKind::Operator(Operator::Compare(Comparison::Equal))),
    ("!=", TokenKind::Operator(Operator::Compare(Comparison::NotEqual))),
    (">=", TokenKind::Operator(Operator::Compare(Comparison::GreaterOrEqual))),
    ("<=", TokenKind::Operator(Operator::Compare(Comparison::LessOrEqual))),
    ("=~", TokenKind::Operator(Operator::Match { wanted: true })),
    ("!~", TokenKind::Operator(Operator::Match { wanted: false })),
    (">", TokenKind::Operator(Operator::Compare(Comparison::Greater))),
    ("<", TokenKind::Operator(Operator::Compare(Comparison::Less))),
    ("(", TokenKind::Open),
    (")", TokenKind::Close),
];

/// A position in an expression.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    column: usize,
    start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, column: 1, start: 0 }
    }

    /// The next token; `End` again and again after the last.
    pub(super) fn next_token(&mut self) -> Result<Token<'a>, MatcherError> {
        let blank = self.rest.len() - self.rest.trim_start().len();
        self.take(blank);
        let (column, start) = (self.column, self.start);
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token { column, start, text: "", kind: TokenKind::End });
        };
        let (length, kind) = match first {
            '"' | '\'' => self.quoted(first)?,
            '/' => self.pattern()?,
            '[' => self.index()?,
            '0'..='9' | '.' | '-' | '+' => self.number()?,
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            _ => self.symbol(first)?,
        };
        Ok(Token { column, start, text: self.take(length), kind })
    }

    /// Steps over `length` bytes, which end at a character's end.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.column += taken.chars().count();
        self.start += taken.len();
        taken
    }

    fn error(&self, message: impl Into<String>) -> MatcherError {
        MatcherError::new(self.column, message)
    }

    fn quoted(&self, quote: char) -> Result<(usize, TokenKind<'a>), MatcherError> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1).peekable();
        while let Some((place, character)) = characters.next() {
            if character == quote {
                return Ok((place + quote.len_utf8(), TokenKind::Quoted(text)));
            }
            let escaped =
                characters.next_if(|(_, next)| character == '\\' && matches!(next, '"' | '\'' | '\\'));
            text.push(escaped.map_or(character, |(_, next)| next));
        }
        Err(self.error(format!("text begins with {quote} and has no closing {quote}")))
    }

    fn pattern(&self) -> Result<(usize, TokenKind<'a>), MatcherError> {
        let mut escaped = false;
        for (place, character) in self.rest.char_indices().skip(1) {
            if character == '/' && !escaped {
                let pattern = self.rest.get(1..place).unwrap_or_default();
                return Ok((place + 1, TokenKind::Pattern(pattern)));
            }
            escaped = character == '\\' && !escaped;
        }
        Err(self.error("regular expression begins with / and has no closing /"))
    }

    fn index(&self) -> Result<(usize, TokenKind<'a>), MatcherError> {
        let end = self.rest.find(']').ok_or_else(|| self.error("[ has no closing ]"))?;
        Ok((end + 1, TokenKind::Index(self.rest.get(1..end).unwrap_or_default())))
    }

    fn number(&self) -> Result<(usize, TokenKind<'a>), MatcherError> {
        let mut after_exponent = true;
        let end = self.rest.find(|character: char| {
            let sign = matches!(character, '-' | '+') && after_exponent;
            after_exponent = matches!(character, 'e' | 'E');
            !(sign || character.is_ascii_alphanumeric() || matches!(character, '.' | '_'))
        });
        let length = end.unwrap_or(self.rest.len());
        let text = self.rest.get(..length).unwrap_or_default();
        let number = text.parse().map_err(|()| self.error(format!("expected a number, found \"{text}\"")))?;
        Ok((length, TokenKind::Number(number)))
    }

    fn word(&self) -> (usize, TokenKind<'a>) {
        let end = self.rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let length = end.unwrap_or(self.rest.len());
        (length, TokenKind::Word(self.rest.get(..length).unwrap_or_default()))
    }

    fn symbol(&self, first: char) -> Result<(usize, TokenKind<'a>), MatcherError> {
        if let Some((text, kind)) = SYMBOLS.iter().find(|(text, _)| self.rest.starts_with(text)) {
            return Ok((text.len(), kind.clone()));
        }
        let expected = match first {
            '=' => ", expected == or =~",
            '!' => ", expected != or !~",
            '&' => ", expected &&",
            '|' => ", expected ||",
            _ => ", which begins no variable, operator or value",
        };
        Err(self.error(format!("found \"{first}\"{expected}")))
    }
}
