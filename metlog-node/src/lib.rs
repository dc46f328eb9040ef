//! Metlog for Node: the native addon under the JavaScript of `lib/`.
//!
//! The client class, options and filters are JavaScript. This crate converts what one call says and delegates to
//! `metlog-core`: [`sender`] holds where messages go, [`call`] takes one message over, [`life`] waits and ends,
//! [`value`] turns JSON into the core's encoding ([`encode`] for others), [`configure`] reads settings, [`aggregates`]
//! takes over what JavaScript has summed, [`cef`] and [`exception`] make payloads. Free functions over a handle: a method
//! of a class would cost two to three times as much per call. A panic stops in every one of them: it is counted, or
//! becomes a JavaScript error.

// What is public here is public for JavaScript: docs of these items are those of `index.d.ts`.
pub mod aggregates;
pub mod call;
pub mod cef;
pub mod configure;
pub mod encode;
pub mod exception;
pub mod life;
mod mappings;
pub mod sender;
mod source_map;
mod stack;
pub mod value;
pub mod written;
