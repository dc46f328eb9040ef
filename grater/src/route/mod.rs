//! Which outputs a message goes to, and what is changed on the way.
//!
//! Every matcher sees the message as it came, whatever earlier routes make of it. An output gets a message once: when several
//! routes bring it there, all their changes are made, in the order of the configuration.

mod bits;
mod change;
mod config;
mod decision;
mod key;
mod pattern;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use metlog_core::{
    Message,
    wire::batch::{Header, ProducerId},
};
use metlog_pipeline::{
    config::nearest,
    matcher::{Matcher, MessageView},
    rollup::SampleRate,
    share::Share,
};

use crate::aggregate::Shares;

use self::{
    bits::{Bits, MAX_BITS},
    change::Change,
    pattern::Pattern,
};
pub use self::{
    config::{RouteConfig, RouteError},
    decision::Decision,
    trace::{Step, Trace},
};

/// Outputs are kept as one bit each, and so are tags and changes.
pub const MAX_OUTPUTS: usize = MAX_BITS;

/// What becomes of a roll-up that the aggregator merges.
pub const CONSUMED: &str = "consumed";

/// What becomes of a message that no route takes.
const NO_ROUTE: &str = "filtered:no_route";

/// Compiled routes.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<Route>,
    catchall: Bits,
    /// What the aggregator merges.
    shares: Option<Shares>,
    /// The names of the tags.
    tags: Vec<String>,
    /// Those that make changes, in order: the outputs they lead to, and the changes.
    changes: Vec<(Bits, Change)>,
    /// By type, the routes that may take messages of it, in order.
    by_type: HashMap<String, Vec<usize>, RandomState>,
    /// The routes that may take messages of any other type.
    others: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Route {
    config: RouteConfig,
    matcher: Option<Matcher>,
    pattern: Option<Pattern>,
    tagged: Bits,
    untagged: Bits,
    tags: Bits,
    share: Option<Share>,
    change: Option<usize>,
    outputs: Bits,
    /// What a message is counted under that is not among the share.
    sampled: String,
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
        let mut compiler = Compiler::new(output_names);
        let mut compiled = Vec::with_capacity(routes.len());
        for (position, route) in routes.iter().enumerate() {
            if routes.iter().take(position).any(|earlier| earlier.name == route.name) {
                compiler
                    .problems
                    .push(format!("route \"{}\": name is taken by an earlier route", route.name));
            }
            compiled.extend(compiler.route(route));
        }
        let catchall = compiler.resolve("catchall", catchall);
        compiler.bounds();
        let Compiler { tags, changes, problems, .. } = compiler;
        if !problems.is_empty() {
            return Err(RouteError { problems });
        }
        let (by_type, others) = dispatch(&compiled);
        Ok(Self { routes: compiled, catchall, shares: None, tags, changes, by_type, others })
    }

    /// Routes that do not see what the aggregator merges.
    #[must_use]
    pub fn without(self, shares: Shares) -> Self {
        Self { shares: Some(shares), ..self }
    }

    /// As [`Routes::decide`], of a message of a batch: what the aggregator merges goes nowhere.
    pub fn decide_in(&self, header: &Header, sequence: u64, view: &mut MessageView<'_>) -> Decision {
        if self.shares.is_some_and(|shares| shares.of(header, view).is_some()) {
            return Decision { is_consumed: true, ..Decision::default() };
        }
        self.decide(view, Some((header.producer, sequence)))
    }

    /// The outputs of one message: those of every route that fits, up to and including one that is final; those of
    /// `catchall` when none fits that has outputs. `origin` decides whether it is among the share of a route that samples;
    /// without one it is.
    pub fn decide(&self, view: &mut MessageView<'_>, origin: Option<(ProducerId, u64)>) -> Decision {
        let mut decision = Decision::default();
        let (mut tags, mut is_taken) = (Bits::default(), false);
        for position in self.candidates(view) {
            let Some(route) = self.routes.get(*position) else { continue };
            if !route.takes(view, tags) {
                continue;
            }
            tags.join(route.tags);
            is_taken |= !route.outputs.is_empty();
            route.add_to(&mut decision, *position, origin);
            if route.config.is_final {
                break;
            }
        }
        if !is_taken {
            decision.outputs = self.catchall;
        }
        decision
    }

    /// Makes the changes of the routes that bring a message to the output at `position`.
    pub fn change(&self, decision: Decision, position: usize, message: &mut Message) {
        for (outputs, change) in decision.changes.iter().filter_map(|place| self.changes.get(place)) {
            if outputs.contains(position) {
                change.apply(message);
            }
        }
    }

    /// What a message that goes nowhere is counted under.
    #[must_use]
    pub fn reason(&self, decision: Decision) -> &str {
        if decision.is_consumed {
            return CONSUMED;
        }
        let route = decision.sampled.and_then(|position| self.routes.get(position));
        route.map_or(NO_ROUTE, |route| &route.sampled)
    }

    /// The routes that a message's type does not rule out.
    fn candidates(&self, view: &mut MessageView<'_>) -> &[usize] {
        let of_type = view.head().and_then(|head| self.by_type.get(head.kind));
        of_type.unwrap_or(&self.others)
    }
}

impl Route {
    fn takes(&self, view: &mut MessageView<'_>, tags: Bits) -> bool {
        (self.config.tagged.is_empty() || self.tagged.meets(tags))
            && !self.untagged.meets(tags)
            && self.matcher.as_ref().is_none_or(|matcher| matcher.matches(view))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(view))
    }

    /// Sends a message that this route takes to its outputs when it is among the share; gives back whether it is.
    fn add_to(&self, decision: &mut Decision, position: usize, origin: Option<(ProducerId, u64)>) -> bool {
        let takes = |share: &Share| origin.is_none_or(|(producer, number)| share.takes(producer, number));
        let is_in_share = self.share.as_ref().is_none_or(takes);
        if is_in_share {
            decision.outputs.join(self.outputs);
            self.change.into_iter().for_each(|place| decision.changes.insert(place));
        } else {
            decision.sampled.get_or_insert(position);
        }
        is_in_share
    }

    /// The types of which a message has one that this route takes; nothing when it may have any.
    fn types(&self) -> Option<Vec<&str>> {
        self.matcher.as_ref().and_then(Matcher::types)
    }
}

/// For every type that a route asks for, the routes that may take it; and those that may take any other.
fn dispatch(routes: &[Route]) -> (HashMap<String, Vec<usize>, RandomState>, Vec<usize>) {
    let types: Vec<_> = routes.iter().map(Route::types).collect();
    let all: BTreeSet<&str> = types.iter().flatten().flatten().copied().collect();
    let asking = |kind: Option<&str>| {
        let may = |types: &Option<Vec<&str>>| match (types, kind) {
            (None, _) => true,
            (Some(types), Some(kind)) => types.contains(&kind),
            (Some(_), None) => false,
        };
        let positions = types.iter().enumerate().filter(|(_, types)| may(types));
        positions.map(|(position, _)| position).collect::<Vec<_>>()
    };
    (all.iter().map(|kind| ((*kind).to_owned(), asking(Some(kind)))).collect(), asking(None))
}

/// Compiles routes and gathers what is wrong with them.
struct Compiler<'a> {
    output_names: &'a [String],
    /// Every tag that a route so far gives.
    tags: Vec<String>,
    changes: Vec<(Bits, Change)>,
    problems: Vec<String>,
}

impl<'a> Compiler<'a> {
    fn new(output_names: &'a [String]) -> Self {
        let problems = output_problems(output_names);
        Self { output_names, tags: Vec::new(), changes: Vec::new(), problems }
    }

    /// `None` when the route does not compile.
    fn route(&mut self, config: &RouteConfig) -> Option<Route> {
        let of_route = format!("route \"{}\": ", config.name);
        if config.outputs.is_empty() && config.tags.is_empty() {
            self.problems.push(format!("{of_route}outputs is empty, expected the name of an output"));
        }
        if !config.is_selective() {
            self.problems.push(format!(
                "{of_route}it says nothing of its messages, expected matcher, pattern, tagged or untagged"
            ));
        }
        let before = self.problems.len();
        let outputs = self.resolve(&format!("{of_route}outputs"), &config.outputs);
        let matcher = config.matcher.as_deref().map(|text| self.matcher(&of_route, text));
        let pattern = (!config.pattern.is_empty()).then(|| Pattern::compile(&config.pattern));
        let pattern = pattern.map(|pattern| {
            pattern.map_err(|why| self.problems.push(format!("{of_route}pattern: {why}"))).ok()
        });
        let route = Route {
            matcher: matcher.flatten(),
            pattern: pattern.flatten(),
            tagged: self.tags(&format!("{of_route}tagged"), &config.tagged),
            untagged: self.tags(&format!("{of_route}untagged"), &config.untagged),
            tags: self.given(&config.tags),
            share: config.sample.and_then(|rate| self.share(&of_route, rate, &config.name)),
            change: self.change(&of_route, config, outputs),
            outputs,
            sampled: format!("filtered:{}", config.name),
            config: config.clone(),
        };
        (self.problems.len() == before).then_some(route)
    }

    fn matcher(&mut self, of_route: &str, text: &str) -> Option<Matcher> {
        Matcher::compile(text).map_err(|error| self.problems.push(format!("{of_route}{error}"))).ok()
    }

    fn share(&mut self, of_route: &str, rate: f64, name: &str) -> Option<Share> {
        let share = SampleRate::new(rate).map(|rate| Share::new(rate, name));
        if share.is_none() {
            self.problems
                .push(format!("{of_route}sample is {rate}, expected a number above 0 and at most 1"));
        }
        share
    }

    /// The place of the route's change among all.
    fn change(&mut self, of_route: &str, config: &RouteConfig, outputs: Bits) -> Option<usize> {
        let change = Change::compile(config).unwrap_or_else(|problems| {
            self.problems.extend(problems.iter().map(|why| format!("{of_route}{why}")));
            Change::default()
        });
        if change.is_empty() {
            return None;
        }
        if outputs.is_empty() {
            self.problems.push(format!("{of_route}changes what goes to no output, expected outputs"));
        }
        self.changes.push((outputs, change));
        self.changes.len().checked_sub(1)
    }

    /// The positions of the tags that a route gives.
    fn given(&mut self, names: &[String]) -> Bits {
        let position = |name: &String| {
            self.tags.iter().position(|known| known == name).unwrap_or_else(|| {
                self.tags.push(name.clone());
                self.tags.len() - 1
            })
        };
        names.iter().map(position).collect()
    }

    /// The positions of the tags `names` that earlier routes give; `key` is where they were named.
    fn tags(&mut self, key: &str, names: &[String]) -> Bits {
        let position = |name: &String| {
            let found = self.tags.iter().position(|known| known == name);
            if found.is_none() {
                self.problems.push(format!("{key} names \"{name}\", a tag that no earlier route gives"));
            }
            found
        };
        names.iter().filter_map(position).collect()
    }

    /// The positions of the outputs `names`; `key` is where they were given.
    fn resolve(&mut self, key: &str, names: &[String]) -> Bits {
        let position = |name: &String| {
            let found = self.output_names.iter().position(|known| known == name);
            if found.is_none() {
                let way_out = way_out(name, self.output_names);
                self.problems.push(format!("{key} names \"{name}\", which is no output; {way_out}"));
            }
            found
        };
        names.iter().filter_map(position).collect()
    }

    fn bounds(&mut self) {
        for (found, what) in [(self.tags.len(), "tags"), (self.changes.len(), "routes that change something")]
        {
            if found > MAX_BITS {
                self.problems.push(format!("{found} {what}, expected at most {MAX_BITS}"));
            }
        }
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

fn way_out(name: &str, known: &[String]) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None if known.is_empty() => "there are no outputs, add an [[output]]".to_owned(),
        None => format!("the outputs are {}", known.join(", ")),
    }
}
