//! The message that tells of a change of state.

use metlog_core::{ENV_VERSION, Fields, Message, Severity, Timestamp, Value, wire::record::Identity};

use super::{config::Alert, judge::State, watch::Told};

/// The type of alerts.
pub const ALERT_TYPE: &str = "alert";

/// The message: payload in the form of a Nagios plugin, and the same in fields.
pub(super) fn message(alert: &Alert, told: &Told, identity: &Identity<'_>) -> Message {
    let turn = &told.turn;
    let keyed = (!told.key.is_empty()).then_some(told.key.as_str());
    let host = alert.host.as_deref().or(keyed).unwrap_or(identity.hostname);
    let mut fields = Fields::new();
    fields.insert("name", alert.name.as_str());
    fields.insert("state", turn.state.as_str());
    fields.insert("previous", turn.previous.as_str());
    fields.insert("value", turn.value.map_or(Value::Null, Value::Float));
    fields.insert("threshold", turn.threshold.map_or(Value::Null, Value::Float));
    fields.insert("service", alert.service.as_str());
    fields.insert("host", host);
    if let Some(key) = keyed {
        fields.insert("key", key);
    }
    Message {
        kind: ALERT_TYPE.to_owned(),
        timestamp: Timestamp::from_nanos(turn.at),
        logger: "metlog.alert".to_owned(),
        severity: severity(turn.state),
        payload: format!("{}: {}", turn.state.as_str(), text(alert, told)).into(),
        fields,
        env_version: ENV_VERSION.to_owned(),
        pid: identity.pid,
        hostname: identity.hostname.to_owned(),
    }
}

fn text(alert: &Alert, told: &Told) -> String {
    let of_key = if told.key.is_empty() { String::new() } else { format!(" of {}", told.key) };
    let name = &alert.name;
    match (told.turn.value, told.turn.threshold) {
        (None, _) => format!("{name}{of_key} is not known"),
        (Some(value), None) => format!("{name}{of_key} is {value}"),
        (Some(value), Some(threshold)) => format!("{name}{of_key} is {value}, threshold {threshold}"),
    }
}

fn severity(state: State) -> Severity {
    match state {
        State::Ok => Severity::NOTICE,
        State::Warning | State::Unknown => Severity::WARNING,
        State::Critical => Severity::CRITICAL,
    }
}
