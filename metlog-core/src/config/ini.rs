//! Configurations in INI, as the original metlog-py reads them with Python's `ConfigParser`.
//!
//! ```ini
//! [metlog]
//! logger = bookmarks
//! sender_class = metlog.senders.zmq.ZmqPubSender
//! sender_bindstrs = tcp://127.0.0.1:5565
//!
//! [metlog_filter_noise]
//! provider = metlog.filters.type_blacklist_provider
//! types = noise
//!     more_noise
//! ```
//!
//! | as in Python | |
//! |---|---|
//! | `key = value`, `key: value` | keys in any case |
//! | a line that is indented deeper | belongs to the value before it: several values |
//! | `#` or `;` first in a line, `;` behind a blank | a comment |
//! | `[DEFAULT]` | options of every section |
//! | `%(key)s`, `%%` | the value of another option, a `%` |
//! | `${VAR}` first in a line | the variable instead of the line |

use std::collections::{BTreeMap, HashMap};

use configparser::ini::Ini;

use super::{found::Found, raw::Raw};

/// The section whose options every other one has.
const DEFAULT: &str = "DEFAULT";

/// Options of the Python senders that change nothing here, as they change nothing in our Python package.
const WITHOUT_EFFECT: [&str; 4] =
    ["sender_pool_size", "sender_queue_length", "sender_livecheck", "sender_debug_stderr"];

/// The original's filters: the provider, its option, and the setting that it is here.
const PROVIDERS: [(&str, &str, &str); 4] = [
    ("severity_max_provider", "severity", "filters_severity_max"),
    ("type_blacklist_provider", "types", "filters_type_blacklist"),
    ("type_whitelist_provider", "types", "filters_type_whitelist"),
    ("type_severity_max_provider", "types", "filters_type_severity_max"),
];

/// Options by name.
type Section = BTreeMap<String, String>;

/// Reads the section `section` and its filters.
pub(super) fn read(text: &str, section: &str, variable: impl Fn(&str) -> Option<String>) -> Found {
    let sections = match parse(text) {
        Ok(sections) => sections,
        Err(problem) => return Found::unreadable(problem),
    };
    if !sections.contains_key(section) {
        let known: Vec<String> = sections.keys().map(|name| format!("[{name}]")).collect();
        return Found::unreadable(format!(
            "section [{section}] is not there, expected one of {}",
            if known.is_empty() { "at least one section".to_owned() } else { known.join(", ") }
        ));
    }
    let mut reader = Reader { sections: &sections, variable, found: Found::default() };
    let filters = format!("{section}_filter");
    for name in sections.keys() {
        if name == section {
            reader.client(name);
        } else if name.starts_with(&filters) {
            reader.filter(name);
        }
    }
    reader.found
}

/// The sections of a text by name.
fn parse(text: &str) -> Result<BTreeMap<String, Section>, String> {
    let mut ini = Ini::new_cs();
    ini.set_multiline(true);
    ini.set_default_section("");
    ini.set_comment_symbols(&[';', '#']);
    ini.set_inline_comment_symbols(Some(&[]));
    let without_comments: String = text.lines().flat_map(|line| [before_comment(line), "\n"]).collect();
    let parsed: HashMap<String, HashMap<String, Option<String>>> = ini.read(without_comments)?;
    if parsed.contains_key("") {
        return Err("an option stands before the first section, expected [section] above it".to_owned());
    }
    parsed.into_iter().map(|(name, options)| Ok((name.clone(), with_values(&name, options)?))).collect()
}

/// The line without what stands behind a `;` after a blank. A semicolon inside a word is part of it.
fn before_comment(line: &str) -> &str {
    let starts = |at: usize| {
        line.get(..at).is_some_and(|before| !before.is_empty() && before.ends_with(char::is_whitespace))
    };
    let comment = line.match_indices(';').map(|(at, _)| at).find(|at| starts(*at));
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

fn with_values(section: &str, options: HashMap<String, Option<String>>) -> Result<Section, String> {
    let mut options: Vec<_> = options.into_iter().collect();
    options.sort();
    let valued = |(name, value): (String, Option<String>)| match value {
        Some(value) => Ok((name.to_lowercase(), value)),
        None => Err(format!("section [{section}]: {name} has no value, expected `{name} = value`")),
    };
    options.into_iter().map(valued).collect()
}

struct Reader<'a, V> {
    sections: &'a BTreeMap<String, Section>,
    variable: V,
    found: Found,
}

impl<V: Fn(&str) -> Option<String>> Reader<'_, V> {
    fn client(&mut self, section: &str) {
        for (name, written) in self.own(section) {
            if !name.starts_with("global_") && !WITHOUT_EFFECT.contains(&name.as_str()) {
                self.option(section, &name, &name, &written);
            }
        }
        // Others may have their own defaults there.
        for (name, written) in self.own(DEFAULT) {
            let own = self.sections.get(section).is_some_and(|options| options.contains_key(&name));
            if !own && super::keys::find(&name).is_some() {
                self.option(section, &name, &name, &written);
            }
        }
    }

    fn filter(&mut self, section: &str) {
        let place = format!("section [{section}]");
        let Some(provider) = self.look_up(section, "provider") else {
            self.found.problems.push(format!("{place} has no provider, expected a dotted name"));
            return;
        };
        let Some((_, option, key)) = PROVIDERS.into_iter().find(|(name, ..)| names(&provider, name)) else {
            let known = PROVIDERS.map(|(name, ..)| name).join(", ");
            self.found.problems.push(format!(
                "{place}: provider is {provider:?}, expected metlog.filters' {known} (other Python filters cannot be \
                 used from Rust)"
            ));
            return;
        };
        match self.look_up(section, option) {
            Some(written) => self.option(section, option, key, &written),
            None => self.found.problems.push(format!("{place}: {option} is not set, {provider} needs it")),
        }
        for (name, _) in self.own(section) {
            if name != "provider" && name != option {
                self.found
                    .problems
                    .push(format!("{place}: unknown key `{name}`; {provider} takes `{option}`"));
            }
        }
    }

    /// Takes over an option as the setting `key`.
    fn option(&mut self, section: &str, name: &str, key: &str, written: &str) {
        let place = format!("section [{section}]");
        let value = self.interpolate(section, written, 0).and_then(|text| self.expand(&text));
        match value {
            Ok(value) => self.found.add(&place, key, Raw::Loose(value, '\n'), |known| {
                if known == key { name.to_owned() } else { known.to_owned() }
            }),
            Err(why) => self.found.problems.push(format!("{place}: {name} is {written:?}, but {why}")),
        }
    }

    fn own(&self, section: &str) -> Vec<(String, String)> {
        let options = self.sections.get(section).into_iter().flatten();
        options.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn look_up(&self, section: &str, name: &str) -> Option<String> {
        let own = |section: &str| self.sections.get(section)?.get(name).cloned();
        own(section).or_else(|| own(DEFAULT))
    }

    /// Replaces `%(name)s` and `%%`.
    fn interpolate(&self, section: &str, text: &str, depth: usize) -> Result<String, String> {
        /// As deep as Python's `ConfigParser` goes.
        const DEPTH: usize = 10;
        if depth > DEPTH {
            return Err(format!("its options name each other more than {DEPTH} deep"));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let named = after.strip_prefix('(').and_then(|after| after.split_once(")s"));
            let (name, after) = named.ok_or("a % stands alone, expected %% or %(name)s")?;
            let found = self.look_up(section, &name.to_lowercase());
            let found = found.ok_or_else(|| format!("there is no option {name:?} for %({name})s"))?;
            out.push_str(&self.interpolate(section, &found, depth + 1)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Each line that begins with `${VAR}` becomes the variable's text; what stands behind it is lost, as in the
    /// original.
    fn expand(&self, text: &str) -> Result<String, String> {
        let line = |line: &str| {
            let name = line.trim_start().strip_prefix("${").and_then(|rest| rest.split_once('}'));
            let is_name = |name: &str| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            match name.filter(|(name, _)| is_name(name)) {
                Some((name, _)) => {
                    (self.variable)(name).ok_or_else(|| format!("variable {name} is not set; set it"))
                }
                None => Ok(line.to_owned()),
            }
        };
        Ok(text.split('\n').map(line).collect::<Result<Vec<_>, _>>()?.join("\n"))
    }
}

/// True when `provider` is the filter `name` of the original package. Its documentation leaves `_provider` out.
fn names(provider: &str, name: &str) -> bool {
    let own = provider.strip_prefix("metlog.filters").and_then(|rest| rest.strip_prefix(['.', ':']));
    own.is_some_and(|own| own == name || Some(own) == name.strip_suffix("_provider"))
}
