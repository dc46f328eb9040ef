//! What a client keeps from leaving: by severity, by type, by share.

use std::collections::{HashMap, HashSet};

use crate::{message::Severity, sample::Rate, wire::record::Head};

/// Decides on the front columns of a message, before anything is encoded.
pub trait Filter: Send + Sync {
    /// True lets the message pass.
    fn keep(&self, head: &Head<'_>) -> bool;

    /// The bound, of a filter that is nothing but a bound of severity: the client then looks at it before anything else.
    fn severity_max(&self) -> Option<Severity> {
        None
    }
}

/// Drops what is less severe than a bound.
#[derive(Debug, Clone, Copy)]
pub struct SeverityMax(pub Severity);

impl Filter for SeverityMax {
    fn keep(&self, head: &Head<'_>) -> bool {
        head.severity <= self.0
    }

    fn severity_max(&self) -> Option<Severity> {
        Some(self.0)
    }
}

/// Drops the types named.
#[derive(Debug, Clone)]
pub struct TypeBlacklist(pub HashSet<String>);

impl Filter for TypeBlacklist {
    fn keep(&self, head: &Head<'_>) -> bool {
        !self.0.contains(head.kind)
    }
}

/// Drops every type but those named.
#[derive(Debug, Clone)]
pub struct TypeWhitelist(pub HashSet<String>);

impl Filter for TypeWhitelist {
    fn keep(&self, head: &Head<'_>) -> bool {
        self.0.contains(head.kind)
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
        }
    }
}
