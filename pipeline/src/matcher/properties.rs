//! Property tests: random expressions are written out, compiled and compared with a plain evaluation of their tree.

use metlog_core::{
    Fields, Message, Severity, Timestamp, Value,
    wire::record::{self, Identity, Record},
};
use proptest::prelude::*;

use super::{Matcher, MessageView};

/// An expression as the test understands it.
#[derive(Debug, Clone)]
enum Tree {
    Constant(bool),
    Type { operator: &'static str, literal: String },
    Severity { operator: &'static str, literal: i8 },
    Field { name: &'static str, operator: &'static str, literal: i8 },
    Missing { name: &'static str, missing: bool },
    Both(Box<Tree>, Box<Tree>),
    Either(Box<Tree>, Box<Tree>),
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const OPERATORS: [&str; 6] = ["==", "!=", ">", ">=", "<", "<="];

fn compare<T: PartialOrd>(left: &T, operator: &str, right: &T) -> bool {
    match operator {
        "==" => left == right,
        "!=" => left != right,
        ">" => left > right,
        ">=" => left >= right,
        "<" => left < right,
        "<=" => left <= right,
        _ => panic!("no operator {operator}"),
    }
}

impl Tree {
    fn holds(&self, message: &Message) -> bool {
        match self {
            Self::Constant(constant) => *constant,
            Self::Type { operator, literal } => {
                compare(&message.kind.as_bytes(), operator, &literal.as_bytes())
            }
            Self::Severity { operator, literal } => {
                compare(&i16::from(message.severity.as_u8()), operator, &i16::from(*literal))
            }
            Self::Field { name, operator, literal } => match message.fields.get(name) {
                Some(Value::Int(int)) => compare(int, operator, &i128::from(*literal)),
                _ => false,
            },
            Self::Missing { name, missing } => message.fields.get(name).is_none() == *missing,
            Self::Both(left, right) => left.holds(message) && right.holds(message),
            Self::Either(left, right) => left.holds(message) || right.holds(message),
        }
    }

    /// With the parentheses that the binding of `&&` over `||` makes necessary, and no others.
    fn render(&self) -> String {
        match self {
            Self::Constant(true) => "TRUE".to_owned(),
            Self::Constant(false) => "FALSE".to_owned(),
            Self::Type { operator, literal } => format!("Type {operator} {}", quoted(literal)),
            Self::Severity { operator, literal } => format!("Severity{operator}{literal}"),
            Self::Field { name, operator, literal } => format!("Fields[{name}] {operator} {literal}"),
            Self::Missing { name, missing: true } => format!("Fields[{name}] == NIL"),
            Self::Missing { name, missing: false } => format!("Fields[{name}]!=NIL"),
            Self::Both(left, right) => format!("{} && {}", left.render_tight(), right.render_tight()),
            Self::Either(left, right) => format!("{} || {}", left.render(), right.render()),
        }
    }

    fn render_tight(&self) -> String {
        match self {
            Self::Either(..) => format!("({})", self.render()),
            _ => self.render(),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn tree() -> impl Strategy<Value = Tree> {
    let operator = || prop::sample::select(OPERATORS.as_slice());
    let name = || prop::sample::select(NAMES.as_slice());
    let leaf = prop_oneof![
        any::<bool>().prop_map(Tree::Constant),
        (operator(), kind()).prop_map(|(operator, literal)| Tree::Type { operator, literal }),
        (operator(), -1..9i8).prop_map(|(operator, literal)| Tree::Severity { operator, literal }),
        (name(), operator(), -2..3i8).prop_map(|(name, operator, literal)| Tree::Field {
            name,
            operator,
            literal
        }),
        (name(), any::<bool>()).prop_map(|(name, missing)| Tree::Missing { name, missing }),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        let pair = (inner.clone(), inner).prop_map(|(left, right)| (Box::new(left), Box::new(right)));
        prop_oneof![
            pair.clone().prop_map(|(left, right)| Tree::Both(left, right)),
            pair.prop_map(|(left, right)| Tree::Either(left, right)),
        ]
    })
}

/// Text with whatever an expression must escape, in many equal pairs.
fn kind() -> impl Strategy<Value = String> {
    prop_oneof![r#"[ab'"\\/ä]{0,2}"#, ".{0,6}"]
}

fn message() -> impl Strategy<Value = Message> {
    let value = prop_oneof![(-2..3i32).prop_map(Value::from), Just(Value::from("text"))];
    let fields = prop::collection::vec((prop::sample::select(NAMES.as_slice()), value), 0..3);
    (kind(), 0..8i64, fields).prop_map(|(kind, severity, fields)| Message {
        kind,
        timestamp: Timestamp::from_nanos(0),
        logger: String::new(),
        severity: Severity::try_from(severity).unwrap(),
        payload: Value::Null,
        fields: fields.into_iter().collect::<Fields>(),
        env_version: String::new(),
        pid: 0,
        hostname: String::new(),
    })
}

proptest! {
    #[test]
    fn a_written_expression_means_what_its_tree_means(tree in tree(), message in message()) {
        let shared = Identity { env_version: "", pid: 0, hostname: "" };
        let mut bytes = Vec::new();
        record::write_message(&mut bytes, &message, shared).unwrap();
        let mut view = MessageView::new(Record::split(&bytes).unwrap().0, shared);
        let text = tree.render();
        let matcher = Matcher::compile(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(matcher.matches(&mut view), tree.holds(&message), "{}", text);
    }

    #[test]
    fn any_text_compiles_or_errs_inside_itself(
        text in prop_oneof![
            ".{0,40}",
            r#"(Type|Fields|\[a\]|Pid|TRUE|NIL|==|=~|!|<|\(|\)|&&|\|\||/|"|'|\\|5|-1e|ä| ){0,12}"#,
        ],
    ) {
        if let Err(error) = Matcher::compile(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{error} in {text:?}");
        }
    }
}
