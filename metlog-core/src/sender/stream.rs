//! Writes messages as JSON lines to standard output, standard error or a file.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
};

use super::{Delivery, Outgoing, Sender, Target, each_json};
use crate::{
    error::{Error, ErrorKind},
    stats::Reason,
};

/// A stream to write JSON lines to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to; made when it is not there.
    File(PathBuf),
}

impl Target for Stream {
    fn connect(&self) -> Result<Box<dyn Sender>, Error> {
        let out: Box<dyn Write> = match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::Stderr => Box::new(io::stderr()),
            Self::File(path) => {
                let opened = OpenOptions::new().append(true).create(true).open(path);
                Box::new(opened.map_err(|source| {
                    Error::new(ErrorKind::Io, format!("cannot append to {}: {source}", path.display()))
                        .with_source(source)
                })?)
            }
        };
        Ok(Box::new(Lines { out, text: String::new() }))
    }
}

struct Lines {
    out: Box<dyn Write>,
    text: String,
}

/// One write and one flush a batch, so that lines of several processes do not mix within a batch.
impl Sender for Lines {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        self.text.clear();
        let delivery = each_json(batch, |json| {
            self.text.push_str(&json);
            self.text.push('\n');
            Ok::<(), Reason>(())
        })?;
        let written = self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot write messages: {source}")).with_source(source)
        })?;
        Ok(delivery)
    }
}
