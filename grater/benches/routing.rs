//! How many messages a second one core routes: 50 routes, ten of them with regular expressions, over batches as they lie in
//! the spool. CPU time of this thread, so that a busy machine does not show.
//!
//! ```text
//! cargo bench -p metlog-grater --bench routing
//! ```
#![expect(clippy::indexing_slicing, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::{fmt::Write as _, hint::black_box, time::Duration};

use cpu_time::ThreadTime;
use metlog_core::wire::{
    batch::{Batch, Builder, Header, ProducerId},
    json::from_json,
    record::Identity,
};
use metlog_grater::{config::Config, route::Routes};
use metlog_pipeline::{config::parse, matcher::MessageView};

const BATCHES: usize = 64;
const IN_BATCH: usize = 1_024;
const AT_LEAST: Duration = Duration::from_millis(1_500);

/// A fleet's mixture: half metrics, a third requests, the rest logs, events and errors.
fn frames() -> Vec<Vec<u8>> {
    let identity = Identity { env_version: "0.8", pid: 4_711, hostname: "web1.example.com" };
    let frame = |batch: usize| {
        let mut builder = Builder::new(Header::new(ProducerId([7; 16]), identity, "shop"));
        for place in 0..IN_BATCH {
            let number = batch * IN_BATCH + place;
            builder.push(&from_json(text(number).as_bytes()).unwrap().message).unwrap();
        }
        builder.finish()
    };
    (0..BATCHES).map(frame).collect()
}

fn text(number: usize) -> String {
    let user = number % 977;
    match number % 12 {
        0..=5 => format!(
            r#"{{"type":"counter","logger":"syncstorage","payload":"1","fields":{{"name":"sync.hits.{user}","rate":1.0}}}}"#
        ),
        6..=9 => format!(
            r#"{{"type":"services","logger":"shop","payload":"","fields":{{"userid":{user},"path":"/bookmarks/{user}","status":{},
            "req_time":0.{user},"agent":"Mozilla/5.0 (X11; Linux x86_64)"}}}}"#,
            [200, 302, 404, 503][user % 4]
        ),
        10 => format!(
            r#"{{"type":"oldstyle","logger":"shop.cart","severity":{},"payload":"cart {user} was stored in 12 ms"}}"#,
            user % 8
        ),
        _ => format!(
            r#"{{"type":"app{}","logger":"batch","payload":"done","fields":{{"n":{user}}}}}"#,
            user % 30
        ),
    }
}

/// 40 routes by type, severity, logger and field; ten with regular expressions, of which two are asked about every message.
fn mixed() -> String {
    let mut routes = String::new();
    let mut add = |name: String, matcher: String| {
        write!(routes, "[[route]]\nname = \"{name}\"\nmatcher = '''{matcher}'''\noutputs = [\"a\"]\n")
            .unwrap();
    };
    for number in 0..30 {
        add(format!("app{number}"), format!("Type == 'app{number}' && Severity < 7"));
    }
    for status in 0..6 {
        add(
            format!("status{status}"),
            format!("Type == 'services' && Fields[status] == {}", 200 + 101 * status),
        );
    }
    for level in 0..4 {
        add(format!("level{level}"), format!("Severity == {level}"));
    }
    for (number, matcher) in REGEXES.iter().enumerate() {
        add(format!("regex{number}"), (*matcher).to_owned());
    }
    routes
}

const REGEXES: [&str; 10] = [
    "Type == 'counter' && Fields[name] =~ /^sync\\.(hits|misses)\\.1/",
    "Type == 'counter' && Fields[name] =~ /\\.errors$/",
    "Type == 'services' && Fields[path] =~ /^\\/bookmarks\\/[0-9]+$/",
    "Type == 'services' && Fields[path] =~ /\\.(css|js|png)$/",
    "Type == 'services' && Fields[agent] =~ /Firefox|Thunderbird/",
    "Type == 'services' && Fields[status] >= 500 && Fields[path] =~ /^\\/admin/",
    "Type == 'oldstyle' && Payload =~ /[Tt]imeout|refused/",
    "Type == 'oldstyle' && Logger =~ /^shop\\.(cart|pay)/ && Payload =~ /failed/",
    "Logger =~ /^sync/",
    "Type =~ /^app[0-9]+$/",
];

/// The same ten without a type in front: each is asked about every message.
fn untyped() -> String {
    let typed = mixed();
    let kinds = ["counter", "services", "oldstyle"];
    let cut = |text: String, kind: &str| {
        let typed = format!("Type == '{kind}' && ");
        let line = |line: &str| {
            let line = if line.contains("=~") { line.replace(&typed, "") } else { line.to_owned() };
            line + "\n"
        };
        text.lines().map(line).collect::<String>()
    };
    kinds.iter().fold(typed, |text, kind| cut(text, kind))
}

/// 50 routes that ask for type and severity.
fn heads() -> String {
    let route = |number: usize| {
        format!(
            "[[route]]\nname = \"{number}\"\nmatcher = \"Type == 'app{}' && Severity < {}\"\noutputs = [\"a\"]\n",
            number % 30,
            number % 8
        )
    };
    (0..50).map(route).collect()
}

fn routes(text: &str) -> Routes {
    let outputs = "[[output]]\nname = \"a\"\ntype = \"file\"\npath = \"/tmp/a\"\n[[output]]\nname = \"b\"\ntype = \"file\"\npath = \"/tmp/b\"\n";
    let config: Config = parse(&format!("catchall = [\"b\"]\n{text}{outputs}"), "bench", |_| None).unwrap();
    assert_eq!(config.routes.len(), 50);
    Routes::compile(&config.routes, &config.catchall, &config.output_names()).unwrap()
}

fn measure(name: &str, frames: &[Vec<u8>], routes: &Routes) {
    let (mut messages, mut taken, mut bodies) = (0_u64, 0_u64, 0_u64);
    let started = ThreadTime::now();
    while started.elapsed() < AT_LEAST {
        for frame in frames {
            let batch = Batch::parse(frame).unwrap();
            let producer = batch.header.producer;
            for (sequence, record) in batch.records() {
                let mut view = MessageView::new(record, batch.header.identity());
                let decision = black_box(routes.decide(&mut view, Some((producer, sequence))));
                messages += 1;
                taken += u64::from(decision.contains(0));
                bodies += u64::from(view.has_read_body());
            }
        }
    }
    let spent = started.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (rate, taken, bodies) = (
        messages as f64 / spent.as_secs_f64() / 1e6,
        taken as f64 * 100.0 / messages as f64,
        bodies as f64 * 100.0 / messages as f64,
    );
    println!(
        "{name:<10} {rate:>6.2} million messages/s, {taken:.0} % taken, of {bodies:.0} % the body was read"
    );
}

fn main() {
    let frames = frames();
    for (name, text) in [("heads", heads()), ("mixed", mixed()), ("untyped", untyped())] {
        measure(name, &frames, &routes(&text));
    }
}
