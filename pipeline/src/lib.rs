//! What the Metlog daemons are made of.
//!
//! What comes in goes through the [`intake`] into the [`spool`] and the [`ledger`]; every consumer reads the spool behind
//! a [`cursor`] of its own: the roll-up, the [`link`] to the next hop, every output.

pub mod admin;
pub mod audit;
pub mod config;
pub mod counters;
pub mod cursor;
pub mod curve;
pub mod daemon;
pub mod endpoint;
pub mod expected;
pub mod intake;
pub mod ledger;
pub mod link;
pub mod matcher;
pub mod outbox;
pub mod producer;
pub mod quiet;
pub mod ranges;
pub mod rollup;
pub mod share;
pub mod shed;
pub mod sockets;
pub mod spool;
pub mod stop;
pub mod template;
pub mod threads;
pub mod tools;
pub mod waiter;
pub mod watchdog;
