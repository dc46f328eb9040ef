//! One metric of a packet, and the name of the series it belongs to.

use metlog_pipeline::rollup::Sample;

/// One well-formed metric of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric<'a> {
    /// The name as it was sent; the roll-up cleans it.
    pub name: &'a str,
    /// Type, value and rate.
    pub sample: Sample<'a>,
    /// What follows `|#`, as it was sent: `env:prod,canary`.
    pub tags: Option<&'a str>,
}

impl<'a> Metric<'a> {
    /// The name with its tags as Graphite writes them, `name;env=prod;canary`, as etsy's statsd does since 0.9: series
    /// that differ in tags stay apart. Without tags it is the name itself and `scratch` is left alone.
    pub fn series<'b>(&self, scratch: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        let Some(tags) = self.tags.filter(|tags| !tags.is_empty()) else { return self.name };
        scratch.clear();
        scratch.push_str(self.name);
        for tag in tags.split(',') {
            scratch.push(';');
            push_tag(tag, scratch);
        }
        scratch
    }
}

fn push_tag(tag: &str, scratch: &mut String) {
    let (key, value) = match tag.split_once(':') {
        Some((key, value)) => (key, Some(value)),
        None => (tag, None),
    };
    for (place, part) in [Some(key), value].into_iter().flatten().enumerate() {
        scratch.push_str(if place == 0 { "" } else { "=" });
        // A semicolon would begin the next tag.
        scratch.extend(part.chars().map(|letter| if letter == ';' { '_' } else { letter }));
    }
}
