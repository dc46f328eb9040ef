//! What a client keeps from leaving: by severity, by type, by share.

use std::collections::{HashMap, HashSet};

use crate::{message::Severity, sample::Rate, wire::record::Head};

/// Decides on the front columns of a message, before anything is encoded.
pub trait Filter: Send + Sync {
    /// True lets the message pass.
    fn keep(&self, head: &Head<'_>) -> bool;

    /// The same as a plain rule, if it is one: the client then looks at it before anything else.
    fn plain(&self) -> Option<Plain> {
        None
    }
}

/// What a client can decide at the cost of a comparison or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plain {
    /// Nothing less severe passes.
    SeverityMax(Severity),
    /// These types do not pass.
    Without(HashSet<String>),
    /// Only these types pass.
    Only(HashSet<String>),
}

/// All plain rules of a client.
#[derive(Debug)]
pub(crate) struct Front {
    severity_max: Severity,
    without: Types,
    only: Option<Types>,
}

impl Default for Front {
    fn default() -> Self {
        Self { severity_max: Severity::DEBUG, without: Types::default(), only: None }
    }
}

impl Front {
    pub(crate) fn add(&mut self, rule: Plain) {
        match rule {
            Plain::SeverityMax(bound) => self.severity_max = self.severity_max.min(bound),
            Plain::Without(types) => self.without.0.extend(types),
            Plain::Only(types) => match &mut self.only {
                Some(only) => only.0.retain(|name| types.contains(name)),
                None => self.only = Some(Types(types.into_iter().collect())),
            },
        }
    }

    /// True when no message of this severity passes.
    #[inline]
    pub(crate) fn refuses_severity(&self, severity: Severity) -> bool {
        severity > self.severity_max
    }

    #[inline]
    pub(crate) fn refuses(&self, severity: Severity, kind: &str) -> bool {
        self.refuses_severity(severity)
            || self.without.contains(kind)
            || self.only.as_ref().is_some_and(|only| !only.contains(kind))
    }
}

/// Names of types. Most configurations have a few, which are compared faster than they are hashed.
#[derive(Debug, Default)]
struct Types(Vec<String>);

impl Types {
    #[inline]
    fn contains(&self, kind: &str) -> bool {
        self.0.iter().any(|name| is_same(name.as_bytes(), kind.as_bytes()))
    }
}

/// Equality of short names without a call.
#[inline]
fn is_same(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len()
        && match name.len() {
            8..=16 => {
                name.first_chunk::<8>() == other.first_chunk() && name.last_chunk::<8>() == other.last_chunk()
            }
            4..=7 => {
                name.first_chunk::<4>() == other.first_chunk() && name.last_chunk::<4>() == other.last_chunk()
            }
            _ => name == other,
        }
}

/// Drops what is less severe than a bound.
#[derive(Debug, Clone, Copy)]
pub struct SeverityMax(pub Severity);

impl Filter for SeverityMax {
    fn keep(&self, head: &Head<'_>) -> bool {
        head.severity <= self.0
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::SeverityMax(self.0))
    }
}

/// Drops the types named.
#[derive(Debug, Clone)]
pub struct TypeBlacklist(pub HashSet<String>);

impl Filter for TypeBlacklist {
    fn keep(&self, head: &Head<'_>) -> bool {
        !self.0.contains(head.kind)
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::Without(self.0.clone()))
    }
}

/// Drops every type but those named.
#[derive(Debug, Clone)]
pub struct TypeWhitelist(pub HashSet<String>);

impl Filter for TypeWhitelist {
    fn keep(&self, head: &Head<'_>) -> bool {
        self.0.contains(head.kind)
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::Only(self.0.clone()))
    }
}

/// Drops what is less severe than its type's bound; other types pass.
#[derive(Debug, Clone)]
pub struct TypeSeverityMax(pub HashMap<String, Severity>);

impl Filter for TypeSeverityMax {
    fn keep(&self, head: &Head<'_>) -> bool {
        self.0.get(head.kind).is_none_or(|bound| head.severity <= *bound)
    }
}

/// Lets a share of each type named pass; other types pass whole.
#[derive(Debug, Clone)]
pub struct TypeRate(pub HashMap<String, Rate>);

impl Filter for TypeRate {
    fn keep(&self, head: &Head<'_>) -> bool {
        self.0.get(head.kind).is_none_or(|rate| rate.sample())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn filters_decide_on_type_and_severity() {
        let types = || HashSet::from(["counter".to_owned()]);
        let bound = HashMap::from([("counter".to_owned(), Severity::ERROR)]);
        let none = HashMap::from([("counter".to_owned(), Rate::new(0.0))]);
        let table: [(Box<dyn Filter>, [bool; 3]); 5] = [
            (Box::new(SeverityMax(Severity::WARNING)), [true, false, false]),
            (Box::new(TypeBlacklist(types())), [false, false, true]),
            (Box::new(TypeWhitelist(types())), [true, true, false]),
            (Box::new(TypeSeverityMax(bound)), [true, false, true]),
            (Box::new(TypeRate(none)), [false, false, true]),
        ];
        for (row, (filter, expected)) in table.iter().enumerate() {
            let heads = [
                ("counter", Severity::ERROR),
                ("counter", Severity::INFORMATIONAL),
                ("timer", Severity::DEBUG),
            ];
            let kept = heads.map(|(kind, severity)| {
                filter.keep(&Head { kind, severity, logger: "", timestamp: Timestamp::default() })
            });
            assert_eq!(kept, *expected, "row {row}");
            let mut front = Front::default();
            if let Some(plain) = filter.plain() {
                front.add(plain);
                let kept = heads.map(|(kind, severity)| !front.refuses(severity, kind));
                assert_eq!(kept, *expected, "row {row} as a plain rule");
            }
        }
    }

    #[test]
    fn plain_rules_add_up() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        let mut front = Front::default();
        front.add(Plain::Only(set(&["a", "b", "c"])));
        front.add(Plain::Only(set(&["b", "c", "d"])));
        front.add(Plain::Without(set(&["c"])));
        front.add(Plain::SeverityMax(Severity::ERROR));
        front.add(Plain::SeverityMax(Severity::WARNING));
        let passing = ["a", "b", "c", "d"].map(|kind| !front.refuses(Severity::ERROR, kind));
        assert_eq!(passing, [false, true, false, false]);
        assert!(front.refuses(Severity::WARNING, "b"));
    }

    #[test]
    fn names_of_any_length_are_told_apart() {
        let alphabet = "abcdefghijklmnopqrstuvwxyz";
        for length in 0..=alphabet.len() {
            let types = Types(vec![alphabet[..length].to_owned()]);
            assert!(types.contains(&alphabet[..length]));
            assert!(!types.contains(&format!("{}x", &alphabet[..length])));
            for changed in 0..length {
                let mut other = alphabet[..length].to_owned();
                other.replace_range(changed..=changed, "X");
                assert!(!types.contains(&other), "{other}");
            }
        }
    }
}
