//! `%Field%` in texts: types, loggers and payloads made of what a line says.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Origin, parsed::Parsed};

/// A text with places for fields. `%%` stands for a percent sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
    Line,
    Payload,
    Path,
    Hostname,
    Label(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When a percent sign has no partner.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            let Some((name, next)) = after.split_once('%') else {
                return Err(format!("{text:?} has a single %, expected %Field%, or %% for the sign itself"));
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::named(name));
            rest = next;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }

    /// The text for a line. A field that is not there leaves nothing.
    pub fn fill<'a>(&self, line: &'a str, parsed: &Parsed<'a>, origin: &Origin<'_>) -> Cow<'a, str> {
        // The usual one by far needs no copy.
        if self.0 == [Part::Line] {
            return Cow::Borrowed(line);
        }
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Line => out.push_str(line),
                Part::Payload => out.push_str(parsed.payload.as_deref().unwrap_or_default()),
                Part::Path => out.push_str(origin.path),
                Part::Hostname => out.push_str(parsed.hostname.as_deref().unwrap_or(origin.hostname)),
                Part::Field(name) => {
                    out.push_str(&parsed.get(name).map(|field| field.as_text()).unwrap_or_default());
                }
                Part::Label(name) => {
                    out.push_str(
                        origin.labels.and_then(|labels| labels.get(name)).map_or("", String::as_str),
                    );
                }
            }
        }
        Cow::Owned(out)
    }
}

impl Part {
    fn named(name: &str) -> Self {
        match name {
            "" => Self::Text("%".to_owned()),
            "Line" => Self::Line,
            "Payload" => Self::Payload,
            "Path" => Self::Path,
            "Hostname" => Self::Hostname,
            name => match name.strip_prefix("File.") {
                Some(label) => Self::Label(label.to_owned()),
                None => Self::Field(name.to_owned()),
            },
        }
    }
}

/// What a file's path says of itself: the named groups of `match`.
pub type Labels = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formatter::parsed::Field;

    #[test]
    fn fields_line_path_host_and_labels_are_put_in() {
        let mut parsed = Parsed { payload: Some("GET /".into()), ..Parsed::default() };
        parsed.add("status", Field::Int(404));
        let labels = Labels::from([("app".to_owned(), "shop".to_owned())]);
        let origin = Origin { path: "/var/log/a", hostname: "web1", labels: Some(&labels) };
        for (template, text) in [
            ("", ""),
            ("plain", "plain"),
            ("%status%", "404"),
            ("a.%status%.%missing%b", "a.404.b"),
            ("%Line%", "raw"),
            ("[%Payload%] %Path%@%Hostname%", "[GET /] /var/log/a@web1"),
            ("%File.app%.access", "shop.access"),
            ("100%%", "100%"),
        ] {
            assert_eq!(Template::parse(template).unwrap().fill("raw", &parsed, &origin), text, "{template}");
        }
        assert!(Template::parse("50%").unwrap_err().contains("%% for the sign"));
    }
}
