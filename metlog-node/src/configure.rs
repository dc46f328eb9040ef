//! Clients set up by settings, by a TOML file, by `METLOG_*` variables: the core reads them.
#![expect(clippy::needless_pass_by_value, reason = "napi makes an owned text of every JavaScript string")]

use std::{path::Path, sync::Arc};

use metlog_core::{
    Client, Error, ErrorKind,
    config::{Config, FilterRule, Given, Raw, default_endpoints},
    sender::zmq::Push,
};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use serde_json::{Map, Value, json};

use crate::sender::Sender;

/// How errors call the settings of code.
const PLACE: &str = "configure()";

/// What a client is set up with.
#[napi(object, object_from_js = false)]
pub struct Configured {
    /// Where to send.
    pub sender: External<Sender>,
    /// The default logger.
    pub logger: String,
    /// The default severity.
    pub severity: u32,
    /// Timers that measure nothing.
    pub disabled_timers: Vec<String>,
    /// Whether calls by name are summed.
    pub aggregate: bool,
    /// How often sums leave.
    pub aggregate_interval_ms: f64,
    /// Names that are summed one by one.
    pub max_names: u32,
    /// A JSON object of the filters by key.
    pub filters: String,
}

/// Reads the settings of code, a JSON object by key, over the environment, over a TOML file if there is one.
#[napi(catch_unwind)]
pub fn configured(settings: String, file: Option<String>) -> napi::Result<Configured, String> {
    let settings: Map<String, Value> = serde_json::from_str(&settings).map_err(|error| {
        napi::Error::new(ErrorKind::Config.as_str().to_owned(), format!("{PLACE}: {error}"))
    })?;
    let settings = settings.into_iter().map(|(key, value)| (key, raw(value))).collect();
    let given = Given { place: PLACE.to_owned(), settings };
    let config = Config::from_code(given, file.as_deref().map(Path::new)).map_err(failed)?;
    Ok(set_up(config))
}

fn set_up(mut config: Config) -> Configured {
    let settings = config.settings;
    // JavaScript has them applied, before a call crosses over.
    let filters: Map<String, Value> = config.filters.drain(..).map(filter).collect();
    let target = config.sender.clone().target();
    let target = target.unwrap_or_else(|| Arc::new(Push { endpoints: default_endpoints() }));
    Configured {
        logger: config.logger.clone(),
        severity: config.severity.as_u8().into(),
        disabled_timers: config.disabled_timers.iter().cloned().collect(),
        aggregate: settings.aggregate,
        aggregate_interval_ms: settings.aggregate_interval.as_secs_f64() * 1e3,
        max_names: u32::try_from(settings.max_names).unwrap_or(u32::MAX),
        filters: Value::Object(filters).to_string(),
        sender: Sender::of(target, Client::builder().configured(config).build()),
    }
}

fn filter(rule: FilterRule) -> (String, Value) {
    let (kind, value) = match rule {
        FilterRule::SeverityMax(bound) => ("severityMax", json!(bound.as_u8())),
        FilterRule::TypeBlacklist(types) => ("typeBlacklist", json!(types)),
        FilterRule::TypeWhitelist(types) => ("typeWhitelist", json!(types)),
        FilterRule::TypeSeverityMax(bounds) => {
            let bounds = bounds.into_iter().map(|(kind, bound)| (kind, json!({ "severity": bound.as_u8() })));
            ("typeSeverityMax", Value::Object(bounds.collect()))
        }
        FilterRule::TypeRate(rates) => {
            let rates = rates.into_iter().map(|(kind, rate)| (kind, json!(rate.get())));
            ("typeRate", Value::Object(rates.collect()))
        }
    };
    (kind.to_owned(), value)
}

fn raw(value: Value) -> Raw {
    match value {
        Value::String(text) => Raw::Text(text),
        Value::Bool(flag) => Raw::Bool(flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Raw::Int(whole),
            (None, Some(float)) => Raw::Float(float),
            (None, None) => Raw::Other(number.to_string()),
        },
        Value::Array(values) => Raw::List(values.into_iter().map(raw).collect()),
        Value::Object(values) => Raw::Map(values.into_iter().map(|(key, value)| (key, raw(value))).collect()),
        Value::Null => Raw::Other("null".to_owned()),
    }
}

fn failed(error: Error) -> napi::Error<String> {
    napi::Error::new(error.kind().as_str().to_owned(), error.to_string())
}
