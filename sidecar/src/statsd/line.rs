//! Goes through a packet, line by line and value by value.
//!
//! Most lines are `name:digits|type`: they are read in one go, without looking for their end first. Every other shape
//! takes the longer way through [`Line`].

use metlog_pipeline::rollup::{Sample, SampleRate};

use super::{
    Item, MAX_WORD, Malformed, Metric, event,
    number::{number, plain, rate},
};

/// The items of a packet in order, each good or malformed; blank lines are none.
pub fn lines(packet: &[u8]) -> impl Iterator<Item = Result<Item<'_>, Malformed>> {
    let rest = str::from_utf8(packet).map_or(Rest::Bytes(packet), Rest::Text);
    Lines { rest, line: None }
}

struct Lines<'a> {
    rest: Rest<'a>,
    /// The line being read, when it has values left.
    line: Option<Line<'a>>,
}

/// What has not been read yet.
enum Rest<'a> {
    /// The packet is UTF-8, as nearly all are.
    Text(&'a str),
    /// It is not: each line is looked at.
    Bytes(&'a [u8]),
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Item<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = &mut self.line {
            if let Some(metric) = line.next() {
                return Some(metric.map(Item::Metric));
            }
            self.line = None;
        }
        loop {
            if let Rest::Text(text) = &mut self.rest
                && let Some((metric, length)) = simple(text)
            {
                *text = text.get(length..).unwrap_or_default();
                return Some(Ok(Item::Metric(metric)));
            }
            match self.rest.line()? {
                Ok("") => {}
                Ok(line) => return Some(self.open(line)),
                Err(malformed) => return Some(Err(malformed)),
            }
        }
    }
}

impl<'a> Lines<'a> {
    fn open(&mut self, line: &'a str) -> Result<Item<'a>, Malformed> {
        if line.starts_with('_') {
            if let Some(text) = line.strip_prefix("_e{") {
                return event::event(text).map(Item::Event);
            }
            if let Some(text) = line.strip_prefix("_sc|") {
                return event::check(text).map(Item::Check);
            }
        }
        let mut line = Line::open(line)?;
        let first = line.next().unwrap_or(Err(Malformed::NoType));
        self.line = line.values.is_some().then_some(line);
        first.map(Item::Metric)
    }
}

impl<'a> Rest<'a> {
    /// The next line without its newline and the white space at its end; nothing at the end of the packet.
    fn line(&mut self) -> Option<Result<&'a str, Malformed>> {
        match self {
            Self::Text("") | Self::Bytes([]) => None,
            Self::Text(text) => {
                let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
                let line = text.get(..end).unwrap_or_default();
                *text = text.get(end + 1..).unwrap_or_default();
                Some(Ok(line.trim_ascii_end()))
            }
            Self::Bytes(bytes) => {
                let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
                let line = bytes.get(..end).unwrap_or_default();
                *bytes = bytes.get(end + 1..).unwrap_or_default();
                Some(str::from_utf8(line.trim_ascii_end()).map_err(|_| Malformed::NotUtf8))
            }
        }
    }
}

/// Reads `name:digits|type` and the newline, if it is nothing else; with its length.
#[inline]
fn simple(text: &str) -> Option<(Metric<'_>, usize)> {
    let bytes = text.as_bytes();
    let colon = memchr::memchr3(b':', b'\n', b'|', bytes)?;
    let rest = bytes.get(colon..)?.strip_prefix(b":")?;
    let (value, digits) = plain(rest)?;
    let (sample, kind) = match rest.get(digits..)? {
        [b'|', b'c', ..] => (Sample::Counter { value, rate: SampleRate::ONE }, 2),
        [b'|', b'm', b's', ..] => (Sample::Timer { value, rate: SampleRate::ONE }, 3),
        [b'|', b'g', ..] => (Sample::Gauge { value, delta: false }, 2),
        [b'|', b'h' | b'd', ..] => (Sample::Timer { value, rate: SampleRate::ONE }, 2),
        _ => return None,
    };
    let end = colon + 1 + digits + kind;
    // An event can look like a metric: `_e{1,1}:1|c`.
    let is_named = (1..=MAX_WORD).contains(&colon) && !bytes.starts_with(b"_");
    if !is_named || bytes.get(end).is_some_and(|byte| *byte != b'\n') {
        return None;
    }
    Some((Metric { name: text.get(..colon)?, sample, tags: None }, end + 1))
}

/// A line whose head has been read.
struct Line<'a> {
    name: &'a str,
    /// Values left: `value[:value..]|type[|@rate]`, separated by `:`.
    values: Option<&'a str>,
    /// The type and rate of the value at the front, when values before it have looked them up: they are packed.
    packed: Option<Result<Kind, Malformed>>,
    tags: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn open(line: &'a str) -> Result<Self, Malformed> {
        // Tags first: they have colons of their own.
        let (head, tags) = split_additions(line)?;
        let (name, values) = cut(head, b':').ok_or(Malformed::NoColon)?;
        if name.is_empty() {
            return Err(Malformed::EmptyName);
        }
        if name.len() > MAX_WORD || tags.is_some_and(|tags| tags.len() > MAX_WORD) {
            return Err(Malformed::TooLong);
        }
        Ok(Self { name, values: Some(values), packed: None, tags })
    }

    /// The line's next value.
    fn next(&mut self) -> Option<Result<Metric<'a>, Malformed>> {
        let values = self.values?;
        let (first, rest) = cut(values, b':').map_or((values, None), |(first, rest)| (first, Some(rest)));
        let read = if let Some((value, kind)) = cut(first, b'|') {
            let kind = self.packed.take().unwrap_or_else(|| Kind::read(kind));
            kind.and_then(|kind| kind.sample(value))
        } else {
            // Dogstatsd packs values: they have the type that the last of them names.
            let kind = *self.packed.get_or_insert_with(|| packed_kind(rest.unwrap_or_default()));
            kind.and_then(|kind| kind.sample(first))
        };
        self.values = rest;
        let Self { name, tags, .. } = *self;
        Some(read.map(|sample| Metric { name, sample, tags }))
    }
}

/// Type and rate of packed values, which the first value that has them says for all.
fn packed_kind(values: &str) -> Result<Kind, Malformed> {
    let (_, kind) = cut(values, b'|').ok_or(Malformed::NoType)?;
    Kind::read(cut(kind, b':').map_or(kind, |(kind, _)| kind))
}

/// Takes off what dogstatsd puts behind types and rates: tags, container, time. Of a container and what else newer clients
/// add nothing is used; a time is checked, and the value counts in the interval in which it arrives.
fn split_additions(line: &str) -> Result<(&str, Option<&str>), Malformed> {
    let Some(bar) = memchr::memchr_iter(b'|', line.as_bytes()).find(|bar| is_addition(line, *bar)) else {
        return Ok((line, None));
    };
    let (head, additions) = line.split_at_checked(bar).unwrap_or((line, ""));
    let mut tags = None;
    for addition in additions.split('|') {
        if let Some(text) = addition.strip_prefix('#') {
            tags = tags.or(Some(text));
        } else if let Some(time) = addition.strip_prefix('T') {
            time.parse::<u64>().map_err(|_| Malformed::BadTimestamp)?;
        }
    }
    Ok((head, tags))
}

/// True when what follows the bar is one of dogstatsd's additions, and no type or rate.
fn is_addition(line: &str, bar: usize) -> bool {
    let text = line.get(bar + 1..).unwrap_or_default();
    match text.as_bytes() {
        [b'#', ..] => true,
        // A type is `c` and may be followed by a colon: `a:1|c:2|c`. A container id is behind a type.
        [b'c' | b'e', b':', ..] | [b'T', ..] => has_type(line, bar),
        _ => text.starts_with("card:"),
    }
}

/// True when the value that ends at this bar has its type already.
fn has_type(line: &str, bar: usize) -> bool {
    let before = line.get(..bar).unwrap_or_default();
    let value = before.rsplit_once(':').map_or(before, |(_, value)| value);
    value.contains('|')
}

/// `split_once` for an ASCII byte. A plain loop: the parts of a line are too short for a searcher to pay.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// What a value is, and the share of events it stands for.
#[derive(Clone, Copy)]
struct Kind {
    what: What,
    rate: SampleRate,
}

#[derive(Clone, Copy)]
enum What {
    Counter,
    Timer,
    Gauge,
    Set,
}

impl Kind {
    /// Reads `type[|@rate]`. As in etsy's, a rate is checked for every type and means nothing to gauges and sets, and what
    /// follows the rate is not looked at.
    fn read(text: &str) -> Result<Self, Malformed> {
        let (kind, rate) = match cut(text, b'|') {
            Some((kind, rest)) => {
                let text = cut(rest, b'|').map_or(rest, |(text, _)| text);
                (kind, rate(text.strip_prefix('@').ok_or(Malformed::BadRate)?)?)
            }
            None => (text, SampleRate::ONE),
        };
        let what = match kind.trim_ascii() {
            "c" => What::Counter,
            "ms" | "h" | "d" => What::Timer,
            "g" => What::Gauge,
            "s" => What::Set,
            _ => return Err(Malformed::BadType),
        };
        Ok(Self { what, rate })
    }

    fn sample(self, value: &str) -> Result<Sample<'_>, Malformed> {
        let rate = self.rate;
        match self.what {
            What::Counter => Ok(Sample::Counter { value: number(value)?, rate }),
            What::Timer => Ok(Sample::Timer { value: not_negative(number(value)?)?, rate }),
            What::Gauge => Ok(Sample::Gauge { value: number(value)?, delta: value.starts_with(['+', '-']) }),
            What::Set if value.len() > MAX_WORD => Err(Malformed::TooLong),
            // As etsy: an empty member is the member "0".
            What::Set => Ok(Sample::Set { member: if value.is_empty() { "0" } else { value } }),
        }
    }
}

fn not_negative(number: f64) -> Result<f64, Malformed> {
    if number < 0.0 { Err(Malformed::NegativeTimer) } else { Ok(number) }
}
