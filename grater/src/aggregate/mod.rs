//! The aggregator, the section `[aggregate]`: the roll-ups of many sidecars become one for each name and interval.
//!
//! What a roll-up brings is added to the interval it belongs to, whenever it comes and in whatever order; an interval is told
//! once, `lateness` after its end. Sums, cursor and the batches that are not safe in the spool yet are saved in one piece, so
//! that nothing is merged or told twice, whenever the process dies. The roll-ups themselves go no further: the ledger
//! counts them as consumed.

mod config;
mod consumer;
mod interval;
mod shares;
#[cfg(test)]
mod tests;

pub use self::{
    config::{AggregateConfig, GaugeFunction},
    consumer::{Aggregator, PRODUCER},
    shares::Shares,
};
