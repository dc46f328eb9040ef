//! Alerts, the sections `[[alert]]`: what is watched in the messages that come by, and the messages that tell of it.
//!
//! An alert has a state for each key; a change of state makes one message of type `alert`, which enters through the intake
//! and is routed like any other. States are saved with the cursor and the messages that are not safe in the spool yet, in one
//! piece: no change is lost or told twice, whenever the process dies.

mod config;
mod consumer;
mod judge;
mod message;
#[cfg(test)]
mod tests;
mod watch;

pub use self::{
    config::{AlertConfig, check},
    consumer::AlertConsumer,
    judge::State,
    message::ALERT_TYPE,
};
