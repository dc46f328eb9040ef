//! The module `metlog._metlog`: turns Python values into the core's and calls it. What metlog means is the core's.
//!
//! - `client`: the class below `metlog.client.MetlogClient`; `state`: what setting it up changes;
//!   `seldom`: how calls read that; `routing`: how it is changed; `books`: the counts that outlive that;
//!   `overridden`: whether a class has a method of its own
//! - `calls`: what its methods do; `names`: what they know of names that come often
//! - `columns`: the arguments of one call
//! - `value`: any Python value as MessagePack
//! - `handles`: counters, gauges and timers that are summed; `sums`: how those of a Python sender leave
//! - `block_timer`, `measured`: what `client.timer` gives; `records`: those of the standard library's `logging`
//! - `bound`: fields bound for a context
//! - `settings`: keywords, files and the environment; `capture`: what tests see
//! - `exception`, `locals`: exceptions, and the variables of their frames
//! - `cef`: lines of CEF
//! - `text`: the text of a name, a key or a well-known type, without running code of the application
//! - `targets`, `filters`: where messages go, and which; `handshake`: only where somebody hears them
//! - `reports`: what `stats` and `close` give back

use pyo3::prelude::*;

mod block_timer;
mod books;
mod bound;
mod calls;
mod capture;
mod cef;
mod client;
mod columns;
mod exception;
mod filters;
mod handles;
mod handshake;
mod locals;
mod measured;
mod names;
mod overridden;
mod records;
mod reports;
mod routing;
mod seldom;
mod settings;
mod state;
mod sums;
mod targets;
mod text;
mod value;

pyo3::import_exception!(metlog.exceptions, ConfigError);
pyo3::import_exception!(metlog.exceptions, MissingKeyError);
pyo3::import_exception!(metlog.exceptions, NotPicklableError);

/// The compiled part of metlog; applications use the modules above it.
#[pymodule]
mod _metlog {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        block_timer::BlockTimer,
        bound::{BoundFields, bound_fields},
        capture::set_capturing,
        cef::{cef_line, cef_meta},
        client::Client,
        exception::Dsn,
        filters::Filter,
        handles::{Counter, Gauge, Timer, rebind_handles},
        overridden::class_changed,
        records::send_record,
        reports::{Report, Stats},
        settings::{Configuration, Settings},
        targets::Target,
    };

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name Python gives a module's version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Sends what every client of this process still holds, within `timeout` seconds, and ends their threads.
    #[pyfunction]
    #[pyo3(signature = (timeout = 2.0))]
    fn close_all(py: Python<'_>, timeout: f64) {
        let timeout = super::sums::close_all(py, super::client::seconds(timeout));
        py.detach(|| metlog_core::client::close_all(timeout));
    }

    /// True when a value of this name is to be masked whatever it is.
    #[pyfunction]
    fn is_secret_name(name: &str) -> bool {
        metlog_core::exception::scrub::is_secret_name(name)
    }

    /// A message with the payload `value`, as JSON that any value survives.
    #[pyfunction]
    fn to_json(value: &Bound<'_, PyAny>) -> PyResult<String> {
        super::columns::to_json(value)
    }
}
