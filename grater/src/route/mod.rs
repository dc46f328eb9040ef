//! Which outputs a message goes to.

use std::fmt;

use metlog_pipeline::{
    config::nearest,
    matcher::{Matcher, MessageView},
};
use serde::Deserialize;

/// Outputs are kept as one bit each.
pub const MAX_OUTPUTS: usize = u128::BITS as usize;

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What the route is called in messages and counters. Two routes cannot share a name.
    pub name: String,
    /// The messages it takes, as an expression of [`metlog_pipeline::matcher`].
    pub matcher: String,
    /// Where they go: names of outputs, at least one.
    pub outputs: Vec<String>,
    /// Whether later routes no longer see what this one took. `false` by default.
    #[serde(default, rename = "final")]
    pub is_final: bool,
}

/// Everything that is wrong with the routes, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct RouteError {
    /// What is wrong; each names the route and the key.
    pub problems: Vec<String>,
}

/// Compiled routes.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<Route>,
    catchall: Decision,
}

#[derive(Debug, Clone)]
struct Route {
    matcher: Matcher,
    outputs: Decision,
    is_final: bool,
}

/// The outputs that one message goes to, by their position in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Decision(u128);

impl Decision {
    /// The output that accounts for the message in the ledger: the first in the configuration. `None` when the
    /// message goes nowhere.
    #[must_use]
    pub fn principal(self) -> Option<usize> {
        self.outputs().next()
    }

    /// Whether the message goes to the output at `position`.
    #[must_use]
    pub fn contains(self, position: usize) -> bool {
        bit(position) & self.0 != 0
    }

    /// Positions of the outputs, lowest first.
    pub fn outputs(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let position = usize::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
            left &= left - 1; // takes the lowest bit away
            Some(position)
        })
    }

    /// Whether the message goes nowhere.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

fn bit(position: usize) -> u128 {
    u32::try_from(position).ok().and_then(|position| 1_u128.checked_shl(position)).unwrap_or(0)
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.outputs()).finish()
    }
}

impl FromIterator<usize> for Decision {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        Self(positions.into_iter().fold(0, |bits, position| bits | bit(position)))
    }
}

impl Routes {
    /// Compiles `routes` and `catchall` against the names of all outputs, in the order of the configuration.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn compile(
        routes: &[RouteConfig],
        catchall: &[String],
        output_names: &[String],
    ) -> Result<Self, RouteError> {
        let mut problems = output_problems(output_names);
        let mut compiled = Vec::with_capacity(routes.len());
        for (position, route) in routes.iter().enumerate() {
            if routes.iter().take(position).any(|earlier| earlier.name == route.name) {
                problems.push(format!("route \"{}\": name is taken by an earlier route", route.name));
            }
            compiled.extend(compile(route, output_names, &mut problems));
        }
        let catchall = resolve("catchall", catchall, output_names, &mut problems);
        if problems.is_empty() {
            Ok(Self { routes: compiled, catchall })
        } else {
            Err(RouteError { problems })
        }
    }

    /// The outputs of one message: those of every route that fits, up to and including one that is final; those of
    /// `catchall` when none fits.
    pub fn decide(&self, view: &mut MessageView<'_>) -> Decision {
        let mut decision = Decision::default();
        for route in &self.routes {
            if route.matcher.matches(view) {
                decision.join(route.outputs);
                if route.is_final {
                    break;
                }
            }
        }
        if decision.is_empty() { self.catchall } else { decision }
    }
}

fn output_problems(names: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    if names.len() > MAX_OUTPUTS {
        problems.push(format!("{} outputs, expected at most {MAX_OUTPUTS}", names.len()));
    }
    let taken = names
        .iter()
        .enumerate()
        .filter(|(position, name)| names.iter().take(*position).any(|earlier| earlier == *name));
    problems.extend(taken.map(|(_, name)| format!("output \"{name}\": name is taken by an earlier output")));
    problems
}

/// `None` when the matcher does not compile.
fn compile(route: &RouteConfig, output_names: &[String], problems: &mut Vec<String>) -> Option<Route> {
    let of_route = format!("route \"{}\": ", route.name);
    if route.outputs.is_empty() {
        problems.push(format!("{of_route}outputs is empty, expected the name of an output"));
    }
    let outputs = resolve(&format!("{of_route}outputs"), &route.outputs, output_names, problems);
    match Matcher::compile(&route.matcher) {
        Ok(matcher) => Some(Route { matcher, outputs, is_final: route.is_final }),
        Err(error) => {
            problems.push(format!("{of_route}{error}"));
            None
        }
    }
}

/// The positions of `names`; `key` is where they were given.
fn resolve(key: &str, names: &[String], output_names: &[String], problems: &mut Vec<String>) -> Decision {
    let position = |name: &String| {
        let found = output_names.iter().position(|known| known == name);
        if found.is_none() {
            problems
                .push(format!("{key} names \"{name}\", which is no output; {}", way_out(name, output_names)));
        }
        found
    };
    names.iter().filter_map(position).collect()
}

fn way_out(name: &str, known: &[String]) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None if known.is_empty() => "there are no outputs, add an [[output]]".to_owned(),
        None => format!("the outputs are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use metlog_core::{
        Message, wire,
        wire::record::{self, Identity, Record},
    };

    use super::*;

    const OUTPUTS: [&str; 4] = ["hdfs", "statsd", "sentry", "archive"];

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn route(name: &str, matcher: &str, outputs: &[&str], is_final: bool) -> RouteConfig {
        RouteConfig { name: name.to_owned(), matcher: matcher.to_owned(), outputs: names(outputs), is_final }
    }

    fn decide(routes: &Routes, kind: &str) -> Vec<usize> {
        let message: Message =
            wire::json::from_json(format!("{{\"type\":\"{kind}\",\"severity\":3}}").as_bytes())
                .unwrap()
                .message;
        let shared = Identity { env_version: "0.8", pid: 0, hostname: "" };
        let mut bytes = Vec::new();
        record::write_message(&mut bytes, &message, shared).unwrap();
        let mut view = MessageView::new(Record::split(&bytes).unwrap().0, shared);
        routes.decide(&mut view).outputs().collect()
    }

    #[test]
    fn every_route_that_fits_fires_until_a_final_one() {
        let routes = [
            route("archive", "Severity < 4", &["archive"], false),
            route("numbers", "Type == 'counter' || Type == 'timer'", &["statsd"], true),
            route("errors", "Type != 'metlog.stats'", &["sentry", "archive"], false),
        ];
        let routes = Routes::compile(&routes, &names(&["hdfs"]), &names(&OUTPUTS)).unwrap();
        assert_eq!(decide(&routes, "counter"), [1, 3]);
        assert_eq!(decide(&routes, "oldstyle"), [2, 3]);
    }

    #[test]
    fn catchall_takes_what_no_route_took() {
        let routes = [route("numbers", "Type == 'counter'", &["statsd"], false)];
        let caught = Routes::compile(&routes, &names(&["hdfs", "archive"]), &names(&OUTPUTS)).unwrap();
        assert_eq!(decide(&caught, "counter"), [1]);
        assert_eq!(decide(&caught, "oldstyle"), [0, 3]);
        let nowhere = Routes::compile(&routes, &[], &names(&OUTPUTS)).unwrap();
        assert!(decide(&nowhere, "oldstyle").is_empty());
    }

    #[test]
    fn the_principal_is_the_first_output_of_the_configuration() {
        let decision: Decision = [3, 1, 127].into_iter().collect();
        assert_eq!((decision.principal(), decision.is_empty()), (Some(1), false));
        assert_eq!(decision.outputs().collect::<Vec<_>>(), [1, 3, 127]);
        assert!(decision.contains(127) && !decision.contains(0) && !decision.contains(128));
        assert_eq!(Decision::default().principal(), None);
    }

    #[test]
    fn all_errors_come_at_once_and_name_route_and_key() {
        let routes = [
            route("errors", "Type = 'x'", &["sentri"], false),
            route("errors", "TRUE", &[], true),
            route("far", "TRUE", &["xyz"], true),
        ];
        let error = Routes::compile(&routes, &names(&["Archive"]), &names(&OUTPUTS)).unwrap_err();
        assert_eq!(
            error.problems,
            [
                "route \"errors\": outputs names \"sentri\", which is no output; did you mean \"sentry\"?",
                "route \"errors\": matcher, column 6: found \"=\", expected == or =~",
                "route \"errors\": name is taken by an earlier route",
                "route \"errors\": outputs is empty, expected the name of an output",
                "route \"far\": outputs names \"xyz\", which is no output; the outputs are hdfs, statsd, sentry, archive",
                "catchall names \"Archive\", which is no output; did you mean \"archive\"?",
            ]
        );
        assert_eq!(error.to_string().lines().count(), 6);
    }

    #[test]
    fn outputs_are_named_once_and_fit_into_the_bits() {
        let many: Vec<String> = (0..=MAX_OUTPUTS).map(|number| format!("o{number}")).collect();
        let error = Routes::compile(&[], &[], &many).unwrap_err();
        assert_eq!(error.problems, ["129 outputs, expected at most 128"]);
        let error = Routes::compile(&[], &names(&["a"]), &names(&["a", "b", "a"])).unwrap_err();
        assert_eq!(error.problems, ["output \"a\": name is taken by an earlier output"]);
    }

    #[test]
    fn routes_are_read_from_toml() {
        let text = "name = 'a'\nmatcher = 'TRUE'\noutputs = ['x']\n";
        assert_eq!(toml::from_str::<RouteConfig>(text).unwrap(), route("a", "TRUE", &["x"], false));
        let last: RouteConfig = toml::from_str(&format!("{text}final = true")).unwrap();
        assert!(last.is_final);
        let error = toml::from_str::<RouteConfig>(&format!("{text}fnal = true")).unwrap_err().to_string();
        assert!(error.contains("unknown field `fnal`"), "{error}");
    }
}
