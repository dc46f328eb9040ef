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
        Ok(Box::new(Lines::to(out)))
    }
}

struct Lines {
    out: Box<dyn Write>,
    /// Of the batch that is being written, and how far that is.
    text: String,
    written: usize,
    delivery: Option<Delivery>,
}

impl Lines {
    fn to(out: Box<dyn Write>) -> Self {
        Self { out, text: String::new(), written: 0, delivery: None }
    }

    /// Makes lines of a batch.
    fn begin(&mut self, batch: &[u8]) -> Result<Delivery, Error> {
        self.text.clear();
        self.written = 0;
        each_json(batch, |json| {
            self.text.push_str(&json);
            self.text.push('\n');
            Ok::<(), Reason>(())
        })
    }

    /// Writes what is left of the batch.
    fn write(&mut self) -> io::Result<()> {
        while let Some(left) = self.text.as_bytes().get(self.written..).filter(|left| !left.is_empty()) {
            match self.out.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }
}

/// One write and one flush a batch, so that lines of several processes do not mix within a batch.
///
/// Standard output may be one that refuses to wait: Node makes pipes so for everybody in the process. What it has not
/// taken is offered again, from where it stopped.
impl Sender for Lines {
    fn send(&mut self, batch: &Outgoing) -> Result<Delivery, Error> {
        let delivery = match self.delivery.take() {
            Some(begun) => begun,
            None => self.begin(batch)?,
        };
        match self.write() {
            Ok(()) => Ok(delivery),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.delivery = Some(delivery);
                Ok(Delivery::Busy)
            }
            Err(source) => {
                Err(Error::new(ErrorKind::Io, format!("cannot write messages: {source}")).with_source(source))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::LineWriter,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;
    use crate::{Client, Options, Value, wire::json};

    /// As a pipe that refuses to wait and is nearly full: a few bytes at a time, and nothing every other time.
    #[derive(Clone, Default)]
    struct Reluctant {
        taken: Arc<Mutex<Vec<u8>>>,
        tries: usize,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tries += 1;
            if self.tries.is_multiple_of(2) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(37);
            self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Reluctant {
        fn connect(&self) -> Result<Box<dyn Sender>, Error> {
            // As `io::stdout` does, it keeps what it could not write.
            Ok(Box::new(Lines::to(Box::new(LineWriter::with_capacity(64, self.clone())))))
        }
    }

    #[test]
    fn lines_arrive_whole_and_once_where_standard_output_refuses_to_wait() {
        let out = Reluctant::default();
        let client = Client::builder().sender(out.clone()).build();
        let payloads = ["one", "two", "three", "four"];
        for payload in &payloads {
            client.metlog("services", Options { payload: Some(payload), ..Options::default() });
        }
        assert_eq!(client.close(Duration::from_secs(20)).sent, 4);
        let taken = String::from_utf8(out.taken.lock().unwrap().clone()).unwrap();
        let read = |line: &str| json::from_json(line.as_bytes()).unwrap().message.payload;
        assert_eq!(taken.lines().map(read).collect::<Vec<_>>(), payloads.map(Value::from));
    }
}
