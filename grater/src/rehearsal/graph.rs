//! The word `graph`: inputs, routes and outputs, as text or for Graphviz.

use std::io::Write;

use clap::Args;
use metlog_pipeline::tools::Failed;

use crate::{config::Config, route::RouteConfig};

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct GraphArgs {
    /// Prints the language of Graphviz: `metlog-grater graph --dot | dot -Tsvg`.
    #[arg(long)]
    dot: bool,
}

pub(super) fn run(args: GraphArgs, config: &Config, out: &mut dyn Write) -> Result<bool, Failed> {
    if args.dot {
        draw(config, out)?;
    } else {
        tell(config, out)?;
    }
    Ok(true)
}

/// What a route asks for, in a line.
fn asks(route: &RouteConfig) -> String {
    let matcher = route.matcher.iter().cloned();
    let pattern = route.pattern.iter().map(|(path, wanted)| format!("{path} = {wanted:?}"));
    let pattern = Some(pattern.collect::<Vec<_>>().join(" or ")).filter(|pattern| !pattern.is_empty());
    let tagged = (!route.tagged.is_empty()).then(|| format!("tagged {}", route.tagged.join(" or ")));
    let untagged = (!route.untagged.is_empty()).then(|| format!("untagged {}", route.untagged.join(" and ")));
    matcher.chain(tagged).chain(untagged).chain(pattern).collect::<Vec<_>>().join("; ")
}

/// What a route does beside leading somewhere.
fn does(route: &RouteConfig) -> String {
    let tags = (!route.tags.is_empty()).then(|| format!("gives {}", route.tags.join(", ")));
    let sample = route.sample.map(|rate| format!("share {rate}"));
    let has_changes = !(route.set.is_empty() && route.rename.is_empty() && route.drop.is_empty());
    let changes = has_changes.then(|| "changes".to_owned());
    let last = route.is_final.then(|| "final".to_owned());
    [tags, sample, changes, last].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn tell(config: &Config, out: &mut dyn Write) -> Result<(), Failed> {
    for endpoint in &config.input.link.endpoints {
        writeln!(out, "input link {endpoint}")?;
    }
    if config.aggregate.is_some() {
        writeln!(out, "aggregate: merges roll-ups")?;
    }
    for alert in &config.alerts {
        writeln!(out, "alert {}", alert.name)?;
    }
    if let Some(forward) = config.forward() {
        return Ok(writeln!(out, "everything\n  -> {}", forward.endpoints.join(" or "))?);
    }
    for route in &config.routes {
        let does = Some(does(route)).filter(|does| !does.is_empty());
        let does = does.map(|does| format!(" [{does}]")).unwrap_or_default();
        writeln!(out, "route {}{does}: {}", route.name, asks(route))?;
        for output in &route.outputs {
            writeln!(out, "  -> {output}")?;
        }
    }
    writeln!(
        out,
        "{}",
        if config.catchall.is_empty() { "otherwise: counted as filtered" } else { "otherwise" }
    )?;
    for output in &config.catchall {
        writeln!(out, "  -> {output}")?;
    }
    Ok(())
}

fn draw(config: &Config, out: &mut dyn Write) -> Result<(), Failed> {
    writeln!(out, "digraph metlog {{")?;
    writeln!(out, "  rankdir=LR; node [shape=box];")?;
    for endpoint in &config.input.link.endpoints {
        writeln!(out, "  {} -> routes;", quoted(endpoint))?;
    }
    if config.aggregate.is_some() {
        writeln!(out, "  aggregate -> routes;")?;
    }
    for endpoint in config.forward().into_iter().flat_map(|forward| &forward.endpoints) {
        writeln!(out, "  routes -> {};", quoted(endpoint))?;
    }
    for alert in &config.alerts {
        writeln!(out, "  {} -> routes;", quoted(&format!("alert {}", alert.name)))?;
    }
    writeln!(out, "  routes [shape=point];")?;
    for route in &config.routes {
        let node = quoted(&format!("route {}", route.name));
        let label = [route.name.clone(), asks(route), does(route)];
        let label: Vec<_> = label.into_iter().filter(|line| !line.is_empty()).collect();
        writeln!(out, "  {node} [shape=ellipse, label={}];", quoted(&label.join("\n")))?;
        writeln!(out, "  routes -> {node};")?;
        for output in &route.outputs {
            writeln!(out, "  {node} -> {};", quoted(output))?;
        }
    }
    for output in &config.catchall {
        writeln!(out, "  routes -> {} [style=dashed, label=otherwise];", quoted(output))?;
    }
    Ok(writeln!(out, "}}")?)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
