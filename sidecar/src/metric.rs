//! Counter, timer, sketch and gauge messages as samples of the roll-up.

use metlog_core::{
    Fields, Value,
    sketch::{SKETCH_TYPE, Sketch},
    wire::record::{Head, Record},
};
use metlog_pipeline::rollup::{Sample, SampleRate, clean_key, message_key};

use crate::{config::Namespace, statsd::MAX_WORD};

/// The name and the sample that a message stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Under which it is summed.
    pub key: String,
    /// What is summed.
    measured: Measured,
}

#[derive(Debug, Clone, PartialEq)]
enum Measured {
    One(Sample<'static>),
    Many(Sketch),
}

impl Metric {
    /// Reads a message; `None` when it is of another type, has no name that the roll-up takes, its payload or rate is no
    /// number, or its sketch none that we know. What is no metric travels on.
    #[must_use]
    pub fn of(record: &Record<'_>, namespace: Namespace) -> Option<Self> {
        let head = record.head().ok()?;
        if !matches!(head.kind, "counter" | "timer" | "gauge" | SKETCH_TYPE) {
            return None;
        }
        let (payload, fields) = record.content().ok()?;
        let name = fields.get("name")?.as_text().filter(|name| !name.is_empty())?;
        let measured = if head.kind == SKETCH_TYPE {
            Measured::Many(Sketch::from_fields(&fields).ok()?)
        } else {
            Measured::One(one(head.kind, &payload, &fields)?)
        };
        let mut key = String::new();
        message_key(logger(&head, &fields, namespace), name, &mut key);
        is_name(&key).then_some(Self { key, measured })
    }

    /// What is summed.
    #[must_use]
    pub fn sample(&self) -> Sample<'_> {
        match &self.measured {
            Measured::One(sample) => *sample,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a count far below 2^53, or one that nobody counts on"
            )]
            Measured::Many(sketch) => Sample::Sketch { sketch, events: sketch.count() as f64 },
        }
    }
}

/// As long as a statsd name may be, and something is left of it once the roll-up has cleaned it.
fn is_name(key: &str) -> bool {
    let mut scratch = String::new();
    let cleaned = clean_key(key, &mut scratch);
    key.len() <= MAX_WORD && !cleaned.is_empty() && !cleaned.starts_with(';')
}

fn one(kind: &str, payload: &Value, fields: &Fields) -> Option<Sample<'static>> {
    let value = number(payload)?;
    let rate = match fields.get("rate") {
        None | Some(Value::Null) => SampleRate::ONE,
        Some(rate) => SampleRate::new(number(rate)?)?,
    };
    Some(match kind {
        "counter" => Sample::Counter { value, rate },
        "timer" => Sample::Timer { value, rate },
        _ => Sample::Gauge { value, delta: false },
    })
}

fn logger<'a>(head: &Head<'a>, fields: &'a Fields, namespace: Namespace) -> &'a str {
    let own = || fields.get("logger").and_then(Value::as_text).filter(|logger| !logger.is_empty());
    match namespace {
        Namespace::None => "",
        Namespace::Fields => own().unwrap_or_default(),
        Namespace::Envelope => own().unwrap_or(head.logger),
    }
}

/// A finite number, or a text that is one: the originals send numbers as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Text(text) => text.trim().parse().ok()?,
        value => value.as_number()?,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use metlog_core::{
        Encode,
        wire::{json::from_json, record},
    };

    use super::*;

    fn metric(json: &str, namespace: Namespace) -> Option<Metric> {
        let message = from_json(json.as_bytes()).unwrap().message;
        let shared = record::Identity { env_version: "0.8", pid: 0, hostname: "" };
        let mut body = Vec::new();
        record::write_message(&mut body, &message, shared).unwrap();
        Metric::of(&Record::split(&body).unwrap().0, namespace)
    }

    #[test]
    fn messages_become_samples_under_the_key_of_their_namespace() {
        let json = r#"{"type":"counter","logger":"app","payload":"2.5","fields":{"name":"a::b","rate":0.5}}"#;
        let half = SampleRate::new(0.5).unwrap();
        for (namespace, key) in
            [(Namespace::None, "a.b"), (Namespace::Fields, "a.b"), (Namespace::Envelope, "app.a.b")]
        {
            let metric = metric(json, namespace).unwrap();
            assert_eq!(
                (metric.key.as_str(), metric.sample()),
                (key, Sample::Counter { value: 2.5, rate: half })
            );
        }
        let named =
            r#"{"type":"timer","logger":"app","payload":7,"fields":{"name":"t","rate":1,"logger":"ns"}}"#;
        let timer = metric(named, Namespace::Envelope).unwrap();
        assert_eq!(timer.key, "ns.t");
        assert_eq!(timer.sample(), Sample::Timer { value: 7.0, rate: SampleRate::ONE });
    }

    #[test]
    fn a_sketch_is_taken_whole_and_one_we_do_not_know_is_left_alone() {
        let mut sketch = Sketch::default();
        [0.0, 1.0, 250.0].iter().for_each(|millis| assert!(sketch.add(*millis)));
        let body = |change: &dyn Fn(&mut Fields)| {
            let mut message =
                from_json(br#"{"type":"timer_sketch","logger":"app","payload":""}"#).unwrap().message;
            let mut encoded = Vec::new();
            sketch.encode_fields("a::b", &mut encoded);
            message.fields = rmp_fields(&encoded);
            change(&mut message.fields);
            let shared = record::Identity { env_version: "0.8", pid: 0, hostname: "" };
            let mut body = Vec::new();
            record::write_message(&mut body, &message, shared).unwrap();
            body
        };
        let read = |body: &[u8]| Metric::of(&Record::split(body).unwrap().0, Namespace::Envelope);
        let metric = read(&body(&|_| {})).unwrap();
        assert_eq!(
            (metric.key.as_str(), metric.sample()),
            ("app.a.b", Sample::Sketch { sketch: &sketch, events: 3.0 })
        );
        for (field, value) in [("version", 2), ("count", 4), ("buckets", 0)] {
            assert_eq!(read(&body(&|fields| fields.insert(field, value))), None, "{field}");
        }
    }

    /// The fields that a MessagePack map holds, by way of a record.
    fn rmp_fields(encoded: &[u8]) -> Fields {
        let mut body = Vec::new();
        let (severity, timestamp) = (metlog_core::Severity::default(), metlog_core::Timestamp::from_nanos(0));
        let head = Head { kind: SKETCH_TYPE, severity, logger: "", timestamp };
        let content = |out: &mut Vec<u8>| {
            Encode::encode(&"", out);
            out.extend_from_slice(encoded);
        };
        record::write(&mut body, &head, None, content).unwrap();
        Record::split(&body).unwrap().0.content().unwrap().1
    }

    #[test]
    fn what_is_no_metric_is_left_alone() {
        for json in [
            r#"{"type":"services","payload":"1","fields":{"name":"a"}}"#,
            r#"{"type":"counter","payload":"x","fields":{"name":"a"}}"#,
            r#"{"type":"counter","payload":"1","fields":{}}"#,
            r#"{"type":"counter","payload":"1","fields":{"name":""}}"#,
            r#"{"type":"counter","payload":"1e999","fields":{"name":"a"}}"#,
            r#"{"type":"counter","payload":"1","fields":{"name":"a","rate":0}}"#,
        ] {
            assert_eq!(metric(json, Namespace::Envelope), None, "{json}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_or_cleaned_to_nothing_is_no_metric() {
        let longest = "a".repeat(MAX_WORD);
        for (name, good) in [
            (longest.as_str(), true),
            (&format!("{longest}a"), false),
            ("%", false),
            ("\u{e9}", false),
            (";tag=1", false),
            ("a%", true),
        ] {
            let json =
                format!(r#"{{"type":"counter","logger":"app","payload":1,"fields":{{"name":"{name}"}}}}"#);
            assert_eq!(metric(&json, Namespace::None).is_some(), good, "{name}");
        }
        let json =
            format!(r#"{{"type":"counter","logger":"app","payload":1,"fields":{{"name":"{longest}"}}}}"#);
        assert_eq!(metric(&json, Namespace::Envelope), None, "the logger counts too");
    }
}
