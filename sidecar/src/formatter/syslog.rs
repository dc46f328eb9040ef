//! syslog: RFC 5424, RFC 3164, and the files that rsyslog makes of them, which have no priority.

use metlog_core::{Fields, Severity, Timestamp, Value};

use super::{
    Parse, access,
    parsed::{Field, MAX_FIELDS, Parsed},
    time::TimeFormat,
};

/// The format `syslog`.
#[derive(Debug, Clone)]
pub struct Syslog {
    /// `Oct 11 22:14:15`, in the zone of whoever wrote it.
    old_time: TimeFormat,
    new_time: TimeFormat,
}

impl Syslog {
    /// `zone` is that of times without one.
    ///
    /// # Errors
    /// When the zone is not known.
    pub fn new(zone: &str) -> Result<Self, String> {
        let old_time = TimeFormat::parse("%b %e %H:%M:%S", zone)?;
        Ok(Self { old_time, new_time: TimeFormat::parse("auto", zone)? })
    }
}

impl Parse for Syslog {
    fn parse<'a>(&'a self, line: &'a str, now: Timestamp) -> Option<Parsed<'a>> {
        let mut parsed = Parsed::default();
        let (priority, rest) = priority(line)?;
        if let Some(priority) = priority {
            parsed.severity = Severity::try_from(priority % 8).ok();
            parsed.add("facility", Field::Int(priority / 8));
        }
        match rest.strip_prefix("1 ").filter(|_| priority.is_some()) {
            Some(rest) => self.rfc5424(rest, parsed, now),
            None => self.rfc3164(rest, parsed, now),
        }
    }
}

impl Syslog {
    /// `2003-10-11T22:14:15.003Z host app 8710 ID47 [data] text`; a dash for what is not known.
    fn rfc5424<'a>(&self, text: &'a str, mut parsed: Parsed<'a>, now: Timestamp) -> Option<Parsed<'a>> {
        let mut words = text.splitn(6, ' ');
        let mut word = || words.next().map(|word| Some(word).filter(|word| *word != "-"));
        if let Some(time) = word()? {
            parsed.timestamp = Some(self.new_time.read_text(time, now)?);
        }
        parsed.hostname = word()?.map(Into::into);
        parsed.logger = word()?.map(Into::into);
        match word()? {
            Some(id) => set_pid(id, &mut parsed),
            None => parsed.pid = None,
        }
        if let Some(id) = word()? {
            parsed.add("message_id", Field::text(id));
        }
        let rest = words.next()?;
        let text = match rest.strip_prefix('-') {
            Some(text) => text,
            None => structured_data(rest, &mut parsed)?,
        };
        let text = text.strip_prefix(' ').unwrap_or(text);
        parsed.payload = Some(text.strip_prefix('\u{feff}').unwrap_or(text).into());
        Some(parsed)
    }

    /// `Oct 11 22:14:15 host tag[pid]: text`, or with a timestamp of RFC 3339.
    fn rfc3164<'a>(&self, text: &'a str, mut parsed: Parsed<'a>, now: Timestamp) -> Option<Parsed<'a>> {
        let (time, rest) = match text.as_bytes().first()? {
            b'0'..=b'9' => {
                let (time, rest) = text.split_once(' ')?;
                (self.new_time.read_text(time, now)?, rest)
            }
            _ => {
                let (time, rest) = text.split_at_checked(15)?;
                (self.old_time.read_text(time, now)?, rest.strip_prefix(' ')?)
            }
        };
        parsed.timestamp = Some(time);
        let (host, rest) = rest.split_once(' ')?;
        parsed.hostname = Some(host.into());
        parsed.payload = Some(tag(rest, &mut parsed).into());
        Some(parsed)
    }
}

/// The number in `<34>`, if the line begins so.
fn priority(line: &str) -> Option<(Option<i64>, &str)> {
    let Some(rest) = line.strip_prefix('<') else { return Some((None, line)) };
    let (number, rest) = rest.split_once('>')?;
    let number = number.parse().ok().filter(|number| (0..=191).contains(number))?;
    Some((Some(number), rest))
}

/// Takes `sshd[123]:` off the front and gives back the text; a text without one stays as it is.
fn tag<'a>(text: &'a str, parsed: &mut Parsed<'a>) -> &'a str {
    let end = text.find(|c: char| c == '[' || c == ':' || c.is_whitespace());
    let Some((name, rest)) = end.and_then(|end| text.split_at_checked(end)) else { return text };
    let (id, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((id, rest)) => (Some(id), rest),
        None => (None, rest),
    };
    let Some(payload) = rest.strip_prefix(':').filter(|_| !name.is_empty()) else { return text };
    parsed.logger = Some(name.into());
    if let Some(id) = id {
        set_pid(id, parsed);
    }
    payload.strip_prefix(' ').unwrap_or(payload)
}

fn set_pid<'a>(id: &'a str, parsed: &mut Parsed<'a>) {
    match id.parse() {
        Ok(pid) => parsed.pid = Some(pid),
        Err(_) => parsed.add("process_id", Field::text(id)),
    }
}

/// `[id name="value" ...][...]`: a field for each id, a map of its names. Gives back what follows.
fn structured_data<'a>(text: &'a str, parsed: &mut Parsed<'a>) -> Option<&'a str> {
    let mut rest = text;
    let mut count = 0_usize;
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']'])?;
        let (id, mut inside) = element.split_at(end);
        let mut values = Vec::new();
        while let Some(pair) = inside.strip_prefix(' ') {
            let (name, after) = pair.split_once("=\"")?;
            let end = quoted_end(after)?;
            values.push((name, Value::from(access::unescape(after.get(..end)?).as_ref())));
            inside = after.get(end + 1..)?;
            count += 1;
            if count > MAX_FIELDS {
                return None;
            }
        }
        parsed.set(id, Field::Other(Value::Map(values.into_iter().collect::<Fields>())));
        rest = inside.strip_prefix(']')?;
    }
    (rest.len() < text.len()).then_some(rest)
}

fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Option<String> {
        let syslog = Syslog::new("UTC").unwrap();
        let now = "2003-12-01T00:00:00Z".parse().unwrap();
        let parsed = syslog.parse(line, now)?;
        let fields: Vec<String> =
            parsed.fields.iter().map(|(name, field)| format!("{name}={}", field.as_text())).collect();
        let text = |text: Option<&str>| text.unwrap_or("?").to_owned();
        Some(format!(
            "{}|{}|{}|{}|{}|{}|{}",
            parsed.timestamp.map_or_else(|| "?".to_owned(), |at| at.to_string()),
            parsed.severity.map_or_else(|| "?".to_owned(), |level| level.as_u8().to_string()),
            text(parsed.hostname.as_deref()),
            text(parsed.logger.as_deref()),
            parsed.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()),
            text(parsed.payload.as_deref()),
            fields.join(","),
        ))
    }

    #[test]
    fn lines_of_both_standards_and_of_files_are_taken_apart() {
        for (line, expected) in [
            (
                "<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed",
                "2003-10-11T22:14:15.003000Z|2|mymachine|su|?|'su root' failed|facility=4,message_id=ID47",
            ),
            (
                "<165>1 2003-10-11T22:14:15.003Z host evntslog 12 - [a@1 iut=\"3\" s=\"A\\\"]\"][b] \u{feff}text",
                "2003-10-11T22:14:15.003000Z|5|host|evntslog|12|text|facility=20,a@1={\"iut\":\"3\",\"s\":\"A\\\"]\"},b={}",
            ),
            ("<13>1 - - - - - -", "?|5|?|?|?||facility=1"),
            (
                "<34>Oct 11 22:14:15 mymachine su[99]: failed",
                "2003-10-11T22:14:15.000000Z|2|mymachine|su|99|failed|facility=4",
            ),
            ("Oct  1 02:14:15 web1 CRON: (root)", "2003-10-01T02:14:15.000000Z|?|web1|CRON|?|(root)|"),
            ("Oct  1 02:14:15 web1 no tag here", "2003-10-01T02:14:15.000000Z|?|web1|?|?|no tag here|"),
            ("2003-10-11T22:14:15.5+02:00 web1 app[7]: ok", "2003-10-11T20:14:15.500000Z|?|web1|app|7|ok|"),
        ] {
            assert_eq!(parse(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_syslog_is_not_taken() {
        for line in [
            "",
            "hello",
            "<999>Oct 11 22:14:15 h t: x",
            "<34>",
            "<34>1 2003-10-11T22:14:15Z h a 1 - [a",
            "Oct 11 h",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_disturbs(line in ".{0,200}", priority in 0..200_u8) {
            parse(&line);
            parse(&format!("<{priority}>1 - - - - - {line}"));
            parse(&format!("<{priority}>Oct 11 22:14:15 {line}"));
        }
    }
}
