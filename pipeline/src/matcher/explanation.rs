//! Why a message fits an expression, or why it does not.

use std::fmt;

use metlog_core::wire::outline::Scalar;
use serde::Serialize;

use super::{
    expression::{Expression, Number, Test},
    view::MessageView,
};

/// Characters that are shown of a text.
const MAX_SHOWN: usize = 80;

/// Whether a message fits, and the comparisons that decide it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether it fits.
    pub matches: bool,
    /// When it fits, comparisons that hold and are enough for it; when not, those that fail and are enough for that. None
    /// for a bare `TRUE` or `FALSE`.
    pub findings: Vec<Finding>,
}

/// One comparison, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it begins in the expression: a character, counted from 1.
    pub column: usize,
    /// The comparison as it is written.
    pub comparison: String,
    /// What the message has there.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}, found {}", self.column, self.comparison, self.found)
    }
}

pub(super) fn explain(expression: &Expression, view: &mut MessageView<'_>) -> Explanation {
    match expression {
        Expression::Constant(constant) => Explanation { matches: *constant, findings: Vec::new() },
        Expression::All(parts) => decided(parts, view, false),
        Expression::Any(parts) => decided(parts, view, true),
        Expression::Test(place, test) => {
            let finding = Finding {
                column: place.column,
                comparison: place.text.to_string(),
                found: found(test, view),
            };
            Explanation { matches: test.holds(view), findings: vec![finding] }
        }
    }
}

/// One part that comes out as `decisive` decides alone; otherwise all do together, in the order in which they are written.
fn decided(parts: &[Expression], view: &mut MessageView<'_>, decisive: bool) -> Explanation {
    let mut all = Explanation { matches: !decisive, findings: Vec::new() };
    for part in parts {
        let explanation = explain(part, view);
        if explanation.matches == decisive {
            return explanation;
        }
        all.findings.extend(explanation.findings);
    }
    all.findings.sort_by_key(|finding| finding.column);
    all
}

/// What a message has where a comparison looks.
fn found(test: &Test, view: &mut MessageView<'_>) -> String {
    match test {
        Test::Text(column, _) => view.text(*column).map_or_else(|| "no text".to_owned(), shown),
        Test::Number(column, _) => match view.number(*column) {
            Some(Number::Int(int)) => int.to_string(),
            Some(Number::Float(float)) => float.to_string(),
            None => "what is broken".to_owned(),
        },
        Test::Field(path, _) => match view.field(path) {
            None => "what is broken".to_owned(),
            Some(None | Some(Scalar::Null)) => "nothing".to_owned(),
            Some(Some(Scalar::Bool(flag))) => flag.to_string().to_uppercase(),
            Some(Some(Scalar::Int(int))) => int.to_string(),
            Some(Some(Scalar::Float(float))) => float.to_string(),
            Some(Some(Scalar::Bytes(text))) => shown(text),
            Some(Some(Scalar::Nested)) => "a list or map".to_owned(),
        },
    }
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let cut: String = text.chars().take(MAX_SHOWN).collect();
    let rest = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{rest}")
}
