//! The `log_format` of nginx: `$variable` and `${variable}` between literal text.

use super::{
    access::{Access, Kind, Part},
    time::TimeFormat,
};

/// What nginx writes when nothing is configured.
const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// Variables that hold a number.
const NUMBERS: &[&str] = &[
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "content_length",
    "gzip_ratio",
    "pid",
    "remote_port",
    "request_length",
    "request_time",
    "server_port",
    "status",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_queue_time",
    "upstream_response_length",
    "upstream_response_time",
    "upstream_status",
];

/// Compiles the name `combined`, a format string, or a whole `log_format` directive as it stands in nginx.conf.
///
/// # Errors
/// When nothing separates two variables, or there is none.
pub fn compile(format: &str) -> Result<Access, String> {
    let format = match format.trim() {
        "combined" => COMBINED.to_owned(),
        directive if directive.starts_with("log_format ") => directive_text(directive),
        _ => format.to_owned(),
    };
    let mut parts = Vec::new();
    let mut rest = format.as_str();
    while let Some((literal, after)) = rest.split_once('$') {
        parts.push(Part::Literal(literal.to_owned()));
        let (name, next) = variable(after)?;
        parts.push(Part::Value(name.to_owned(), kind(name)));
        rest = next;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Access::new(parts)
}

/// The quoted parts of `log_format main escape=json '...' '...';`, joined.
fn directive_text(directive: &str) -> String {
    let mut text = String::new();
    let mut rest = directive;
    while let Some(start) = rest.find(['\'', '"']) {
        let (quote, after) = rest.split_at(start + 1);
        let mark = if quote.ends_with('\'') { '\'' } else { '"' };
        let (part, next) = after.split_once(mark).unwrap_or((after, ""));
        text.push_str(part);
        rest = next;
    }
    text
}

fn variable(text: &str) -> Result<(&str, &str), String> {
    let found = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(|| format!("${text:?} has no closing brace"))?,
        None => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
            text.split_at(end)
        }
    };
    if found.0.is_empty() { Err("has a $ without the name of a variable".to_owned()) } else { Ok(found) }
}

fn kind(variable: &str) -> Kind {
    match variable {
        "time_local" => Kind::Time(TimeFormat::CommonLog),
        "time_iso8601" => Kind::Time(TimeFormat::Auto(jiff::tz::TimeZone::UTC)),
        "msec" => Kind::Time(TimeFormat::Epoch(1_000_000_000)),
        "request" => Kind::Request,
        name if NUMBERS.contains(&name) => Kind::Number,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use metlog_core::Timestamp;

    use super::*;
    use crate::formatter::{Parse, parsed::Field};

    #[test]
    fn a_directive_of_nginx_conf_is_read_as_it_stands() {
        let directive = r#"log_format timed '$host ${remote_addr} [$time_iso8601] '
                                '"$request" $status $request_time $upstream_response_time';"#;
        let access = compile(directive).unwrap();
        let line =
            r#"shop.example 10.0.0.1 [2024-01-02T03:04:05+01:00] "GET /a?b=c d HTTP/2.0" 200 0.125 0.1, 0.2"#;
        let parsed = access.parse(line, Timestamp::now()).unwrap();
        assert_eq!(parsed.timestamp.unwrap().to_string(), "2024-01-02T02:04:05.000000Z");
        assert_eq!(parsed.payload.as_deref(), Some("GET /a?b=c d HTTP/2.0"));
        for (name, field) in [
            ("host", Field::text("shop.example")),
            ("remote_addr", Field::text("10.0.0.1")),
            ("request_method", Field::text("GET")),
            ("request_uri", Field::text("/a?b=c d")),
            ("server_protocol", Field::text("HTTP/2.0")),
            ("status", Field::Int(200)),
            ("request_time", Field::Float(0.125)),
            ("upstream_response_time", Field::text("0.1, 0.2")),
        ] {
            assert_eq!(parsed.get(name), Some(&field), "{name}");
        }
    }

    #[test]
    fn what_is_absent_has_no_field_and_what_is_no_request_stays_whole() {
        let access = compile("combined").unwrap();
        let line = r#"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03" 400 157 "-" "-""#;
        let parsed = access.parse(line, Timestamp::now()).unwrap();
        let names: Vec<&str> = parsed.fields.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["remote_addr", "request", "status", "body_bytes_sent"]);
    }

    #[test]
    fn formats_that_cannot_be_taken_apart_are_refused() {
        for (format, part) in [
            ("$a$b", "nothing separates a and b"),
            ("text", "has no variable"),
            ("$ x", "without the name"),
            ("${a", "closing"),
        ] {
            assert!(compile(format).unwrap_err().contains(part), "{format}");
        }
    }
}
