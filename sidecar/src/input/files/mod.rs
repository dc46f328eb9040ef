//! Log files. Each input `[input.files.<name>]` is one thread ([`input`]) that follows the files of its patterns through
//! rotation, truncation and compression, and puts every line into the spool once, whenever the process dies.
//!
//! [`candidates`] finds files, [`registry`] knows which is which by their [`marks`] ([`likeness`]), [`follower`] reads one ([`source`],
//! [`lines`], [`multiline`]) and makes [`entry`]s of it, [`sink`] gathers these into batches, [`positions`] keeps what is
//! durable, [`watch`] wakes the thread, [`order`] tells streams apart.

mod around;
pub mod candidates;
pub mod config;
pub mod entry;
pub mod follower;
pub mod input;
pub mod likeness;
pub mod lines;
pub mod marks;
pub mod multiline;
pub mod order;
pub mod positions;
pub mod registry;
pub mod sink;
pub mod source;
pub mod watch;

#[cfg(test)]
mod tests;

pub use around::look_around;
pub use config::FilesConfig;
pub use input::FilesInput;
