//! Why a message goes where it goes: every route in turn, what it was asked and what it answered.

use metlog_core::wire::batch::ProducerId;
use metlog_pipeline::matcher::MessageView;
use serde::Serialize;

use super::{Bits, Change, Decision, Route, Routes};

/// The way of one message through the routes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// The routes, in order, up to one that is final.
    pub steps: Vec<Step>,
    /// Whether no route with outputs took it, so that it is for `catchall`.
    pub is_caught: bool,
    /// Where it goes.
    #[serde(skip)]
    pub decision: Decision,
}

/// What one route makes of a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Step {
    /// The route.
    pub route: String,
    /// Whether it takes the message.
    pub takes: bool,
    /// What was asked, and what was found: comparisons with the column they begin in.
    pub why: Vec<String>,
    /// False when the message is not among the share that the route lets pass.
    pub is_in_share: bool,
    /// The tags it gives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The outputs it brings the message to.
    pub outputs: Vec<String>,
    /// What it changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Whether later routes are not asked any more.
    pub is_last: bool,
}

impl Routes {
    /// As [`Routes::decide`], with what led to it.
    pub fn trace(&self, view: &mut MessageView<'_>, origin: Option<(ProducerId, u64)>) -> Trace {
        let mut trace = Trace { steps: Vec::new(), is_caught: true, decision: Decision::default() };
        let mut tags = Bits::default();
        for (position, route) in self.routes.iter().enumerate() {
            let mut step = route.ask(view, tags, &self.tag_names(tags));
            if step.takes {
                tags.join(route.tags);
                step.is_in_share = route.add_to(&mut trace.decision, position, origin);
                trace.is_caught &= route.outputs.is_empty();
            }
            let is_last = step.is_last;
            trace.steps.push(step);
            if is_last {
                break;
            }
        }
        if trace.is_caught {
            trace.decision.outputs = self.catchall;
        }
        trace
    }

    fn tag_names(&self, given: Bits) -> Vec<String> {
        given.iter().filter_map(|place| self.tags.get(place)).cloned().collect()
    }
}

impl Route {
    fn ask(&self, view: &mut MessageView<'_>, tags: Bits, given: &[String]) -> Step {
        let config = &self.config;
        let mut step = Step { route: config.name.clone(), is_in_share: true, ..Step::default() };
        step.takes = self.takes(view, tags);
        let is_tagged = config.tagged.is_empty() || self.tagged.meets(tags);
        let given = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
        if !config.tagged.is_empty() && (step.takes || !is_tagged) {
            step.why.push(format!("tagged {}, found {given}", config.tagged.join(" or ")));
        }
        if !config.untagged.is_empty() && (step.takes || self.untagged.meets(tags)) {
            step.why.push(format!("untagged {}, found {given}", config.untagged.join(" and ")));
        }
        if is_tagged && !self.untagged.meets(tags) {
            step.why.extend(self.look(view, step.takes));
        }
        if step.takes {
            step.tags.clone_from(&config.tags);
            step.outputs.clone_from(&config.outputs);
            step.changes = Change::describe(config);
            step.is_last = config.is_final;
        }
        step
    }

    /// What matcher and pattern found; when they do not take the message, that of the one that refused.
    fn look(&self, view: &mut MessageView<'_>, takes: bool) -> Vec<String> {
        let mut why = Vec::new();
        if let Some(explained) = self.matcher.as_ref().map(|matcher| matcher.explain(view)) {
            why.extend(explained.findings.iter().map(ToString::to_string));
            if !explained.matches {
                if why.is_empty() {
                    why.push("FALSE".to_owned());
                }
                return why;
            }
        }
        if let Some(pattern) = &self.pattern {
            if !takes {
                why.clear();
            }
            why.extend(pattern.explain(view));
        }
        why
    }
}
