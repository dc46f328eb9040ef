//! x

pub mod rollup;
