//! The parts of `metlog-grater`: what routes messages and brings them to the back ends.

pub mod aggregate;
pub mod alert;
pub mod config;
mod consumers;
pub mod daemon;
pub mod dead_letters;
pub mod dlq;
pub mod output;
mod probe;
pub mod rehearsal;
pub mod route;
pub mod runner;
