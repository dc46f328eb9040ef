//! The `LogFormat` of Apache's httpd: `%h`, `%>s`, `%{Referer}i` between literal text. Fields have nginx's names, so that
//! one question can be asked of both.

use jiff::tz::TimeZone;

use super::{
    access::{Access, Kind, Part},
    time::TimeFormat,
};

const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i""#;

/// Compiles `common`, `combined`, `vhost_combined`, a format string, or a whole `LogFormat` directive.
///
/// # Errors
/// When it has a directive this does not know, nothing separates two, or there is none.
pub fn compile(format: &str) -> Result<Access, String> {
    let format = match format.trim() {
        "common" => COMMON.to_owned(),
        "combined" => COMBINED.to_owned(),
        "vhost_combined" => format!("%v:%p {}", COMBINED.replace("%b", "%O")),
        directive if directive.starts_with("LogFormat ") => directive_text(directive),
        // As it stands between quotes in httpd.conf.
        other => other.replace("\\\"", "\""),
    };
    let mut parts = Vec::new();
    let mut rest = format.as_str();
    while let Some((literal, after)) = rest.split_once('%') {
        parts.push(Part::Literal(literal.to_owned()));
        if let Some(next) = after.strip_prefix('%') {
            parts.push(Part::Literal("%".to_owned()));
            rest = next;
            continue;
        }
        rest = directive(after, &mut parts)?;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Access::new(parts)
}

/// What stands between the first quote and the last one that is not escaped.
fn directive_text(directive: &str) -> String {
    let text = directive.split_once('"').map_or("", |(_, text)| text);
    let mut end = text.len();
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if character == '"' && !escaped {
            end = at;
            break;
        }
        escaped = character == '\\' && !escaped;
    }
    text.get(..end).unwrap_or_default().replace("\\\"", "\"")
}

/// Adds what stands after a percent sign; gives back the rest.
fn directive<'a>(text: &'a str, parts: &mut Vec<Part>) -> Result<&'a str, String> {
    // Conditions (`%!200,304`) and which of several requests is meant (`%>s`) do not change the shape of a line.
    let text = text.trim_start_matches(|c: char| matches!(c, '<' | '>' | '!' | ',') || c.is_ascii_digit());
    let (name, text) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or("has a { without }")?,
        None => ("", text),
    };
    let mut characters = text.chars();
    let letter = match (characters.next(), text.strip_prefix('^')) {
        // Trailers: %^ti and %^to.
        (Some('^'), Some(trailer)) => {
            parts.push(Part::Value(format!("trailer_{}", plain(name)), Kind::Text));
            return trailer.get(2..).ok_or_else(|| "has an unfinished %^".to_owned());
        }
        (Some(letter), _) => letter,
        (None, _) => return Err("ends with %".to_owned()),
    };
    add(letter, name, parts)?;
    Ok(characters.as_str())
}

fn add(letter: char, name: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let mut value = |name: &str, kind: Kind| parts.push(Part::Value(name.to_owned(), kind));
    match letter {
        'h' | 'a' if name.is_empty() => value("remote_addr", Kind::Text),
        'h' | 'a' => value("peer_addr", Kind::Text),
        'A' => value("server_addr", Kind::Text),
        'b' | 'B' => value("body_bytes_sent", Kind::Number),
        'C' => value(&format!("cookie_{}", plain(name)), Kind::Text),
        'D' => value("request_time", Kind::Fraction(1e6)),
        'e' => value(&format!("env_{}", plain(name)), Kind::Text),
        'f' => value("request_filename", Kind::Text),
        'H' => value("server_protocol", Kind::Text),
        'i' => value(&format!("http_{}", plain(name)), Kind::Text),
        'I' => value("request_length", Kind::Number),
        'k' => value("connection_requests", Kind::Number),
        'l' => value("remote_logname", Kind::Text),
        'L' => value("request_log_id", Kind::Text),
        'm' => value("request_method", Kind::Text),
        'n' => value(&format!("note_{}", plain(name)), Kind::Text),
        'o' => value(&format!("sent_http_{}", plain(name)), Kind::Text),
        'O' | 'S' => value("bytes_sent", Kind::Number),
        'p' => value("server_port", Kind::Number),
        'P' => value("pid", Kind::Number),
        'q' => value("query_string", Kind::Text),
        'r' => value("request", Kind::Request),
        'R' => value("handler", Kind::Text),
        's' => value("status", Kind::Number),
        't' => return time(name, parts),
        'T' => value(
            "request_time",
            Kind::Fraction(match name {
                "ms" => 1e3,
                "us" => 1e6,
                _ => 1.0,
            }),
        ),
        'u' => value("remote_user", Kind::Text),
        'U' => value("uri", Kind::Text),
        'v' | 'V' => value("server_name", Kind::Text),
        'X' => value("connection_status", Kind::Text),
        other => return Err(format!("has %{other}, which is not known")),
    }
    Ok(())
}

/// `%t` is the common log's time in brackets, `%{...}t` one of its own.
fn time(format: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let format = format.strip_prefix("begin:").or_else(|| format.strip_prefix("end:")).unwrap_or(format);
    let kind = match format {
        "" => {
            parts.push(Part::Literal("[".to_owned()));
            parts.push(Part::Value("time_local".to_owned(), Kind::Time(TimeFormat::CommonLog)));
            parts.push(Part::Literal("]".to_owned()));
            return Ok(());
        }
        "sec" => Kind::Time(TimeFormat::Epoch(1_000_000_000)),
        "msec" => Kind::Time(TimeFormat::Epoch(1_000_000)),
        "usec" => Kind::Time(TimeFormat::Epoch(1_000)),
        // What stands beside a time of its own.
        "msec_frac" | "usec_frac" => Kind::Skip,
        pattern => Kind::Time(TimeFormat::Pattern(pattern.to_owned(), TimeZone::system())),
    };
    parts.push(Part::Value("time".to_owned(), kind));
    Ok(())
}

/// `User-Agent` as nginx writes it: `user_agent`.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use metlog_core::Timestamp;

    use super::*;
    use crate::formatter::{Parse, parsed::Field};

    #[test]
    fn lines_of_the_usual_formats_are_taken_apart() {
        let tail = r#"[10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326"#;
        for (format, line, user) in [
            ("common", format!("127.0.0.1 - frank {tail}"), true),
            ("combined", format!("127.0.0.1 - - {tail} \"http://x/\" \"Mozilla \\\"4\\\"\""), false),
            (r#"LogFormat "%h %l %u %t \"%r\" %>s %b" common"#, format!("127.0.0.1 - frank {tail}"), true),
            (
                r#"%v:%p %h %l %u %t \"%r\" %>s %b %D"#,
                format!("shop:443 127.0.0.1 - frank {tail} 1500"),
                true,
            ),
        ] {
            let access = compile(format).unwrap();
            let parsed = access.parse(&line, Timestamp::now()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(parsed.timestamp.unwrap().to_string(), "2000-10-10T20:55:36.000000Z", "{format}");
            assert_eq!(parsed.get("status"), Some(&Field::Int(200)), "{format}");
            assert_eq!(parsed.get("request_uri"), Some(&Field::text("/a")), "{format}");
            assert_eq!(parsed.get("remote_user").is_some(), user, "{format}");
            if let Some(agent) = parsed.get("http_user_agent") {
                assert_eq!(agent.as_text(), "Mozilla \"4\"");
            }
            if let Some(time) = parsed.get("request_time") {
                assert_eq!(*time, Field::Float(0.0015));
            }
        }
    }

    #[test]
    fn formats_that_cannot_be_taken_apart_are_refused() {
        for (format, part) in [
            ("%h%u", "nothing separates"),
            ("%Y x", "%Y, which is not known"),
            ("%{a", "without }"),
            ("%h %", "ends with %"),
        ] {
            assert!(compile(format).unwrap_err().contains(part), "{format}");
        }
    }
}
