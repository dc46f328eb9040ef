//! A value as its source has it, and what a setting may take it for.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use bytesize::ByteSize;

use crate::{message::Severity, sample::Rate};

/// A value as its source has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Text that says itself that it is text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Several values.
    List(Vec<Raw>),
    /// Values by name.
    Map(Vec<(String, Raw)>),
    /// A value of a kind that no setting has, as it was written.
    Other(String),
    /// An option of an INI file or a variable of the environment: it is what the setting takes it for. Several values
    /// stand on lines of their own in the one, behind commas in the other.
    Loose(String, char),
}

/// As an error shows it: as it was written, or nearly so.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Loose(text, _) => write!(f, "{text:?}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a table"),
            Self::Other(written) => f.write_str(written),
        }
    }
}

/// What a value may be; `None` when it is no such thing.
impl Raw {
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Loose(text, _) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Loose(text, _) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A whole number from 1 on.
    pub(super) fn count<T: TryFrom<i64>>(&self) -> Option<T> {
        T::try_from(self.int().filter(|number| *number > 0)?).ok()
    }

    /// The words of the originals' INI files, and what shells like to say.
    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Loose(text, _) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "on" | "yes" | "1" => Some(true),
                "false" | "f" | "off" | "no" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// A size from 1 byte on: `4096`, `"64KiB"`.
    pub(super) fn bytes(&self) -> Option<usize> {
        let bytes = match self {
            Self::Int(number) => u64::try_from(*number).ok()?,
            Self::Text(text) | Self::Loose(text, _) => text.trim().parse::<ByteSize>().ok()?.as_u64(),
            _ => return None,
        };
        usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
    }

    /// A time with its unit: `"10ms"`, `"1m 30s"`; nothing at all may be a bare `0`.
    pub(super) fn duration(&self) -> Option<Duration> {
        match self {
            Self::Int(0) => Some(Duration::ZERO),
            Self::Text(text) | Self::Loose(text, _) => humantime::parse_duration(text.trim()).ok(),
            _ => None,
        }
    }

    pub(super) fn severity(&self) -> Option<Severity> {
        Severity::try_from(self.int()?).ok()
    }

    /// A share, 0 to 1.
    pub(super) fn rate(&self) -> Option<Rate> {
        let share = match self {
            Self::Float(number) => *number,
            Self::Int(0) => 0.0,
            Self::Int(1) => 1.0,
            Self::Loose(text, _) => text.trim().parse().ok()?,
            _ => return None,
        };
        (0.0..=1.0).contains(&share).then(|| Rate::new(share))
    }

    /// One value or several.
    pub(super) fn list<T>(&self, each: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        match self {
            Self::List(values) => values.iter().map(each).collect(),
            Self::Loose(text, separator) => {
                items(text, *separator).map(|item| each(&Self::Loose(item.to_owned(), *separator))).collect()
            }
            one => each(one).map(|value| vec![value]),
        }
    }

    pub(super) fn texts(&self) -> Option<HashSet<String>> {
        Some(self.list(Self::text)?.into_iter().collect())
    }

    /// At least one ZeroMQ address.
    pub(super) fn endpoints(&self) -> Option<Vec<String>> {
        let endpoint = |raw: &Self| {
            let known = |text: &String| text.starts_with("tcp://") || text.starts_with("ipc://");
            raw.text().filter(known)
        };
        self.list(endpoint).filter(|endpoints| !endpoints.is_empty())
    }

    /// Values by name: a table, or `name=value` for each of several.
    pub(super) fn map<V>(&self, each: impl Fn(&Self) -> Option<V>) -> Option<HashMap<String, V>> {
        match self {
            Self::Map(pairs) => pairs.iter().map(|(name, raw)| Some((name.clone(), each(raw)?))).collect(),
            Self::Loose(text, separator) => items(text, *separator)
                .map(|item| {
                    let (name, value) = item.split_once('=')?;
                    Some((name.trim().to_owned(), each(&Self::Loose(value.trim().to_owned(), *separator))?))
                })
                .collect(),
            _ => None,
        }
    }
}

/// The parts of a text that are not blank.
fn items(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loose(text: &str) -> Raw {
        Raw::Loose(text.to_owned(), ',')
    }

    #[test]
    fn values_are_what_they_say_and_nothing_else() {
        let text = |text: &str| Raw::Text(text.to_owned());
        assert_eq!((Raw::Int(7).int(), loose(" 7 ").int(), text("7").int()), (Some(7), Some(7), None));
        assert_eq!((loose("Yes").flag(), loose("N").flag(), text("yes").flag()), (Some(true), None, None));
        for (raw, expected) in [
            (text("4MiB"), Some(4 << 20)),
            (loose("64 KiB"), Some(64 << 10)),
            (Raw::Int(1), Some(1)),
            (Raw::Int(0), None),
            (Raw::Int(-1), None),
            (text("-1KiB"), None),
            (text("many"), None),
        ] {
            assert_eq!(raw.bytes(), expected, "{raw}");
        }
        for (raw, expected) in [
            (text("10ms"), Some(Duration::from_millis(10))),
            (loose("1m 30s"), Some(Duration::from_secs(90))),
            (loose("0"), Some(Duration::ZERO)),
            (Raw::Int(0), Some(Duration::ZERO)),
            (Raw::Int(10), None),
            (text("10"), None),
        ] {
            assert_eq!(raw.duration(), expected, "{raw}");
        }
        assert_eq!(loose("0.5").rate(), Some(Rate::new(0.5)));
        assert_eq!((loose("1.5").rate(), loose("nan").rate(), Raw::Int(2).rate()), (None, None, None));
        assert_eq!((Raw::Int(-1).count::<u64>(), Raw::Int(0).count::<u64>()), (None, None));
    }

    #[test]
    fn several_values_are_a_list_or_behind_separators() {
        let expected = Some(vec!["a".to_owned(), "b".to_owned()]);
        for raw in [
            Raw::List(vec![Raw::Text("a".into()), Raw::Text("b".into())]),
            loose("a, ,b,"),
            Raw::Loose("\na\n  b\n".into(), '\n'),
        ] {
            assert_eq!(raw.list(Raw::text), expected, "{raw:?}");
        }
        assert_eq!(Raw::Text("a,b".into()).list(Raw::text), Some(vec!["a,b".to_owned()]));
        assert_eq!(Raw::List(vec![Raw::Int(1)]).list(Raw::text), None);
        assert_eq!(loose("tcp://a:1,b:1").endpoints(), None);
        assert_eq!(loose("").endpoints(), None);
        let map = HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(loose("a = 1,b=2").map(Raw::int), Some(map));
        assert_eq!((loose("a").map(Raw::int), loose("a=x").map(Raw::int)), (None, None));
    }
}
