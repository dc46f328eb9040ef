//! Parser of statsd packets: `name:value|type[|@rate][:value|type..][|#tags]`, one or more per packet, a line each.
//!
//! Borrowed and without allocation. It reads etsy's lines, with dogstatsd's `h`, `d` and tags. What makes etsy's daemon
//! count wrongly or stop (`1e999`, `@0`, `@ 5`, an unknown type taken for a counter) is malformed here, has a reason,
//! and spoils nothing else in its packet.

use metlog_pipeline::rollup::{Sample, SampleRate};
use thiserror::Error;

/// Longest name or set member: both are kept in memory, and Graphite makes a path of at most 4,096 bytes from a name.
pub const MAX_WORD: usize = 1_024;

/// One well-formed metric of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric<'a> {
    /// The name as it was sent; the roll-up cleans it.
    pub name: &'a str,
    /// Type, value and rate.
    pub sample: Sample<'a>,
    /// What follows `|#`, as it was sent: `env:prod,canary`.
    pub tags: Option<&'a str>,
}

impl<'a> Metric<'a> {
    /// The name with its tags as Graphite writes them, `name;env=prod;canary`, as etsy's statsd does since 0.9: series
    /// that differ in tags stay apart. Without tags it is the name itself and `scratch` is left alone.
    pub fn series<'b>(&self, scratch: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        let Some(tags) = self.tags.filter(|tags| !tags.is_empty()) else { return self.name };
        scratch.clear();
        scratch.push_str(self.name);
        for tag in tags.split(',') {
            scratch.push(';');
            let mut in_key = true;
            scratch.extend(tag.chars().map(|letter| match letter {
                ':' if in_key => {
                    in_key = false;
                    '='
                }
                ';' => '_',
                other => other,
            }));
        }
        scratch
    }
}

/// Why a metric of a packet is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// No `:` between name and value.
    #[error("no ':' after the name")]
    NoColon,
    /// Nothing before the `:`.
    #[error("the name is empty")]
    EmptyName,
    /// The name or the set member is longer than [`MAX_WORD`].
    #[error("the name or set member is longer than {MAX_WORD} bytes")]
    TooLong,
    /// No `|` between value and type.
    #[error("no '|' and type after the value")]
    NoType,
    /// The type is not one of c, ms, h, d, g, s.
    #[error("unknown type, expected c, ms, h, d, g or s")]
    BadType,
    /// The value is no number.
    #[error("the value is no number")]
    BadValue,
    /// The value is infinite or not a number.
    #[error("the value is not finite")]
    NotFinite,
    /// A timer below zero.
    #[error("a timer is negative")]
    NegativeTimer,
    /// What follows the type is not `@` and a number above 0 and at most 1.
    #[error("the rate is not '@' and a number above 0 and at most 1")]
    BadRate,
    /// A dogstatsd event (`_e{`) or service check (`_sc|`), which is no metric.
    #[error("dogstatsd events and service checks are not supported")]
    Unsupported,
}

impl Malformed {
    /// Every reason, for a table of counters.
    pub const ALL: [Self; 11] = [
        Self::NotUtf8,
        Self::NoColon,
        Self::EmptyName,
        Self::TooLong,
        Self::NoType,
        Self::BadType,
        Self::BadValue,
        Self::NotFinite,
        Self::NegativeTimer,
        Self::BadRate,
        Self::Unsupported,
    ];

    /// The reason as a word, for a counter label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NoColon => "no_colon",
            Self::EmptyName => "empty_name",
            Self::TooLong => "too_long",
            Self::NoType => "no_type",
            Self::BadType => "bad_type",
            Self::BadValue => "bad_value",
            Self::NotFinite => "not_finite",
            Self::NegativeTimer => "negative_timer",
            Self::BadRate => "bad_rate",
            Self::Unsupported => "unsupported",
        }
    }
}

/// The metrics of a packet in order, each good or malformed; blank lines are none.
pub fn lines(packet: &[u8]) -> impl Iterator<Item = Result<Metric<'_>, Malformed>> {
    Lines { packet, line: None }
}

struct Lines<'a> {
    /// What has not been read yet.
    packet: &'a [u8],
    /// The line being read, when it has values left.
    line: Option<Line<'a>>,
}

/// A line whose head has been read.
struct Line<'a> {
    name: &'a str,
    /// Values left, `value|type|@rate` separated by `:`.
    values: &'a str,
    tags: Option<&'a str>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Metric<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = self.line.take() {
            return Some(self.value_of(&line));
        }
        while !self.packet.is_empty() {
            let bytes = self.take_line();
            if !bytes.is_empty() {
                return Some(open(bytes).and_then(|line| self.value_of(&line)));
            }
        }
        None
    }
}

impl<'a> Lines<'a> {
    /// The next line without its newline and white space at the end.
    fn take_line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.packet).unwrap_or(self.packet.len());
        let (line, rest) = self.packet.split_at_checked(end).unwrap_or((self.packet, &[]));
        self.packet = rest.get(1..).unwrap_or_default();
        line.trim_ascii_end()
    }

    /// The line's next value; keeps the line when there are more.
    fn value_of(&mut self, line: &Line<'a>) -> Result<Metric<'a>, Malformed> {
        let Line { name, values, tags } = *line;
        let (value, rest) = match cut(values, b':') {
            Some((value, rest)) => (value, Some(rest)),
            None => (values, None),
        };
        self.line = rest.map(|values| Line { name, values, tags });
        Ok(Metric { name, sample: sample(value)?, tags })
    }
}

fn open(line: &[u8]) -> Result<Line<'_>, Malformed> {
    let line = str::from_utf8(line).map_err(|_| Malformed::NotUtf8)?;
    if line.starts_with("_e{") || line.starts_with("_sc|") {
        return Err(Malformed::Unsupported);
    }
    // Tags first: they have colons of their own.
    let (head, tags) = split_tags(line);
    let (name, values) = cut(head, b':').ok_or(Malformed::NoColon)?;
    if name.is_empty() {
        return Err(Malformed::EmptyName);
    }
    if name.len() > MAX_WORD {
        return Err(Malformed::TooLong);
    }
    Ok(Line { name, values, tags })
}

/// Takes the tags off a line. What newer dogstatsd clients put behind them (`|c:<container>`) is not looked at.
fn split_tags(line: &str) -> (&str, Option<&str>) {
    let bytes = line.as_bytes();
    let bar = memchr::memchr_iter(b'#', bytes)
        .filter_map(|hash| hash.checked_sub(1))
        .find(|bar| bytes.get(*bar) == Some(&b'|'));
    let Some((head, tags)) = bar.and_then(|bar| line.split_at_checked(bar)) else { return (line, None) };
    let tags = tags.get(2..).unwrap_or_default();
    (head, Some(cut(tags, b'|').map_or(tags, |(tags, _)| tags)))
}

/// `split_once` for an ASCII byte. A plain loop: the parts of a line are too short for a searcher to pay.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Reads `value|type[|@rate]`. As in etsy's, a rate is checked for every type and means nothing to gauges and sets,
/// and what follows the rate is not looked at.
fn sample(text: &str) -> Result<Sample<'_>, Malformed> {
    let (value, rest) = cut(text, b'|').ok_or(Malformed::NoType)?;
    let (kind, rate) = match cut(rest, b'|') {
        Some((kind, rate)) => (kind, parse_rate(rate)?),
        None => (rest, SampleRate::ONE),
    };
    match kind.trim_ascii() {
        "c" => Ok(Sample::Counter { value: number(value)?, rate }),
        "ms" | "h" | "d" => Ok(Sample::Timer { value: not_negative(number(value)?)?, rate }),
        "g" => Ok(Sample::Gauge { value: number(value)?, delta: value.starts_with(['+', '-']) }),
        "s" if value.len() > MAX_WORD => Err(Malformed::TooLong),
        // As etsy: an empty member is the member "0".
        "s" => Ok(Sample::Set { member: if value.is_empty() { "0" } else { value } }),
        _ => Err(Malformed::BadType),
    }
}

fn number(text: &str) -> Result<f64, Malformed> {
    let number: f64 = text.trim_ascii().parse().map_err(|_| Malformed::BadValue)?;
    if number.is_finite() { Ok(number) } else { Err(Malformed::NotFinite) }
}

fn not_negative(number: f64) -> Result<f64, Malformed> {
    if number < 0.0 { Err(Malformed::NegativeTimer) } else { Ok(number) }
}

fn parse_rate(text: &str) -> Result<SampleRate, Malformed> {
    let number = text.split('|').next().and_then(|rate| rate.strip_prefix('@')).ok_or(Malformed::BadRate)?;
    number.parse().ok().and_then(SampleRate::new).ok_or(Malformed::BadRate)
}

#[cfg(test)]
mod tests;
