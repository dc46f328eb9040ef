//! The arguments of one call as the columns of a message. What does not fit its column is kept under
//! `fields.original`, as a reader of the wire does with foreign messages.

use std::{borrow::Cow, cell::Cell, ops::Range};

use metlog_core::{
    Client, Options, Severity, Timestamp,
    client::FieldSet,
    stats::Reason,
    value::{Encode, Encoded},
    wire::{
        json, pack,
        record::{self, Head, Identity, Record},
    },
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyInt, PyString},
};

use crate::{
    bound::{self, Binding},
    text, value,
};

/// A scratch buffer that grew beyond this is given back rather than kept for the next call.
const KEPT_CAPACITY: usize = 64 * 1024;

thread_local! {
    /// Taken while a call converts, so that a finalizer that logs meanwhile finds an empty one.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Runs `work` with an empty buffer that is kept for the next call.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    let done = work(&mut scratch);
    keep_scratch(scratch);
    done
}

fn keep_scratch(mut scratch: Vec<u8>) {
    if scratch.capacity() <= KEPT_CAPACITY {
        scratch.clear();
        let _thread_is_ending = SCRATCH.try_with(|kept| kept.set(scratch));
    }
}

/// What a call was given besides its type; `None` for what it was not given.
#[derive(Default)]
pub(crate) struct Arguments<'a, 'py> {
    pub(crate) logger: Option<&'a Bound<'py, PyAny>>,
    pub(crate) severity: Option<&'a Bound<'py, PyAny>>,
    /// `None` for the empty text, `Some` also for Python's `None`.
    pub(crate) payload: Option<&'a Bound<'py, PyAny>>,
    pub(crate) fields: Option<&'a Bound<'py, PyAny>>,
}

/// The columns of one message, converted.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    logger: Option<Cow<'a, str>>,
    severity: Option<Severity>,
    timestamp: Option<Timestamp>,
    pid: Option<i64>,
    hostname: Option<Cow<'a, str>>,
    /// The ranges below lie in it.
    scratch: Vec<u8>,
    payload: Option<Range<usize>>,
    fields: Range<usize>,
    field_count: usize,
    original: Vec<(&'static str, Range<usize>)>,
}

impl Arguments<'_, '_> {
    /// True when a metric says nothing but its name and value.
    pub(crate) fn is_plain(&self) -> bool {
        self.logger.is_none() && self.severity.is_none() && self.fields.is_none()
    }
}

impl<'a> Columns<'a> {
    /// With the fields that are bound where the call is made.
    ///
    /// # Errors
    /// As [`value::encode`].
    pub(crate) fn read(py: Python<'_>, arguments: &Arguments<'a, '_>) -> Result<Self, Reason> {
        Self::read_with(bound::current(py).as_ref(), arguments)
    }

    /// The call's own fields come last: of a field given twice the last value counts.
    fn read_with(
        binding: Option<&Bound<'_, Binding>>,
        arguments: &Arguments<'a, '_>,
    ) -> Result<Self, Reason> {
        let mut columns = Self::default();
        columns.scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        if let Some(binding) = binding {
            let (count, pairs) = binding.get().encoded();
            columns.scratch.extend_from_slice(pairs);
            (columns.fields, columns.field_count) = (0..pairs.len(), count);
        }
        columns.read_logger(arguments.logger)?;
        columns.read_severity(arguments.severity)?;
        columns.payload = arguments.payload.map(|payload| columns.encode(payload)).transpose()?;
        columns.read_fields(arguments.fields)?;
        Ok(columns)
    }

    /// The columns of a message that is a dict already.
    fn read_message(message: &'a Message<'_>) -> Result<Self, Reason> {
        let arguments = Arguments {
            logger: message.logger.as_ref(),
            severity: message.severity.as_ref(),
            payload: message.payload.as_ref(),
            fields: message.fields.as_ref(),
        };
        let mut columns = Self::read_with(None, &arguments)?;
        if let Some(given) = &message.timestamp {
            columns.timestamp = text::of_name(given).parse().ok();
            if columns.timestamp.is_none() {
                columns.keep("timestamp", given)?;
            }
        }
        columns.pid = message.pid.as_ref().and_then(|pid| pid.extract().ok());
        columns.hostname = message.hostname.as_ref().map(|name| text::of_name(name));
        Ok(columns)
    }

    fn read_logger(&mut self, given: Option<&'a Bound<'_, PyAny>>) -> Result<(), Reason> {
        match given {
            Some(logger) if logger.is_instance_of::<PyString>() => self.logger = Some(text::of_name(logger)),
            Some(misfit) => self.keep("logger", misfit)?,
            None => {}
        }
        Ok(())
    }

    fn read_severity(&mut self, given: Option<&Bound<'_, PyAny>>) -> Result<(), Reason> {
        let Some(given) = given else { return Ok(()) };
        self.severity = severity(given);
        if self.severity.is_none() {
            self.keep("severity", given)?;
        }
        Ok(())
    }

    fn read_fields(&mut self, given: Option<&Bound<'_, PyAny>>) -> Result<(), Reason> {
        let Some(given) = given else { return Ok(()) };
        let Ok(pairs) = given.cast::<PyDict>() else { return self.keep("fields", given) };
        // Bound fields were the first to be written; what comes between them and these is moved out of the way.
        let start = self.scratch.len();
        self.scratch.extend_from_within(self.fields.clone());
        self.field_count += value::encode_pairs(pairs, &mut self.scratch)?;
        self.fields = start..self.scratch.len();
        Ok(())
    }

    fn keep(&mut self, name: &'static str, misfit: &Bound<'_, PyAny>) -> Result<(), Reason> {
        let kept = self.encode(misfit)?;
        self.original.push((name, kept));
        Ok(())
    }

    fn encode(&mut self, given: &Bound<'_, PyAny>) -> Result<Range<usize>, Reason> {
        let start = self.scratch.len();
        value::encode(given, &mut self.scratch)?;
        Ok(start..self.scratch.len())
    }

    /// Gives `deliver` the columns as the core takes them; what is not there comes from `defaults`.
    pub(crate) fn deliver<T>(&self, defaults: &Defaults<'_>, deliver: impl FnOnce(Options<'_>) -> T) -> T {
        let part = |range: &Range<usize>| Encoded(self.scratch.get(range.clone()).unwrap_or_default());
        let original: Vec<_> = self.original.iter().map(|(name, range)| (*name, part(range))).collect();
        let original: Vec<(&str, &dyn Encode)> =
            original.iter().map(|(name, value)| (*name, value as &dyn Encode)).collect();
        let payload = self.payload.as_ref().map(part);
        deliver(Options {
            logger: Some(self.logger.as_deref().unwrap_or(defaults.logger)),
            severity: Some(self.severity.unwrap_or(defaults.severity)),
            payload: payload.as_ref().map(|payload| payload as &dyn Encode),
            fields: FieldSet::Encoded { count: self.field_count, pairs: part(&self.fields) },
            timestamp: self.timestamp,
            pid: self.pid,
            hostname: self.hostname.as_deref(),
            original: &original,
        })
    }
}

impl Drop for Columns<'_> {
    fn drop(&mut self) {
        keep_scratch(std::mem::take(&mut self.scratch));
    }
}

/// What a client says where a call says nothing.
pub(crate) struct Defaults<'a> {
    pub(crate) logger: &'a str,
    pub(crate) severity: Severity,
}

impl<'a> Defaults<'a> {
    /// For a call that says nothing.
    pub(crate) fn options(&self) -> Options<'a> {
        Options { logger: Some(self.logger), severity: Some(self.severity), ..Options::default() }
    }
}

/// The severity `value` stands for: an integer 0 to 7.
pub(crate) fn severity(value: &Bound<'_, PyAny>) -> Option<Severity> {
    let level = value.cast::<PyInt>().ok()?.extract::<i64>().ok()?;
    Severity::try_from(level).ok()
}

/// A message that is a dict of the envelope's keys; `None` for a key that is missing.
struct Message<'py> {
    kind: Bound<'py, PyAny>,
    logger: Option<Bound<'py, PyAny>>,
    severity: Option<Bound<'py, PyAny>>,
    payload: Option<Bound<'py, PyAny>>,
    fields: Option<Bound<'py, PyAny>>,
    timestamp: Option<Bound<'py, PyAny>>,
    pid: Option<Bound<'py, PyAny>>,
    hostname: Option<Bound<'py, PyAny>>,
}

impl<'py> Message<'py> {
    fn of(msg: &Bound<'py, PyAny>) -> PyResult<Self> {
        let msg = msg.cast::<PyDict>()?;
        let kind = msg.get_item("type")?;
        Ok(Self {
            kind: kind.ok_or_else(|| PyValueError::new_err("message has no 'type'"))?,
            logger: msg.get_item("logger")?,
            severity: msg.get_item("severity")?,
            payload: msg.get_item("payload")?,
            fields: msg.get_item("fields")?,
            timestamp: msg.get_item("timestamp")?,
            pid: msg.get_item("metlog_pid")?,
            hostname: msg.get_item("metlog_hostname")?,
        })
    }
}

/// Sends the message `msg`, a dict of the envelope's keys.
///
/// # Errors
/// The outer one when `msg` is no message, the inner one as [`value::encode`].
pub(crate) fn send_message(core: &Client, msg: &Bound<'_, PyAny>) -> PyResult<Result<(), Reason>> {
    let message = Message::of(msg)?;
    let defaults = Defaults { logger: "", severity: Severity::default() };
    let columns = match Columns::read_message(&message) {
        Ok(columns) => columns,
        Err(reason) => return Ok(Err(reason)),
    };
    columns.deliver(&defaults, |options| core.metlog(&text::of_name(&message.kind), options));
    Ok(Ok(()))
}

/// A message with the payload `value`, as JSON that any value survives.
///
/// # Errors
/// When it is over the size no reader takes.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let identity = Identity { env_version: "", pid: 0, hostname: "" };
    let head = Head { kind: "", severity: Severity::default(), logger: "", timestamp: Timestamp::default() };
    let written = with_scratch(|scratch| {
        value::encode(value, scratch)?;
        let mut out = Vec::new();
        let content = |out: &mut Vec<u8>| {
            Encoded(scratch).encode(out);
            pack::map(out, 0);
        };
        record::write(&mut out, &head, None, content).map_err(|_| Reason::TooBig)?;
        let (record, _) = Record::split(&out).map_err(|_| Reason::Encode)?;
        record.decode(identity).map_err(|_| Reason::Encode)
    });
    let written = written.map_err(|_| PyValueError::new_err("message is too big to be sent"))?;
    Ok(json::to_json(&written))
}
