//! The slow query log of MySQL, MariaDB and Percona Server: some lines of `# Name: value`, then the statement.

use metlog_core::Timestamp;

use super::{
    Parse,
    parsed::{Field, MAX_FIELDS, Parsed},
    time::TimeFormat,
};

/// The format `mysql_slow`.
#[derive(Debug, Clone)]
pub struct MysqlSlow {
    old_time: TimeFormat,
    new_time: TimeFormat,
}

impl MysqlSlow {
    /// `zone` is that of times without one.
    ///
    /// # Errors
    /// When the zone is not known.
    pub fn new(zone: &str) -> Result<Self, String> {
        let old_time = TimeFormat::parse("%y%m%d %k:%M:%S", zone)?;
        Ok(Self { old_time, new_time: TimeFormat::parse("auto", zone)? })
    }
}

impl Parse for MysqlSlow {
    fn parse<'a>(&'a self, text: &'a str, now: Timestamp) -> Option<Parsed<'a>> {
        let mut parsed = Parsed::default();
        let mut rest = text;
        while let Some(comment) = rest.strip_prefix('#') {
            let (line, after) = comment.split_once('\n').unwrap_or((comment, ""));
            self.comment(line.trim(), &mut parsed, now);
            rest = after;
            if parsed.fields.len() > MAX_FIELDS {
                return None;
            }
        }
        parsed.get("query_time")?;
        parsed.payload = Some(statement(rest, &mut parsed).into());
        Some(parsed)
    }
}

impl MysqlSlow {
    fn comment<'a>(&self, line: &'a str, parsed: &mut Parsed<'a>, now: Timestamp) {
        if let Some(time) = line.strip_prefix("Time:") {
            let time = time.trim();
            let read = |format: &TimeFormat| format.read_text(time, now);
            parsed.timestamp = read(&self.new_time).or_else(|| read(&self.old_time));
        } else if let Some(user) = line.strip_prefix("User@Host:") {
            user_and_host(user, parsed);
        } else {
            counters(line, parsed);
        }
    }
}

/// `root[root] @ localhost [127.0.0.1]  Id:     8`.
fn user_and_host<'a>(text: &'a str, parsed: &mut Parsed<'a>) {
    let (user, rest) = text.split_once('@').unwrap_or((text, ""));
    let (who, id) = rest.split_once("Id:").unwrap_or((rest, ""));
    let (host, address) = who.split_once('[').unwrap_or((who, ""));
    for (name, value) in [
        ("user", user.split_once('[').map_or(user, |(_, user)| user).trim().trim_end_matches(']')),
        ("client_host", host.trim()),
        ("client_addr", address.split_once(']').map_or("", |(address, _)| address)),
    ] {
        if !value.is_empty() {
            parsed.set(name, Field::text(value));
        }
    }
    if !id.trim().is_empty() {
        parsed.set("connection_id", Field::number(id.trim()));
    }
}

/// `Query_time: 2.000123  Lock_time: 0.000000 Rows_sent: 1`.
fn counters<'a>(line: &'a str, parsed: &mut Parsed<'a>) {
    let mut words = line.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_suffix(':') else { continue };
        if let Some(value) = words.next().filter(|_| parsed.fields.len() <= MAX_FIELDS) {
            parsed.set(name.to_ascii_lowercase(), Field::number(value));
        }
    }
}

/// The statement itself, without what the server has put before it: the database, and the time it began.
fn statement<'a>(text: &'a str, parsed: &mut Parsed<'a>) -> &'a str {
    let mut rest = text.trim();
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim().trim_end_matches(';');
        if let Some(database) = line.strip_prefix("use ").filter(|_| !after.is_empty()) {
            parsed.set("database", Field::text(database));
        } else if let Some(seconds) = line.strip_prefix("SET timestamp=").filter(|_| !after.is_empty()) {
            let epoch = TimeFormat::Epoch(1_000_000_000);
            // When it was written, to the microsecond, is better.
            parsed.timestamp = parsed.timestamp.or_else(|| epoch.read_text(seconds, Timestamp::now()));
        } else {
            return rest;
        }
        rest = after.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_becomes_fields_and_its_statement_the_payload() {
        let text = "# Time: 2024-01-02T03:04:05.123456Z\n# User@Host: shop[shop] @ web1 [10.0.0.1]  Id:    81\n\
                    # Query_time: 2.000123  Lock_time: 0.000004 Rows_sent: 1  Rows_examined: 12000\n\
                    use orders;\nSET timestamp=1704164645;\nSELECT *\n  FROM orders;";
        let mysql = MysqlSlow::new("UTC").unwrap();
        let parsed = mysql.parse(text, Timestamp::now()).unwrap();
        assert_eq!(parsed.timestamp.unwrap().to_string(), "2024-01-02T03:04:05.123456Z");
        assert_eq!(parsed.payload.as_deref(), Some("SELECT *\n  FROM orders;"));
        for (name, field) in [
            ("user", Field::text("shop")),
            ("client_host", Field::text("web1")),
            ("client_addr", Field::text("10.0.0.1")),
            ("connection_id", Field::Int(81)),
            ("query_time", Field::Float(2.000_123)),
            ("rows_examined", Field::Int(12_000)),
            ("database", Field::text("orders")),
        ] {
            assert_eq!(parsed.get(name), Some(&field), "{name}");
        }
    }

    #[test]
    fn an_old_entry_has_its_time_in_the_statement_or_in_another_form() {
        let mysql = MysqlSlow::new("UTC").unwrap();
        for (text, time) in [
            ("# Query_time: 1\nSET timestamp=1704164645;\nSELECT 1;", "2024-01-02T03:04:05.000000Z"),
            ("# Time: 240102  3:04:05\n# Query_time: 1\nSELECT 1;", "2024-01-02T03:04:05.000000Z"),
        ] {
            let parsed = mysql.parse(text, Timestamp::now()).unwrap();
            assert_eq!(parsed.timestamp.unwrap().to_string(), time);
            assert_eq!(parsed.payload.as_deref(), Some("SELECT 1;"));
        }
        assert!(mysql.parse("/usr/sbin/mysqld, Version: 8", Timestamp::now()).is_none());
    }

    proptest! {
        #[test]
        fn no_text_disturbs(text in "(#? ?.{0,40}\n){0,5}") {
            let _whatever = MysqlSlow::new("UTC").unwrap().parse(&text, Timestamp::now());
        }
    }
}
