//! The spread of many times in little space: a DDSketch with 1% relative error that merges, and its form in a message.
//!
//! # Buckets
//! A value `v = 2^e (1 + f)`, `0 <= f < 1`, is counted in bucket `50 e + floor(50 f)`: DDSketch's linearly interpolated
//! mapping. No bucket is wider than gamma = 1.02 times its lower edge, so that the value given back for it is at most
//! 1/101 off. Finding the bucket is two shifts and a multiplication; a logarithm would save a third of the buckets and
//! cost more than all the rest of a measurement. Values below 2^-20 (no nanosecond, in milliseconds) count as zeros.
//!
//! # Fields of a message of type `timer_sketch`
//! ```text
//! name      text     of the timer
//! rate      1        each time was measured
//! version   1        of this layout; a reader refuses others
//! unit      "ms"     of sum, min, max and of the buckets' values
//! gamma     1.02     of the mapping above; a reader refuses others
//! count     integer  how many times were measured: zeros and all buckets together
//! sum, min, max      floats, exact
//! zeros     integer  values below the first bucket
//! buckets   list     [index, count, gap, count, ...]: index of the first bucket that is not empty, from there on how
//!                    far the next one is; counts are at least 1
//! ```
//! Sketches merge by adding counts and sums and taking the smaller min and the larger max. The payload is empty.

pub(crate) use shared::SharedSketch;

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    value::{Encode, Fields, Value},
    wire::pack,
};

/// The type of messages that carry a sketch.
pub const SKETCH_TYPE: &str = "timer_sketch";

/// How far apart the edges of a bucket are at most.
pub const GAMMA: f64 = 1.02;

/// The layout of the fields.
const VERSION: i64 = 1;

/// Buckets from one power of two to the next.
const PER_OCTAVE: u16 = 50;

/// Values of one power of two share a table.
type Octave = [u64; PER_OCTAVE as usize];

/// The lowest power of two with a table: a nanosecond is just above 2^-20 ms.
const LOWEST_POWER: i32 = -20;

/// Powers of two with a table; the highest holds `u64::MAX` nanoseconds and whatever is longer.
const OCTAVES: usize = 65;

/// The exponent bits of a double that is 2^-20.
const LOWEST_EXPONENT: u64 = 1023 - 20;

/// Bits of a double's mantissa.
const MANTISSA_BITS: u32 = 52;

/// Counts of values by size, with their exact count, sum, smallest and largest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub struct Sketch {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    zeros: u64,
    /// Empty before the first value; then one place per power of two. Tables stay when the counts are cleared.
    octaves: Vec<Option<Box<Octave>>>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, zeros: 0, octaves: Vec::new() }
    }
}

/// Equal in all that a reader can see.
impl PartialEq for Sketch {
    fn eq(&self, other: &Self) -> bool {
        let scalars = |one: &Self| (one.count, one.sum, one.min, one.max, one.zeros);
        scalars(self) == scalars(other) && self.buckets().eq(other.buckets())
    }
}

impl Sketch {
    /// Takes a value in; false, and nothing changes, when it is negative or no finite number.
    #[inline]
    pub fn add(&mut self, value: f64) -> bool {
        if !(value.is_finite() && value >= 0.0) {
            return false;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match place(value) {
            Some((octave, bucket)) => add_to(self.counts_of(octave).get_mut(bucket), 1),
            None => self.zeros += 1,
        }
        true
    }

    /// Takes in all that `other` has.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (octave, counts) in other.octaves.iter().enumerate() {
            if let Some(counts) = counts {
                let own = self.counts_of(octave);
                own.iter_mut().zip(counts.iter()).for_each(|(own, more)| *own = own.saturating_add(*more));
            }
        }
    }

    /// Forgets every value and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        let mut octaves = std::mem::take(&mut self.octaves);
        octaves.iter_mut().flatten().for_each(|counts| counts.fill(0));
        *self = Self { octaves, ..Self::default() };
    }

    /// How many values were taken in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True before the first value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The smallest value; infinite when there is none.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The largest value; minus infinity when there is none.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Values with how often they occur, from the smallest; each at most 1% off, none outside min and max.
    pub fn points(&self) -> impl Iterator<Item = (f64, u64)> {
        let zeros = (self.zeros > 0).then_some((0.0, self.zeros));
        let rest = self.buckets().map(|(index, count)| (value_of(index), count));
        zeros.into_iter().chain(rest).map(|(value, count)| (value.max(self.min).min(self.max), count))
    }

    /// The value below or at which a share `quantile` of all lies, at most 1% off; `None` when there is none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rank is meant to be near, not exact, beyond 2^53")]
        let rank = (quantile.clamp(0.0, 1.0) * self.count.saturating_sub(1) as f64).round();
        let mut passed = 0_u64;
        let covers = |count: u64| {
            passed = passed.saturating_add(count);
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let reached = passed as f64;
            reached > rank
        };
        let mut covers = covers;
        self.points().find(|(_, count)| covers(*count)).map(|(value, _)| value)
    }

    /// How many tables of counts it holds, 400 bytes each: what bounds on memory are about.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.octaves.iter().flatten().count()
    }

    /// How many it would hold once `more` is merged.
    #[must_use]
    pub fn tables_with(&self, more: &Self) -> usize {
        let places = 0..self.octaves.len().max(more.octaves.len());
        let has = |sketch: &Self, place| matches!(sketch.octaves.get(place), Some(Some(_)));
        places.filter(|place| has(self, *place) || has(more, *place)).count()
    }

    /// Buckets that are not empty, by index in rising order.
    fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        let tables = (LOWEST_POWER..).zip(&self.octaves);
        let all = tables.filter_map(|(power, counts)| Some((power, counts.as_deref()?)));
        all.flat_map(|(power, counts)| {
            let first = power * i32::from(PER_OCTAVE);
            (first..).zip(counts.iter().copied())
        })
        .filter(|(_, count)| *count > 0)
    }

    #[inline]
    fn counts_of(&mut self, octave: usize) -> &mut [u64] {
        if self.octaves.is_empty() {
            self.octaves.resize_with(OCTAVES, || None);
        }
        match self.octaves.get_mut(octave) {
            Some(counts) => counts.get_or_insert_with(|| Box::new([0; PER_OCTAVE as usize])).as_mut_slice(),
            None => &mut [],
        }
    }

    /// Writes the fields of a `timer_sketch` message as one MessagePack map.
    pub fn encode_fields(&self, name: &str, out: &mut Vec<u8>) {
        let fields: [(&str, &dyn Encode); 10] = [
            ("name", &name),
            ("rate", &1.0),
            ("version", &VERSION),
            ("unit", &"ms"),
            ("gamma", &GAMMA),
            ("count", &self.count),
            ("sum", &self.sum),
            ("min", &self.min),
            ("max", &self.max),
            ("zeros", &self.zeros),
        ];
        pack::map(out, 11);
        for (name, value) in fields {
            name.encode(out);
            value.encode(out);
        }
        "buckets".encode(out);
        let length = 2 * self.buckets().count();
        pack::list(out, length);
        let mut last = 0;
        for (index, count) in self.buckets() {
            (index - last).encode(out);
            count.encode(out);
            last = index;
        }
    }

    /// Reads the fields of a `timer_sketch` message.
    ///
    /// # Errors
    /// `Malformed`, naming the field.
    pub fn from_fields(fields: &Fields) -> Result<Self, Error> {
        if fields.get("version").and_then(Value::as_number) != Some(1.0) {
            return Err(wrong("version", "1"));
        }
        if fields.get("gamma").and_then(Value::as_number) != Some(GAMMA) {
            return Err(wrong("gamma", "1.02"));
        }
        let figure = |name| {
            let value = fields.get(name).and_then(Value::as_number).filter(|value| value.is_finite());
            value.filter(|value| *value >= 0.0).ok_or_else(|| wrong(name, "a finite number, at least 0"))
        };
        let saved = Saved {
            count: whole(fields.get("count")).ok_or_else(|| wrong("count", "a whole number"))?,
            sum: figure("sum")?,
            min: figure("min")?,
            max: figure("max")?,
            zeros: whole(fields.get("zeros")).ok_or_else(|| wrong("zeros", "a whole number"))?,
            buckets: buckets_of(fields).ok_or_else(|| wrong("buckets", "pairs of a gap and a count"))?,
        };
        if saved.count == 0 || saved.min > saved.max {
            return Err(wrong("count", "at least 1, and min at most max"));
        }
        Self::try_from(saved)
    }
}

fn wrong(field: &str, expected: &str) -> Error {
    Error::malformed(format!("fields.{field} of a timer_sketch is not as expected: {expected}"))
}

fn whole(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Int(int) => u64::try_from(*int).ok(),
        _ => None,
    }
}

fn buckets_of(fields: &Fields) -> Option<Vec<(i32, u64)>> {
    let Value::List(list) = fields.get("buckets")? else { return None };
    let mut index = 0_i32;
    let mut buckets = Vec::with_capacity(list.len() / 2);
    for pair in list.chunks(2) {
        let [Value::Int(gap), count] = pair else { return None };
        let gap = i32::try_from(*gap).ok().filter(|gap| *gap > 0 || buckets.is_empty())?;
        index = index.checked_add(gap)?;
        buckets.push((index, whole(Some(count)).filter(|count| *count > 0)?));
    }
    Some(buckets)
}

/// What a sketch is kept as: counts by bucket.
#[derive(Serialize, Deserialize)]
struct Saved {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    zeros: u64,
    buckets: Vec<(i32, u64)>,
}

impl From<Sketch> for Saved {
    fn from(sketch: Sketch) -> Self {
        let buckets = sketch.buckets().collect();
        let Sketch { count, sum, min, max, zeros, .. } = sketch;
        Self { count, sum, min, max, zeros, buckets }
    }
}

impl TryFrom<Saved> for Sketch {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self, Error> {
        let Saved { count, sum, min, max, zeros, buckets } = saved;
        let mut sketch = Self { count, sum, min, max, zeros, octaves: Vec::new() };
        let mut counted = Some(zeros);
        for (index, more) in buckets {
            let (power, bucket) = (index.div_euclid(PER_OCTAVE.into()), index.rem_euclid(PER_OCTAVE.into()));
            let octave = usize::try_from(power - LOWEST_POWER).ok().filter(|octave| *octave < OCTAVES);
            let octave = octave.ok_or_else(|| wrong("buckets", "indexes from -1000 to 2249"))?;
            let bucket = usize::try_from(bucket).unwrap_or_default();
            add_to(sketch.counts_of(octave).get_mut(bucket), more);
            counted = counted.and_then(|counted| counted.checked_add(more));
        }
        if counted != Some(count) {
            return Err(wrong("count", "zeros and all buckets together"));
        }
        Ok(sketch)
    }
}

#[inline]
fn add_to(counter: Option<&mut u64>, more: u64) {
    if let Some(counter) = counter {
        *counter = counter.saturating_add(more);
    }
}

/// The table and the place in it where a positive value is counted; `None` for one below the first table.
#[inline]
fn place(value: f64) -> Option<(usize, usize)> {
    let bits = value.to_bits();
    let octave = usize::try_from((bits >> MANTISSA_BITS).checked_sub(LOWEST_EXPONENT)?).ok()?;
    if octave >= OCTAVES {
        return Some((OCTAVES - 1, usize::from(PER_OCTAVE) - 1));
    }
    let fraction = bits & ((1 << MANTISSA_BITS) - 1);
    let bucket = usize::try_from((fraction * u64::from(PER_OCTAVE)) >> MANTISSA_BITS).ok()?;
    Some((octave, bucket))
}

/// The value whose relative distance to both edges of the bucket is the same.
fn value_of(index: i32) -> f64 {
    let per_octave = i32::from(PER_OCTAVE);
    let scale = 2.0_f64.powi(index.div_euclid(per_octave)) / f64::from(PER_OCTAVE);
    let low = f64::from(per_octave + index.rem_euclid(per_octave));
    let high = low + 1.0;
    2.0 * low * high / (low + high) * scale
}

mod shared;
#[cfg(test)]
mod tests;
