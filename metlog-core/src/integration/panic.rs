//! Panics as `sentry` messages (feature `panic`).
//!
//! The feature adds no code of its own: it is `exceptions`, by the name of what a service wants from it.
//!
//! ```
//! use metlog_core::{Client, integration::panic::install_panic_hook, sender};
//!
//! let (memory, captured) = sender::memory::channel();
//! let client = Client::builder().logger("bookmarks").sender(memory).build();
//! install_panic_hook(client.clone());
//!
//! let _its_panic = std::thread::spawn(|| panic!("went down")).join();
//!
//! while client.stats().attempted == 0 {
//!     std::thread::yield_now(); // a thread of its own resolves the backtrace
//! }
//! client.close(std::time::Duration::from_secs(2));
//! assert_eq!(captured.messages()[0].kind, "sentry");
//! ```

pub use crate::exception::install_panic_hook;
