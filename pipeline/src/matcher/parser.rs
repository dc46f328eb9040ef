//! Reads an expression by recursive descent and refuses comparisons that a variable's type does not allow.

use regex::bytes::Regex;

use super::{
    error::MatcherError,
    expression::{
        Comparison, Expression, FieldTest, NumberColumn, NumberTest, Place, Test, TextColumn, TextTest,
    },
    lexer::{Lexer, Operator, Token, TokenKind},
    path::FieldPath,
};

/// Parentheses are read by recursion; nobody writes more of them, and a stack is not endless.
const MAX_DEPTH: usize = 64;

/// Compiles `text`.
pub(super) fn parse(text: &str) -> Result<Expression, MatcherError> {
    let mut lexer = Lexer::new(text);
    let next = lexer.next_token()?;
    let mut parser = Parser { text, lexer, next, end: 0, depth: 0 };
    let expression = parser.any()?;
    match parser.next.kind {
        TokenKind::End => Ok(expression),
        TokenKind::Close => Err(MatcherError::new(parser.next.column, "found \")\" without its \"(\"")),
        _ => Err(expected("&&, || or the end", &parser.next)),
    }
}

/// What stands on the left of an operator.
enum Variable {
    Text(TextColumn),
    Number(NumberColumn),
    Field(FieldPath),
}

const VARIABLES: [(&str, Variable); 8] = [
    ("Type", Variable::Text(TextColumn::Type)),
    ("Logger", Variable::Text(TextColumn::Logger)),
    ("Payload", Variable::Text(TextColumn::Payload)),
    ("EnvVersion", Variable::Text(TextColumn::EnvVersion)),
    ("Hostname", Variable::Text(TextColumn::Hostname)),
    ("Timestamp", Variable::Number(NumberColumn::Timestamp)),
    ("Severity", Variable::Number(NumberColumn::Severity)),
    ("Pid", Variable::Number(NumberColumn::Pid)),
];

const FIELDS: &str = "Fields";

/// Below this likeness a suggestion would puzzle more than help.
const LIKENESS: f64 = 0.7;

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Token<'a>,
    /// Where the last token that was read ends, in bytes.
    end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Result<Token<'a>, MatcherError> {
        let following = self.lexer.next_token()?;
        self.end = self.next.start + self.next.text.len();
        Ok(std::mem::replace(&mut self.next, following))
    }

    fn any(&mut self) -> Result<Expression, MatcherError> {
        let mut parts = vec![self.all()?];
        while self.next.kind == TokenKind::Or {
            self.advance()?;
            parts.push(self.all()?);
        }
        Ok(Expression::any(parts))
    }

    fn all(&mut self) -> Result<Expression, MatcherError> {
        let mut parts = vec![self.one()?];
        while self.next.kind == TokenKind::And {
            self.advance()?;
            parts.push(self.one()?);
        }
        Ok(Expression::all(parts))
    }

    fn one(&mut self) -> Result<Expression, MatcherError> {
        match self.next.kind {
            TokenKind::Open => self.parenthesis(),
            TokenKind::Word("TRUE") => self.advance().map(|_| Expression::Constant(true)),
            TokenKind::Word("FALSE") => self.advance().map(|_| Expression::Constant(false)),
            TokenKind::Word(_) => self.placed_comparison(),
            _ => Err(expected("a variable, TRUE, FALSE or \"(\"", &self.next)),
        }
    }

    fn parenthesis(&mut self) -> Result<Expression, MatcherError> {
        if self.depth == MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} parentheses inside each other");
            return Err(MatcherError::new(self.next.column, message));
        }
        self.depth += 1;
        let open = self.advance()?;
        let inside = self.any()?;
        if self.next.kind != TokenKind::Close {
            let what = format!("&&, || or the \")\" for the \"(\" of column {}", open.column);
            return Err(expected(&what, &self.next));
        }
        self.advance()?;
        self.depth -= 1;
        Ok(inside)
    }

    fn placed_comparison(&mut self) -> Result<Expression, MatcherError> {
        let (column, start) = (self.next.column, self.next.start);
        let test = self.comparison()?;
        let text = self.text.get(start..self.end).unwrap_or_default().into();
        Ok(Expression::Test(Place { column, text }, test))
    }

    fn comparison(&mut self) -> Result<Test, MatcherError> {
        let (name, variable) = self.variable()?;
        let TokenKind::Operator(operator) = self.next.kind else {
            return Err(expected(&format!("an operator after {name}"), &self.next));
        };
        let sign = self.advance()?;
        match (operator, variable) {
            (Operator::Compare(comparison), variable) => self.literal(&sign, name, variable, comparison),
            (Operator::Match { wanted }, Variable::Text(column)) => {
                self.pattern(&sign, wanted).map(|test| Test::Text(column, test))
            }
            (Operator::Match { wanted }, Variable::Field(path)) => {
                self.pattern(&sign, wanted).map(|test| Test::Field(path, FieldTest::Text(test)))
            }
            (Operator::Match { .. }, Variable::Number(_)) => {
                let message = format!("{name} is a number, {} compares text", sign.text);
                Err(MatcherError::new(sign.column, message))
            }
        }
    }

    /// A variable and how to call it in a message.
    fn variable(&mut self) -> Result<(&'a str, Variable), MatcherError> {
        let word = self.advance()?;
        if word.text == FIELDS {
            return self.field_path().map(|path| (FIELDS, Variable::Field(path)));
        }
        let known = VARIABLES.into_iter().find(|(name, _)| *name == word.text);
        known.map(|(_, variable)| (word.text, variable)).ok_or_else(|| unknown(&word))
    }

    fn field_path(&mut self) -> Result<FieldPath, MatcherError> {
        let column = self.next.column;
        let name = match self.next.kind {
            TokenKind::Index("") => return Err(MatcherError::new(column, "Fields[] names no field")),
            TokenKind::Index(name) => name.to_owned(),
            _ => return Err(expected("[name] after Fields", &self.next)),
        };
        self.advance()?;
        Ok(FieldPath { name, field_index: self.index()?, value_index: self.index()? })
    }

    /// A number in brackets, 0 when there is none.
    fn index(&mut self) -> Result<usize, MatcherError> {
        let TokenKind::Index(text) = self.next.kind else { return Ok(0) };
        let index = text.parse().map_err(|_| expected("a number from 0 in brackets", &self.next))?;
        self.advance()?;
        Ok(index)
    }

    fn pattern(&mut self, sign: &Token<'_>, wanted: bool) -> Result<TextTest, MatcherError> {
        let TokenKind::Pattern(text) = self.next.kind else {
            return Err(expected(&format!("a regular expression /.../ after {}", sign.text), &self.next));
        };
        let place = self.advance()?;
        let pattern = Regex::new(text).map_err(|source| {
            // The crate's own message draws the expression over several lines; the last one says what is wrong.
            let reason = source.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            MatcherError::new(place.column, format!("regular expression {}: {reason}", place.text))
        })?;
        Ok(TextTest::Match { pattern, wanted })
    }

    fn literal(
        &mut self,
        sign: &Token<'_>,
        name: &str,
        variable: Variable,
        comparison: Comparison,
    ) -> Result<Test, MatcherError> {
        let operand = self.next.clone();
        let test = match (variable, operand.kind) {
            (Variable::Text(column), TokenKind::Quoted(text)) => {
                Test::Text(column, TextTest::Compare(comparison, text))
            }
            (Variable::Number(column), TokenKind::Number(number)) => {
                Test::Number(column, NumberTest(comparison, number))
            }
            (Variable::Field(path), _) => Test::Field(path, field_test(sign, &self.next, comparison)?),
            (_, TokenKind::Word("NIL")) => {
                let message = format!("{name} is never missing, NIL compares with Fields[...] only");
                return Err(MatcherError::new(operand.column, message));
            }
            (Variable::Text(_), _) => {
                return Err(expected(&format!("text in quotes to compare {name} with"), &self.next));
            }
            (Variable::Number(_), _) => {
                return Err(expected(&format!("a number to compare {name} with"), &self.next));
            }
        };
        self.advance()?;
        Ok(test)
    }
}

fn field_test(
    sign: &Token<'_>,
    operand: &Token<'_>,
    comparison: Comparison,
) -> Result<FieldTest, MatcherError> {
    let equal = comparison == Comparison::Equal;
    match &operand.kind {
        TokenKind::Quoted(text) => Ok(FieldTest::Text(TextTest::Compare(comparison, text.clone()))),
        TokenKind::Number(number) => Ok(FieldTest::Number(NumberTest(comparison, *number))),
        TokenKind::Word(word @ ("TRUE" | "FALSE" | "NIL")) => {
            if !equal && comparison != Comparison::NotEqual {
                let message = format!("{word} compares with == and != only, found {}", sign.text);
                return Err(MatcherError::new(sign.column, message));
            }
            Ok(match *word {
                "NIL" => FieldTest::Missing { wanted: equal },
                truth => FieldTest::Bool { wanted: (truth == "TRUE") == equal },
            })
        }
        _ => Err(expected(
            &format!("text in quotes, a number, TRUE, FALSE or NIL after {}", sign.text),
            operand,
        )),
    }
}

fn expected(what: &str, found: &Token<'_>) -> MatcherError {
    let found_text = match found.kind {
        TokenKind::End => "the end".to_owned(),
        TokenKind::Quoted(_) => found.text.to_owned(),
        _ => format!("\"{}\"", found.text),
    };
    MatcherError::new(found.column, format!("expected {what}, found {found_text}"))
}

fn unknown(word: &Token<'_>) -> MatcherError {
    if word.text == "Uuid" {
        let message = "there is no Uuid: messages are known by producer and sequence number";
        return MatcherError::new(word.column, message);
    }
    let likeness = |name: &str| strsim::jaro_winkler(&name.to_lowercase(), &word.text.to_lowercase());
    let names = VARIABLES.iter().map(|(name, _)| *name).chain([FIELDS]);
    let nearest = names.max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
    let way_out = match nearest.filter(|name| likeness(name) >= LIKENESS) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("a field of that name is Fields[{}]", word.text),
    };
    MatcherError::new(word.column, format!("unknown variable {}, {way_out}", word.text))
}
