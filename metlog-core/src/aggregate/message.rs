//! What a flush gives for one name, and its form in a message.

use crate::{
    client::Count,
    sketch::{SKETCH_TYPE, Sketch},
    value::Encode,
    wire::pack,
};

/// What was summed under one name since the last flush.
#[derive(Debug, Clone, Copy)]
pub enum Aggregate<'a> {
    /// A counter that moved.
    Counter {
        /// Its name.
        name: &'a str,
        /// By how much.
        sum: Count,
    },
    /// A gauge that was set.
    Gauge {
        /// Its name.
        name: &'a str,
        /// To what, last.
        value: f64,
    },
    /// A timer that measured.
    Timer {
        /// Its name.
        name: &'a str,
        /// What it measured, in milliseconds.
        sketch: &'a Sketch,
    },
}

impl Aggregate<'_> {
    /// The message's `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Counter { .. } => "counter",
            Self::Gauge { .. } => "gauge",
            Self::Timer { .. } => SKETCH_TYPE,
        }
    }

    /// The message's payload.
    #[must_use]
    pub fn payload(&self) -> String {
        match self {
            Self::Counter { sum, .. } => sum.to_string(),
            Self::Gauge { value, .. } => Count::Float(*value).to_string(),
            Self::Timer { .. } => String::new(),
        }
    }

    /// Writes the message's fields as one MessagePack map.
    pub fn encode_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Counter { name, .. } | Self::Gauge { name, .. } => {
                pack::map(out, 2);
                "name".encode(out);
                name.encode(out);
                "rate".encode(out);
                1.0.encode(out);
            }
            Self::Timer { name, sketch } => sketch.encode_fields(name, out),
        }
    }
}
