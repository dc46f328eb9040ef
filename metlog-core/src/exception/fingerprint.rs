//! What groups the events of one fault: MD5 (an identity here, no protection) of the exception's type and, for each
//! frame, its module and the text of its line.
//!
//! The line's number is left out, so that an edit elsewhere in the file keeps the group. Where the source cannot be read
//! the function stands for the line, and the file for a module that is not known.

use super::{Event, Exception, Frame};

/// The checksum of an event: its own, or that of the exception that was reported, as 32 hexadecimal digits. Without an
/// exception it is that of the message.
#[must_use]
pub fn checksum(event: &Event) -> String {
    let made = || event.chain.first().map_or_else(|| format!("{:x}", md5::compute(&event.message)), of);
    event.fingerprint.clone().unwrap_or_else(made)
}

fn of(exception: &Exception) -> String {
    let mut digest = md5::Context::new();
    digest.consume(&exception.kind);
    for frame in &exception.frames {
        digest.consume(frame.module.as_deref().unwrap_or(&frame.file));
        digest.consume(line(frame));
    }
    format!("{:x}", digest.finalize())
}

fn line(frame: &Frame) -> &str {
    frame.context_line.as_deref().or(frame.function.as_deref()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str, number: u32) -> Event {
        let frame = |module: &str, line: &str| Frame {
            module: Some(module.to_owned()),
            context_line: Some(line.to_owned()),
            line: Some(number),
            ..Frame::default()
        };
        let frames = vec![frame("app", "run()"), frame("app.sql", line)];
        Event::new(
            "python",
            vec![Exception {
                kind: "ValueError".to_owned(),
                value: number.to_string(),
                frames,
                ..Exception::default()
            }],
        )
    }

    #[test]
    fn checksum_is_that_of_type_modules_and_lines() {
        let expected = format!("{:x}", md5::compute("ValueErrorapprun()app.sqlraise ValueError(x)"));
        assert_eq!(checksum(&event("raise ValueError(x)", 7)), expected);
        assert_eq!(expected, "f2b1e975be2ebd84dd0a11b7d29e3456");
    }

    #[test]
    fn numbers_do_not_part_a_group_and_lines_do() {
        assert_eq!(checksum(&event("a", 1)), checksum(&event("a", 2)));
        assert_ne!(checksum(&event("a", 1)), checksum(&event("b", 1)));
    }

    #[test]
    fn a_given_fingerprint_wins() {
        let event = Event { fingerprint: Some("mine".to_owned()), ..event("a", 1) };
        assert_eq!(checksum(&event), "mine");
    }
}
