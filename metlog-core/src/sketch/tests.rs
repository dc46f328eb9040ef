//! Tests of the sketch: its error, its algebra, its form in a message.

use proptest::prelude::*;

use super::*;
use crate::wire::read::Reader;

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::default();
    values.iter().for_each(|value| assert!(sketch.add(*value), "{value}"));
    sketch
}

fn is_near(found: f64, exact: f64) -> bool {
    (found - exact).abs() <= 0.01 * exact
}

fn merged(parts: &[&Sketch]) -> Sketch {
    let mut all = Sketch::default();
    parts.iter().for_each(|part| all.merge(part));
    all
}

fn fields_of(sketch: &Sketch) -> Fields {
    let mut bytes = Vec::new();
    sketch.encode_fields("t", &mut bytes);
    Reader::new(&bytes).fields().unwrap()
}

/// Values as they come in life, made of evenly spread numbers from 0 to 1.
fn distribution(which: u8, uniform: f64) -> f64 {
    match which {
        0 => uniform * 1e4,
        1 => -(1.0 - uniform).ln() * 20.0,
        2 => (uniform * 24.0 - 12.0).exp(),
        3 => 1.0 / (1.0 - uniform).powf(1.5),
        4 => (uniform * 20.0).floor(),
        _ => 7.25,
    }
}

proptest! {
    #[test]
    fn percentiles_are_at_most_one_percent_off(
        which in 0..6_u8,
        uniform in prop::collection::vec(0.0..1.0f64, 1..500),
        quantile in 0.0..=1.0f64,
    ) {
        let mut values: Vec<f64> = uniform.into_iter().map(|uniform| distribution(which, uniform)).collect();
        let sketch = sketch(&values);
        values.sort_unstable_by(f64::total_cmp);
        let rank = (quantile * (values.len() - 1) as f64).round();
        let (exact, _) = values.iter().zip(0_u32..).find(|(_, place)| f64::from(*place) >= rank).unwrap();
        let found = sketch.quantile(quantile).unwrap();
        prop_assert!(is_near(found, *exact), "{found} for {exact}");
        prop_assert_eq!((sketch.count(), sketch.min(), sketch.max()), (values.len() as u64, values[0], values[values.len() - 1]));
    }

    #[test]
    fn the_value_of_a_bucket_is_near_every_value_in_it(value in prop_oneof![1e-6..1e13f64, 1e-6..1.0f64, 0.5..2.0f64]) {
        let one = sketch(&[value]);
        // Two more, so that clamping to min and max does not help.
        let mut three = sketch(&[1e-6, 1e13]);
        three.merge(&one);
        let near = three.points().filter(|(point, _)| is_near(*point, value)).count();
        prop_assert!(near >= 1);
    }

    /// Whole numbers, so that sums are exact whatever their order.
    #[test]
    fn merging_keeps_everything_in_any_order(
        parts in prop::array::uniform3(prop::collection::vec((0..1_000_000_u32).prop_map(f64::from), 0..50)),
    ) {
        let [a, b, c] = parts.each_ref().map(|part| sketch(part));
        let all = sketch(&parts.concat());
        prop_assert_eq!(&merged(&[&a, &b]), &merged(&[&b, &a]));
        prop_assert_eq!(&merged(&[&merged(&[&a, &b]), &c]), &all);
        prop_assert_eq!(&merged(&[&a, &merged(&[&b, &c])]), &all);
    }

    #[test]
    fn a_sketch_survives_the_wire_and_a_restart(values in prop::collection::vec(prop_oneof![0.0..1e-5f64, 0.0..1e5f64, any::<f64>()], 1..50)) {
        let mut before = Sketch::default();
        let taken = values.iter().filter(|value| before.add(**value)).count();
        prop_assert_eq!(before.count(), taken as u64);
        let saved: Sketch = serde_json::from_str(&serde_json::to_string(&sketch(&[3.0])).unwrap()).unwrap();
        prop_assert_eq!(saved, sketch(&[3.0]));
        if taken > 0 && before.sum().is_finite() {
            prop_assert_eq!(Sketch::from_fields(&fields_of(&before)).unwrap(), before);
        }
    }
}

#[test]
fn fields_read_as_documented() {
    let fields = fields_of(&sketch(&[0.0, 1.0, 1.0, 1.021, 2.0]));
    let text = serde_json::to_string(&fields).unwrap();
    let expected = concat!(
        r#"{"name":"t","rate":1.0,"version":1,"unit":"ms","gamma":1.02,"count":5,"sum":5.021,"min":0.0,"max":2.0,"#,
        r#""zeros":1,"buckets":[0,2,1,1,49,1]}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn what_is_no_duration_is_not_taken() {
    let mut sketch = Sketch::default();
    for value in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!sketch.add(value), "{value}");
    }
    assert_eq!(sketch, Sketch::default());
    assert!(sketch.add(-0.0) && sketch.add(f64::MAX) && sketch.add(1e-9));
    assert_eq!(sketch.count(), 3);
}

#[test]
fn a_shared_sketch_gives_what_a_plain_one_has_and_starts_anew() {
    let values = [0.0, 3.5, 3.5, 1e4, 1e-3, f64::NAN, -1.0];
    let (shared, mut plain) = (SharedSketch::default(), Sketch::default());
    for _ in 0..2 {
        values.iter().for_each(|value| assert!(shared.try_add(*value)));
        let mut drained = Sketch::default();
        shared.drain(&mut drained);
        plain.clear();
        let taken = values.iter().filter(|value| plain.add(**value)).count();
        assert_eq!(taken, 5);
        assert_eq!(drained, plain);
    }
}

#[test]
fn fields_that_cannot_be_are_refused_by_name() {
    let good = || fields_of(&sketch(&[1.0, 4.0]));
    assert!(Sketch::from_fields(&good()).is_ok());
    let list = |numbers: &[i64]| Value::List(numbers.iter().map(|number| (*number).into()).collect());
    for (field, value) in [
        ("version", 2.into()),
        ("gamma", 1.01.into()),
        ("count", 3.into()),
        ("count", (-1).into()),
        ("count", 2.0.into()),
        ("sum", f64::INFINITY.into()),
        ("min", (-1.0).into()),
        ("min", 5.0.into()),
        ("max", Value::Null),
        ("zeros", u64::MAX.into()),
        ("buckets", Value::Null),
        ("buckets", list(&[0])),
        ("buckets", list(&[0, 1, 0, 1])),
        ("buckets", list(&[0, 1, -5, 1])),
        ("buckets", list(&[0, 2, 1, 0])),
        ("buckets", list(&[0, 1, 2_250, 1])),
        ("buckets", list(&[-1_001, 1, 1, 1])),
        ("buckets", list(&[i64::from(i32::MAX), 1, i64::from(i32::MAX), 1])),
        ("buckets", list(&[0, i64::MAX, 1, i64::MAX])),
    ] {
        let mut fields = good();
        fields.insert(field, value.clone());
        let error = Sketch::from_fields(&fields).unwrap_err().to_string();
        assert!(error.contains("fields."), "{field} {value:?}: {error}");
    }
}
