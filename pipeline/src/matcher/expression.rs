//! A compiled expression, and whether it holds for a message.

use std::{cmp::Ordering, str::FromStr};

use metlog_core::wire::outline::Scalar;
use regex::bytes::Regex;

use super::{path::FieldPath, view::MessageView};

/// A tree without operators that a variable's type does not allow: the parser refuses those.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    Constant(bool),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Test(Place, Test),
}

/// A comparison.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Text(TextColumn, TextTest),
    Number(NumberColumn, NumberTest),
    Field(FieldPath, FieldTest),
}

/// Where a comparison stands in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first character, counted from 1.
    pub(super) column: usize,
    pub(super) text: Box<str>,
}

impl Expression {
    /// True when every part is. Parts that need the head of a message alone are tried first.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        combine(parts, Self::All)
    }

    /// True when one part is. Parts that need the head of a message alone are tried first.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        combine(parts, Self::Any)
    }

    /// Whether the message fits.
    pub(super) fn holds(&self, view: &mut MessageView<'_>) -> bool {
        match self {
            Self::Constant(constant) => *constant,
            Self::All(parts) => parts.iter().all(|part| part.holds(view)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(view)),
            Self::Test(_, test) => test.holds(view),
        }
    }

    /// The types of which a message that fits has one; nothing when it may have any.
    pub(super) fn types(&self) -> Option<Vec<&str>> {
        match self {
            Self::Constant(false) => Some(Vec::new()),
            Self::All(parts) => parts.iter().filter_map(Self::types).min_by_key(Vec::len),
            Self::Any(parts) => {
                let types: Option<Vec<_>> = parts.iter().map(Self::types).collect();
                types.map(|types| types.concat())
            }
            Self::Test(_, Test::Text(TextColumn::Type, TextTest::Compare(Comparison::Equal, kind))) => {
                Some(vec![kind])
            }
            Self::Constant(true) | Self::Test(..) => None,
        }
    }

    /// Whether it has to look behind the head of a record.
    fn reads_body(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::reads_body),
            Self::Test(_, Test::Text(column, _)) => !matches!(column, TextColumn::Type | TextColumn::Logger),
            Self::Test(_, Test::Number(column, _)) => *column == NumberColumn::Pid,
            Self::Test(_, Test::Field(..)) => true,
        }
    }
}

impl Test {
    pub(super) fn holds(&self, view: &mut MessageView<'_>) -> bool {
        match self {
            Self::Text(column, test) => view.text(*column).is_some_and(|text| test.holds(text)),
            Self::Number(column, test) => view.number(*column).is_some_and(|number| test.holds(number)),
            Self::Field(path, test) => view.field(path).is_some_and(|value| test.holds(value)),
        }
    }
}

fn combine(mut parts: Vec<Expression>, whole: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    parts.sort_by_key(Expression::reads_body);
    whole(parts)
}

/// A column that holds text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextColumn {
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
}

/// A column that holds a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberColumn {
    Timestamp,
    Severity,
    Pid,
}

/// How two values of one type must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::NotEqual => found.is_ne(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
        }
    }
}

/// What is asked of a text.
#[derive(Debug, Clone)]
pub(super) enum TextTest {
    Compare(Comparison, String),
    Match { pattern: Regex, wanted: bool },
}

impl TextTest {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Compare(comparison, literal) => comparison.holds(text.cmp(literal.as_bytes())),
            Self::Match { pattern, wanted } => pattern.is_match(text) == *wanted,
        }
    }
}

/// What is asked of a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberTest(pub(super) Comparison, pub(super) Number);

impl NumberTest {
    fn holds(self, number: Number) -> bool {
        number.compare(self.1).is_some_and(|found| self.0.holds(found))
    }
}

/// Integers stay exact: a timestamp in nanoseconds has more digits than a double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn of(value: Scalar<'_>) -> Option<Self> {
        match value {
            Scalar::Int(int) => Some(Self::Int(int)),
            Scalar::Float(float) => Some(Self::Float(float)),
            _ => None,
        }
    }

    /// `None` when one of them is not a number (NaN).
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            _ => self.as_float().partial_cmp(&other.as_float()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "beside a double the nearest double is meant")]
    fn as_float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }
}

/// Reads a numeral; one that no finite double holds is refused.
impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(int) = text.parse() {
            return Ok(Self::Int(int));
        }
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Self::Float).ok_or(())
    }
}

/// What is asked of a field.
#[derive(Debug, Clone)]
pub(super) enum FieldTest {
    Text(TextTest),
    Number(NumberTest),
    Bool { wanted: bool },
    Missing { wanted: bool },
}

impl FieldTest {
    fn holds(&self, value: Option<Scalar<'_>>) -> bool {
        match (self, value) {
            (Self::Missing { wanted }, value) => value.is_none() == *wanted,
            (Self::Text(test), Some(Scalar::Bytes(text))) => test.holds(text),
            (Self::Number(test), Some(value)) => Number::of(value).is_some_and(|number| test.holds(number)),
            (Self::Bool { wanted }, Some(Scalar::Bool(found))) => found == *wanted,
            _ => false,
        }
    }
}
