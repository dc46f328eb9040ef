//! What a formatter makes of a line. It borrows from the line wherever it can: most values are only passed on.

use std::borrow::Cow;

use metlog_core::{
    Encode, Severity, Timestamp, Value,
    wire::{pack, record::Identity},
};

/// More fields than any honest line has. A line with more is kept whole.
pub const MAX_FIELDS: usize = 1_000;

/// One value of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// An integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// Anything else, nested or not.
    Other(Value),
}

impl<'a> Field<'a> {
    /// Text of the line itself.
    pub const fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// An integer, else a double, else the text.
    pub fn number(text: &'a str) -> Self {
        if let Ok(int) = text.parse() {
            return Self::Int(int);
        }
        text.parse().ok().filter(|float: &f64| float.is_finite()).map_or(Self::text(text), Self::Float)
    }

    /// As it stands in a text.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Other(Value::Text(text)) => Cow::Borrowed(text),
            Self::Int(int) => int.to_string().into(),
            Self::Float(float) => float.to_string().into(),
            // Serialising into memory cannot fail.
            Self::Other(value) => serde_json::to_string(value).unwrap_or_default().into(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => pack::text(out, text),
            Self::Int(int) => pack::signed(out, *int),
            Self::Float(float) => pack::float(out, *float),
            Self::Other(value) => value.encode(out),
        }
    }
}

impl From<Value> for Field<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(int) => match i64::try_from(int) {
                Ok(int) => Self::Int(int),
                Err(_) => Self::Other(Value::Int(int)),
            },
            Value::Float(float) => Self::Float(float),
            Value::Text(text) => Self::Text(Cow::Owned(text)),
            other => Self::Other(other),
        }
    }
}

/// A line taken apart. What it does not say is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed<'a> {
    /// The message's type.
    pub kind: Option<Cow<'a, str>>,
    /// The message's logger.
    pub logger: Option<Cow<'a, str>>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// When it happened.
    pub timestamp: Option<Timestamp>,
    /// The text for people.
    pub payload: Option<Cow<'a, str>>,
    /// The host the line names.
    pub hostname: Option<Cow<'a, str>>,
    /// The process the line names.
    pub pid: Option<i64>,
    /// Everything else, by name; each name once.
    pub fields: Vec<(Cow<'a, str>, Field<'a>)>,
}

impl<'a> Parsed<'a> {
    /// Adds a field that cannot have been named before.
    pub fn add(&mut self, name: &'a str, field: Field<'a>) {
        self.fields.push((Cow::Borrowed(name), field));
    }

    /// Sets a field that may have been named before. A line names few: a scan is cheaper than a map.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, field: Field<'a>) {
        let name = name.into();
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = field,
            None => self.fields.push((name, field)),
        }
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, field)| field)
    }

    /// A field, taken out.
    pub fn take(&mut self, name: &str) -> Option<Field<'a>> {
        let place = self.fields.iter().position(|(known, _)| known == name)?;
        Some(self.fields.remove(place).1)
    }

    /// The process and host it names, where that is not the daemon's own.
    pub fn identity<'b>(&'b self, own: Identity<'b>) -> Option<Identity<'b>> {
        let hostname = self.hostname.as_deref().unwrap_or(own.hostname);
        let pid = self.pid.unwrap_or(own.pid);
        let theirs = Identity { hostname, pid, ..own };
        (theirs != own).then_some(theirs)
    }

    /// Appends payload and fields, as a record of a batch wants them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        pack::text(out, self.payload.as_deref().unwrap_or_default());
        pack::map(out, self.fields.len());
        for (name, field) in &self.fields {
            pack::text(out, name);
            field.encode(out);
        }
    }
}
