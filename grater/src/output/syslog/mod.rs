//! Messages to a syslog server, such as rsyslog, syslog-ng or ArcSight's connector: CEF events as they are, others as a
//! line of text.
//!
//! A server acknowledges nothing, see [`stream`](super::stream): lines may arrive twice. A line that is too long for the
//! server is a dead letter rather than cut.

mod config;
mod header;
mod line;

use metlog_core::Message;
use metlog_pipeline::{quiet::Quiet, template::Template};
use tracing::warn;

pub use config::{CefHeader, Framing, SyslogConfig, SyslogFormat, SyslogProtocol};
pub use header::Facility;

use self::{
    config::Target,
    header::Speaker,
    line::{CEF_TYPE, write_cef, write_message},
};
use super::{
    Delivered, Halted, Item, Output, OutputError, OutputState,
    datagrams::Datagrams,
    frames::Frames,
    stream::{BOTH_SOCKET_BUFFERS, Stream},
    way::Way,
};

/// The output. Connects when there is something to send, and again after every error.
#[derive(Debug)]
pub struct SyslogOutput {
    config: SyslogConfig,
    template: Option<Template>,
    most: usize,
    way: Way,
    frames: Frames,
    quiet: Quiet,
}

impl SyslogOutput {
    /// An output that is not connected yet.
    ///
    /// # Errors
    /// Settings that contradict each other.
    pub fn new(config: SyslogConfig) -> Result<Self, OutputError> {
        let way = match config.target()? {
            Target::Packets(place) => {
                // Each line is a packet of its own, whatever its length.
                Way::Packets(Datagrams::new(place, config.timeout, config.packets_per_second), 0)
            }
            Target::Stream(peer) => {
                Way::Stream(Box::new(Stream::new(peer, config.timeout, BOTH_SOCKET_BUFFERS)))
            }
        };
        let template = config.template.as_deref().map(Template::parse).transpose();
        let template = template.map_err(|error| OutputError::setting("template", error))?;
        let most = usize::try_from(config.max_line_bytes.as_u64()).unwrap_or(usize::MAX);
        Ok(Self { config, template, most, way, frames: Frames::default(), quiet: Quiet::default() })
    }

    /// The line of a message, header and all.
    fn line(&mut self, message: &Message) -> Result<String, String> {
        let (facility, ident) = (self.config.facility, &self.config.ident);
        let mut line = String::new();
        if message.kind == CEF_TYPE {
            let (speaker, unknown) = Speaker::of_cef(message, facility, ident);
            if let Some(name) = unknown {
                let logger = &message.logger;
                self.quiet.say("unknown", || {
                    warn!(logger, name, "cef_meta has an unknown facility or priority: not used");
                });
            }
            speaker.write(message, self.config.format, &mut line);
            write_cef(message, self.config.cef_header, &mut line)?;
        } else {
            Speaker::of(message, facility, ident).write(message, self.config.format, &mut line);
            write_message(message, self.template.as_ref(), &mut line)?;
        }
        if line.len() > self.most {
            let (length, most) = (line.len(), self.most);
            return Err(format!("line has {length} bytes, expected at most {most}: see max_line_bytes"));
        }
        Ok(line)
    }

    /// The line as it goes over the wire.
    fn framed(&mut self, message: &Message) -> Result<String, String> {
        let line = self.line(message)?;
        Ok(match (&self.way, self.config.framing) {
            (Way::Packets(..), _) => line,
            (Way::Stream(_), Framing::OctetCounting) => format!("{} {line}", line.len()),
            (Way::Stream(_), Framing::LineFeed) => line + "\n",
        })
    }
}

impl Output for SyslogOutput {
    fn deliver(&mut self, items: &[Item]) -> Result<Delivered, Halted> {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        for item in items {
            frames.add(|writer| self.framed(&item.message).map(|line| writer.frame(line.as_bytes())));
        }
        let sent = self.way.send(&frames);
        let settled = frames.settle(sent);
        self.frames = frames;
        settled
    }

    fn checkpoint(&mut self) -> Result<OutputState, OutputError> {
        self.way.checkpoint()
    }

    fn restore(&mut self, _state: &OutputState) -> Result<(), OutputError> {
        self.way.restore();
        Ok(())
    }

    fn probe(&self) -> Result<String, OutputError> {
        self.way.probe()
    }
}

#[cfg(test)]
mod tests;
